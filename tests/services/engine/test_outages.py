"""QStash away, Ably away, both: who is told, what waits, and what goes the moment one of them is back. On the store's twin."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from shared.background import Background
from shared.circuit import Breaker
from shared.memory import MemoryStore
from shared.ports import Entry, Receipt
from shared.quota import Allowance
from shared.quota_keeper import Keeper, Paid
from shared.quota_memory import MemoryLedger
from shared.redisdb import keys, wire
from shared.relay import HINT_MS, PUBLISH_MS, Acks, Relay, Sender, worth_a_hint
from shared.returns import Returns
from tests.services.engine.support import configured
from tests.support.executions import EXE, NOW, RETENTION_MS, created, ended, execution_id, later
from tests.support.waiting import eventually

PROBE_MS = 1_000


class Far:
    """A channel that a test switches off and on, behind the real breaker; both ports, as either is used."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.away = ""
        self.hanging = False
        self.taken: list[Entry] = []
        self.calls = 0
        self.breaker = Breaker(name, every_ms=PROBE_MS, clock=lambda: float(store.now_ms or 0))

    async def publish(self, entry: Entry) -> Receipt:
        """As QStash."""
        error = await self.hint(entry)
        return Receipt(error=error, away=True) if error else Receipt(message=f"msg_{entry.id}")

    async def hint(self, entry: Entry) -> str:
        """As Ably."""
        if error := self.breaker.refuses():
            return error
        self.calls += 1
        if self.hanging:
            await asyncio.Event().wait()
        self.breaker.ended(self.away)
        if not self.away:
            self.taken.append(entry)
        return self.away


class Scene:
    """A process with its relay and its returns, over a store that outlives it."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW)
        self.qstash, self.ably = Far(self.store, "QStash"), Far(self.store, "Ably")
        self.acks, self.background = Acks(self.store), Background()
        self.relay = Relay(self.store, self.qstash, self.acks, self.ably)
        breakers = {"queue": self.qstash.breaker, "channel": self.ably.breaker}
        self.returns = Returns(self.store, self.relay, self.background, **breakers)

    async def sweep(self) -> None:
        """A round: what is due, and what is back."""
        for partition in await self.store.waiting_entries():
            await self.relay.run_once(partition)
        await self.returns.sweep()
        await self.background.close()
        await self.acks.close()

    async def stranded(self, count: int) -> list[Entry]:
        """Executions whose first messages nobody has sent, on a few partitions."""
        ids = [execution_id(number, partition=f"{number % 4:02x}") for number in range(1, count + 1)]
        return [await created(self.store, one) for one in ids]

    def waiting(self) -> int:
        """Entries in the outbox."""
        return sum(len(self.store._partitions[pp].entries) for pp in keys.all_partitions())


async def outage(scene: Scene, seconds: int) -> None:
    """Both are away; so many rounds, one a second."""
    scene.qstash.away, scene.ably.away = "QStash answered 503", "Ably is not reachable"
    for _ in range(seconds):
        later(scene.store, 1_000)
        await scene.sweep()


async def test_a_long_outage_costs_one_try_a_second_whatever_waits() -> None:
    """Two hundred entries, a minute: no more than a probe a second of each, and every record keeps what both said."""
    scene = Scene()
    entries = await scene.stranded(200)
    await outage(scene, 60)

    assert scene.waiting() == 200
    assert scene.qstash.calls <= 61
    assert scene.ably.calls <= 61
    for entry in entries:
        refusal = wire.refusal(scene.store.fields(entry.execution)["refused"].encode())
        assert "QStash answered 503" in refusal.queue
        assert "Ably is not reachable" in refusal.channel


async def test_when_qstash_is_back_everything_goes_within_a_round_of_its_probe() -> None:
    """Not after up to a minute of back-off; sent once each, and the refusals are forgotten."""
    scene = Scene()
    entries = await scene.stranded(200)
    await outage(scene, 60)
    scene.qstash.away = ""
    for _ in range(2):
        later(scene.store, 1_000)
        await scene.sweep()

    assert scene.waiting() == 0
    assert sorted(one.id for one in scene.qstash.taken) == sorted(one.id for one in entries)
    assert all("refused" not in scene.store.fields(one.execution) for one in entries)


async def test_another_process_brings_back_what_it_never_saw_waiting() -> None:
    """Whoever saw the outage is gone; the next begins with one entry's partition, and goes on with all."""
    scene = Scene()
    await scene.stranded(200)
    await outage(scene, 30)
    other = Scene(scene.store)
    await other.sweep()

    assert other.waiting() == 0
    assert len(other.qstash.taken) == 200


async def test_a_process_that_begins_in_an_outage_tries_once_and_leaves_the_rest_alone() -> None:
    """It knows nothing, so the first partition tells it."""
    scene = Scene()
    await scene.stranded(200)
    await outage(scene, 30)
    other = Scene(scene.store)
    other.qstash.away, other.ably.away = "QStash answered 503", "Ably is not reachable"
    await other.sweep()

    assert (other.qstash.calls, other.ably.calls) == (1, 1)
    assert other.waiting() == 200


