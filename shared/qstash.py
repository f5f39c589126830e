"""Our messages into QStash: concurrent publishes go out as one `POST /v2/batch`, and each item is answered for itself.

Message settings are protocol A9 to A11: the entry's id is the deduplication id (no `:`), the retry delay outlasts a restart
(1, 6, 36 s), and QStash waits longer for an answer than an invocation can live.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from shared import tracing
from shared.circuit import Breaker
from shared.http_client import HttpClient, NoAnswer
from shared.logs import get_logger
from shared.ports import Entry, Receipt
from shared.quota import CALLBACK_UNITS
from shared.settings import Settings
from shared.tally import Tally
from shared.tracing import NO_TRACER, Fact, Tracer

log = get_logger()

EXECUTE_PATH: Final = "/api/engine/execute-step"
FAILED_PATH: Final = "/api/engine/failed"
CALLBACK_PATH: Final = "/api/engine/callback"
PING_PATH: Final = "/api/engine/ping"
RETRY_DELAY: Final = "min(60000, 1000 * pow(6, retried))"
GATHER_S: Final = 0.002
"""How long the first publish of a batch waits for company where some is likely. None is waited while a batch is under way."""
LIKELY_S: Final = 0.005
"""Company is likely so long after a batch. A message that is alone goes at once: its step begins a fifth sooner."""
MOST_ITEMS: Final = 100
ANSWER_S: Final = 5
PROBE_S: Final = 2
"""Of connecting, and of a batch that tries whether QStash is back: a sweep waits for it."""
REFUSALS: Final = frozenset({400, 412, 413, 422})
"""It is there and reads, and does not want this. Anything else (401, 429, 5xx, another's page) is no better for the next."""
RELATIVE_BELOW_MS: Final = 3_600_000
"""Delays below an hour are given as a duration (immune to clock differences), longer ones as a moment."""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of a batch, as QStash takes it."""

    destination: str
    headers: dict[str, str]
    body: str


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a message says: an id and a reason, never state."""

    execution_id: str
    segment: int = -1
    reason: str = ""
    trace_id: str = ""
    queued_ms: int = 0
    """When it was queued, by the store's clock; 0: its lag is not counted."""


class PingBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a ping says: 32 random hex digits, so that nobody mistakes another's ping for his own."""

    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}\\Z")]


class _Answer(msgspec.Struct, rename="camel"):
    message_id: str = ""
    deduplicated: bool = False
    error: str = ""


_items = msgspec.json.Encoder()
_answers = msgspec.json.Decoder(list[_Answer])


