"""Looks at the neighbours: QStash, Redis, our own services. Every function answers with facts, also when nothing answers."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared import signing
from shared.errors import SettingsError
from shared.qstash import PING_PATH, PingBody
from shared.redisdb import keys
from shared.redisdb.connect import connect
from shared.redisdb.pings import TTL_S
from shared.settings import Settings

TIMEOUT: Final = httpx.Timeout(5, connect=3)
_STEP_S: Final = 0.5
"""A Date header is cut off to seconds: on average it says half a second too little."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer, or why there is none."""

    status: int = 0
    body: bytes = b""
    error: str = ""
    offset_s: float | None = None
    """How far the other clock is ahead of ours."""

    @property
    def told(self) -> str:
        """The answer's own words, shortened."""
        try:
            found: Any = msgspec.json.decode(self.body)
            error = found["error"]
            return str(error["message"] if isinstance(error, dict) else error)[:200]
        except (msgspec.DecodeError, LookupError, TypeError):
            return self.body[:100].decode("utf8", "replace").strip()


class SigningKeys(msgspec.Struct, frozen=True):
    """What `GET /v2/keys` says."""

    current: str
    next: str


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of QStash's log about a message."""

    state: str
    error: str = ""
    response_status: int = 0
    time: int = 0


class _Events(msgspec.Struct):
    events: list[Event]


class _Published(msgspec.Struct, rename="camel"):
    message_id: str


class _Dead(msgspec.Struct, rename="camel"):
    dlq_id: str


class _DeadLetters(msgspec.Struct):
    messages: list[_Dead]


class RedisFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a Redis says of itself; None where it hides it."""

    error: str = ""
    took_ms: float = 0
    name: str = "Redis"
    version: str = ""
    """The release of the server."""
    speaks: tuple[int, ...] = ()
    """The release of Redis whose commands it has."""
    policy: str | None = None
    append_only: bool | None = None
    fsync: str | None = None
    layout: str | None = None
    write_error: str = ""
    offset_s: float | None = None


async def get(client: httpx.AsyncClient, url: str, *, token: str = "") -> Said:
    """GET, with a bearer token if there is one."""
    return await call(client, "GET", url, {"Authorization": f"Bearer {token}"} if token else {})


async def call(client: httpx.AsyncClient, method: str, url: str, headers: Mapping[str, str], content: bytes = b"") -> Said:
    """One request; its answer, or why there is none."""
    began_s = time.time()
    try:
        answer = await client.request(method, url, headers=headers, content=content, timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return Said(error=_why(error))
    middle_s = (began_s + time.time()) / 2
    return Said(status=answer.status_code, body=answer.content, offset_s=_offset(answer.headers.get("Date", ""), middle_s))


def _offset(date: str, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() + _STEP_S - now_s
    except ValueError:
        return None


def _why(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    text = str(error)
    if "CERTIFICATE" in text.upper():
        return "its TLS certificate is not valid"
    if "Name or service" in text or "nodename" in text or "getaddrinfo" in text or "name resolution" in text:
        return "no host has this name"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there"
    return f"{type(error).__name__} {text}".strip()


async def ask_keys(client: httpx.AsyncClient, base: str, token: str) -> tuple[Said, SigningKeys | None]:
    """`GET /v2/keys`, and the keys in it if they are any."""
    said = await get(client, f"{base.rstrip('/')}/v2/keys", token=token)
    try:
        return said, msgspec.json.decode(said.body, type=SigningKeys) if said.status == 200 else None
    except msgspec.DecodeError:
        return said, None


async def publish_ping(client: httpx.AsyncClient, settings: Settings, nonce: str) -> tuple[Said, str]:
    """A ping to the executor through QStash; the message's id. It is tried once: the doctor wants to hear of a failure now."""
    headers = {
        "Authorization": f"Bearer {settings.token}",
        "Content-Type": "application/json",
        "Upstash-Method": "POST",
        "Upstash-Retries": "0",
        "Upstash-Timeout": "10s",
        "Upstash-Label": "intention-doctor",
    }
    url = f"{settings.qstash_url.rstrip('/')}/v2/publish/{settings.executor_url.rstrip('/')}{PING_PATH}"
    said = await call(client, "POST", url, headers, msgspec.json.encode(PingBody(nonce=nonce)))
    try:
        return said, msgspec.json.decode(said.body, type=_Published).message_id if 200 <= said.status < 300 else ""
    except msgspec.DecodeError:
        return said, ""


