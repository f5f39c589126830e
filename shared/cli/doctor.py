"""`intention doctor`: looks at everything that must run, in the order in which one thing needs the other."""

import asyncio
import secrets
import stat
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from shared.ably import api_key
from shared.cli import envfile, judge, judge_ably, judge_model, reach, reach_ably, reach_mcp, reach_model
from shared.cli.findings import Finding
from shared.errors import SettingsError, Unavailable
from shared.qstash import PING_PATH
from shared.redisdb.connect import connect
from shared.redisdb.pings import Ping, Pings
from shared.settings import Settings
from shared.settings_load import load
from shared.tools import mcp_tools

POLL_S: Final = 0.02
ASK_QSTASH_S: Final = 0.3
"""How often QStash's log is read while the ping is under way: a failure need not be waited for."""
_OVER: Final = frozenset({"FAILED", "CANCELED"})
_WHERE: Final = "correct it in .env or in the environment (which wins); `intention setup` asks for every credential"


async def examine(environ: Mapping[str, str], *, env_file: Path, ingress_url: str, wait_s: float) -> AsyncIterator[Finding]:
    """The findings, as they come. `wait_s`: how long the round trip may take."""
    for finding in of_the_file(env_file):
        yield finding
    try:
        settings = load(environ)
    except SettingsError as error:
        yield Finding(check="settings", status="fail", message=error.message, remedy=_WHERE)
        yield Finding(check="all else", status="skip", message="not looked at without settings")
        return
    yield _of_the_settings(settings, env_file)
    async with httpx.AsyncClient() as client:
        facts = await reach.look_at_redis(settings.redis_url, secrets.token_hex(16))
        for finding in judge.redis(facts, strict=settings.durability == "strict", where=address(settings.redis_url)):
            yield finding
        if not facts.error:
            yield judge.clock("redis clock", facts.offset_s, leeway_s=settings.jwt_leeway_s)
        async for finding in _others(client, settings, ingress_url):
            yield finding
        for finding in await _second_channel(client, settings):
            yield finding
        for finding in await _planning_and_tools(client, settings):
            yield finding
        if facts.error:
            yield Finding(check="round trip", status="skip", message="not tried: its arrival is noted in Redis")
        elif not settings.token:
            yield Finding(check="round trip", status="skip", message="not tried: there is no QSTASH_TOKEN")
        else:
            yield await round_trip(client, settings, wait_s)


async def _others(client: httpx.AsyncClient, settings: Settings, ingress_url: str) -> AsyncIterator[Finding]:
    """QStash's account, our services, and the clocks."""
    executor_url, resume_url = f"{_base(settings.executor_url)}/readyz", f"{_base(settings.resume_url)}/readyz"
    (qstash, keys), executor, resume, ingress = await asyncio.gather(
        reach.ask_keys(client, settings.qstash_url, settings.token),
        reach.get(client, executor_url),
        reach.get(client, resume_url),
        reach.get(client, f"{_base(ingress_url)}/readyz"),
    )
    if settings.token:
        yield judge.token(settings.qstash_url, qstash, keys)
    else:
        message = "QSTASH_TOKEN is empty: only the watchdog's direct calls carry the work on, a second or two later"
        yield Finding(check="qstash token", status="fail", message=message, remedy="`intention setup` asks for it")
    if keys is not None:
        yield judge.signing_keys(settings.qstash_current_signing_key, settings.qstash_next_signing_key, keys)
    yield judge.service("executor", executor_url, executor, setting="EXECUTOR_URL", start=_start("step_executor"))
    yield judge.service("resume", resume_url, resume, setting="RESUME_URL", start=_start("resume"))
    yield judge.service("ingress", f"{_base(ingress_url)}/readyz", ingress, setting="--ingress-url", start=_start("ingress"))
    for name, said in (("qstash", qstash), ("executor", executor)):
        if not said.error:
            yield judge.clock(f"{name} clock", said.offset_s, leeway_s=settings.jwt_leeway_s)
    url = f"{_base(settings.executor_url)}{PING_PATH}"
    yield judge.direct(url, await reach.ping_directly(client, settings, secrets.token_hex(16)))


async def _second_channel(client: httpx.AsyncClient, settings: Settings) -> list[Finding]:
    """Ably, as the engine uses it; a warning where it is not configured."""
    if not settings.ably_api_key:
        return [judge_ably.absent(), *judge_ably.webhook(settings)]
    url = f"{_base(settings.resume_url)}/api/health/mesh"
    facts, heard = await asyncio.gather(
        reach_ably.look_at_ably(client, settings, api_key(settings.ably_api_key), secrets.token_hex(16)),
        reach.get(client, url),
    )
    found = judge_ably.everything(facts, leeway_s=settings.jwt_leeway_s)
    return [*found, judge_ably.subscriber(url, heard), *judge_ably.webhook(settings)]


