"""The page on MCP says what is so: its example is a file of servers, and its tables name every field and every tool."""

import re
from pathlib import Path

import httpx
import pytest

from shared.cli.api import Api
from shared.cli.serve_mcp import server
from shared.settings_load import load
from shared.tools import mcp_tools
from shared.tools.mcp_shape import ByTool, Said, Server
from tests.architecture.test_documents import ROOT

PAGE = (ROOT / "docs/mcp.md").read_text(encoding="utf8")
NAMED = {name for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}


def test_the_example_is_a_file_of_servers(tmp_path: Path) -> None:
    """With the secrets that it refers to."""
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "servers.toml").write_text(text)
    secrets = {"SECRET_DESK_TOKEN": "desk-token", "SECRET_FILES_TOKEN": "files-token"}
    settings = load({"INTENTION_MODE": "local", "MCP_SERVERS": str(tmp_path / "servers.toml"), **secrets})

    desk, files = mcp_tools.check(settings, calls=True)

    assert set(desk.tools) < set(desk.only)
    assert files.command


@pytest.mark.parametrize("shape", [Server, Said, ByTool], ids=["a server", "a tool", "undo and probe"])
def test_every_field_is_named_in_a_table(shape: type[Server | Said | ByTool]) -> None:
    """A field that nobody is told of does not exist."""
    assert set(shape.__struct_fields__) <= NAMED


async def test_every_tool_of_the_engine_is_named_in_a_table() -> None:
    """As an MCP client lists them."""
    with httpx.Client() as nowhere:
        tools = await server(Api(nowhere, "")).list_tools()

    assert {tool.name for tool in tools} <= NAMED
