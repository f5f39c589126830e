"""MCP on real processes: servers' tools in a plan whose executor dies twice, and the engine itself asked by a client."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.system.command_line import around
from tests.system.harness import QUICK, ROOT, System, until
from tests.system.test_own_tools import holding
from tests.tools.mcp_desk import lines
from tests.tools.mcp_support import running

pytestmark = pytest.mark.system
CANARY = "canary-9b1d-in-no-store"
FILE = """
[[server]]
name = "desk"
command = ["{python}", "-m", "tests.tools.mcp_desk", "stdio", "{child}"]
folder = "{root}"
env = {{ DESK_TOKEN = "${{secret:DESK_TOKEN}}" }}

[server.tools.add]
effect = "pure"

[server.tools.open_ticket]
effect = "idempotent"
key_argument = "key"
undo = {{ tool = "close_ticket", args = {{ key = "{{key}}" }} }}

[[server]]
name = "web"
url = "http://127.0.0.1:{port}/mcp"

[server.tools.open_quietly]
effect = "probeable"
settle_ms = 500
probe = {{ tool = "find_ticket", args = {{ key = "{{key}}" }}, found = "ticket" }}
"""
PLAN: list[dict[str, Any]] = [
    {"name": "sum", "tool": "desk.add", "args": {"a": 20, "b": 3}},
    {"name": "ticket", "tool": "desk.open_ticket", "args": {"subject": "${sum.result} printers"}},
    {"name": "told", "tool": "web.open_quietly", "args": {"subject": "see ${ticket.number}"}, "undo": {"leave": True}},
    {"name": "refused", "tool": "desk.say", "args": {"text": "no", "times": "${told.number}"}, "may_fail": True},
]


class Trusting(System):
    """The secret is in the step executor's environment, and in no other."""

    def add(self, name: str, module: str, *, port: int, **settings: str) -> Any:
        """As ever."""
        secrets = {"SECRET_DESK_TOKEN": CANARY} if name == "step_executor" else {}
        return super().add(name, module, port=port, **settings, **secrets)


def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One a server; each has its first effect and never says so."""
    found = tmp_path / "child", tmp_path / "web"
    for folder in found:
        folder.mkdir()
        (folder / "slow").touch()
    return found


async def known(system: System) -> list[str]:
    """The tools that ingress has, once the servers' are among them."""

    async def listed() -> list[str] | None:
        answer = await system.client.get(f"{system.processes['ingress'].url}/api/tools")
        names = [tool["name"] for tool in answer.json()["tools"]]
        return names if {"desk.add", "web.say"} <= set(names) else None

    return await until(listed, within=30, describe="ingress knows the servers' tools")


async def effect_in(folder: Path) -> None:
    """Wait for a server's first effect."""

    async def there() -> bool:
        return bool(lines(folder, "effects"))

    await until(there, within=30, describe=f"an effect in {folder.name}")


async def test_a_plan_of_mcp_tools_survives_crashes_with_each_effect_once(tmp_path: Path) -> None:
    """The executor dies while its own child works, and while a server that goes on does; the key and a probe settle it."""
    child, web = folders(tmp_path)
    async with running(web) as there:
        (tmp_path / "servers.toml").write_text(FILE.format(python=sys.executable, child=child, root=ROOT, port=there.port))
        async with Trusting(tmp_path, **QUICK, MCP_SERVERS=str(tmp_path / "servers.toml")) as system:
            assert "desk.open_ticket" in await known(system)
            execution = await system.run_plan(PLAN)
            await effect_in(child)
            await system.restart("step_executor")
            await effect_in(web)
            await system.restart("step_executor")
            found = await system.ended(execution, within=60)

            steps = {step["name"]: step for step in found["steps"]}
            assert found["status"] == "COMPLETED", steps
            assert steps["ticket"]["output"] == {"number": 1, "subject": "23 printers"}
            assert steps["told"]["output"] == {"number": 1, "subject": "see 1"}
            assert steps["refused"]["error"]["code"] == "mcp_error"
            assert "***" in steps["refused"]["error"]["message"]
    assert [line["key"] for line in lines(child, "effects")] == [f"{execution}.ticket.1"]
    assert [line["key"] for line in lines(web, "effects")] == [f"{execution}.told.1"]
    assert len({line["pid"] for line in lines(child, "calls")}) >= 2
    assert len(lines(web, "calls")) == 1  # asked what had become of it, and not called again
    assert holding(tmp_path, CANARY.encode()) == []
    await until(lambda: _gone(child), within=10, describe="no child is left")


async def _gone(folder: Path) -> bool:
    for pid in {line["pid"] for line in lines(folder, "calls")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        return False
    return True


async def test_a_client_plans_confirms_and_follows_an_execution(tmp_path: Path) -> None:
    """`intention mcp` is a process of its own, over standard input and output, beside a running system."""
    async with System(tmp_path, **QUICK) as system:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "shared.cli", "mcp"], env=around(system), cwd=str(tmp_path)
        )
        plan = {"steps": [{"name": "job", "tool": "do_work", "args": {"label": "x"}}]}
        async with Client(command) as client:

            async def ask(tool: str, **args: Any) -> dict[str, Any]:
                answer = await client.call_tool(tool, args)
                assert not answer.is_error, answer.content
                found: dict[str, Any] = answer.structured_content or {}
                return found

            priced = await ask("plan", plan=plan)
            told = [await ask("run", plan=plan, confirm=True, idempotency_key="one") for _ in range(2)]
            assert told[0]["id"] == told[1]["id"]
            assert told[0]["plan"]["hash"] == priced["hash"]
            refused = await client.call_tool("confirm", {"execution": "last", "plan_hash": "0" * 32})
            assert refused.is_error
            await ask("confirm", execution="last", plan_hash=priced["hash"])
            await system.ended(told[0]["id"], within=30)
            assert (await ask("status", execution=told[0]["id"]))["status"] == "COMPLETED"
            assert (await ask("why", execution="last"))["status"] == "COMPLETED"
            assert [row["id"] for row in (await ask("list_executions"))["executions"]] == [told[0]["id"]]
        assert await system.effects(told[0]["id"]) == {"job": 1}