async def _planning_and_tools(client: httpx.AsyncClient, settings: Settings) -> list[Finding]:
    """The model and the MCP servers, where there are any."""
    model, servers = await asyncio.gather(_model(client, settings), _servers(settings))
    return [*model, *servers]


async def _model(client: httpx.AsyncClient, settings: Settings) -> list[Finding]:
    if settings.planners == "rules":
        return [found] if (found := judge_model.unused(settings)) else []
    facts = await reach_model.look_at_model(client, settings.llm_base_url, settings.llm_api_key, settings.llm_model)
    return [judge_model.known(address(settings.llm_base_url), facts, settings.llm_model)]


async def _servers(settings: Settings) -> list[Finding]:
    try:
        servers = mcp_tools.load(settings.mcp_servers) if settings.mcp_servers else ()
    except SettingsError as error:
        return [Finding(check="mcp", status="fail", message=error.message, remedy="docs/mcp.md has the form of the file")]
    return await reach_mcp.look_at_servers(servers, settings.secrets)


def _base(url: str) -> str:
    return url.rstrip("/")


def _start(service: str) -> str:
    return f"`make run`, or python -m services.{service}.main"


def address(url: str) -> str:
    """A Redis URL without user and password."""
    parts = urlsplit(url)
    return url if parts.scheme == "unix" else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def of_the_file(path: Path) -> Iterator[Finding]:
    """What is wrong with the `.env` itself; nothing when it is not there."""
    if not path.exists():
        return
    try:
        text = envfile.read(path)
    except SettingsError as error:
        yield Finding(check="env file", status="fail", message=error.message)
        return
    yield from unreadable_lines(path, text)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        message = f"{path} holds secrets, and others on this machine may read it (mode {mode:o})"
        yield Finding(check="env file", status="warn", message=message, remedy=f"chmod 600 {path}")


def unreadable_lines(path: Path, text: str) -> Iterator[Finding]:
    """A warning that names them, if there are any."""
    if bad := envfile.unreadable(text):
        message = f"{path}: line {', '.join(map(str, bad))} cannot be read and counts for nothing"
        yield Finding(check="env file", status="warn", message=message, remedy='write NAME="value", each quote closed')


def _of_the_settings(settings: Settings, env_file: Path) -> Finding:
    origin = f"the environment and {env_file}" if env_file.exists() else "the environment"
    message = f"{settings.intention_mode} mode, read from {origin}"
    lacks = [] if settings.local else judge.for_production(settings)
    if lacks:
        remedy = "https:// addresses, and keys for the callers"
        return Finding(check="settings", status="warn", message=f"{message}; {'; '.join(lacks)}", remedy=remedy)
    return Finding(check="settings", status="ok", message=message)


async def round_trip(client: httpx.AsyncClient, settings: Settings, wait_s: float) -> Finding:
    """A message through QStash to the executor, which notes it in Redis: the way of every step."""
    url, nonce = f"{_base(settings.executor_url)}{PING_PATH}", secrets.token_hex(16)
    began = time.monotonic()
    said, message = await reach.publish_ping(client, settings, nonce)
    if not message:
        return judge.not_published(said)
    redis = connect(settings.redis_url)
    try:
        found = await _wait(Pings(redis), client, settings, nonce, message, began + wait_s)
    except Unavailable as error:
        return Finding(check="round trip", status="fail", message=error.message, remedy="see redis above")
    finally:
        await redis.aclose()
    if isinstance(found, Ping):
        return judge.arrived(found, (time.monotonic() - began) * 1000, url)
    await reach.tidy(client, settings, message)
    return judge.not_arrived(found, url, time.monotonic() - began)


async def _wait(
    pings: Pings, client: httpx.AsyncClient, settings: Settings, nonce: str, message: str, deadline: float
) -> Ping | list[reach.Event]:
    """The ping, or QStash's log of the message once that is over or the time is up."""
    log_due = time.monotonic() + ASK_QSTASH_S
    while True:
        if (ping := await pings.find(nonce)) is not None:
            return ping
        now = time.monotonic()
        if now >= min(log_due, deadline):
            events = await reach.events_of(client, settings, message)
            states = {event.state for event in events}
            if "DELIVERED" in states:  # noted before it was answered, so it is either here now or in another Redis
                return await pings.find(nonce) or events
            if states & _OVER or now >= deadline:
                return events
            log_due = time.monotonic() + ASK_QSTASH_S
        await asyncio.sleep(POLL_S)
