"""What `doctor` and `setup` say of MCP servers: real ones, over HTTP and behind a command."""

import sys
from pathlib import Path

from shared.cli.findings import Finding
from shared.cli.reach_mcp import listed, look_at_servers
from shared.settings import Secret
from shared.tools.mcp_shape import Said, Server
from tests.support.valkey import free_port
from tests.tools.mcp_support import http, running, stdio


async def only(server: Server, **secrets: str) -> Finding:
    """The finding about one server."""
    [found] = await look_at_servers([server], {name: Secret(value) for name, value in secrets.items()})
    return found


async def test_a_server_over_http_is_asked_for_its_tools(tmp_path: Path) -> None:
    """They are named."""
    async with running(tmp_path) as server:
        found = await only(http(server.port))
    assert found.status == "ok"
    assert found.message.startswith("desk answers: ")
    assert "open_ticket" in found.message


async def test_a_server_behind_a_command_is_started_asked_and_ended(tmp_path: Path) -> None:
    """With its secret, which is not shown."""
    server = stdio(tmp_path)
    missing = await only(server)
    assert (missing.status, missing.remedy) == ("fail", "set SECRET_DESK_TOKEN")
    found = await only(server, DESK_TOKEN="canary-4711-desk")
    assert found.status == "ok", found
    assert "canary-4711-desk" not in found.message


async def test_servers_that_do_not_answer_are_told_apart_from_those_that_do(tmp_path: Path) -> None:
    """Each has its line, with where to look."""
    async with running(tmp_path) as server:
        servers = [
            Server(name="away", url=f"http://127.0.0.1:{free_port()}/mcp"),
            http(server.port),
            Server(name="broken", command=(sys.executable, "-c", "raise SystemExit(3)")),
        ]
        away, web, broken = await look_at_servers(servers, {})
    assert [one.status for one in (away, web, broken)] == ["fail", "ok", "fail"]
    assert "correct its url" in away.remedy
    assert "correct its command" in broken.remedy


def test_tools_of_which_the_file_speaks_must_be_there() -> None:
    """A misspelt name would leave a tool without its promises."""
    server = Server(name="desk", url="https://desk.example/mcp", tools={"opentickets": Said()})
    found = listed(server, ["open_ticket", "add"])
    assert (found.status, found.remedy) == ("warn", "it has: open_ticket, add")
    assert "opentickets" in found.message


def test_a_long_list_is_cut() -> None:
    """One line is enough; and of `only` some, only those count."""
    names = [f"tool{number}" for number in range(20)]
    assert listed(Server(name="desk", url="https://x.example"), names).message.endswith("tool7 and 12 more)")
    assert "1 tools (tool3)" in listed(Server(name="desk", url="https://x.example", only=("tool3",)), names).message


def test_a_server_without_tools_is_odd() -> None:
    """It answers, and nothing comes of it."""
    assert listed(Server(name="desk", url="https://x.example"), []).status == "warn"
