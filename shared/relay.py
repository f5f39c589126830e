"""From the outbox to QStash: acknowledgements coalesced over a process, and the relay of what nobody managed to send."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from shared.background import Background
from shared.clock import now_ms
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.ports import MESSAGE, Channel, Entry, Queue, Receipt, Refused, Store

log = get_logger()

PUBLISH_MS: Final = 600
"""How long an invocation waits for QStash; the commit stands whatever it says."""
HINT_MS: Final = 500
"""How long it then waits for Ably, if QStash was slow or refused: 1.1 s together at most."""
RETRY_MS: Final = (1_000, 3_000)
"""When a process tries a refused entry again itself. QStash recognises a repeat of what the relay has sent meanwhile."""
CLAIM_MS: Final = 10_000
BATCH: Final = 100
FORGET_AT: Final = 10_000
BACKOFF_MS: Final = (2_000, 4_000, 8_000, 16_000, 32_000, 60_000)


class Acks:
    """Takes accepted entries out of the outbox, many at once. Losing an ack costs a repeat that QStash recognises."""

    def __init__(self, store: Store) -> None:
        """One for a process."""
        self._store = store
        self._waiting: list[tuple[Entry, str]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, entry: Entry, message: str) -> None:
        """QStash has `entry` under the id `message`."""
        self._waiting.append((entry, message))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            try:
                await self._store.relay_ack(some)
            except Unavailable as error:
                log.warning("outbox.ack_failed", error=error.message, entries=len(some))

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


class NoChannel:
    """There is no second channel. See `shared.ports.Channel`."""

    async def hint(self, entry: Entry) -> str:  # noqa: ARG002 - the port's
        """See the port."""
        return "Ably is not configured (ABLY_API_KEY)"


class Sender:
    """Hands committed entries to QStash. What it does not take at once is hinted at through the second channel, tried again
    from here, and by the relay.

    An invocation waits PUBLISH_MS for QStash and HINT_MS for Ably, and no longer: what takes longer goes on behind it.
    """

    def __init__(
        self,
        queue: Queue,
        acks: Acks,
        background: Background | None = None,
        channel: Channel | None = None,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """One for a process. `background` carries on when an invocation may not wait any longer; whoever gives it closes it."""
        self._now_ms = now_ms
        self._queue = queue
        self._acks = acks
        self._background = background or Background()
        self._channel = channel or NoChannel()

    async def send(self, entry: Entry, what: str) -> bool:
        """Whether QStash took it within PUBLISH_MS. `what` is for the log: what the message starts."""
        publish = asyncio.ensure_future(self._queue.publish(entry))
        done, _ = await asyncio.wait({publish}, timeout=PUBLISH_MS / 1000)
        if not done:
            log.warning(
                "message.not_sent", kind=entry.kind, execution=entry.execution, entry=entry.id, error="slow; waiting on"
            )
            self._background.start(self._late(publish, entry, what))
        elif self._told(publish.result(), entry, what):
            return True
        else:
            self._background.start(self._again(entry, what))
        if worth_a_hint(entry, self._now_ms()):
            await self._hint(entry)
        return False

    def start(self, entries: Sequence[Entry], what: str) -> None:
        """Carry these out without waiting for it."""
        for entry in entries:
            self._background.start(self.send(entry, what))

    async def _hint(self, entry: Entry) -> None:
        hint = asyncio.ensure_future(self._channel.hint(entry))
        done, _ = await asyncio.wait({hint}, timeout=HINT_MS / 1000)
        if not done:
            self._background.start(asyncio.wait({hint}))

    async def _late(self, publish: "asyncio.Future[Receipt]", entry: Entry, what: str) -> None:
        if not self._told(await publish, entry, what):
            await self._again(entry, what)

    async def _again(self, entry: Entry, what: str) -> None:
        """A few more times from here, so that a moment's refusal needs no other process; the outbox has it anyway."""
        for wait_ms in RETRY_MS:
            if not await self._background.pause(wait_ms / 1000):
                return
            if self._told(await self._queue.publish(entry), entry, what):
                return

    def _told(self, receipt: Receipt, entry: Entry, what: str) -> bool:
        if not receipt.ok:
            say = log.debug if receipt.away else log.warning  # of a channel that is away, `channel.away` has said it once
            say("message.not_sent", kind=entry.kind, execution=entry.execution, entry=entry.id, error=receipt.error)
            return False
        self._acks.add(entry, receipt.message)
        if entry.cost == 0:
            log.info("message.saved", execution=entry.execution, entry=entry.id, by=receipt.message)
        elif entry.kind == MESSAGE:
            text = f"QStash message sent for {what} [message: {receipt.message}]"
            log.info("message.sent", message=text, execution=entry.execution, entry=entry.id)
        else:
            log.info("command.done", kind=entry.kind, to=entry.to, execution=entry.execution, entry=entry.id)
        return True


