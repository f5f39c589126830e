"""Asks every MCP server of MCP_SERVERS what tools it has, as the step executor does."""

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence

from shared.cli.findings import Finding
from shared.settings import SECRET_PREFIX, Secret
from shared.tools.mcp_shape import Server
from shared.tools.registry import ToolNotSent

SHOWN = 8
"""Names of tools in one line."""


async def look_at_servers(servers: Sequence[Server], secrets: Mapping[str, Secret]) -> list[Finding]:
    """One finding a server. A server behind a command is started for it, and ended."""
    if servers and importlib.util.find_spec("mcp") is None:
        message = "the MCP SDK is not installed here, so nobody was asked"
        return [Finding(check="mcp", status="warn", message=message, remedy="install the extra `mcp`")]
    return list(await asyncio.gather(*(_look(server, secrets) for server in servers)))


async def _look(server: Server, secrets: Mapping[str, Secret]) -> Finding:
    check, name = "mcp", server.name
    if missing := [one for one in server.secrets if one not in secrets]:
        message = f"{name} needs the secret {missing[0]}"
        return Finding(check=check, status="fail", message=message, remedy=f"set {SECRET_PREFIX}{missing[0]}")
    from shared.tools.mcp_tools import Caller  # its SDK is an extra

    caller = Caller(server, secrets)
    try:
        listing = await caller.listing()
    except ToolNotSent as error:
        where = "its url" if server.url else f"its command ({server.command[0]})"
        remedy = f"start it, or correct {where} in MCP_SERVERS; what was listed before stays known for 30 days"
        said = caller.redactor.text(str(error))
        return Finding(check=check, status="fail", message=said, remedy=remedy, away=True)
    finally:
        await caller.connection.close()
    return listed(server, [tool.name for tool in listing.tools])


def listed(server: Server, names: Sequence[str]) -> Finding:
    """What it lists against what the file says of it."""
    check = "mcp"
    wanted = list(dict.fromkeys([*server.only, *server.tools]))
    if absent := [name for name in wanted if name not in names]:
        message = f"{server.name} has no tool {', '.join(absent)}, of which MCP_SERVERS speaks"
        return Finding(check=check, status="warn", message=message, remedy=f"it has: {_some(names)}")
    used = [name for name in names if not server.only or name in server.only]
    if not used:
        return Finding(check=check, status="warn", message=f"{server.name} answers, and has no tools")
    return Finding(check=check, status="ok", message=f"{server.name} answers: {len(used)} tools ({_some(used)})")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}" if names else "none"
