"""Tools of one's own on real processes: from a module and a file, with secrets that nobody but the partner gets to see."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import QUICK, Process, System, until
from tests.tools.partner import Asked, Partner, partner, says

pytestmark = pytest.mark.system
CANARY = "canary-7f3a9c-in-no-store"
MODULE = """
from typing import Any

from shared.tools.declare import Means, tool
from shared.tools.registry import Call


@tool(effect="pure", secrets=("DESK_TOKEN",))
async def count_words(call: Call, means: Means, *, text: str) -> dict[str, Any]:
    '''Count words, and be careless with a secret.'''
    return {"words": len(text.split()), "careless": f"token {means.secret('DESK_TOKEN')}"}
"""
FILE = """
[[tool]]
name = "create_ticket"
summary = "Open a ticket."
effect = "idempotent"
url = "%s/tickets"
headers = { Authorization = "Bearer ${secret:DESK_TOKEN}" }
key_header = "Idempotency-Key"
args = { subject = { type = "string" } }
"""
PLAN: list[dict[str, Any]] = [
    {"name": "count", "tool": "count_words", "args": {"text": "it is broken"}},
    {"name": "ticket", "tool": "create_ticket", "args": {"subject": "${count.words} words"}},
    {"name": "refused", "tool": "create_ticket", "args": {"subject": "no ${ticket.id}"}, "may_fail": True},
]


class Trusting(System):
    """The secret is in the step executor's environment, and in no other."""

    def add(self, name: str, module: str, *, port: int, **settings: str) -> Process:
        """As ever."""
        secrets = {"SECRET_DESK_TOKEN": CANARY} if name == "step_executor" else {}
        return super().add(name, module, port=port, **settings, **secrets)


class Desk:
    """Opens tickets by key, says back what it was sent, and lets its first caller wait for ever."""

    def __init__(self) -> None:
        self.tickets: dict[str, int] = {}
        self.hung = asyncio.Event()

    async def answer(self, asked: Asked, writer: Any) -> None:
        """One request."""
        sent = {"you sent": asked.headers["authorization"]}
        if b"no " in asked.body:
            await says(400, sent)(asked, writer)
            return
        number = self.tickets.setdefault(asked.headers["idempotency-key"], len(self.tickets) + 1)
        if not self.hung.is_set():
            self.hung.set()
            await asyncio.Event().wait()
        await says(201, sent | {"id": number})(asked, writer)


async def run(system: System, desk: Desk, there: Partner) -> dict[str, Any]:
    """The plan's execution, whose executor dies while the ticket is being opened."""
    there.script = desk.answer
    execution = await system.run_plan(PLAN)
    await asyncio.wait_for(desk.hung.wait(), 20)
    await system.restart("step_executor")
    return await system.ended(execution, within=40)


async def test_tools_of_ones_own_survive_a_crash_and_leak_no_secret(tmp_path: Path) -> None:
    """One ticket, whoever dies; and no file that the system wrote has the secret in it: not the store's, not a log."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "desk_tools.py").write_text(MODULE)
    async with partner() as there:
        (code / "tools.toml").write_text(FILE % there.url)
        own = {"TOOLS": "desk_tools", "HTTP_TOOLS": str(code / "tools.toml"), "PYTHONPATH": str(code)}
        async with Trusting(tmp_path, **QUICK, **own, OUTBOUND_LOOPBACK="true") as system:
            desk = Desk()
            found = await run(system, desk, there)

            steps = {step["name"]: step for step in found["steps"]}
            assert found["status"] == "COMPLETED"
            assert steps["count"]["output"] == {"words": 3, "careless": "token ***"}
            assert steps["ticket"]["output"] == {"you sent": "Bearer ***", "id": 1}
            assert steps["refused"]["status"] == "FAILED"
            assert "Bearer ***" in str(steps["refused"]["error"])
            opened = [asked for asked in there.asked if b"no " not in asked.body]
            assert len(opened) >= 2
            assert desk.tickets == {f"{found['id']}.ticket.1": 1}
            assert {asked.headers["authorization"] for asked in there.asked} == {f"Bearer {CANARY}"}
            listed = (await system.client.get(f"{system.processes['ingress'].url}/api/tools")).json()["tools"]
            assert {"count_words", "create_ticket", "find_table"} <= {tool["name"] for tool in listed}

            async def stored() -> bool:
                return bool(holding(tmp_path, found["id"].encode()))

            await until(stored, within=10, describe="the store's file has the execution")
    assert any("valkey" in path.parts for path in holding(tmp_path, b"Bearer ***"))
    assert holding(tmp_path, CANARY.encode()) == []


def holding(folder: Path, needle: bytes) -> list[Path]:
    """The files that have it in them."""
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


async def test_a_service_with_a_tool_that_is_wrong_does_not_start(tmp_path: Path) -> None:
    """It says which setting, and what to do, in one line."""
    system = System(tmp_path, TOOLS="no_such_module")
    for name, module in System.modules.items():
        if name in {"ingress", "step_executor", "resume"}:
            process = system.add(name, module, port=system.ports[name])
            process.start()

            async def told(process: Process = process) -> bool:
                return "cannot start: TOOLS: no_such_module cannot be imported" in process.log()

            await until(told, within=20, describe=f"{name} says what is wrong")
            assert "Traceback" not in process.log()
            process.stop()
    await system.client.aclose()