class Relay:
    """Sends what stayed in the outbox. Any number may run: a claim keeps two from sending the same entry at once."""

    def __init__(
        self, store: Store, queue: Queue, acks: Acks, channel: Channel | None = None, now_ms: Callable[[], int] = now_ms
    ) -> None:
        """`queue` coalesces what is published at once. `now_ms`: unix ms, to know which messages still have to wait."""
        self._now_ms = now_ms
        self._store = store
        self._queue = queue
        self._acks = acks
        self._channel = channel or NoChannel()
        self._failures: dict[str, int] = {}

    async def run_once(self, partition: str) -> int:
        """Send what is due on one partition; how many entries there were."""
        return await self._carry(await self._store.relay_claim(partition, limit=BATCH, claim_ms=CLAIM_MS))

    async def send(self, entry: Entry) -> None:
        """Send one at once that was put into the outbox just now."""
        if refused := await self._send(entry):
            await self._put_off([refused])

    async def run_back(self, partition: str, *, limit: int = BATCH, least_ms: int = 0) -> int:
        """Send what was put off `least_ms` ago or earlier because its channel was away; how many entries there were."""
        found = await self._store.relay_back(partition, limit=limit, claim_ms=CLAIM_MS, least_ms=least_ms)
        return await self._carry(found)

    async def _carry(self, claimed: Sequence[Entry]) -> int:
        entries = [replace(entry, queued_ms=0) for entry in claimed]  # how long they lay here is no delivery's lag
        found = await asyncio.gather(*(self._send(entry) for entry in entries), return_exceptions=True)
        if refused := [one for one in found if isinstance(one, Refused)]:
            await self._put_off(refused)
        for one in found:
            if isinstance(one, BaseException):  # what this is about stays claimed for a while; the others have their times
                raise one
        return len(entries)

    async def _put_off(self, refused: Sequence[Refused]) -> None:
        """First what nobody needs any more leaves, then the others are hinted at: most went on by the first hint."""
        moot = set(await self._store.relay_later(refused))
        for name in moot:
            self._failures.pop(name, None)
            log.info("message.moot", entry=name)
        rest = [one for one in refused if one.entry.id not in moot and worth_a_hint(one.entry, self._now_ms())]
        errors = await asyncio.gather(*(self._channel.hint(one.entry) for one in rest))
        told = [replace(one, channel=error) for one, error in zip(rest, errors, strict=True) if error]
        if told:
            await self._store.relay_later(told)

    async def _send(self, entry: Entry) -> Refused | None:
        """What came of an entry, if it was not sent."""
        receipt = await self._queue.publish(entry)
        if receipt.ok:
            self._failures.pop(entry.id, None)
            self._acks.add(entry, receipt.message)
            log.info("message.relayed", kind=entry.kind, execution=entry.execution, entry=entry.id, id=receipt.message)
            return None
        wait = self._wait_ms(entry)
        facts = {"execution": entry.execution, "entry": entry.id, "error": receipt.error, "again_in_ms": wait}
        say = log.debug if receipt.away else log.warning
        say("message.not_relayed", kind=entry.kind, **facts)
        return Refused(entry=entry, again_ms=wait, away=receipt.away, queue=receipt.error)

    def _wait_ms(self, entry: Entry) -> int:
        if len(self._failures) > FORGET_AT:
            self._failures.clear()  # most were sent by others meanwhile; the rest start again with short waits
        count = self._failures.get(entry.id, 0)
        self._failures[entry.id] = count + 1
        return BACKOFF_MS[min(count, len(BACKOFF_MS) - 1)]


def worth_a_hint(entry: Entry, now_ms: int) -> bool:
    """Whether its execution could go on now: only messages wake one, and one that has to wait would not be woken."""
    return entry.kind == MESSAGE and entry.not_before_ms <= now_ms
