"""The door for hints: what is durable and when, what a tenant may send, and that no flood reaches the log or another tenant."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from shared.background import Background
from shared.door import DROPPED, DUE, EVENTS_AT_ONCE, NOTHING, WOKEN, Door
from shared.errors import Unavailable
from shared.event_ports import EVENTS_MOST
from shared.event_relay import EventRelay
from shared.executor_client import ExecutorClient
from shared.http_client import HttpClient
from shared.mesh import CONTINUE, MOST, Hint
from shared.ports import Accepted, Hinted, NotAccepted
from shared.redisdb import keys
from shared.redisdb.events import RedisEvents
from shared.redisdb.store import INBOX_LIMIT
from shared.telling import Teller
from tests.services.engine.site import NOBODY
from tests.services.engine.support import Receiver, Stage, Taken, chain, configured, receiving
from tests.support.executions import NOW
from tests.support.valkey import free_port

RATE = 20


class Hands:
    """A door whose clock the test holds, with everything behind it."""

    def __init__(self, stage: Stage, caller: HttpClient, url: str, store: Any = None) -> None:
        """`url`: of the executor. `store`: one that misbehaves."""
        self.now_s = 100.0
        self.stage = stage
        self.background = Background()
        events = RedisEvents(stage.redis, now_ms=NOW)
        relay = EventRelay(events, stage.store, lambda *_: None)
        teller = Teller(store or stage.store, stage.interpreter.sender, relay, self.background)
        executor = ExecutorClient(caller, configured(EXECUTOR_URL=url))
        self.door = Door(store or stage.store, executor, teller, hints_per_s=RATE, clock=lambda: self.now_s)

    async def inbox(self, execution: str) -> int:
        """How many signals it got."""
        redis: Any = self.stage.redis
        return int(await redis.hget(keys.record(execution), "inbox"))

    async def due_ms(self, execution: str) -> float | None:
        """When it is due."""
        found: float | None = await self.stage.redis.zscore(keys.due(keys.partition_of(execution)), execution)
        return found


@pytest.fixture
async def executor() -> AsyncIterator[Receiver]:
    """Who is asked to run it."""

    async def started(_: Taken) -> Response:
        return Response(b'{"result":"started"}', 202)

    async with receiving(started) as found:
        yield found


@pytest.fixture
def hands(stage: Stage, caller: HttpClient, executor: Receiver) -> Hands:
    """The door."""
    return Hands(stage, caller, executor.url)


def hint(execution: str, message: str = "m", **more: Any) -> Hint:
    """A hint."""
    return Hint(message=message, execution=execution, **more)


async def test_a_hint_is_due_and_woken_once_whichever_way_it_comes(hands: Hands, executor: Receiver) -> None:
    """The segment that the executor is asked for is the current one."""
    execution = await hands.stage.create(chain(1))
    assert await hands.door.take(hint(execution)) == (WOKEN, 0)
    found = await asyncio.gather(*(hands.door.take(hint(execution)) for _ in range(5)))
    assert {segment for _, segment in found} == {None}
    assert await hands.due_ms(execution) == NOW
    assert [json.loads(one.body)["segment"] for one in executor.taken] == [0]
    assert hands.door.counts == {"woken": 1, "seen": 5}


async def test_side_by_side_it_is_still_woken_once(hands: Hands, executor: Receiver) -> None:
    """A subscriber and a webhook have it at the same moment."""
    execution = await hands.stage.create(chain(1))
    found = await asyncio.gather(*(hands.door.take(hint(execution)) for _ in range(20)))
    assert [segment for _, segment in found if segment is not None] == [0]
    assert len(executor.taken) == 1


async def test_an_executor_that_is_away_leaves_it_due(stage: Stage, caller: HttpClient) -> None:
    """Which is all that a hint promises."""
    hands = Hands(stage, caller, f"http://127.0.0.1:{free_port()}")
    execution = await stage.create(chain(1))
    assert await hands.door.take(hint(execution)) == (DUE, 0)
    assert await hands.due_ms(execution) == NOW


@pytest.mark.parametrize("execution", [NOBODY, "nonsense", "exe_ff_" + "0" * 32, ""])
async def test_an_unknown_id_is_one_line(hands: Hands, execution: str) -> None:
    """And no error."""
    with capture_logs() as lines:
        assert await hands.door.take(hint(execution, tenant="acme")) == (NOTHING, None)
    assert [line["event"] for line in lines] == ["hint.ignored"]


async def test_another_tenants_execution_is_as_good_as_none(hands: Hands, executor: Receiver) -> None:
    """By a hint and by an event."""
    execution = await hands.stage.create(chain(1))
    before = await hands.due_ms(execution)
    assert await hands.door.take(hint(execution, tenant="globex")) == (NOTHING, None)
    assert await hands.door.take(hint(execution, tenant="globex", event="paid", id="e")) == (NOTHING, None)
    assert await hands.due_ms(execution) == before
    assert executor.taken == []
    assert await hands.inbox(execution) == 0


async def test_a_tenants_hints_beyond_its_rate_are_dropped(hands: Hands, executor: Receiver) -> None:
    """A burst of one event's executions, then so many a second; the engine's own and another tenant's are not touched."""
    execution = await hands.stage.create(chain(1))
    with capture_logs() as lines:
        results = [await hands.door.take(hint(execution, f"m{number}", tenant="acme")) for number in range(MOST + 50)]
    assert [result for result, _ in results].count(DROPPED) == 50
    assert len(executor.taken) == MOST
    assert [line["event"] for line in lines].count("hint.dropped") == 1
    assert hands.door.counts["dropped"] == 50
    assert (await hands.door.take(hint(execution, "other", tenant="globex")))[0] == NOTHING
    assert (await hands.door.take(hint(execution, "own")))[0] == WOKEN
    hands.now_s += 1
    results = [await hands.door.take(hint(execution, f"n{number}", tenant="acme")) for number in range(RATE + 1)]
    assert [result for result, _ in results].count(DROPPED) == 1