async def ping_directly(client: httpx.AsyncClient, settings: Settings, nonce: str) -> Said:
    """A ping to the executor under INTERNAL_SIGNING_KEY, as the watchdog calls it."""
    url = f"{settings.executor_url.rstrip('/')}{PING_PATH}"
    body, now = msgspec.json.encode(PingBody(nonce=nonce)), time.time()
    token = signing.sign_call(
        issuer=signing.INTERNAL_ISSUER,
        url=url,
        body=body,
        key=settings.internal_signing_key,
        now=now,
        jti=f"doctor-{nonce}",
        lifetime=60,
    )
    headers = {"Intention-Signature": token, "Content-Type": "application/json"}
    return await call(client, "POST", url, headers, body)


async def events_of(client: httpx.AsyncClient, settings: Settings, message: str) -> list[Event]:
    """QStash's log of one message, newest first; empty when it cannot be read."""
    url = f"{settings.qstash_url.rstrip('/')}/v2/events?messageId={message}"
    said = await get(client, url, token=settings.token)
    try:
        return msgspec.json.decode(said.body, type=_Events).events if said.status == 200 else []
    except msgspec.DecodeError:
        return []


async def tidy(client: httpx.AsyncClient, settings: Settings, message: str) -> None:
    """Leave no ping behind, neither waiting nor among the dead letters that a person looks through. As far as it goes."""
    base, auth = settings.qstash_url.rstrip("/"), {"Authorization": f"Bearer {settings.token}"}
    await call(client, "DELETE", f"{base}/v2/messages/{message}", auth)
    said = await get(client, f"{base}/v2/dlq?messageId={message}", token=settings.token)
    try:
        letters = msgspec.json.decode(said.body, type=_DeadLetters).messages if said.status == 200 else []
    except msgspec.DecodeError:
        return
    for letter in letters:
        await call(client, "DELETE", f"{base}/v2/dlq/{letter.dlq_id}", auth)


async def look_at_redis(url: str, nonce: str) -> RedisFacts:
    """Everything the engine needs of a Redis. Writes, reads and deletes one key that would end by itself, too."""
    try:
        redis = connect(url)
    except SettingsError as error:
        return RedisFacts(error=error.message)
    try:
        return await _facts(redis, nonce)
    except AuthenticationError as error:
        return RedisFacts(error=f"it refuses the password: {error}")
    except RedisTimeoutError:
        return RedisFacts(error="it does not answer in time")
    except (RedisError, OSError, UnicodeError) as error:
        return RedisFacts(error=_redis_why(error))
    finally:
        await redis.aclose()


def _redis_why(error: Exception) -> str:
    text = str(error)
    if "refused" in text or "Connect call failed" in text:
        return "nothing listens there"
    if "Name or service" in text or "name resolution" in text or "nodename" in text:
        return "no host has this name"
    return text[:200] or type(error).__name__


async def _facts(redis: Redis, nonce: str) -> RedisFacts:
    # The first command also opens the connection, so the second one is timed.
    await redis.ping()
    began = time.perf_counter()
    await redis.ping()
    took_ms = (time.perf_counter() - began) * 1000
    info = await _info(redis)
    config = await _config(redis)
    layout: Any = await redis.get(keys.LAYOUT)
    valkey = str(info.get("valkey_version", ""))
    speaks = str(info.get("redis_version", ""))
    aof = config.get("appendonly", {"0": "no", "1": "yes"}.get(str(info.get("aof_enabled"))))
    return RedisFacts(
        took_ms=took_ms,
        name="Valkey" if valkey else "Redis",
        version=valkey or speaks,
        speaks=tuple(int(part) for part in speaks.split(".")[:2] if part.isdigit()),
        policy=config.get("maxmemory-policy", info.get("maxmemory_policy")),
        append_only=None if aof is None else aof == "yes",
        fsync=config.get("appendfsync"),
        layout=None if layout is None else layout.decode("utf8", "replace"),
        write_error=await _write_and_read(redis, nonce),
        offset_s=await _redis_offset(redis),
    )


async def _info(redis: Redis) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in ("server", "memory", "persistence"):
        try:
            found |= await redis.info(section)
        except RedisError:  # hosted ones forbid some
            continue
    return found


async def _config(redis: Redis) -> dict[str, str]:
    try:
        found: Any = await redis.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except RedisError:  # hosted ones hide it
        return {}
    return {str(name): str(value) for name, value in found.items()}


async def _write_and_read(redis: Redis, nonce: str) -> str:
    name = keys.ping(nonce)
    try:
        await redis.set(name, nonce, ex=TTL_S)
        found = await redis.get(name)
        await redis.delete(name)
    except RedisError as error:
        return str(error)[:200]
    return "" if found == nonce.encode() else "what was written is not what is read"


async def _redis_offset(redis: Redis) -> float | None:
    began_s = time.time()
    try:
        seconds, micros = await redis.time()
    except RedisError:
        return None
    return float(seconds) + float(micros) / 1e6 - (began_s + time.time()) / 2