class QStashQueue:
    """See `shared.ports.Queue`. One for a process; `close` sends what is waiting."""

    def __init__(
        self, client: HttpClient, settings: Settings, *, tracer: Tracer = NO_TRACER, tally: Tally | None = None
    ) -> None:
        """`client` is shared and kept open. `tally` counts what came of each message."""
        self._client = client
        self._settings = settings
        self._url = f"{settings.qstash_url.rstrip('/')}/v2/batch"
        self._headers = (
            ("Authorization", f"Bearer {settings.token}"),
            ("Content-Type", "application/json"),
            ("User-Agent", "intention-engine"),
        )
        self._tracer = tracer
        self._tally = tally or Tally()
        self._waiting: list[tuple[Entry, str, asyncio.Future[Receipt]]] = []
        """With the context of the span that publishes each."""
        self._task: asyncio.Task[None] | None = None
        self._sent_s = 0.0
        """When the latest batch was answered, by the loop's clock."""
        self.breaker = Breaker("QStash", never="" if settings.token else "QSTASH_TOKEN is empty")

    def announce(self) -> None:
        """Tell the log how messages are sent."""
        facts = {"retries": self._settings.qstash_retries, "initialBackoffMs": 1000, "maxBackoffMs": 60000}
        if not self._settings.token:
            ways = {"Ably": bool(self._settings.ably_api_key), "direct calls": self._settings.resume_direct}
            named = " and ".join(way for way, on in ways.items() if on) or "none is configured either"
            log.warning("qstash.missing", message=f"QStash not configured, using fallback: {named}")
            return
        log.info("qstash.initialized", message=f"Initialized with retry config: {facts}", url=self._settings.qstash_url)

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        with self._tracer.span("publish message", kind="producer", parent=entry.trace, facts=_facts(entry)) as span:
            receipt = await self._published(entry)
            outcome = _outcome(receipt)
            self._tally.published[outcome] += 1
            if receipt.error:
                span.failed(outcome)
            else:
                span.note({"messaging.message.id": receipt.message})
        return receipt

    async def _published(self, entry: Entry) -> Receipt:
        if not self._waiting and (away := self.breaker.refuses()):  # who comes while a probe gathers goes with it
            return Receipt(error=away, away=True)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, tracing.current(), future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all())
        return await future

    async def _send_all(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(GATHER_S if clock() - self._sent_s < LIKELY_S else 0)
        while self._waiting:
            # Who ran out of time left the entry in the outbox. While QStash hangs, they would pile up before what is fresh.
            live = [one for one in self._waiting if not one[-1].done()]
            some, self._waiting = live[:MOST_ITEMS], live[MOST_ITEMS:]
            if not some:
                return
            receipts = await self._send([(entry, context) for entry, context, _ in some])
            self._sent_s = clock()
            if not self.breaker.there:  # those behind them need not find it out each for itself
                some, self._waiting = some + self._waiting, []
                receipts = [*receipts, *receipts[-1:] * (len(some) - len(receipts))]
            for (*_, future), receipt in zip(some, receipts, strict=True):
                if not future.done():  # its caller may have run out of time
                    future.set_result(receipt)

    async def _send(self, entries: Sequence[tuple[Entry, str]]) -> list[Receipt]:
        away = True
        try:
            body = _items.encode([item(entry, self._settings, time.time(), context) for entry, context in entries])
            answer_s = ANSWER_S if self.breaker.there else PROBE_S
            answer = await self._client.post(self._url, self._headers, body, answer_s=answer_s, connect_s=PROBE_S)
            if answer.ok:
                receipts = _receipts(answer.body, len(entries))
                self.breaker.ended()
                return receipts
            away = answer.status not in REFUSALS
            error = f"QStash answered {answer.status}: {self._shown(answer.text)}"
        except NoAnswer as failure:
            error = f"QStash is not reachable ({type(failure).__name__})"
        except Exception as failure:  # nobody may wait for ever because an answer was odd
            log.exception("qstash.answer_unreadable")
            error = f"QStash's answer is not readable: {failure}"
        self.breaker.ended(error if away else "")
        return [Receipt(error=error, away=away)] * len(entries)

    def _shown(self, text: str) -> str:
        """It is kept and shown: whatever is repeated there, the token is not."""
        return text.replace(self._settings.token, "***")[:200]

    async def close(self) -> None:
        """Send what is waiting."""
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def _facts(entry: Entry) -> dict[str, Fact]:
    return {
        "messaging.system": "qstash",
        "messaging.operation.type": "send",
        "messaging.operation.name": "publish",
        "intention.execution": entry.execution,
        "intention.segment": entry.segment,
        "intention.reason": entry.reason,
    }


def _outcome(receipt: Receipt) -> str:
    if receipt.error:
        return "away" if receipt.away else "refused"
    return "repeated" if receipt.deduplicated else "taken"


def item(entry: Entry, settings: Settings, now_s: float, context: str = "") -> Item:
    """The batch element for an entry. `now_s`: unix seconds, to make delays relative; `context`: of its trace."""
    headers = {
        "Content-Type": "application/json",
        "Upstash-Method": "POST",
        "Upstash-Retries": str(_retries(entry, settings)),
        "Upstash-Retry-Delay": RETRY_DELAY,
        "Upstash-Timeout": f"{settings.hard_limit_ms // 1000 + 5}s",
        "Upstash-Deduplication-Id": entry.id,
        "Upstash-Label": "intention",
    }
    if entry.cost is None or entry.cost > CALLBACK_UNITS:
        headers["Upstash-Failure-Callback"] = f"{settings.resume_url.rstrip('/')}{FAILED_PATH}"
        if entry.cost is not None:
            headers["Upstash-Failure-Callback-Retries"] = str(CALLBACK_UNITS - 1)
    if settings.qstash_parallelism:
        headers["Upstash-Flow-Control-Key"] = "intention-executor"
        headers["Upstash-Flow-Control-Value"] = f"parallelism={settings.qstash_parallelism}"
    headers |= _delay(entry.not_before_ms, now_s)
    if parent := tracing.traceparent(context):
        headers[f"Upstash-Forward-{tracing.HEADER}"] = parent
    body = Body(
        execution_id=entry.execution,
        segment=entry.segment,
        reason=entry.reason,
        trace_id=tracing.trace_id(entry.trace),
        queued_ms=entry.queued_ms,
    )
    return Item(
        destination=f"{settings.executor_url.rstrip('/')}{EXECUTE_PATH}",
        headers=headers,
        body=_items.encode(body).decode(),
    )


def _retries(entry: Entry, settings: Settings) -> int:
    """No more than are paid for: QStash cannot cost more than the execution has."""
    if entry.cost is None:
        return settings.qstash_retries
    return max(0, min(settings.qstash_retries, entry.cost - 1 - CALLBACK_UNITS))


def _delay(not_before_ms: int, now_s: float) -> dict[str, str]:
    left_ms = not_before_ms - int(now_s * 1000)
    if left_ms <= 0:
        return {}
    seconds = -(-left_ms // 1000)
    if left_ms < RELATIVE_BELOW_MS:
        return {"Upstash-Delay": f"{seconds}s"}
    return {"Upstash-Not-Before": str(-(-not_before_ms // 1000))}


def _receipts(content: bytes, count: int) -> list[Receipt]:
    answers: list[Any] = _answers.decode(content)
    if len(answers) != count:
        raise ValueError(f"{len(answers)} answers to {count} messages")
    return [
        Receipt(message=a.message_id, deduplicated=a.deduplicated, error=a.error or ("" if a.message_id else "no message id"))
        for a in answers
    ]
