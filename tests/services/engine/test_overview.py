"""`GET /api/overview`: the counts are those of the records, and what is known of each channel stands in one place."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.machine.decision import Start
from shared.machine.events import Outcome, Refused
from shared.redisdb import keys
from shared.redisdb.positions import Positions
from shared.redisdb.tallies import MINUTES
from shared.settings import Secret
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import Stage, chain, configured, really, staged
from tests.services.engine.test_kinds import call, created, go, tell
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

AUTH = {"Authorization": f"Bearer {KEY}"}
WAITS = {"name": "w", "wait": {"events": [{"name": "paid"}], "timeout_ms": 3_600_000}}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}


async def overview(site: Site, headers: dict[str, str] = AUTH) -> Any:
    """The answer."""
    answer = await site.call("ingress", "GET", "/api/overview", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def recounted(redis: Any) -> Counter[str]:
    """How many records stand where, by looking at each."""
    statuses: Counter[str] = Counter()
    async for name in redis.scan_iter("ie:*:x:exe_*", count=1000):
        statuses[(await redis.hget(name, "status")).decode()] += 1
    return statuses


@pytest.fixture
async def alone(redis: Redis, valkey: Valkey) -> AsyncIterator[Site]:  # noqa: ARG001 - it empties the store
    """The services without a second channel."""
    async with AsyncExitStack() as stack:
        yield Site(msgspec.structs.replace(configured(**variables(valkey)), ably_api_key=Secret("")), stack)


async def refused(_: Start, __: float) -> Outcome:
    """A tool that says no."""
    return Refused(code="sold_out", message="no", retryable=False)


async def test_the_counts_are_those_of_the_records_whatever_has_become_of_them(redis: Redis, site: Site) -> None:
    """Done, failed and undone, waiting, paused, cancelled, gone on, purged: after each move."""
    stage = staged(redis)
    stage.tools.acts["no"] = refused

    async def agrees() -> Any:
        found = await overview(site)
        assert found["executions"]["byStatus"] == dict(await recounted(redis))
        assert found["executions"]["total"] == sum((await recounted(redis)).values())
        return found

    for name in ("a", "no"):
        one = await created(stage, call(name))
        await agrees()
        await go(stage, one)
        await agrees()
    undone = await created(stage, call("b"), call("no", needs=["b"]))
    await go(stage, undone)
    assert (await agrees())["waiting"] == {"count": 0, "oldest": None}
    waits = await created(stage, WAITS)
    await go(stage, waits)
    found = await agrees()
    assert (found["waiting"]["count"], found["waiting"]["oldest"]["id"]) == (1, waits)
    assert (found["waiting"]["oldest"]["status"], found["waiting"]["oldest"]["reason"]) == ("SUSPENDED", "event")
    stage.hand.forward(60_000)
    later = await created(stage, WAITS)
    await go(stage, later)
    found = await agrees()
    assert (found["waiting"]["count"], found["waiting"]["oldest"]["id"]) == (2, waits)
    await tell(stage, waits, "cancel", reason="enough")
    await go(stage, waits)
    found = await agrees()
    assert (found["waiting"]["count"], found["waiting"]["oldest"]["id"]) == (1, later)
    stage.hand.forward(stage.store._retention_ms)
    assert await stage.store.purge(waits)
    await agrees()


async def test_each_minute_says_what_began_ended_and_failed_in_it(redis: Redis, site: Site) -> None:
    """The last one is now; of partitions the sum."""
    stage = really(redis)
    stage.tools.acts["no"] = refused
    before = await overview(site)
    for partition in ("00", "0a", "3f"):
        execution = await stage.create(chain(1), partition=partition)
        await stage.run(execution)
    await go(stage, await created(stage, call("no")))
    await stage.create(chain(1))
    found = await overview(site)
    assert len(found["minutes"]) == MINUTES
    latest = [one for one in found["minutes"] if one["at"] >= before["minutes"][-1]["at"]]  # it may have turned meanwhile
    sums = {name: sum(one[name] for one in latest) for name in ("started", "ended", "failed")}
    assert sums == {"started": 5, "ended": 4, "failed": 1}
    assert sum(one["started"] for one in found["minutes"]) == 5
    assert found["minutes"] == sorted(found["minutes"], key=lambda one: str(one["at"]))


async def test_a_minute_that_is_long_over_is_not_told_and_makes_room(stage: Stage, site: Site) -> None:
    """32 minutes have a place each."""
    await stage.create(chain(1), partition="0a")
    fields = keys.tally("0a", "acme")
    redis: Any = stage.redis
    first = {name for name in await redis.hkeys(fields) if name.startswith(b"m")}
    stage.hand.forward(32 * 60_000)
    await stage.create(chain(1), partition="0a")
    assert {name for name in await redis.hkeys(fields) if name.startswith(b"m")} == first
    assert (await redis.hget(fields, first.pop())).endswith(b":1:0:0")
    assert sum(one["started"] for one in (await overview(site))["minutes"]) == 0  # the hand clock is not the server's


async def test_a_tenant_sees_its_own_only(stage: Stage, site: Site) -> None:
    """Counts, waits, minutes and quota."""
    await go(stage, await created(stage, WAITS))
    found = await overview(site, OTHER)
    assert (found["executions"], found["waiting"]) == ({"total": 0, "byStatus": {}}, {"count": 0, "oldest": None})
    assert found["quota"]["concurrent"]["running"] == 0


async def test_what_is_known_of_the_channels_stands_in_one_place(redis: Redis, site: Site) -> None:
    """Nothing is claimed of what nobody has tried; then QStash is away, the watchdog has looked, the subscriber has heard."""
    found = (await overview(site))["channels"]
    assert found["watchdog"] == {"there": False, "sweptAt": None}
    assert found["qstash"] == {"there": None, "error": None, "awayMs": None, "waitingMessages": 0}
    assert found["ably"] == {
        "configured": True, "there": None, "error": None, "awayMs": None, "subscriber": {"there": False, "heardAt": None},
    }  # fmt: skip
    await site.execution()

    async def away() -> bool:
        return (await overview(site))["channels"]["qstash"]["there"] is False

    await eventually(away, within=60, describe="its message found nobody")
    app = await site.app("resume")
    await app.state.deps.watchdog.sweep()
    seconds, micros = await redis.time()
    now_ms = seconds * 1000 + micros // 1000
    await Positions(redis).save({"mesh:engine": now_ms - 200_000, "mesh:resume:acme": now_ms})
    found = (await overview(site))["channels"]
    assert found["qstash"]["error"]
    assert found["watchdog"]["there"]
    assert found["watchdog"]["sweptAt"]
    assert found["ably"]["subscriber"]["there"]


async def test_without_a_second_channel_it_says_so(alone: Site) -> None:
    """Null, not broken."""
    found = (await overview(alone))["channels"]["ably"]
    assert (found["configured"], found["there"], found["subscriber"]) == (False, None, None)
