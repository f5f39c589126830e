"""One HTTP call to a destination: QStash's headers and signature on it, its answer back. It decides nothing."""

import time
from collections.abc import Mapping

from services.qstash_dev import hosts, ids
from services.qstash_dev.durations import MINUTE_MS
from services.qstash_dev.headers import canonical, text
from services.qstash_dev.model import Answer, Message
from services.qstash_dev.store import Claimed
from shared.http_client import Answer as Heard
from shared.http_client import HttpClient, NoAnswer, TooLate
from shared.logs import get_logger
from shared.signing import QSTASH_ISSUER, sign_call

log = get_logger()

DEFAULT_TIMEOUT_MS = 15 * MINUTE_MS
"""Max HTTP response duration of the free plan; Upstash-Timeout says otherwise."""
MAX_ANSWER_BYTES = 1_048_576
"""What is kept of an answer's body; callbacks may carry a truncated one, as the docs say."""
KEEP_ALIVE_S = 2.0
"""Shorter than the 5 s after which common servers hang up, so that no request is sent into a closing connection."""


def open_session() -> HttpClient:
    """The client all deliveries share; limits are the scheduler's. Nothing is decoded: the callback reports what came."""
    return HttpClient(keep_s=KEEP_ALIVE_S, most_bytes=MAX_ANSWER_BYTES)


class Courier:
    """Carries claimed messages to their destinations."""

    def __init__(self, session: HttpClient, mapped: Mapping[str, str] | None = None) -> None:
        """`mapped` is the host map (`hosts.py`)."""
        self._session = session
        self._hosts = mapped or {}

    async def attempt(self, claimed: Claimed, signing_key: str) -> Answer:
        """The destination's answer; an Answer with status 0 and an error when there was none in time."""
        message = claimed.message
        timeout_s = (message.timeout_ms or DEFAULT_TIMEOUT_MS) / 1_000
        wire = hosts.route(self._hosts, message.url)
        try:
            headers = [*_headers(claimed, signing_key), *([("Host", wire.host)] if wire.host else ())]
            heard = await self._session.request(message.method, wire.url, headers, claimed.body, answer_s=timeout_s)
            return _answer(heard)
        except TooLate:
            return Answer(status=0, error=f"the destination did not answer within {timeout_s:g} s")
        except (NoAnswer, ValueError) as error:
            return Answer(status=0, error=f"{type(error).__name__}: {error}")
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


def _answer(heard: Heard) -> Answer:
    header: dict[str, list[str]] = {}
    for name, value in heard.headers:
        header.setdefault(canonical(text(name)), []).append(text(value))
    return Answer(status=heard.status, header=header, body=heard.body)
