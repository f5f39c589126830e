"""Which tools this installation has: the shipped ones, those of a file, and those of modules of one's own. Made in one place.

Whoever takes plans needs what the tools promise, and no secret; who calls them needs the secrets too.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis

from shared.errors import SettingsError
from shared.http_client import KEEP_S, HttpClient
from shared.machine.plan import Cost
from shared.settings import SECRET_PREFIX, Secret, Settings
from shared.tools import calendar, http_request, http_tools, maps, mcp_tools, messages, target
from shared.tools.declare import BadTool, Declared, Means, add, declared_in
from shared.tools.maps import Maps
from shared.tools.outbound import Outbound
from shared.tools.registry import Registry, ToolFunction
from shared.tools.remote import Remote
from shared.tools.town import TownTools, register

if TYPE_CHECKING:
    import httpx

_COST: Final = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})=(?P<amount>[0-9]{1,9})(?P<failed>!?)")


async def open_registry(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    qstash: HttpClient | None = None,
    redis: Redis | None = None,
    calls: bool = True,
) -> Registry:
    """All tools of an installation; SettingsError names the setting and the place in it.

    `qstash`: for calls that QStash makes. `redis`: where it is kept what MCP servers list. `calls`: False where no tool
    is called, and so no secret is needed.
    """
    http = outbound_of(settings)
    stack.push_async_callback(http.aclose)
    town = None
    if settings.town_url:
        client = await _town_client(settings, stack) if calls else None
        town = TownTools(client, Remote(qstash, settings) if qstash else None)
    registry = registry_of(settings, http, town, calls=calls)
    await mcp_tools.open_servers(registry, settings, stack, redis, calls=calls)
    return registry


async def _town_client(settings: Settings, stack: AsyncExitStack) -> "httpx.AsyncClient":
    import httpx  # late: 4 MiB and 50 ms where no town is called

    limits = httpx.Limits(max_connections=100, keepalive_expiry=KEEP_S)
    return await stack.enter_async_context(httpx.AsyncClient(base_url=settings.town_url, limits=limits))


def check(settings: Settings, *, calls: bool) -> None:
    """SettingsError for tools that cannot be had: before anything is served, so that it is one line and no traceback."""
    registry_of(settings, outbound_of(settings), None, calls=calls)
    mcp_tools.check(settings, calls=calls)


def outbound_of(settings: Settings) -> Outbound:
    """The way out as the settings have it."""
    try:
        rules = target.rules(settings.outbound_allow)
    except ValueError as error:
        raise SettingsError(f"OUTBOUND_ALLOW: {error}") from error
    return Outbound(rules, loopback=settings.outbound_loopback)


def registry_of(settings: Settings, http: Outbound, town: TownTools | None, *, calls: bool = True) -> Registry:
    """The same over finished parts."""
    costs = costs_of(settings.tool_costs)
    registry = Registry(costs)
    secrets = settings.secrets if calls else None
    if town is not None:
        register(registry, town)
    _ship(registry, settings, http, town)
    if settings.http_tools:
        http_tools.register(registry, http_tools.load(settings.http_tools), http, secrets, settings.http_tools)
    for module in _modules(settings.tools):
        _take_in(registry, module, http, secrets)
    whole = town is not None or not settings.town_url  # else the town's tools are not here yet; those of MCP servers come later
    if whole and (strange := [name for name in costs if "." not in name and registry.get(name) is None]):
        raise SettingsError(f"TOOL_COSTS: there is no tool {strange[0]} here; GET /api/tools lists those that are")
    return registry


def costs_of(text: str) -> dict[str, Cost]:
    """What calls cost by TOOL_COSTS; SettingsError for what is no such pair."""
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        match = _COST.fullmatch(pair)
        if match is None:
            raise SettingsError(
                f"TOOL_COSTS: {pair[:80]!r}: write send_message=8, or send_message=8! where failed calls cost, too"
            )
        found[match["name"]] = Cost(amount=int(match["amount"]), failed=bool(match["failed"]))
    return found


def _ship(registry: Registry, settings: Settings, http: Outbound, town: TownTools | None) -> None:
    """What comes with the engine, as far as it is set up: nothing pretends to be there."""
    calendar.register(registry)
    messages.register(registry, settings, http, town)
    if settings.geocode_url:
        found = Maps(http, geocode_url=settings.geocode_url, weather_url=settings.weather_url, route_url=settings.route_url)
        maps.register(registry, found, weather=bool(settings.weather_url), route=bool(settings.route_url))
    if settings.outbound_allow:
        http_request.register(registry, http)


def _modules(text: str) -> Iterator[ModuleType]:
    for name in filter(None, (part.strip() for part in text.split(","))):
        try:
            yield importlib.import_module(name)
        except BadTool as error:
            raise SettingsError(f"TOOLS: {name}: {error}") from error
        except Exception as error:  # somebody else's module may raise anything while it is imported
            raise SettingsError(
                f"TOOLS: {name} cannot be imported ({type(error).__name__}: {error}): write module names, comma separated, "
                "that are installed or on PYTHONPATH"
            ) from error


def _take_in(registry: Registry, module: ModuleType, http: Outbound, secrets: Mapping[str, Secret] | None) -> None:
    found = list(declared_in(module))
    if not found:
        raise SettingsError(f"TOOLS: {module.__name__} declares no tool: put @tool above its functions")
    for function, declared in found:
        try:
            add(registry, function, declared, Means(http, _secrets_of(declared, secrets)))
        except (BadTool, ValueError, TypeError, NameError) as error:  # a type that no JSON can become, say
            raise SettingsError(f"TOOLS: {module.__name__}: {_named(function, error)}") from error


def _secrets_of(declared: Declared, secrets: Mapping[str, Secret] | None) -> dict[str, Secret]:
    if secrets is None:
        return {}
    if missing := [name for name in declared.secrets if name not in secrets]:
        raise BadTool(f"{declared.name} needs the secret {missing[0]}: set {SECRET_PREFIX}{missing[0]}")
    return {name: secrets[name] for name in declared.secrets}


def _named(function: ToolFunction, error: Exception) -> str:
    return str(error) if isinstance(error, BadTool) else f"{function.__name__}: {error}"
