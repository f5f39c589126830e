"""Tools of MCP servers in the registry: as the servers list them, as the operator's file says they may be trusted.

Whoever calls tools asks the servers, once an hour, and keeps what they say in Redis; whoever takes plans reads it there, and so
needs neither the SDK nor a secret nor a server that runs. A tool whose schema has changed is another version, and what was
planned with the one before is refused: a server runs one version only.
"""

import asyncio
import importlib.util
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from shared.errors import SettingsError, Unavailable
from shared.logs import get_logger
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.redisdb.mcp_listings import Listed, Listing, Listings
from shared.settings import SECRET_PREFIX, Secret, Settings
from shared.shaped_file import loaded
from shared.tools import mcp_shape
from shared.tools.answers import SHOWN
from shared.tools.http_shape import SECRET, UNDO_KINDS
from shared.tools.http_tools import picked
from shared.tools.mcp_schema import arguments_of, given, version_of
from shared.tools.mcp_shape import KEY, ByTool, Said, Server
from shared.tools.redaction import Redactor
from shared.tools.registry import Call, Registry, ToolNotSent, ToolRefused, ToolUnanswered

log = get_logger()

BELIEVED_MS: Final = 3_600_000
"""How long a listing holds before the server is asked again."""
LOOK_S: Final = 5.0
"""How soon a process knows what another has found out."""
START_S: Final = 10.0
"""How long a process waits for servers before it takes calls."""
AGAIN_S: Final = 30.0
"""How soon a server that did not answer is asked again."""
MOST_TOOLS: Final = 500
SUMMARY: Final = 2_000
TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def load(path: str) -> tuple[Server, ...]:
    """The servers of a file; SettingsError names it and the place in it."""
    return loaded("MCP_SERVERS", path, mcp_shape.read)


def check(settings: Settings, *, calls: bool) -> tuple[Server, ...]:
    """The servers that are set up; SettingsError for what cannot work."""
    servers = load(settings.mcp_servers) if settings.mcp_servers else ()
    if servers and calls and importlib.util.find_spec("mcp") is None:
        raise SettingsError("MCP_SERVERS: the MCP SDK is not installed here: install the extra `mcp`")
    for server in servers if calls else ():
        if missing := [name for name in server.secrets if name not in settings.secrets]:
            place = f"MCP_SERVERS={settings.mcp_servers}: server {server.name}"
            raise SettingsError(f"{place}: it needs the secret {missing[0]}: set {SECRET_PREFIX}{missing[0]}")
    return servers


async def open_servers(
    registry: Registry, settings: Settings, stack: AsyncExitStack, redis: Redis | None, *, calls: bool
) -> "Catalogue | None":
    """Take the tools of all servers in, and keep up with them until the stack closes. None without servers."""
    servers = check(settings, calls=calls)
    if not servers:
        return None
    catalogue = Catalogue(registry, servers, Listings(redis) if redis else None)
    if calls:
        catalogue.connect(settings.secrets)
    stack.push_async_callback(catalogue.close)
    await catalogue.start()
    return catalogue


