"""`intention mcp`, asked by the SDK's own client, over a real ingress that answers by script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from mcp import Client

from shared.cli.api import Api
from shared.cli.serve_mcp import server
from tests.tools.partner import Asked, Partner, partner, says

EXE = "exe_00_" + "0" * 32
ERROR = {"error": {"code": "version_conflict", "message": "it has moved on", "details": {"version": 7}}}


class Ingress:
    """Says what the test gave it for a path, and remembers what it was asked."""

    def __init__(self, there: Partner) -> None:
        self.there = there
        self.answers: dict[str, tuple[int, Any]] = {}
        there.script = self

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """One request."""
        status, body = self.answers.get(asked.path.partition("?")[0], (200, {"id": EXE}))
        await says(status, body)(asked, writer)

    @property
    def last(self) -> Asked:
        """The latest request."""
        return self.there.asked[-1]


@pytest.fixture
async def ingress() -> AsyncIterator[Ingress]:
    """It listens."""
    async with partner() as there:
        yield Ingress(there)


@asynccontextmanager
async def asking(ingress: Ingress) -> AsyncIterator[Client]:
    """A client of the engine's server; no fixture, because the SDK wants it left by the task that entered it."""
    headers = {"Authorization": "Bearer key-4711"}
    with httpx.Client(base_url=ingress.there.url, headers=headers, trust_env=False) as way:
        async with Client(server(Api(way, "mcp"))) as found:
            yield found


async def test_what_can_be_done_is_listed_with_what_it_takes(ingress: Ingress) -> None:
    """Looking is marked as such; what ends or changes something is not."""
    async with asking(ingress) as client:
        found = {tool.name: tool for tool in (await client.list_tools()).tools}

    looking = {name for name, tool in found.items() if tool.annotations and tool.annotations.read_only_hint}
    assert looking == {"plan", "status", "why", "list_executions"}
    assert set(found) - looking == {"run", "confirm", "approve", "reject", "cancel", "signal"}
    assert all(tool.description for tool in found.values())
    assert found["confirm"].input_schema["required"] == ["execution", "plan_hash"]


@pytest.mark.parametrize(
    ("tool", "args", "method", "path", "body"),
    [
        ("plan", {"words": "a table"}, "POST", "/api/plan", {"intent": "a table", "userId": "anonymous"}),
        ("plan", {"plan": {"steps": []}}, "POST", "/api/plan", {"plan": {"steps": []}, "userId": "anonymous"}),
        (
            "run",
            {"words": "x", "user": "ann", "timezone": "Europe/Paris", "confirm": True},
            "POST",
            "/api/execute",
            {"intent": "x", "userId": "ann", "context": {"timezone": "Europe/Paris"}, "confirm": True},
        ),
        ("status", {"execution": EXE}, "GET", f"/api/executions/{EXE}", None),
        ("why", {"execution": EXE}, "GET", f"/api/executions/{EXE}/why", None),
        ("list_executions", {"limit": 3}, "GET", "/api/executions?limit=3", None),
        ("confirm", {"execution": EXE, "plan_hash": "h"}, "POST", f"/api/executions/{EXE}/confirm", {"planHash": "h"}),
        (
            "approve",
            {"execution": EXE, "step": "pay", "args_hash": "h"},
            "POST",
            f"/api/executions/{EXE}/approve",
            {"step": "pay", "argsHash": "h", "note": ""},
        ),
        ("reject", {"execution": EXE}, "POST", f"/api/executions/{EXE}/reject", {"step": "", "note": ""}),
        ("cancel", {"execution": EXE}, "POST", f"/api/executions/{EXE}/cancel", {"reason": "", "undo": True}),
        (
            "signal",
            {"execution": EXE, "name": "paid", "data": [1]},
            "POST",
            f"/api/executions/{EXE}/events/paid",
            {"data": [1]},
        ),
    ],
)
async def test_each_tool_is_one_question_to_ingress(
    ingress: Ingress, tool: str, args: dict[str, Any], method: str, path: str, body: Any
) -> None:
    """With the caller's key, and who acts."""
    async with asking(ingress) as client:
        found = await client.call_tool(tool, args)

    assert not found.is_error, found.content
    assert found.structured_content == {"id": EXE}
    assert (ingress.last.method, ingress.last.path) == (method, path)
    assert (msgspec.json.decode(ingress.last.body) if ingress.last.body else None) == body
    assert (ingress.last.headers["authorization"], ingress.last.headers["x-actor"]) == ("Bearer key-4711", "mcp")


async def test_an_idempotency_key_goes_with_what_is_run(ingress: Ingress) -> None:
    """Said twice, it runs once."""
    async with asking(ingress) as client:
        await client.call_tool("run", {"words": "x", "idempotency_key": "order-17"})

    assert ingress.last.headers["idempotency-key"] == "order-17"


@pytest.mark.parametrize(
    ("tool", "args", "says_"),
    [
        ("confirm", {"execution": EXE, "plan_hash": "h"}, "it has moved on [version_conflict]"),
        ("confirm", {"execution": EXE, "plan_hash": "h"}, "look again"),
        ("run", {}, "give either words or a plan"),
        ("run", {"words": "x", "plan": {"steps": []}}, "give either words or a plan"),
        ("why", {"execution": "zzzz"}, "no execution begins or ends with 'zzzz'"),
    ],
)
async def test_a_refusal_is_told_with_its_remedy(ingress: Ingress, tool: str, args: dict[str, Any], says_: str) -> None:
    """As the command line would."""
    ingress.answers[f"/api/executions/{EXE}/confirm"] = (409, ERROR)
    ingress.answers["/api/executions"] = (200, {"executions": [], "next": None})

    async with asking(ingress) as client:
        found = await client.call_tool(tool, args)

    assert found.is_error
    assert says_ in getattr(found.content[0], "text", "")


async def test_an_ingress_that_is_away_is_said() -> None:
    """And the server goes on."""
    with httpx.Client(base_url="http://127.0.0.1:9", trust_env=False) as way:
        async with Client(server(Api(way, "mcp"))) as client:
            found = await client.call_tool("status", {"execution": EXE})

            assert found.is_error
            assert "does not answer" in getattr(found.content[0], "text", "")
            assert len((await client.list_tools()).tools) == 10
