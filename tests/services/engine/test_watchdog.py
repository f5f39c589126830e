"""What nobody moved in time is moved: once by however many watchdogs, by a direct call first, else by a message."""

import asyncio
import time

import httpx
import pytest
from redis.asyncio import Redis
from starlette.responses import Response
from structlog.testing import capture_logs

from shared import signing
from shared.errors import Unavailable
from shared.executor_client import ExecutorClient
from shared.http import Json
from shared.ports import Entry, Receipt
from shared.qstash import QStashQueue
from shared.redisdb import keys
from shared.relay import Acks, Relay
from shared.settings import LOCAL_INTERNAL_KEY
from shared.watchdog import Watchdog
from tests.services.engine.support import (
    MeddlingStore,
    Receiver,
    SimulatedQueue,
    Stage,
    Taken,
    chain,
    configured,
    receiving,
    staged,
)
from tests.support.valkey import free_port
from tests.support.waiting import eventually

DUE_MS = 2_001
"""After so long nobody has moved a new execution in time."""


async def started(_: Taken) -> Response:
    """What the executor says to a direct call."""
    return Json({"result": "started"}, status_code=202)


async def away(_: Taken) -> Response:
    """What a proxy says when the executor is not there."""
    return Response("bad gateway", 502)


def watchdog(stage: Stage, executor: ExecutorClient | None = None, *, rate: int = 200) -> Watchdog:
    """A watchdog over the stage's store."""
    return Watchdog(stage.store, stage.relay, stage.acks, executor, rate=rate)


def direct(client: httpx.AsyncClient, url: str) -> ExecutorClient:
    """Direct calls to the executor at `url`."""
    return ExecutorClient(client, configured(EXECUTOR_URL=url))


async def overdue(stage: Stage, count: int = 1) -> list[str]:
    """Executions whose first message came to nothing."""
    found = [await stage.create(chain(1)) for _ in range(count)]
    stage.hand.forward(DUE_MS)
    return found


async def swept(stage: Stage, *watchdogs: Watchdog) -> list[int]:
    """One round of each, at the same time; what each moved."""
    found = await asyncio.gather(*(one.sweep() for one in watchdogs))
    await stage.acks.close()
    return found


async def test_an_overdue_execution_is_sent_once_by_two_watchdogs(stage: Stage) -> None:
    """Whoever comes second finds it not overdue any more."""
    executions = await overdue(stage, 12)
    moved = await swept(stage, watchdog(stage), watchdog(stage))

    assert sum(moved) == 12
    assert sorted(entry.execution for entry in await stage.outbox()) == sorted(executions)
    assert {entry.reason for entry in await stage.outbox()} == {"overdue"}
    assert [await watchdog(stage).sweep() for _ in range(3)] == [0, 0, 0]


async def test_what_is_not_overdue_is_left_alone(stage: Stage) -> None:
    """A millisecond too early, or held by somebody."""
    execution = await stage.create(chain(1))
    stage.hand.forward(1_990)
    assert await watchdog(stage).sweep() == 0

    await stage.store.acquire(execution, owner="a" * 32, lease_ms=11_000, segment=-1, cause="test")
    stage.hand.forward(11_400)
    assert await watchdog(stage).sweep() == 0
    stage.hand.forward(200)
    assert await watchdog(stage).sweep() == 1


async def test_a_direct_call_comes_first_and_costs_no_message(stage: Stage, client: httpx.AsyncClient) -> None:
    """The executor takes it, the entry is settled, and no relay sends it later."""
    [execution] = await overdue(stage)
    async with receiving(started) as there:
        await swept(stage, watchdog(stage, direct(client, there.url)))
        assert [request.path for request in there.taken] == ["/api/engine/execute-step"]
        assert there.taken[0].headers["prefer"] == "respond-async"
        assert execution in there.taken[0].body.decode()

    assert await stage.outbox() == []
    assert (await stage.header(execution))["message"] == "direct"
    stage.hand.forward(2_500)
    assert stage.queue.taken == []


