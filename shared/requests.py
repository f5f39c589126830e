"""What may be asked of the engine, and how it is answered. One definition a shape, for whoever takes requests."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from shared.errors import BadRequest
from shared.machine.plan import PlanDraft

LONGEST: Final = 4_000
"""Characters of words."""
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
YEARS: Final = range(1971, 3000)
"""In which words may be said."""
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where and when the words were said."""

    timezone: str = ""
    now: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """The moment they were said, with its offset; the moment they arrive if it is left out."""

    def __post_init__(self) -> None:
        """What is said about tomorrow, and in another zone, must be a moment too."""
        if self.now is not None and self.now.year not in YEARS:
            raise ValueError(f"`now` lies in none of the years {YEARS[0]} to {YEARS[-1]}")


class Replanning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often a plan may be made anew after a failure."""

    most: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1


class Execute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """`POST /api/execute`: words (`intent` or `input`), or a plan."""

    intent: Words | None = None
    input: Words | None = None
    plan: PlanDraft | None = None
    user_id: UserId = "anonymous"
    context: Context = Context()
    priority: Literal["normal", "low"] = "normal"
    """`low` waits (429) when messages get scarce, before anything else does."""

    replan: Replanning | None = None
    """After a partner's refusal the model may be asked for other steps; None: what is done is undone."""

    confirm: bool = False
    """Nothing starts before `POST /api/executions/{id}/confirm` names the plan's hash."""

    def words(self) -> str | None:
        """The words, if it is words; BadRequest unless it is exactly one of the three."""
        given = [name for name in ("intent", "input", "plan") if getattr(self, name) is not None]
        if len(given) != 1:
            what = " and ".join(given) if given else "none of them"
            raise BadRequest(f"give exactly one of intent, input or plan; this has {what}", at="$")
        return self.intent or self.input


def request_hash(request: Execute) -> str:
    """The identity of a request for its Idempotency-Key: of what was asked, not of the plan it became."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def plan_summary(plan: Any, plan_hash: str, summary: str, sources: Any) -> dict[str, Any]:
    """What is going to be done, for the one who asked."""
    steps = [{"name": s.name, "tool": s.tool, "args": s.args, "needs": s.needs} for s in plan.steps[:100]]
    return {"hash": plan_hash, "summary": summary, "total_steps": len(plan.steps), "steps": steps, "sources": sources}


def links(execution: str) -> dict[str, str]:
    """Where to look next."""
    base = f"/api/executions/{execution}"
    return {"self": base, "history": f"{base}/history", "cancel": f"{base}/cancel"}
