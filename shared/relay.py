"""From the outbox to QStash: acknowledgements coalesced over a process, and the relay of what nobody managed to send."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import msgspec

from shared.background import Background
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.ports import MESSAGE, Channel, Entry, Queue, Receipt, Store

log = get_logger()

PUBLISH_MS: Final = 600
"""How long an invocation waits for QStash; the commit stands whatever it says."""
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
    """

    def __init__(self, queue: Queue, acks: Acks, background: Background | None = None, channel: Channel | None = None) -> None:
        """One for a process. `background` carries on when an invocation may not wait any longer; whoever gives it closes it."""
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
        if entry.kind == MESSAGE and not entry.not_before_ms:
            await self._channel.hint(entry)
        return False

    def start(self, entries: Sequence[Entry], what: str) -> None:
        """Carry these out without waiting for it."""
        for entry in entries:
            self._background.start(self.send(entry, what))

    async def _late(self, publish: "asyncio.Future[Receipt]", entry: Entry, what: str) -> None:
        if not self._told(await publish, entry, what):
            await self._again(entry, what)

    async def _again(self, entry: Entry, what: str) -> None:
        """A few more times from this process, so that a moment's refusal needs no other process to be mended."""
        for wait_ms in RETRY_MS:
            await asyncio.sleep(wait_ms / 1000)
            if self._told(await self._queue.publish(entry), entry, what):
                return

    def _told(self, receipt: Receipt, entry: Entry, what: str) -> bool:
        if not receipt.ok:
            log.warning("message.not_sent", kind=entry.kind, execution=entry.execution, entry=entry.id, error=receipt.error)
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

    def __init__(self, store: Store, queue: Queue, acks: Acks, channel: Channel | None = None) -> None:
        """`queue` coalesces what is published at once."""
        self._store = store
        self._queue = queue
        self._acks = acks
        self._channel = channel or NoChannel()
        self._failures: dict[str, int] = {}

    async def run_once(self, partition: str) -> int:
        """Send what is due on one partition; how many entries there were."""
        claimed = await self._store.relay_claim(partition, limit=BATCH, claim_ms=CLAIM_MS)
        # How long they lay here is no delivery's lag.
        entries = [msgspec.structs.replace(entry, queued_ms=0) for entry in claimed]
        if entries:
            await asyncio.gather(*(self._send(entry) for entry in entries))
        return len(entries)

    async def send(self, entry: Entry) -> None:
        """Send one at once that was put into the outbox just now."""
        await self._send(entry)

    async def _send(self, entry: Entry) -> None:
        receipt = await self._queue.publish(entry)
        if receipt.ok:
            self._failures.pop(entry.id, None)
            self._acks.add(entry, receipt.message)
            log.info("message.relayed", kind=entry.kind, execution=entry.execution, entry=entry.id, id=receipt.message)
            return
        if len(self._failures) > FORGET_AT:
            self._failures.clear()  # most were sent by others meanwhile; the rest start again with short waits
        count = self._failures.get(entry.id, 0)
        self._failures[entry.id] = count + 1
        wait = BACKOFF_MS[min(count, len(BACKOFF_MS) - 1)]
        if entry.kind == MESSAGE:
            await self._channel.hint(entry)
        await self._store.relay_later([(entry, wait)])
        facts = {"execution": entry.execution, "entry": entry.id, "error": receipt.error, "again_in_ms": wait}
        log.warning("message.not_relayed", kind=entry.kind, **facts)