async def test_a_persons_call_is_not_limited(hands: Hands) -> None:
    """Its caller has a key of the tenant, and waits for an answer."""
    execution = await hands.stage.create(chain(1))
    for number in range(MOST + 10):
        noted = await hands.door.note(hint(execution, "", tenant="acme"), limited=False)
        assert noted.segment == 0, number


async def test_a_flood_of_nonsense_is_a_few_lines(hands: Hands) -> None:
    """Ten thousand messages that cannot be followed do not fill a disk."""
    with capture_logs() as lines:
        for number in range(10_000):
            assert hands.door.read("mesh:resume:acme", f"m{number}", CONTINUE, {"v": number + 2}) == ()
    assert len(lines) < 100
    assert hands.door.counts == {"malformed": 10_000}
    hands.now_s += 1
    with capture_logs() as lines:
        hands.door.read("mesh:resume:\ud800", "\ud800", CONTINUE, {})
    assert lines[0]["left_out"] > 9_900
    assert json.dumps(lines).encode()


async def test_an_event_is_the_signal_that_a_request_would_be(hands: Hands) -> None:
    """Once for its id, which is the message's where there is none; over and full are said so, and are no errors."""
    execution = await hands.stage.create(chain(1))
    event = hint(execution, tenant="acme", event="order.paid", data={"sum": 1}, id="e-1")
    assert await hands.door.take(event) == ("told", None)
    assert await hands.door.take(event) == ("was sent before", None)
    found = await hands.stage.store.load_letters(execution, [1])
    assert found == {1: {"name": "order.paid", "key": "", "data": {"sum": 1}, "id": "e-1"}}
    for number in range(INBOX_LIMIT - 1):
        await hands.stage.store.signal(execution, tenant="acme", sid=f"{number}", kind="event", payload=None)
    with capture_logs() as lines:
        assert (await hands.door.take(hint(execution, "n", tenant="acme", event="order.paid", id="e-2")))[
            0
        ] == "its inbox is full"
    assert [line["why"] for line in lines if line["event"] == "hint.ignored"] == ["its inbox is full"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"event": "no name", "id": "e"}, "no name of an event"),
        ({"event": "paid", "id": "a\nb"}, "printable"),
        ({"event": "paid", "id": "e", "data": "x" * 65_536}, "65536"),
        ({"event": "paid", "message": "", "id": ""}, "printable"),
    ],
)
async def test_an_event_that_cannot_be_stored_is_ignored_with_its_reason(hands: Hands, said: dict[str, Any], why: str) -> None:
    """To one execution, or to whoever waits."""
    for execution in (await hands.stage.create(chain(1)), ""):
        with capture_logs() as lines:
            result, _ = await hands.door.take(Hint(**{"message": "m", "execution": execution, "tenant": "acme"} | said))
        assert why in result
        assert [line["event"] for line in lines] == ["hint.ignored"]


