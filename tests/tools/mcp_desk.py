"""A help desk as an MCP server, made with the SDK's own class: `python -m tests.tools.mcp_desk stdio|<port> <folder> [wide]`.

It honours the effect's key, as an argument of one tool and in `_meta` of another, and writes down every call and every effect,
because it may die with whoever started it. With a file `slow` in its folder it has an effect and never says so.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

KEY = "intention-engine/key"
SECRET = os.environ.get("DESK_TOKEN", "")


class Ticket(BaseModel):
    """What was opened."""

    number: int
    subject: str


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """What it wrote down: `calls` or `effects`."""
    file = folder / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Desk:
    """Its tools."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def standing(self) -> dict[str, dict[str, Any]]:
        """Open tickets by key."""
        found: dict[str, dict[str, Any]] = {}
        for line in lines(self._folder, "effects"):
            if line.get("closed"):
                found.pop(line["key"], None)
            else:
                found[line["key"]] = line
        return found

    async def open_ticket(self, key: str, subject: str) -> Ticket:
        """Open a ticket, once for a key."""
        self._note("calls", {"key": key, "pid": os.getpid()})
        found = self.standing().get(key)
        if found is None:
            found = {"key": key, "number": len(lines(self._folder, "effects")) + 1, "subject": subject}
            self._note("effects", found)
            if (self._folder / "slow").exists():
                await asyncio.Event().wait()
        if found["subject"] != subject:
            raise ToolError(f"{key} opened another ticket")
        return Ticket(number=found["number"], subject=found["subject"])

    async def open_in_queue(self, key: str, subject: str, queue: str = "all") -> Ticket:
        """Open a ticket, once for a key, in a queue."""
        return await self.open_ticket(key, f"{queue}: {subject}")

    async def open_quietly(self, subject: str, context: Context[Any, Any]) -> Ticket:
        """Open a ticket, once for the key in `_meta`."""
        meta: Any = context.request_context.meta
        return await self.open_ticket(meta[KEY], subject)

    async def close_ticket(self, key: str) -> str:
        """Close the ticket of a key."""
        self._note("effects", {"key": key, "closed": True})
        return "closed"

    async def find_ticket(self, key: str) -> dict[str, Any]:
        """The ticket of a key, or none."""
        if key.startswith("broken"):
            raise ToolError("the desk cannot look")
        found = self.standing().get(key)
        return {"ticket": {"number": found["number"], "subject": found["subject"]} if found else None}

    def _note(self, name: str, line: dict[str, Any]) -> None:
        with (self._folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def say(text: str, times: int = 1) -> str:
    """Say something; `no`, `die` and `wait` are not said but done."""
    if text == "no":
        raise ToolError(f"the desk says no, and its token is {SECRET}")
    if text == "die":
        os._exit(9)
    if text == "wait":
        await asyncio.Event().wait()
    return text * times


def server(folder: Path, *, wide: bool = False) -> MCPServer:
    """The server. `wide`: a later release, whose `open_ticket` takes one argument more."""
    found, desk = MCPServer("desk"), Desk(folder)
    found.add_tool(desk.open_in_queue if wide else desk.open_ticket, name="open_ticket")
    for tool in (desk.open_quietly, desk.close_ticket, desk.find_ticket, add):
        found.add_tool(tool)
    found.add_tool(say, structured_output=False)
    return found


def main() -> None:
    """Serve until told to stop."""
    found = server(Path(sys.argv[2]), wide="wide" in sys.argv)
    if sys.argv[1] == "stdio":
        found.run()
    else:
        found.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))


if __name__ == "__main__":
    main()
