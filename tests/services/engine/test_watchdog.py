"""What nobody moved in time is moved: once by however many watchdogs, by a direct call first, else by a message."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis
from starlette.responses import Response
from structlog.testing import capture_logs

from shared import signing
from shared.errors import Unavailable
from shared.executor_client import ExecutorClient
from shared.http import Json
from shared.http_client import HttpClient
from shared.ports import Entry, Receipt
from shared.qstash import QStashQueue, item
from shared.redisdb import keys
from shared.redisdb.connect import connect
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
from tests.support.executions import NOW
from tests.support.overdue import fill
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

DUE_MS = 2_001
"""After so long nobody has moved a new execution in time."""


async def started(_: Taken) -> Response:
    """What the executor says to a direct call."""
    return Json({"result": "started"}, status_code=202)


async def away(_: Taken) -> Response:
    """What a proxy says when the executor is not there."""
    return Response("bad gateway", 502)


def watchdog(
    stage: Stage, executor: ExecutorClient | None = None, *, rate: int = 200, seconds: Callable[[], float] | None = None
) -> Watchdog:
    """A watchdog over the stage's store."""
    return Watchdog(stage.store, stage.relay, stage.acks, executor, rate=rate, seconds=seconds)


def direct(caller: HttpClient, url: str) -> ExecutorClient:
    """Direct calls to the executor at `url`."""
    return ExecutorClient(caller, configured(EXECUTOR_URL=url))


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
    assert sorted(entry.execution for entry in stage.queue.taken) == sorted(executions)
    assert {entry.reason for entry in stage.queue.taken} == {"overdue"}
    assert await stage.outbox() == []
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
    assert await swept(stage, watchdog(stage)) == [1]


async def test_a_direct_call_comes_first_and_costs_no_message(stage: Stage, caller: HttpClient) -> None:
    """The executor takes it, the entry is settled, and no relay sends it later."""
    [execution] = await overdue(stage)
    async with receiving(started) as there:
        await swept(stage, watchdog(stage, direct(caller, there.url)))
        assert [request.path for request in there.taken] == ["/api/engine/execute-step"]
        assert there.taken[0].headers["prefer"] == "respond-async"
        assert execution in there.taken[0].body.decode()

    assert await stage.outbox() == []
    assert (await stage.header(execution))["message"] == "direct"
    stage.hand.forward(2_500)
    assert stage.queue.taken == []


async def test_a_direct_call_is_signed_with_our_own_key_for_a_minute(caller: HttpClient) -> None:
    """Issuer `intention`, the public URL, the hash of the very body."""
    async with receiving(started) as there:
        assert await direct(caller, there.url).wake("exe_0a_" + "1" * 32, segment=4, reason="overdue")
        [request] = there.taken
        url = there.url + request.path
    token = request.headers["intention-signature"]
    claims = signing.verify(
        token, keys=[LOCAL_INTERNAL_KEY], issuer="intention", url=url, body=request.body, now=time.time(), leeway=0
    )

    assert claims.exp - claims.iat == pytest.approx(60)
    assert request.body == b'{"executionId":"exe_0a_' + b"1" * 32 + b'","segment":4,"reason":"overdue"}'


async def test_an_executor_that_is_away_leaves_the_entry_to_the_relay(stage: Stage, caller: HttpClient) -> None:
    """Nobody there, or a proxy that says so: two seconds later it goes through QStash."""
    async with receiving(away) as proxy:
        for url in (f"http://127.0.0.1:{free_port()}", proxy.url):
            [execution] = await overdue(stage)
            found = watchdog(stage, direct(caller, url))
            await swept(stage, found)
            assert [entry.execution for entry in await stage.outbox()] == [execution]
            assert found.report()["resent"] == {"direct": 0, "messages": 0, "unanswered": 1}
            stage.hand.forward(2_001)
            await stage.relay.run_once(keys.partition_of(execution))
            await stage.acks.close()
            assert stage.queue.taken[-1].execution == execution
            assert await stage.outbox() == []
            assert (await stage.run(execution)).result == "COMPLETED"


async def test_a_socket_that_is_cut_while_it_opens_is_an_executor_that_is_away(caller: HttpClient) -> None:
    """A false alarm of ours, where a partner has gone."""

    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await direct(caller, url).wake("exe_0a_" + "1" * 32, reason="overdue") is False