class Catalogue:
    """One for a process."""

    def __init__(self, registry: Registry, servers: Sequence[Server], listings: Listings | None) -> None:
        """`listings` None: nothing is kept, and the servers are asked each time."""
        self._registry = registry
        self._servers = servers
        self._listings = listings
        self._callers: dict[str, Caller] = {}
        self._known: dict[str, Listing] = {}
        self._asked_s: dict[str, float] = {}
        self._following: list[asyncio.Task[None]] = []
        registry.look_again = self.look

    def connect(self, secrets: Mapping[str, Secret]) -> None:
        """From now on servers are asked, and their tools called."""
        self._callers = {server.name: Caller(server, secrets) for server in self._servers}

    async def start(self) -> None:
        """Know what can be known now; a server that does not answer is no reason to wait for long."""
        await self.look()
        first = asyncio.create_task(self.ask())
        await asyncio.wait({first}, timeout=START_S)
        self._following = [asyncio.create_task(self._follow(self.look)), asyncio.create_task(self._follow(self.ask, first))]

    async def close(self) -> None:
        """End the connections, and the servers that are children of this process."""
        for task in self._following:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.gather(*(caller.connection.close() for caller in self._callers.values()))

    async def look(self) -> None:
        """Take in what is kept. A store that is away leaves what was known."""
        for server in self._servers if self._listings else ():
            assert self._listings is not None  # noqa: S101 - as the line above says
            try:
                listing = await self._listings.find(server.name)
            except Unavailable as error:
                log.warning("mcp.listing_not_read", server=server.name, error=error.message)
                return
            if listing is not None and listing.source == server.source:
                self._take_in(server, listing)

    async def ask(self) -> None:
        """Ask the servers whose listings are old."""
        await asyncio.gather(*(self._ask(server) for server in self._servers if self._is_due(server)))

    def _is_due(self, server: Server) -> bool:
        known, asked_s = self._known.get(server.name), self._asked_s.get(server.name, float("-inf"))
        fresh = known is not None and _now_ms() - known.at_ms < BELIEVED_MS
        return server.name in self._callers and not fresh and time.monotonic() - asked_s >= AGAIN_S

    async def _ask(self, server: Server) -> None:
        self._asked_s[server.name] = time.monotonic()
        try:
            listing = await self._callers[server.name].listing()
        except ToolNotSent as error:
            log.warning("mcp.not_listed", server=server.name, error=str(error))
            return
        self._take_in(server, listing)
        if self._listings is None:
            return
        try:
            await self._listings.keep(server.name, listing)
        except Unavailable as error:
            log.warning("mcp.listing_not_kept", server=server.name, error=error.message)

    async def _follow(self, round_: Callable[[], Awaitable[None]], first: Awaitable[None] | None = None) -> None:
        """For ever; `first` is a round that has begun."""
        while True:
            try:
                await (first or round_())
            except Exception:  # what a server lists may be anything, and the other servers are still to be followed
                log.exception("mcp.round_crashed")
            first = None
            await asyncio.sleep(LOOK_S)

    def _take_in(self, server: Server, listing: Listing) -> None:
        known = self._known.get(server.name)
        if known is not None and (known.at_ms >= listing.at_ms or known.tools == listing.tools):
            self._known[server.name] = listing if known.at_ms < listing.at_ms else known
            return
        self._known[server.name] = listing
        for listed in known.tools if known else ():
            self._registry.drop(f"{server.name}.{listed.name}")
        for listed in listing.tools:
            if not server.only or listed.name in server.only:
                self._add(server, listed)
        for name in server.tools:
            if all(listed.name != name for listed in listing.tools):
                log.warning("mcp.tool_not_listed", server=server.name, tool=name)

    def _add(self, server: Server, listed: Listed) -> None:
        said = server.tools.get(listed.name, Said())
        if not TOOL_NAME.fullmatch(listed.name):
            log.warning("mcp.tool_left_out", server=server.name, tool=listed.name[:64], reason="its name")
            return
        if said.key_argument and said.key_argument not in listed.takes.get("properties", {}):
            log.warning("mcp.tool_left_out", server=server.name, tool=listed.name, reason=f"it takes no {said.key_argument}")
            return
        try:
            self._register(server, listed, said)
        except (TypeError, ValueError, OverflowError) as error:  # a schema is whatever somebody else wrote
            log.warning("mcp.tool_left_out", server=server.name, tool=listed.name, reason=str(error))

    def _register(self, server: Server, listed: Listed, said: Said) -> None:
        name = f"{server.name}.{listed.name}"
        args = arguments_of(name, listed.takes, {said.key_argument} - {""})
        tool = McpTool(server, listed.name, said, args, self._callers.get(server.name))
        self._registry.add(
            tool.call,
            effect=said.effect,
            version=version_of(listed.takes),
            timeout_ms=said.timeout_ms or server.timeout_ms,
            settle_ms=said.settle_ms,
            retry=said.retry,
            undo=tool.undo if said.undo else None,
            undo_kind=UNDO_KINDS[said.undo.kind] if said.undo else Undo.NONE,
            probe=tool.probe if said.probe else None,
            limit=said.limit,
            cost=said.cost,
            name=name,
            summary=listed.summary or listed.name,
            args=args,
        )