async def test_an_event_by_key_goes_to_whoever_waits_for_it(hands: Hands) -> None:
    """As a request's; more than may lie under a key are ignored, not tried again for ever."""
    execution = await hands.stage.create(chain(1))
    events = RedisEvents(hands.stage.redis, now_ms=NOW)
    await events.subscribe("acme", "paid", "17", execution=execution, wait_id="w", until_ms=0)
    said = Hint(message="m", execution="", tenant="acme", event="paid", key="17", id="e")
    assert (await hands.door.take(said))[0] == "published: 1 wait for it"
    await hands.background.close()
    assert await hands.inbox(execution) == 1
    results = [
        await hands.door.take(Hint(message=f"m{number}", execution="", tenant="acme", event="paid", key="17", id=f"e{number}"))
        for number in range(EVENTS_MOST)
    ]
    assert "use more keys" in results[-1][0]


class Slow:
    """A store whose inboxes take their time, and count who is at them."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.at_once: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def signal(self, execution: str, *, tenant: str, **more: Any) -> Accepted | NotAccepted:
        """See the port."""
        self.at_once[tenant] = self.at_once.get(tenant, 0) + 1
        self.most[tenant] = max(self.most.get(tenant, 0), self.at_once[tenant])
        await asyncio.sleep(0)
        found: Accepted | NotAccepted = await self._store.signal(execution, tenant=tenant, **more)
        self.at_once[tenant] -= 1
        return found


async def test_a_flood_of_events_waits_in_its_own_lane(stage: Stage, caller: HttpClient) -> None:
    """None is dropped, whatever the rate; few of one tenant are at the store at a time, so others find it free."""
    execution = await stage.create(chain(1))
    slow = Slow(stage.store)
    door = Hands(stage, caller, "http://127.0.0.1:9", slow).door
    own = [hint(execution, f"m{number}", tenant="acme", event="paid", id=f"e{number}") for number in range(300)]
    other = hint(execution, "x", tenant="globex", event="paid", id="x")
    found = await asyncio.gather(*map(door.take, [*own, other]))
    assert [result for result, _ in found] == ["told"] * 300 + [NOTHING]
    assert slow.most == {"acme": EVENTS_AT_ONCE, "globex": 1}


class Failing:
    """A store that is away for some executions."""

    def __init__(self, store: Any, away: set[str]) -> None:
        self._store, self.away = store, away

    async def hint(self, execution: str, **more: Any) -> Hinted:
        """See the port."""
        if execution in self.away:
            raise Unavailable("Redis does not answer")
        found: Hinted = await self._store.hint(execution, **more)
        return found


async def test_what_could_be_noted_is_woken_and_the_rest_is_asked_for_again(
    stage: Stage, caller: HttpClient, executor: Receiver
) -> None:
    """One partition is away: the others' hints are not made to wait for the second delivery."""
    here, gone = await stage.create(chain(1)), await stage.create(chain(1))
    failing = Failing(stage.store, {gone})
    door = Hands(stage, caller, executor.url, failing).door
    hints = [hint(here), hint(gone), hint(here, "m2")]
    noted, away = await door.note_all(hints)
    assert isinstance(away, Unavailable)
    await door.wake_all(noted)
    assert [json.loads(one.body)["executionId"] for one in executor.taken] == [here]
    failing.away.clear()
    noted, away = await door.note_all(hints)
    await door.wake_all(noted)
    assert away is None
    assert [json.loads(one.body)["executionId"] for one in executor.taken] == [here, gone]