async def test_when_only_ably_is_back_everything_that_waits_is_hinted_at_once() -> None:
    """Within a round of its probe; what is not woken by it stays in the outbox."""
    scene = Scene()
    entries = await scene.stranded(200)
    await outage(scene, 60)
    scene.ably.away = ""
    for _ in range(3):
        later(scene.store, 1_000)
        await scene.sweep()

    assert {one.id for one in scene.ably.taken} == {one.id for one in entries}
    assert scene.waiting() == 200
    refusal = wire.refusal(scene.store.fields(entries[0].execution)["refused"].encode())
    assert refusal.channel == ""
    told = len(scene.ably.taken)
    later(scene.store, 1_000)
    await scene.sweep()
    assert len(scene.ably.taken) - told < 200


async def test_what_the_hints_moved_on_leaves_the_outbox_of_an_engine_without_qstash() -> None:
    """It would grow for ever."""
    scene = Scene()
    scene.qstash.breaker = Breaker("QStash", never="QSTASH_TOKEN is empty")
    entries = await scene.stranded(8)
    later(scene.store, 2_000)
    await scene.sweep()
    assert {one.id for one in scene.ably.taken} == {one.id for one in entries}
    for entry in entries:
        await ended(scene.store, entry.execution)
    later(scene.store, 60_000)
    told = len(scene.ably.taken)
    with capture_logs() as logs:
        await scene.sweep()

    assert scene.waiting() == 0
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == ["message.moot"] * 8
    assert len(scene.ably.taken) == told  # nobody is told of what is over


# --- what an invocation does


def entry(**other: Any) -> Entry:
    """A message of an execution."""
    return Entry(id=f"{EXE}-1-{'0' * 12}", execution=EXE, segment=1, reason="continued", **other)


def test_a_message_that_must_wait_is_not_hinted_at() -> None:
    """Nor is a command: a hint could wake nobody."""
    assert worth_a_hint(entry(), NOW)
    assert worth_a_hint(entry(not_before_ms=NOW), NOW)
    assert not worth_a_hint(entry(not_before_ms=NOW + 1), NOW)
    assert not worth_a_hint(msgspec.structs.replace(entry(), kind="signal"), NOW)


@asynccontextmanager
async def sending(scene: Scene) -> AsyncIterator[Sender]:
    """A sender whose unfinished work is dropped at the end."""
    background = Background()
    yield Sender(scene.qstash, scene.acks, background, scene.ably)
    for task in list(background._tasks):
        task.cancel()
    await background.close()


@pytest.mark.parametrize("ably_hangs", [False, True])
async def test_a_slow_qstash_is_hinted_at_and_an_invocation_waits_no_longer_than_stated(*, ably_hangs: bool) -> None:
    """600 ms for QStash, 500 ms for Ably. The wait is measured from below: neither is given up early."""
    scene = Scene()
    scene.qstash.hanging, scene.ably.hanging = True, ably_hangs
    begun = time.monotonic()
    async with sending(scene) as sender:
        assert not await asyncio.wait_for(sender.send(entry(), "next step"), 30)
        took_ms = (time.monotonic() - begun) * 1000

    assert scene.ably.calls == 1
    assert took_ms >= PUBLISH_MS + (HINT_MS if ably_hangs else 0) - 20


async def test_a_refusing_qstash_is_hinted_at_without_waiting() -> None:
    """And it is no warning a message: the channel's outage was told once."""
    scene = Scene()
    scene.qstash.away = "QStash answered 503"
    with capture_logs() as logs:
        async with sending(scene) as sender:
            for number in range(5):
                await sender.send(msgspec.structs.replace(entry(), id=f"{EXE}-1-{number:012}"), "next step")

    assert (scene.qstash.calls, len(scene.ably.taken)) == (1, 5)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["channel.away"]


async def test_a_message_that_no_quota_pays_for_goes_by_ably(scene: Scene) -> None:
    """Direct calls are off, the quota is used up: refused or out of quota, Ably is told either way."""
    settings = configured(QUOTA_DAY="1", QUOTA_MONTH="0", QUOTA_CONCURRENT="0", RESUME_DIRECT="false")
    keeper = Keeper(ledger=MemoryLedger(), store=scene.store, settings=settings, background=scene.background)
    await created(scene.store, allowance=Allowance(units=0, floor=0, tail=0))
    queue = Paid(scene.qstash, None, keeper, scene.store)
    sender = Sender(queue, scene.acks, scene.background, scene.ably)
    sending_one = asyncio.create_task(sender.send(entry(cost=0), "next step"))
    await eventually(lambda: scene.ably.taken, describe="Ably is told")

    assert not await sending_one
    assert [one.cost for one in scene.ably.taken] == [0]
    assert scene.qstash.taken == []


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """One whose unfinished work is dropped."""
    found = Scene()
    yield found
    for task in list(found.background._tasks):
        task.cancel()
    await found.background.close()