async def test_a_direct_call_is_signed_with_our_own_key_for_a_minute(client: httpx.AsyncClient) -> None:
    """Issuer `intention`, the public URL, the hash of the very body."""
    async with receiving(started) as there:
        assert await direct(client, there.url).wake("exe_0a_" + "1" * 32, segment=4, reason="overdue")
        [request] = there.taken
        url = there.url + request.path
    token = request.headers["intention-signature"]
    claims = signing.verify(
        token, keys=[LOCAL_INTERNAL_KEY], issuer="intention", url=url, body=request.body, now=time.time(), leeway=0
    )

    assert claims.exp - claims.iat == pytest.approx(60)
    assert request.body == b'{"executionId":"exe_0a_' + b"1" * 32 + b'","segment":4,"reason":"overdue"}'


async def test_an_executor_that_is_away_leaves_the_entry_to_the_relay(stage: Stage, client: httpx.AsyncClient) -> None:
    """Nobody there, or a proxy that says so: two seconds later it goes through QStash."""
    async with receiving(away) as proxy:
        for url in (f"http://127.0.0.1:{free_port()}", proxy.url):
            [execution] = await overdue(stage)
            found = watchdog(stage, direct(client, url))
            await swept(stage, found)
            assert [entry.execution for entry in await stage.outbox()] == [execution]
            stage.hand.forward(2_001)
            await stage.relay.run_once(keys.partition_of(execution))
            await stage.acks.close()
            assert stage.queue.taken[-1].execution == execution
            assert await stage.outbox() == []
            assert (await stage.run(execution)).result == "COMPLETED"


async def test_a_sweep_moves_no_more_than_its_rate(stage: Stage) -> None:
    """A backlog must not become a storm; the rest is the next round's."""
    await overdue(stage, 30)
    paced = watchdog(stage, rate=12)

    assert [await paced.sweep() for _ in range(4)] == [12, 12, 6, 0]


async def test_each_re_send_waits_twice_as_long_for_the_next(stage: Stage) -> None:
    """2, 4, 8 s: nobody works, so nothing is gained by asking more often."""
    [execution] = await overdue(stage)
    found = watchdog(stage)
    for wait_ms in (2_000, 4_000, 8_000):
        assert await found.resend(execution)
        stage.hand.forward(wait_ms - 1)
        assert not await found.resend(execution)
        stage.hand.forward(1)
    assert await found.resend(execution)


async def test_an_odd_record_does_not_stop_the_round(stage: Stage) -> None:
    """What is no execution, and a record that no script can read: everything else is moved, relayed entries too."""
    executions = await overdue(stage, 3)
    broken = await stage.create(chain(1))
    await stage.redis.hset(keys.record(broken), "tries", "many")
    await stage.redis.zadd(keys.due("00"), {"garbage": 1, "exe_00_short": 1})
    entry = await stranded(stage)
    stage.hand.forward(DUE_MS)

    with capture_logs() as logs:
        await swept(stage, watchdog(stage))

    assert {line.get("what") for line in logs} >= {"garbage", "exe_00_short", broken}
    assert entry.id in {one.id for one in stage.queue.taken}
    sent = {one.execution for one in await stage.outbox()} | {one.execution for one in stage.queue.taken}
    assert sent >= set(executions)


async def stranded(stage: Stage) -> Entry:
    """A message that was committed and never sent: its process died right after the commit."""
    execution = await stage.create(chain(1))
    found = await stage.store.signal(execution, tenant="acme", sid="one", kind="event", payload=None)
    entry: Entry | None = getattr(found, "entry", None)
    assert entry is not None
    return entry


async def test_a_stranded_entry_is_relayed_once_by_two_relays(stage: Stage) -> None:
    """A claim keeps the second from sending it."""
    entries = [await stranded(stage) for _ in range(10)]
    stage.hand.forward(1_999)
    assert await swept(stage, watchdog(stage, rate=0)) == [0]
    stage.hand.forward(1)

    other = Relay(stage.store, stage.queue, stage.acks)
    await swept(stage, watchdog(stage, rate=0), Watchdog(stage.store, other, stage.acks, None, rate=0))

    assert sorted(entry.id for entry in stage.queue.taken) == sorted(entry.id for entry in entries)
    assert await stage.outbox() == []


