"""QStash as the engine meets it: at least once, in any order, with its retry ladder, its ten minutes and its dead letters."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from shared.invocation import Answer
from shared.ports import Entry, No, Receipt
from shared.simulation import processes
from shared.simulation.faults import Faults
from shared.simulation.noise import Noise
from shared.simulation.timeline import Timeline

LADDER_MS: Final = (1_000, 6_000, 36_000)
"""`Upstash-Retry-Delay` as our messages set it; its length is `Upstash-Retries`."""
REMEMBERS_MS: Final = 600_000
PATIENCE_MS: Final = 15_000
"""`Upstash-Timeout`: the invocation's limit and five seconds."""
NON_RETRYABLE: Final = 489
SUCCESS: Final = 200
_NOT_RUN: Final = frozenset(why.name.lower() for why in No)
LATE_DUPLICATE_MS: Final = 45_000


@dataclass
class Message:
    """One accepted message on its way through its deliveries."""

    id: str
    entry: Entry
    retried: int = 0
    born_ms: float = 0


class QStash:
    """The one QStash of a run. `deliver` and `bury` are the executor's edge and the failure callback."""

    def __init__(self, *, now_ms: Callable[[], int], faults: Faults, noise: Noise, timeline: Timeline, dead: bool) -> None:
        """`dead`: it refuses everything, for ever."""
        self.deliver: Callable[[Message], Awaitable[Answer | None]]
        """None: nobody answered."""
        self.bury: Callable[[Message, int], Awaitable[bool]]
        """Whether the failure callback was taken; the number is the last status."""
        self.counts: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        """Segments that a message has run to their end, by message."""
        self.on_the_way = 0
        self._now_ms = now_ms
        self._faults = faults
        self._noise = noise
        self._timeline = timeline
        self._dead = dead
        self._known: dict[str, tuple[int, str]] = {}

    async def publish(self, entry: Entry) -> Receipt:
        """See `shared.ports.Queue`."""
        processes.must_live()
        self.counts["publishes"] += 1
        fault = self._faults.one("publish")
        refused = self._dead or (fault is not None and fault.kind == "refused")
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.ms / 1000)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Receipt] = loop.create_future()
        lost = fault is not None and fault.kind == "reply_lost"
        loop.call_later(self._noise.net_s(), self._take, answer, entry, refused, lost)
        return await answer

    def _take(self, answer: "asyncio.Future[Receipt]", entry: Entry, refused: bool, lost: bool) -> None:  # noqa: FBT001 - by call_later
        receipt = Receipt(error="QStash answered 503: simulated", away=True) if refused else self._accept(entry)
        if lost:
            receipt = Receipt(error="QStash is not reachable (simulated: the answer got lost)", away=True)
        loop = asyncio.get_running_loop()
        loop.call_later(self._noise.net_s(), lambda: None if answer.done() else answer.set_result(receipt))

    def _accept(self, entry: Entry) -> Receipt:
        known = self._known.get(entry.id)
        if known is not None and known[0] > self._now_ms():
            self.counts["deduplicated"] += 1
            return Receipt(message=known[1], deduplicated=True)
        self.counts["messages"] += 1
        message = Message(id=f"msg_{self.counts['messages']}", entry=entry)
        self._known[entry.id] = (self._now_ms() + REMEMBERS_MS, message.id)
        wait_ms = _delay_ms(entry.not_before_ms, self._now_ms())
        self._timeline.say("qstash", f"takes {message.id} of segment {entry.segment} ({entry.reason}), due in {wait_ms} ms")
        self._schedule(message, wait_ms)
        return Receipt(message=message.id)

    def _schedule(self, message: Message, wait_ms: float) -> None:
        fault = self._faults.one("message")
        match fault.kind if fault else "":
            case "drop":
                self._timeline.say("qstash", f"loses {message.id}")
                return
            case "late":
                wait_ms += fault.ms if fault else 0
            case "duplicate":
                self._start(message, wait_ms + (fault.ms if fault else 0))
            case "late_duplicate":
                self._start(message, wait_ms + LATE_DUPLICATE_MS)
            case _:
                pass
        self._start(message, wait_ms)

    def _start(self, message: Message, wait_ms: float) -> None:
        self.on_the_way += 1
        processes.outside(self._carry(Message(id=message.id, entry=message.entry), wait_ms))

    async def _carry(self, message: Message, wait_ms: float) -> None:
        """All deliveries of one message, to its 2xx or its death."""
        try:
            await asyncio.sleep(wait_ms / 1000 + self._noise.net_s())
            while True:
                answer = await self._attempt(message)
                if answer.status < 300:
                    return
                if answer.status == NON_RETRYABLE or message.retried >= len(LADDER_MS):
                    await self._die(message, answer.status)
                    return
                await asyncio.sleep(self._pause_ms(message, answer) / 1000)
                message.retried += 1
        finally:
            self.on_the_way -= 1

    @staticmethod
    def _pause_ms(message: Message, answer: Answer) -> int:
        if answer.retry_after_s is not None:
            return answer.retry_after_s * 1000
        return LADDER_MS[message.retried]

    async def _attempt(self, message: Message) -> Answer:
        self.counts["deliveries"] += 1
        message.born_ms = self._now_ms()
        fault = self._faults.one("delivery")
        if fault is not None and fault.kind == "unreachable":
            self._timeline.say("qstash", f"cannot reach an executor with {message.id}")
            return Answer(status=503, result="unreachable")
        try:
            async with asyncio.timeout(PATIENCE_MS / 1000):
                answer = await self.deliver(message)
        except TimeoutError:
            answer = None
        if answer is not None and answer.status == SUCCESS and answer.result not in _NOT_RUN:
            self.ran[message.id] += 1
        if answer is None or (fault is not None and fault.kind == "answer_lost"):
            self._timeline.say("qstash", f"gets no answer to {message.id}")
            return Answer(status=502, result="no answer")
        self.counts[f"answered {answer.result}"] += 1
        self._timeline.say("qstash", f"{message.id} was answered {answer.status} {answer.result}")
        return answer

    async def _die(self, message: Message, status: int) -> None:
        """Its dead letter, and the failure callback, which is a message with the same ladder."""
        self.counts["dead"] += 1
        self._timeline.say("qstash", f"gives {message.id} up")
        for pause_ms in (0, *LADDER_MS):
            await asyncio.sleep(pause_ms / 1000 + self._noise.net_s())
            if await self.bury(message, status):
                return


def _delay_ms(not_before_ms: int, now_ms: int) -> int:
    """As `shared.qstash` asks for it: whole seconds, never too early."""
    left_ms = not_before_ms - now_ms
    return 0 if left_ms <= 0 else -(-left_ms // 1000) * 1000
