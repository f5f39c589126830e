"""One HTTP call to a destination: QStash's headers and signature on it, its answer back. It decides nothing.

The client is aiohttp because a delivery costs it a tenth of what it costs httpx; one session, no redirects, no cookies.
"""

import asyncio
import time
from collections.abc import Mapping

import aiohttp
from aiohttp import hdrs
from yarl import URL

from services.qstash_dev import hosts, ids
from services.qstash_dev.durations import MINUTE_MS
from services.qstash_dev.headers import canonical, text
from services.qstash_dev.model import Answer, Message
from services.qstash_dev.store import Claimed
from shared.logs import get_logger
from shared.signing import QSTASH_ISSUER, sign_call

log = get_logger()

DEFAULT_TIMEOUT_MS = 15 * MINUTE_MS
"""Max HTTP response duration of the free plan; Upstash-Timeout says otherwise."""
MAX_ANSWER_BYTES = 1_048_576
"""What is kept of an answer's body; callbacks may carry a truncated one, as the docs say."""
KEEP_ALIVE_S = 2.0
"""Shorter than the 5 s after which common servers hang up, so that no request is sent into a closing connection."""


def open_session() -> aiohttp.ClientSession:
    """The session all deliveries share; limits are the scheduler's, not the connection pool's."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # the callback reports the bytes that came
        skip_auto_headers=(hdrs.CONTENT_TYPE, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT),
    )


class Courier:
    """Carries claimed messages to their destinations."""

    def __init__(self, session: aiohttp.ClientSession, mapped: Mapping[str, str] | None = None) -> None:
        """`mapped` is the host map (`hosts.py`)."""
        self._session = session
        self._hosts = mapped or {}

    async def attempt(self, claimed: Claimed, signing_key: str) -> Answer:
        """The destination's answer; an Answer with status 0 and an error when there was none in time."""
        message = claimed.message
        timeout_s = (message.timeout_ms or DEFAULT_TIMEOUT_MS) / 1_000
        wire = hosts.route(self._hosts, message.url)
        try:
            async with self._session.request(
                message.method,
                _wire_url(wire.url),
                data=claimed.body,
                headers=[*_headers(claimed, signing_key), *([("Host", wire.host)] if wire.host else ())],
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                return await _read(response)
        except TimeoutError:
            return Answer(status=0, error=f"the destination did not answer within {timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(status=0, error=f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A fault of ours counts as a failed attempt: it must not lose the message.
            log.exception("delivery.crashed", message_id=message.message_id)
            return Answer(status=0, error=f"{type(error).__name__}: {error}")


def _headers(claimed: Claimed, signing_key: str) -> list[tuple[str, str]]:
    message = claimed.message
    return [*message.header, *own_headers(message, claimed.body, claimed.retried, signing_key).items()]


def own_headers(message: Message, body: bytes, retried: int, signing_key: str) -> Mapping[str, str]:
    """What this server says about a delivery (reference 3.1); forwarded headers of these names were dropped at publish."""
    signature = sign_call(
        issuer=QSTASH_ISSUER, url=message.url, body=body, key=signing_key, now=int(time.time()), jti=ids.jwt_id()
    )
    return {
        "User-Agent": "Upstash-QStash",
        "Upstash-Message-Id": message.message_id,
        "Upstash-Retried": str(retried),
        "Upstash-Signature": signature,
        "Upstash-Caller-Ip": message.caller_ip,
        **{
            name: value
            for name, value in (("Upstash-Schedule-Id", message.schedule_id), ("Upstash-Topic-Name", message.group))
            if value
        },
    }


def _wire_url(url: str) -> URL:
    """The URL as published: yarl would tidy it, and `//` in a path means something to somebody."""
    return URL(url, encoded=url.isascii())


async def _read(response: aiohttp.ClientResponse) -> Answer:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            response.close()
            break
    header: dict[str, list[str]] = {}
    for name, value in response.raw_headers:
        header.setdefault(canonical(text(name)), []).append(text(value))
    return Answer(status=response.status, header=header, body=bytes(body[:MAX_ANSWER_BYTES]))