async def test_an_entry_that_is_refused_is_tried_again_later_and_later_and_alone(stage: Stage) -> None:
    """2, 4, 8 s and so on to a minute; the others of its round are through."""
    good, bad = await stranded(stage), await stranded(stage)
    queue = ChoosyQueue()
    queue.bad = bad.id
    relay = Relay(stage.store, queue, stage.acks)
    found = Watchdog(stage.store, relay, stage.acks, None, rate=0)
    stage.hand.forward(2_000)
    await swept(stage, found)
    assert await stage.outbox() == [bad]

    for wait_ms in (2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000):
        stage.hand.forward(wait_ms - 1)
        assert await swept(stage, found) == [0]
        stage.hand.forward(1)
        assert await swept(stage, found) == [1]
    queue.bad = ""
    stage.hand.forward(60_000)
    await swept(stage, found)

    assert [entry.id for entry in queue.taken] == [good.id, bad.id]
    assert await stage.outbox() == []


class ChoosyQueue(SimulatedQueue):
    """Refuses one entry."""

    bad = ""

    async def publish(self, entry: Entry) -> Receipt:
        """See `shared.ports.Queue`."""
        return Receipt(error="too large") if entry.id == self.bad else await super().publish(entry)


async def test_the_entries_of_all_partitions_share_batches(stage: Stage, client: httpx.AsyncClient, there: Receiver) -> None:
    """Or a few, as their claims come in: while QStash hangs, a round does not take sixty-four time-outs."""
    entries = [await stranded_on(stage, partition) for partition in keys.all_partitions()]
    queue = QStashQueue(client, configured(QSTASH_URL=there.url))
    found = Watchdog(stage.store, Relay(stage.store, queue, stage.acks), stage.acks, None, rate=0)
    stage.hand.forward(2_001)

    await swept(stage, found)

    assert len(there.taken) <= 6
    assert sorted(one["headers"]["Upstash-Deduplication-Id"] for one in there.items) == sorted(one.id for one in entries)
    assert await stage.outbox() == []


async def stranded_on(stage: Stage, partition: str) -> Entry:
    """A stranded entry on a certain partition."""
    execution = await stage.create(chain(1), partition=partition)
    found = await stage.store.signal(execution, tenant="acme", sid="one", kind="event", payload=None)
    entry: Entry | None = getattr(found, "entry", None)
    assert entry is not None
    return entry


async def test_requests_sweep_a_little_at_most_once_a_second(stage: Stage) -> None:
    """One partition; a hundred requests are one look."""
    found = watchdog(stage)
    await asyncio.gather(*(found.lazily() for _ in range(100)))
    assert stage.store.calls["relay_claim"] == 1

    async def looked_again() -> bool:
        await found.lazily()
        return stage.store.calls["relay_claim"] == 2

    began = time.monotonic()
    await eventually(looked_again, describe="a second later it looks again")
    assert time.monotonic() - began > 0.8


async def test_requests_alone_move_everything_in_the_end(redis: Redis) -> None:
    """A deployment without a watchdog's loop: the lazy looks find what is overdue, partition by partition."""
    stage = staged(redis)
    execution = await stage.create(chain(1))
    stage.hand.forward(DUE_MS)
    found = watchdog(stage)
    for _ in range(2_000):
        found._lazy_at = -2.0
        await found.lazily()
        if await stage.outbox():
            break

    assert [entry.execution for entry in await stage.outbox()] == [execution]


async def test_a_lazy_look_while_the_store_is_away_is_nobodys_error(stage: Stage) -> None:
    """The request itself says what is wrong."""

    class Away(MeddlingStore):
        async def overdue(self, partition: str, *, limit: int, late_ms: int = 0) -> list[str]:
            raise Unavailable(f"no {partition}, no {limit}, no {late_ms}")

    store = Away(stage.redis, retention_ms=1)
    await Watchdog(store, stage.relay, Acks(store), None, rate=1).lazily()