async def test_a_sweep_moves_no_more_than_its_rate(stage: Stage, caller: HttpClient) -> None:
    """The rest is the next round's, while executors answer."""
    await overdue(stage, 30)
    async with receiving(started) as there:
        paced = watchdog(stage, direct(caller, there.url), rate=12)
        assert [await paced.sweep() for _ in range(4)] == [12, 12, 6, 0]
    assert paced.report()["resent"] == {"direct": 30, "messages": 0, "unanswered": 0}


async def test_a_standstill_costs_few_messages_and_what_moves_afterwards_opens_the_window(stage: Stage) -> None:
    """A minute in which QStash takes everything and no executor moves; then all of them do, and the window opens again."""
    executions = await overdue(stage, 200)
    found = watchdog(stage, seconds=lambda: stage.hand.monotonic_ms() / 1000)
    for _ in range(60):
        await swept(stage, found)
        stage.hand.forward(1_000)
    resent = len(stage.queue.taken)
    assert 0 < resent <= 0.3 * len(executions)
    assert found.report()["window"]["size"] == 1

    delivered = 0
    for _ in range(20):
        some = stage.queue.taken[delivered:]
        delivered += len(some)
        for entry in some:
            await stage.run(entry.execution, segment=entry.segment)
        stage.hand.forward(1_000)
        await swept(stage, found)
    assert {(await stage.header(execution))["status"] for execution in executions} == {"COMPLETED"}
    assert len(stage.queue.taken) <= 1.2 * len(executions)
    assert found.report()["window"]["size"] > 100


async def test_executors_that_hang_are_called_once_a_second_by_one(caller: HttpClient) -> None:
    """The others fail at once; the first good answer opens the door for all again."""
    answering = asyncio.Event()

    async def hanging(_: Taken) -> Response:
        await answering.wait()
        return Json({"result": "started"}, status_code=202)

    async with receiving(hanging) as there:
        executor = direct(caller, there.url)
        assert not any(await asyncio.gather(*(executor.wake(f"exe_0a_{n:032x}", reason="overdue") for n in range(3))))
        assert not there_now(executor)
        began = len(there.taken)
        assert not any(await asyncio.gather(*(executor.wake(f"exe_0a_{n:032x}", reason="overdue") for n in range(50))))
        assert len(there.taken) - began <= 1
        answering.set()

        async def answered() -> bool:
            return await executor.wake("exe_0a_" + "1" * 32, reason="overdue")

        await eventually(answered, describe="the next probe is answered")
        assert there_now(executor)
        assert all(await asyncio.gather(*(executor.wake(f"exe_0a_{n:032x}", reason="overdue") for n in range(5))))


def there_now(executor: ExecutorClient) -> bool:
    """What it takes the executor for."""
    return executor.reach.there


async def test_two_watchdogs_at_once_add_one_message_each_time(stage: Stage) -> None:
    """However late they take deliveries to be, and whoever comes first."""
    executions = await overdue(stage, 10)
    await stage.store.share_lag(700)
    pair = [watchdog(stage), watchdog(stage)]
    assert await swept(stage, *pair) == [0, 0]
    stage.hand.forward(800)
    assert sum(await swept(stage, *pair)) == 10
    assert sorted(entry.execution for entry in stage.queue.taken) == sorted(executions)


async def test_while_messages_flow_a_backlog_is_not_re_sent(stage: Stage) -> None:
    """Five at a time of a thousand that were queued at once: the last waits 40 s. When they stop flowing, it takes seconds."""
    waiting = [(await stage.create(chain(1)), stage.store.now_ms or 0) for _ in range(1_000)]
    found = watchdog(stage, seconds=lambda: stage.hand.monotonic_ms() / 1000)
    stage.interpreter.lag = found.lag
    for tick in range(150):
        for execution, queued_ms in waiting[5 * tick : 5 * tick + 5]:
            await stage.run(execution, segment=0, queued_ms=queued_ms)
        stage.hand.forward(200)
        await found.lazily()
        if tick % 5 == 4:
            assert await found.sweep() == 0, f"after {tick / 5} s"
    assert await stage.store.lag() > 20_000

    await stage.redis.delete(keys.delivery_lag())  # as it goes by itself when nobody measures
    assert await found.sweep() > 0


