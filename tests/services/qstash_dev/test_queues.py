"""Queues, through the official client: first in, first out, so many at a time, and nothing overtakes."""

import asyncio
import signal
from collections import Counter

import pytest
from aiohttp import web
from qstash import QStash
from qstash.errors import QStashError

from tests.services.qstash_dev.support import Broker, Destination, Line, Process, Seen, Valkey, answers, eventually, talking_to
from tests.services.qstash_dev.support import broker as serving


class Gauge:
    """Counts requests that are being answered, by raw path."""

    def __init__(self, takes_s: float = 0.01) -> None:
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._takes_s = takes_s

    async def answer(self, seen: Seen) -> web.Response:
        """200 after a while."""
        self.now[seen.raw_path] += 1
        self.peak[seen.raw_path] = max(self.peak[seen.raw_path], self.now[seen.raw_path])
        await asyncio.sleep(self._takes_s)
        self.now[seen.raw_path] -= 1
        return web.Response()


async def fill(broker: Broker, queue: str, url: str, count: int, **headers: str) -> list[str]:
    """So many numbered messages in a queue, in one batch; their ids."""
    items = [{"destination": url, "queue": queue, "body": str(n), "headers": headers} for n in range(count)]
    return [one["messageId"] for one in (await broker.http.post("/v2/batch", json=items)).json()]


async def test_a_queue_keeps_its_order_one_at_a_time(broker: Broker, there: Destination) -> None:
    """Also over destinations, and the message says which queue it is in."""
    gauge = Gauge()
    there.answer = gauge.answer
    client = broker.client
    await client.queue.upsert("q", paused=True)
    ids = []
    for n in range(20):
        sent = await client.message.enqueue(queue="q", url=there.url, body=str(n))
        assert not isinstance(sent, list)
        ids.append(sent.message_id)
    found = await client.message.get(ids[-1])
    assert found.queue == "q"
    assert (await client.queue.get("q")).lag == 20
    assert there.seen == []
    await client.queue.resume("q")
    await there.gets(20)
    assert [seen.body for seen in there.seen] == [str(n).encode() for n in range(20)]
    assert gauge.peak["/"] == 1
    await broker.ends(ids[-1], "DELIVERED")
    assert (await client.queue.get("q")).lag == 0
    logs = (await client.log.list(filter={"queue": "q", "message_id": ids[-1]})).logs
    assert [one.queue for one in logs] == ["q"] * 3


