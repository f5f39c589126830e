"""Looks at Ably as the engine uses it: by REST and by a realtime connection. Answers with facts, also when nothing answers."""

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec
from ably import AblyException, AblyRealtime  # type: ignore[import-untyped] # it has no py.typed

from shared.ably import MESH, ApiKey, Capability, bearer, client_options, execution_channel, reader_token, token
from shared.cli import reach
from shared.cli.reach import Said
from shared.settings import Settings

HOSTED: Final = "https://main.realtime.ably.net"
WITHIN_S: Final = 5.0
"""For a connection, and for a message to arrive."""
PING: Final = "PING"
"""A message's name that no subscriber of the engine acts upon."""
_LIFE_S: Final = 120
DOCTOR: Final = "doctor"
"""In the place of an execution's id: a channel of the same pattern that nobody follows."""


class AblyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What Ably said to a key."""

    base: str
    clock: Said
    """`GET /time`, with the other clock's offset to the millisecond."""
    key: Said = Said()
    """The history of the engine's own channel, as the resume service reads it."""
    published: Said = Said()
    """A message there that says nothing."""
    told: Said = Said()
    """The same on a channel of progress."""
    followed: Said = Said()
    """That channel's history, with the token that a reader gets."""
    listened: Said = Said()
    """A realtime connection, attached to the engine's own channel; status 200, or Ably's status and words."""
    arrived_ms: float | None = None
    """From the publish to the connection; None if it did not come."""


def base_of(settings: Settings) -> str:
    """Where the settings' Ably answers REST calls."""
    return settings.ably_url.rstrip("/") or HOSTED


async def ask_key(client: httpx.AsyncClient, base: str, key: ApiKey) -> tuple[Said, Said]:
    """The clock, and what the key is told when it reads the engine's channel."""
    clock = await _clock(client, base)
    if clock.error or clock.offset_s is None:
        return clock, Said()
    return clock, await _ask(client, base, _token(key, {MESH: ["subscribe", "history"]}), "GET", MESH)


async def look_at_ably(
    client: httpx.AsyncClient, settings: Settings, key: ApiKey, nonce: str, *, within_s: float = WITHIN_S
) -> AblyFacts:
    """Everything the engine does with it, once; stops where the rest could only fail as well.

    `within_s`: for a connection, and for the message to arrive on it.
    """
    base = base_of(settings)
    clock, said = await ask_key(client, base, key)
    if said.status != 200:
        return AblyFacts(base=base, clock=clock, key=said)
    publisher = _token(key, {MESH: ["publish"], "execution:*": ["publish"]})
    channel = execution_channel(DOCTOR)
    told = await _ask(client, base, publisher, "POST", channel, {"name": PING})
    reader = reader_token(key, DOCTOR, now_s=time.time(), life_s=_LIFE_S)
    followed = await _ask(client, base, reader, "GET", channel)
    async with _Listener(settings, key, within_s) as listener:
        began = time.monotonic()
        published = await _ask(client, base, publisher, "POST", MESH, {"name": PING, "id": f"ping-{nonce}"})
        arrived = listener.said.status == 200 and 200 <= published.status < 300 and await listener.hears(f"ping-{nonce}")
        took_ms = (time.monotonic() - began) * 1000
    return AblyFacts(
        base=base,
        clock=clock,
        key=said,
        published=published,
        told=told,
        followed=followed,
        listened=listener.said,
        arrived_ms=took_ms if arrived else None,
    )


async def _clock(client: httpx.AsyncClient, base: str) -> Said:
    began_s = time.time()
    said = await reach.get(client, f"{base}/time")
    middle_s = (began_s + time.time()) / 2
    try:
        [now_ms] = msgspec.json.decode(said.body, type=tuple[float]) if said.status == 200 else (None,)
    except msgspec.DecodeError:
        now_ms = None
    return msgspec.structs.replace(said, offset_s=now_ms / 1000 - middle_s if now_ms else None)


def _token(key: ApiKey, capability: Capability) -> str:
    return token(key, capability, now_s=time.time(), life_s=_LIFE_S)


async def _ask(
    client: httpx.AsyncClient, base: str, bears: str, method: str, channel: str, body: Mapping[str, Any] | None = None
) -> Said:
    headers = {"Authorization": f"Bearer {base64.b64encode(bears.encode()).decode()}", "Content-Type": "application/json"}
    url = f"{base}/channels/{channel}/messages" + ("?limit=1" if method == "GET" else "")
    return await reach.call(client, method, url, headers, msgspec.json.encode(body) if body else b"")


class _Listener:
    """A realtime connection that waits for one message."""

    def __init__(self, settings: Settings, key: ApiKey, within_s: float) -> None:
        logging.getLogger("ably").setLevel(logging.CRITICAL)  # what it says is said here, once
        self._within_s = within_s
        self._client = AblyRealtime(
            auth_callback=bearer(key, {MESH: ["subscribe"]}),
            realtime_request_timeout=int(within_s * 1000),
            **client_options(settings),
        )
        self._seen: set[str] = set()
        self._came = asyncio.Event()
        self.said = Said()

    async def __aenter__(self) -> "_Listener":
        channel = self._client.channels.get(MESH)
        try:
            await asyncio.wait_for(channel.subscribe(self._take), self._within_s)
            self.said = Said(status=200)
        except TimeoutError:
            self.said = Said(error="no connection in time")
        except AblyException as error:
            body = {"error": {"code": error.code, "message": error.message}}
            self.said = Said(status=error.status_code or 500, body=msgspec.json.encode(body))
        return self

    def _take(self, message: Any) -> None:
        self._seen.add(message.id)
        self._came.set()

    async def hears(self, message: str) -> bool:
        """Whether it comes in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._within_s):
                while message not in self._seen:
                    self._came.clear()
                    await self._came.wait()
        return message in self._seen

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError, AblyException):
            await asyncio.wait_for(self._client.close(), self._within_s)
