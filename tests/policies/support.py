"""A few tools with costs, plans of them, and policies as a file has them."""

from typing import Any

import msgspec

from shared.machine.accept import Limits, accept
from shared.machine.plan import Contract, Cost, Effect, Plan, PlanDraft, Retry, Undo
from shared.policies import Policies, Verdict, read

LIMITS = Limits(steps=10_000, argument_bytes=65_536, step_ms=8_000)
TOOLS = {
    "look": Contract(version="1", effect=Effect.PURE),
    "reserve": Contract(version="1", effect=Effect.IDEMPOTENT, undo=Undo.TOMBSTONE, cost=Cost(amount=30)),
    "send": Contract(version="1", effect=Effect.UNSAFE, cost=Cost(amount=8, failed=True), retry=Retry(attempts=3)),
    "ride": Contract(version="1", effect=Effect.IDEMPOTENT, undo=Undo.TOMBSTONE),
}


def plan(*steps: dict[str, Any]) -> Plan:
    """An accepted plan."""
    draft = msgspec.convert({"steps": list(steps)}, PlanDraft)
    return accept(draft, contracts=TOOLS, check_args=lambda *_: iter(()), limits=LIMITS)


def call(tool: str, name: str = "", **more: Any) -> dict[str, Any]:
    """A step that calls."""
    return {"name": name or tool, "tool": tool} | more


def policies(text: str) -> Policies:
    """As the file has them."""
    return read(text, is_json=False)


def judge(text: str, *steps: dict[str, Any], tenant: str = "acme") -> Verdict:
    """What policies say of a plan."""
    return policies(text).judge(plan(*steps), tenant)


def refusals(text: str, *steps: dict[str, Any], tenant: str = "acme") -> list[str]:
    """The places of what is refused."""
    found = judge(text, *steps, tenant=tenant)
    assert all("policy p" in problem.message for problem in found.problems)
    return [problem.at for problem in found.problems]