async def test_the_next_one_waits_for_retries_and_callbacks(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """The order of everything that arrives, at both destinations, is that of one message after the other."""
    there.answer = answers((500, {}), (200, {}), (200, {}))
    elsewhere.answer = answers((500, {}))
    order: list[str] = []

    def noting(name: str, destination: Destination) -> None:
        plain = destination.answer

        async def answer(seen: Seen) -> web.Response:
            order.append(name + (seen.body.decode() if name == "m" else ""))
            return await plain(seen)

        destination.answer = answer

    noting("m", there)
    noting("callback", elsewhere)
    options = {"Upstash-Retry-Delay": "20", "Upstash-Callback": elsewhere.url, "Upstash-Callback-Retry-Delay": "20"}
    ids = await fill(broker, "q", there.url, 3, **options)
    await elsewhere.gets(5)
    await broker.ends(ids[-1], "DELIVERED")
    # the first attempt's callback is refused once, so it comes again; where it falls before m1 is open
    assert [one for one in order if one != "callback"] == ["m0", "m0", "m1", "m2"]
    assert order.index("m1") == 5
    assert order[5:] == ["m1", "callback", "m2", "callback"]


async def test_a_failed_message_makes_way_for_the_next(broker: Broker, there: Destination) -> None:
    """It is in the dead-letter queue under its queue's name, and a retry of it joins the queue again."""
    there.answer = answers((500, {}))
    first, second = await fill(broker, "q", there.url, 2, **{"Upstash-Retries": "0"})
    await broker.ends(second, "DELIVERED")
    dead = (await broker.client.dlq.list(filter={"queue": "q"})).messages
    assert [one.message_id for one in dead] == [first]
    assert (await broker.client.dlq.list(filter={"queue": "other"})).messages == []
    again = (await broker.http.post(f"/v2/dlq/retry/{dead[0].dlq_id}")).json()["messageId"]
    await broker.ends(again, "DELIVERED")
    assert (await broker.get(f"/v2/messages/{again}"))["queueName"] == "q"


async def test_parallelism_is_reached_and_never_exceeded(broker: Broker, there: Destination) -> None:
    """Counted at the destination, for three queues side by side, with failures in between."""
    gauge = Gauge()
    plain = gauge.answer

    async def answer(seen: Seen) -> web.Response:
        response = await plain(seen)
        failed = seen.retried == 0 and int(seen.body) % 5 == 0
        return web.Response(status=500) if failed else response

    there.answer = answer
    for name, limit in (("one", 1), ("three", 3), ("seven", 7)):
        await broker.client.queue.upsert(name, parallelism=limit)
        await fill(broker, name, f"{there.url}/{name}", 40, **{"Upstash-Retry-Delay": "1"})
    await there.gets(3 * 48)
    assert dict(gauge.peak) == {"/one": 1, "/three": 3, "/seven": 7}


async def test_more_parallelism_lets_more_start_at_once(broker: Broker, there: Destination) -> None:
    """And an upsert without `paused` resumes a paused queue."""
    release = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await release.wait()
        return web.Response()

    there.answer = answer
    await fill(broker, "q", there.url, 5)
    await there.gets(1)
    await broker.client.queue.pause("q")
    await broker.client.queue.pause("q")
    assert (await broker.client.queue.get("q")).paused
    await broker.client.queue.upsert("q", parallelism=4)
    queue = await broker.client.queue.get("q")
    assert (queue.parallelism, queue.paused, queue.lag) == (4, False, 5)
    assert queue.updated_at >= queue.created_at
    await there.gets(4)
    assert len(there.seen) == 4
    release.set()
    await there.gets(5)


async def test_queues_are_listed_and_deleted_with_what_is_in_them(broker: Broker, there: Destination) -> None:
    """A deleted one is 404; deleting it again is fine; its messages are cancelled."""
    client = broker.client
    ids = [await fill(broker, name, there.url, 1, **{"Upstash-Delay": "1h"}) for name in ("b", "a")]
    assert await client.queue.list() == []  # a delayed message joins when its time has come
    await client.message.cancel_many([one for found in ids for one in found])
    await client.queue.upsert("b", paused=True)
    await client.queue.upsert("a", paused=True)
    many = await fill(broker, "b", there.url, 700)
    assert [(one.name, one.lag) for one in await client.queue.list()] == [("b", 700), ("a", 0)]
    await client.queue.delete("b")
    await client.queue.delete("b")
    assert [one.name for one in await client.queue.list()] == ["a"]
    with pytest.raises(QStashError, match="404"):
        await client.queue.get("b")
    for action in ("pause", "resume"):
        assert (await broker.http.post(f"/v2/queues/b/{action}")).status_code == 404
    assert await broker.states(many[-1]) == ["CREATED", "CANCEL_REQUESTED", "CANCELED"]


async def test_a_delayed_message_joins_when_its_time_has_come(broker: Broker, there: Destination) -> None:
    """So it does not hold up those that came after it."""
    await broker.http.post(f"/v2/enqueue/q/{there.url}/late", headers={"Upstash-Delay": "1s"})
    await broker.http.post(f"/v2/enqueue/q/{there.url}/soon")
    await there.gets(2)
    assert [seen.raw_path for seen in there.seen] == ["/soon", "/late"]


async def test_a_cancelled_message_leaves_its_queue(broker: Broker, there: Destination) -> None:
    """Waiting or on the wire; the next one starts."""
    hang = asyncio.Event()

    async def answer(seen: Seen) -> web.Response:
        if seen.body == b"0":
            await hang.wait()
        return web.Response()

    there.answer = answer
    ids = await fill(broker, "q", there.url, 4)
    await there.gets(1)
    assert (await broker.http.delete("/v2/messages?queueName=other")).json() == {"cancelled": 0}
    assert await broker.client.message.cancel_many([ids[1], ids[0]]) == 2
    await there.gets(3)
    hang.set()
    assert [seen.body for seen in there.seen] == [b"0", b"2", b"3"]
    await broker.client.queue.upsert("paused", paused=True)
    await fill(broker, "paused", there.url, 3)
    assert (await broker.http.delete("/v2/messages?queueName=paused")).json() == {"cancelled": 3}


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", "a:b"])
async def test_a_wrong_queue_name_or_setting_is_refused(broker: Broker, there: Destination, name: str) -> None:
    """400 in the API's shape; more consumers than allowed are 412."""
    assert (await broker.http.post("/v2/queues", json={"queueName": name})).status_code == 400
    assert (await broker.http.post("/v2/queues", json={"queueName": "q", "parallelism": 0})).status_code == 400
    assert (await broker.http.post("/v2/queues", json={"queueName": "q", "parallelism": 9999})).status_code == 412
    (answer,) = (await broker.http.post("/v2/batch", json=[{"destination": there.url, "queue": name}])).json()
    assert "queue name" in answer["error"]
    assert await broker.client.queue.list() == []


async def test_the_synchronous_client_works_as_well(broker: Broker, there: Destination) -> None:
    """Queue, message and log, from a thread."""

    def use() -> int:
        client = QStash(broker.token, base_url=broker.url, retry=False)
        client.queue.upsert("q", parallelism=2)
        client.message.enqueue_json(queue="q", url=there.url, body={"a": 1})
        try:
            return client.queue.get("q").parallelism
        finally:
            client.http._client.close()

    assert await asyncio.to_thread(use) == 2
    (seen,) = await there.gets(1)
    assert seen.body == b'{"a": 1}'


@pytest.mark.system
async def test_lost_replies_neither_stop_nor_reorder_a_queue(own_valkey: Valkey, there: Destination) -> None:
    """Nor do they exceed a flow-control key's parallelism; whichever command each was the answer to."""
    line, gauge = Line(own_valkey.url), Gauge(0.001)
    there.answer = gauge.answer
    headers = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": "parallelism=2"}
    async with line.open() as url, serving(url) as broker:
        await eventually(lambda: broker.http.get("/readyz"), "it answers")
        await fill(broker, "q", f"{there.url}/q", 40)
        await fill(broker, "", f"{there.url}/k", 40, **headers)
        for _ in range(20):
            await eventually(lambda: not line.lose, "a reply is lost")
            line.lose = len(there.seen) < 75
        await eventually(lambda: len({seen.message_id for seen in there.seen}) == 80, "all are delivered", within=20)
    assert line.lost > 3
    numbers = [int(seen.body) for seen in there.at("/q")]
    assert numbers == sorted(numbers)
    assert gauge.peak["/q"] == 1
    assert gauge.peak["/k"] <= 2


@pytest.mark.system
async def test_a_queue_keeps_its_order_over_kills(process: Process, there: Destination, elsewhere: Destination) -> None:
    """Killed three times in the middle, with retries and callbacks under way: none lost, none overtaken, one at a time."""
    gauge = Gauge(0.005)

    async def answer(seen: Seen) -> web.Response:
        response = await gauge.answer(seen)
        return web.Response(status=500) if seen.retried == 0 and int(seen.body) % 4 == 0 else response

    there.answer = answer
    async with talking_to(process.url) as broker:
        await fill(broker, "q", there.url, 60, **{"Upstash-Retry-Delay": "5", "Upstash-Callback": elsewhere.url})
    for reached in (5, 25, 45):
        await eventually(lambda reached=reached: len(there.seen) >= reached, f"{reached} deliveries")  # type: ignore[misc]
        await process.end(signal.SIGKILL)
        process.start()
        await process.answers("/readyz", 200)
    await eventually(lambda: there.seen and there.seen[-1].body == b"59", "the last one", within=20)
    numbers = [int(seen.body) for seen in there.seen]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(60))
    async with talking_to(process.url) as broker:

        async def empty() -> bool:
            return (await broker.client.queue.get("q")).lag == 0

        await eventually(empty, "the queue is empty", within=15)
    assert len({seen.message_id for seen in elsewhere.seen}) == 75  # 60 deliveries and 15 attempts that failed
