"""The help desk of `tests.tools.mcp_desk` as a server to connect to, and a registry that has its tools."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from shared.machine.decision import Start
from shared.machine.events import Outcome
from shared.machine.plan import Effect
from shared.machine.state import Intent
from shared.redisdb.mcp_listings import Listings
from shared.settings import Secret
from shared.tools.mcp_shape import ByTool, Said, Server
from shared.tools.mcp_tools import Catalogue
from shared.tools.registry import Registry, Runner
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.tools.partner import Asked, Script, says

ROOT = Path(__file__).parents[2]
BY_KEY = {"key": "{key}"}
SAID = {
    "open_ticket": Said(
        effect=Effect.IDEMPOTENT,
        key_argument="key",
        undo=ByTool(tool="close_ticket", args=BY_KEY),
        probe=ByTool(tool="find_ticket", args=BY_KEY, found="ticket"),
    ),
    "add": Said(effect=Effect.PURE),
}


def stdio(folder: Path, **more: Any) -> Server:
    """The desk as a child of whoever calls it."""
    command = (sys.executable, "-m", "tests.tools.mcp_desk", "stdio", str(folder))
    env = {"DESK_TOKEN": "${secret:DESK_TOKEN}"}
    return Server(name="desk", command=command, folder=str(ROOT), env=env, **({"tools": SAID} | more))


def http(port: int, **more: Any) -> Server:
    """The desk at an address."""
    return Server(name="desk", url=f"http://127.0.0.1:{port}/mcp", **({"tools": SAID} | more))


@asynccontextmanager
async def catalogue(
    server: Server, listings: Listings | None = None, *, calls: bool = True
) -> AsyncIterator[tuple[Registry, Catalogue]]:
    """A registry with a server's tools, as a process has it."""
    registry = Registry()
    found = Catalogue(registry, [server], listings)
    if calls:
        found.connect({"DESK_TOKEN": Secret("desk-token-4711")})
    await found.start()
    try:
        yield registry, found
    finally:
        await found.close()


async def run(registry: Registry, tool: str, key: str = "k1", *, within: float = 8.0, way: str = "", **args: Any) -> Outcome:
    """One call as the executor makes it; `way`: undo or probe."""
    key = f"{key}.undo" if way == "undo" else key
    intent = Intent(attempt=1, key=key, args=args, args_hash="", at_ms=0, sent_by_ms=0, settle_at_ms=0, probe=way == "probe")
    start = Start(cell=0, step="s", tool=f"desk.{tool}", intent=intent, timeout_ms=int(within * 1000), undo=way == "undo")
    return await Runner(registry).run(start, within)


class Running:
    """The desk as a process that listens."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = free_port()
        self.folder = folder
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "tests.tools.mcp_desk", str(self.port), str(self.folder), *self._more]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet)  # noqa: ASYNC220 - it returns at once
        await eventually(self._listens, within=30, describe="the desk listens")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def running(folder: Path, *more: str) -> AsyncIterator[Running]:
    """The desk, ended afterwards."""
    found = Running(folder, *more)
    try:
        await found.start()
        yield found
    finally:
        found.kill()


class Old:
    """A server of the years with sessions, by script: what it answers to calls is the test's; it forgets sessions when told."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.called: list[dict[str, Any]] = []
        self.seen: list[Asked] = []
        self.answers: Script = self.result({"content": [{"type": "text", "text": "done"}]})
        self.tools: list[dict[str, Any]] = [{"name": "act", "inputSchema": {"type": "object", "properties": {}}}]

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.seen.append(asked)
        if asked.method != "POST":
            await says(405)(asked, writer)
            return
        said = msgspec.json.decode(asked.body)
        session = asked.headers.get("mcp-session-id", "")
        if said["method"] not in {"initialize", "server/discover"} and session not in self.sessions:
            await says(404)(asked, writer)
        elif said["method"] == "tools/call":
            self.called.append(said)
            await self.answers(asked, writer)
        else:
            await self._handshake(said, asked, writer)

    async def _handshake(self, said: dict[str, Any], asked: Asked, writer: asyncio.StreamWriter) -> None:
        match said["method"]:
            case "initialize":
                self.sessions.add(session := f"session-{len(self.seen)}")
                version = said["params"]["protocolVersion"]
                found = {
                    "protocolVersion": version,
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "old", "version": "1"},
                }
                await self.result(found, mcp_session_id=session)(asked, writer)
            case "notifications/initialized":
                await says(202)(asked, writer)
            case "tools/list":
                await self.result({"tools": self.tools})(asked, writer)
            case _:
                await self.error(-32601, "no such method")(asked, writer)

    def result(self, result: dict[str, Any], **headers: str) -> Script:
        """A script: this result."""
        return _rpc({"result": result}, headers)

    def error(self, code: int, message: str) -> Script:
        """A script: this error of JSON-RPC."""
        return _rpc({"error": {"code": code, "message": message}}, {})


def _rpc(body: dict[str, Any], headers: dict[str, str]) -> Script:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        number = msgspec.json.decode(asked.body)["id"]
        full = {"jsonrpc": "2.0", "id": number, **body}
        await says(200, full, content_type="application/json", **headers)(asked, writer)

    return script
