"""Flow control and slow destinations: what must never be exceeded, and what must never be held up."""

import asyncio
from collections import Counter

import pytest
from aiohttp import web

from services.qstash_dev.lanes import MAX_IN_FLIGHT, MAX_PER_ORIGIN
from tests.services.qstash_dev.support import Broker, Destination, Seen, eventually


class Gauge:
    """Counts requests that are being answered, by the header `Key`."""

    def __init__(self, takes_s: float) -> None:
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._takes_s = takes_s

    async def answer(self, seen: Seen) -> web.Response:
        """200 after a while."""
        key = seen.header.get("Key", "")
        self.now[key] += 1
        self.peak[key] = max(self.peak[key], self.now[key])
        await asyncio.sleep(self._takes_s)
        self.now[key] -= 1
        return web.Response()


def item(url: str, key: str, parallelism: int) -> dict[str, object]:
    """A batch item under flow control."""
    headers = {"Upstash-Flow-Control-Key": key, "Upstash-Flow-Control-Value": f"parallelism={parallelism}"}
    return {"destination": url, "headers": headers | {"Upstash-Forward-Key": key}}


async def test_parallelism_is_reached_and_never_exceeded(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """Per key and over destinations; two keys do not share a limit, and messages without one are free."""
    gauge = Gauge(0.02)
    there.answer = elsewhere.answer = gauge.answer
    items = [
        item(url, key, limit) for _ in range(15) for url in (there.url, elsewhere.url) for key, limit in (("a", 3), ("b", 1))
    ]
    items += [{"destination": there.url} for _ in range(10)]
    answered = (await broker.http.post("/v2/batch", json=items)).json()
    assert not any("error" in one for one in answered)
    await eventually(lambda: len(there.seen) + len(elsewhere.seen) == 70 and not gauge.now.total(), "all are delivered")
    assert (gauge.peak["a"], gauge.peak["b"]) == (3, 1)
    assert gauge.peak[""] > 3


async def test_a_failed_attempt_gives_its_place_back(broker: Broker, there: Destination) -> None:
    """A key of parallelism 1 whose messages fail and are retried still gets through all of them."""
    gauge = Gauge(0.0)

    async def answer(seen: Seen) -> web.Response:
        await gauge.answer(seen)
        return web.Response(status=200 if seen.retried else 500)

    there.answer = answer
    items = [item(there.url, "k", 1) for _ in range(10)]
    for one in items:
        one["headers"] |= {"Upstash-Retry-Delay": "5"}  # type: ignore[operator]
    await broker.http.post("/v2/batch", json=items)
    await there.gets(20)
    assert gauge.peak["k"] == 1


async def test_a_slow_destination_does_not_hold_up_another(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """More messages than may be on the wire wait for a destination that never answers; the other is served at once."""
    stuck = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await stuck.wait()
        return web.Response()

    there.answer = answer
    for _ in range(3):
        await broker.http.post("/v2/batch", json=[{"destination": there.url}] * 100)
    await there.gets(MAX_PER_ORIGIN)
    message_id = await broker.publish(elsewhere.url)
    (seen,) = await elsewhere.gets(1)
    assert seen.message_id == message_id
    assert len(there.seen) == MAX_PER_ORIGIN < MAX_IN_FLIGHT
    stuck.set()
    await there.gets(300)
    assert len({one.message_id for one in there.seen}) == 300


@pytest.mark.parametrize("value", ["parallelism=0", "parallelism=x", "parallel=1", "period=1s", "parallelism=1,period=8d", ""])
async def test_a_wrong_flow_control_value_is_refused(broker: Broker, there: Destination, value: str) -> None:
    """A limit that cannot be read must not be no limit."""
    headers = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": value}
    assert (await broker.http.post(f"/v2/publish/{there.url}", headers=headers)).status_code == 400