class Caller:
    """One server, and what must not be seen of it."""

    def __init__(self, server: Server, secrets: Mapping[str, Secret]) -> None:
        """`secrets`: all there are; only those that the server's entry names are used."""
        from shared.tools.mcp_client import Connection  # the SDK is an extra, needed where tools are called

        own = {name: secrets[name] for name in server.secrets}
        values = server.headers if server.url else server.env
        filled = {name: SECRET.sub(lambda match: own[match[1]], value) for name, value in values.items()}
        self.connection = Connection(server, filled)
        self.redactor = Redactor(own.values())
        self._server = server

    async def listing(self) -> Listing:
        """What the server says now. ToolNotSent if it does not."""
        found = await self.connection.tools()
        tools = (
            Listed(
                name=tool.name,
                summary=self.redactor.text((tool.description or tool.title or "").strip()[:SUMMARY]),
                takes=msgspec.to_builtins(tool.input_schema),
            )
            for tool in found[:MOST_TOOLS]
        )
        return Listing(source=self._server.source, at_ms=_now_ms(), tools=tuple(tools))


class McpTool:
    """One tool's calls."""

    def __init__(self, server: Server, name: str, said: Said, args: type[msgspec.Struct], caller: Caller | None) -> None:
        self._server = server
        self._name = name
        self._said = said
        self._args = args
        self._caller = caller
        self._safely = caller.redactor.around(self._ask) if caller else self._ask

    async def call(self, call: Call, **args: Any) -> Any:
        """The effect."""
        sent = given(self._args, args)
        if self._said.key_argument:
            sent[self._said.key_argument] = call.key
        return await self._safely(call, tool=self._name, sent=sent)

    async def undo(self, call: Call) -> Any:
        """Take it back by its key."""
        assert self._said.undo is not None  # noqa: S101 - registered with it only
        return await self._by_key(call, self._said.undo)

    async def probe(self, call: Call) -> Any:
        """Whether it happened. A failure of the question is no answer to it."""
        assert self._said.probe is not None  # noqa: S101 - registered with it only
        try:
            found = await self._by_key(call, self._said.probe)
        except (ToolRefused, ToolNotSent) as error:
            raise ToolUnanswered(f"it cannot be asked: {error}") from error
        if isinstance(found, dict) and found.get("left_out"):
            raise ToolUnanswered("it cannot be asked: its answer is too large")
        if not (then := picked(found, self._said.probe.found)):
            raise ToolRefused(NEVER_HAPPENED, "the key is not known there")
        return then

    async def _by_key(self, call: Call, other: ByTool) -> Any:
        return await self._safely(call, tool=other.tool, sent=_filled(other.args, call.key))

    async def _ask(self, call: Call, *, tool: str, sent: dict[str, Any]) -> Any:
        if self._caller is None:
            raise ToolNotSent("tools of MCP servers are not called here")
        result = await self._caller.connection.call(call, tool, sent, pure=self._said.effect is Effect.PURE)
        if result is None:
            return {"left_out": True, "reason": "the result was larger than it may be"}
        found = _output(result)
        if result.is_error:
            raise ToolRefused("mcp_error", str(found.get("text") or found)[:SHOWN] if isinstance(found, dict) else str(found))
        size = len(msgspec.json.encode(found))
        most = self._server.max_bytes
        return found if size <= most else {"left_out": True, "bytes": size, "limit": most}


def _output(result: Any) -> Any:
    """What the server gives to programs; else what it gives to readers, of which only text is kept."""
    if result.structured_content is not None:
        return msgspec.to_builtins(result.structured_content)
    texts = [block.text for block in result.content if block.type == "text"]
    others = [block.type for block in result.content if block.type != "text"]
    return ({"text": "\n".join(texts)} if texts or not others else {}) | ({"left_out": others} if others else {})


def _filled(template: Any, key: str) -> Any:
    if isinstance(template, str):
        return template.replace(KEY, key)
    if isinstance(template, dict):
        return {name: _filled(one, key) for name, one in template.items()}
    return [_filled(one, key) for one in template] if isinstance(template, list) else template


def _now_ms() -> int:
    return int(time.time() * 1000)