async def test_only_fresh_deliveries_of_messages_are_measured(stage: Stage) -> None:
    """Not a retry, not a direct call, not a message that lay in the outbox, not one that runs nothing."""
    now = stage.store.now_ms or 0
    execution = await stage.create(chain(1))
    await stage.run(execution, segment=0, queued_ms=now - 700, retried=1)
    assert stage.interpreter.lag.take() is None
    await stage.run(execution, segment=0, queued_ms=now - 700)
    assert stage.interpreter.lag.take() is None, "it is over"
    await stage.run(await stage.create(chain(1)))
    assert stage.interpreter.lag.take() is None
    await stage.run(await stage.create(chain(1)), segment=0, queued_ms=now - 700)
    assert stage.interpreter.lag.take() == 700


async def test_a_message_says_when_it_was_queued_unless_it_lay_in_the_outbox(stage: Stage) -> None:
    """Or is to be delivered later: neither would say anything of QStash."""
    now = stage.store.now_ms or 0
    entry = await stranded(stage)
    assert entry.queued_ms == now
    assert b'"queuedMs":%d' % now in item(entry, configured(), now_s=now / 1000).body.encode()
    stage.hand.forward(2_000)
    await swept(stage, watchdog(stage, rate=0))
    assert [one.queued_ms for one in stage.queue.taken] == [0]


async def test_tenants_take_turns_when_not_all_can_be_re_sent(stage: Stage, caller: HttpClient) -> None:
    """One with five is done in the first round, although another has many older ones."""
    await fill(stage.redis, {"whale": 2_000}, due_ms=NOW - 60_000)
    few = await fill(stage.redis, {"small": 5}, due_ms=NOW - 50_000)
    async with receiving(started) as there:
        paced = watchdog(stage, direct(caller, there.url), rate=20)
        assert await paced.sweep() == 20
        called = {msgspec.json.decode(request.body)["executionId"] for request in there.taken}
    assert set(few) <= called


async def test_a_sweep_that_may_not_take_long_stops_and_says_what_is_left(stage: Stage, caller: HttpClient) -> None:
    """And one that gets through says that nothing is."""
    await overdue(stage, 30)
    async with receiving(started) as there:
        executor = direct(caller, there.url)
        assert await watchdog(stage, executor, rate=10).sweep_within(0.5, every_s=9) == (10, 20)
        assert await watchdog(stage, executor, rate=10).sweep_within(30, every_s=0.01) == (20, 0)


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
    await stage.acks.close()


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


async def test_the_entries_of_all_partitions_share_batches(stage: Stage, caller: HttpClient, there: Receiver) -> None:
    """Or a few, as their claims come in: while QStash hangs, a round does not take sixty-four time-outs."""
    entries = [await stranded_on(stage, partition) for partition in keys.all_partitions()]
    queue = QStashQueue(caller, configured(QSTASH_URL=there.url))
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
        if stage.queue.taken:
            break

    assert [entry.execution for entry in stage.queue.taken] == [execution]


async def test_a_lazy_look_while_the_store_is_away_is_nobodys_error(stage: Stage) -> None:
    """The request itself says what is wrong."""

    class Away(MeddlingStore):
        async def overdue(self, partition: str, *, limit: int, late_ms: int = 0) -> list[str]:
            raise Unavailable(f"no {partition}, no {limit}, no {late_ms}")

    store = Away(stage.redis, retention_ms=1)
    await Watchdog(store, stage.relay, Acks(store), None, rate=1).lazily()


async def test_a_cluster_is_looked_through_partition_by_partition(tmp_path: Path) -> None:
    """One command may not ask there whether anything lies on any partition. What is overdue is found all the same."""
    server = Valkey(tmp_path, cluster=True)
    server.start()
    try:
        async with connect(server.url) as redis:
            stage = staged(redis)
            assert await swept(stage, watchdog(stage)) == [0]
            executions = await overdue(stage, 3)
            assert await swept(stage, watchdog(stage)) == [3]
            assert sorted(entry.execution for entry in stage.queue.taken) == sorted(executions)
    finally:
        server.kill()
