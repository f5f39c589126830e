"""Faults on demand: what is asked for happens, is seen, and ends."""

from functools import partial

import pytest
from redis.asyncio import Redis

from services.qstash_dev.faults import plan as planning
from services.qstash_dev.faults.__main__ import main, read_fault
from services.qstash_dev.faults.edge import quota_headers
from services.qstash_dev.faults.plan import ON_DELIVERY, Event, Fault, Plan, Tally
from services.qstash_dev.keys import FAULTS
from shared.errors import BadRequest
from tests.services.qstash_dev import support
from tests.services.qstash_dev.support import Broker, Destination, eventually

pytestmark = pytest.mark.our_server

HEADER = "qstash-dev-faults"


async def on(broker: Broker, *faults: dict[str, object], **more: object) -> None:
    """These faults from now on."""
    response = await broker.http.put("/v2/dev/faults", json={"faults": faults, **more})
    assert response.status_code == 200, response.text


def strikes(fault: Fault, times: int, *, seed: int = 0, url: str = "http://h/x") -> list[bool]:
    """Which of so many events a fault strikes."""
    plan = Plan(faults=(fault,), seed=seed)
    tallies: tuple[Tally, ...] = (Tally(),)
    struck = []
    for _ in range(times):
        place, tallies = planning.decide(plan, tallies, ON_DELIVERY, Event((url,)))
        struck.append(place is not None)
    return struck


# --- the decisions ---


def test_a_seed_says_which_events_are_struck() -> None:
    """The same seed the same ones, another seed others, and about as many as was asked."""
    fault = Fault(kind="drop", probability=0.3)
    first = strikes(fault, 1_000)
    assert first == strikes(fault, 1_000)
    assert first != strikes(fault, 1_000, seed=1)
    assert 250 < sum(first) < 350


def test_a_count_is_the_last_word() -> None:
    """It fires so often and never again, also by probability."""
    assert strikes(Fault(kind="drop", count=2), 5) == [True, True, False, False, False]
    assert sum(strikes(Fault(kind="drop", count=4, probability=0.5), 100)) == 4


@pytest.mark.parametrize(
    ("to", "url", "reached"),
    [
        ("", "http://h/x", True),
        ("http://h/x", "http://h/xyz", True),
        ("http://h/x", "http://h/y", False),
        ("h", "http://h:80/x", True),
        ("H:80", "http://h:80/x", True),
        ("h:81", "http://h:80/x", False),
        ("h", "http://user:pw@h/x", True),
        ("h", "http://hh/x", False),
        ("h", "http://[broken", False),
    ],
)
def test_a_fault_is_for_a_prefix_or_for_a_host(to: str, url: str, *, reached: bool) -> None:
    """A prefix has a scheme; a host may have a port."""
    assert planning.concerns(Fault(kind="drop", to=to), Event((url,))) is reached


def test_the_first_fault_that_fires_is_the_one() -> None:
    """Those after it have not met the event."""
    plan = Plan(faults=(Fault(kind="delay", count=1), Fault(kind="drop")))
    place, tallies = planning.decide(plan, (Tally(), Tally()), ON_DELIVERY, Event(("http://h",)))
    assert (place, tallies) == (0, (Tally(1, 1), Tally()))
    assert planning.decide(plan, tallies, ON_DELIVERY, Event(("http://h",)))[0] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="drop", ms=5),
        Fault(kind="drop", after=True),
        Fault(kind="drop", calls="all"),
        Fault(kind="error", calls="all", to="h"),
        Fault(kind="drop", to="h\r\nx: y"),
        Fault(kind="drop", to="é"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: Fault) -> None:
    """An option that would be ignored is a misunderstanding."""
    with pytest.raises(BadRequest, match=r"faults\[0\]"):
        planning.check(Plan(faults=(fault,)))


def test_the_command_line_s_words_are_a_fault() -> None:
    """Kind first, then options."""
    wanted = Fault(kind="error", to="h:1", probability=0.5, count=2, status=503, after=True)
    assert read_fault("error,to=h:1,probability=0.5,count=2,status=503,after=true") == wanted
    for wrong in ("explode", "drop,when=now", "drop,probability=2", "drop,count=-1", ""):
        with pytest.raises(ValueError, match=r"."):
            read_fault(wrong)


def test_a_used_up_quota_says_when_the_day_ends() -> None:
    """In unix seconds, at midnight UTC."""
    assert quota_headers(1_700_000_000_000)["RateLimit-Reset"] == "1700006400"


# --- on the server ---


async def test_without_faults_nothing_says_so(broker: Broker) -> None:
    """Off is the default, and a header would be noise."""
    response = await broker.http.get("/v2/dev/faults")
    assert response.json() == {"on": False, "seed": 0, "persist": False, "faults": []}
    assert HEADER not in response.headers


async def test_a_dropped_message_is_lost_and_its_log_says_so(broker: Broker, there: Destination) -> None:
    """No retry, no dead letter, no callback; the one after it arrives."""
    await on(broker, {"kind": "drop", "to": there.url, "count": 1})
    callback = f"{there.url}/callback"
    lost = await broker.publish(f"{there.url}/lost", Upstash_Callback=callback, Upstash_Failure_Callback=callback)
    await broker.ends(lost, "CANCELED")
    kept = await broker.publish(f"{there.url}/kept")
    await broker.ends(kept, "DELIVERED")
    newest = (await broker.get("/v2/events", messageId=lost))["events"][0]
    assert "fault on demand: dropped" in newest["error"]
    assert await broker.states(lost) == ["CREATED", "ACTIVE", "ERROR", "CANCELED"]
    assert [seen.raw_path for seen in there.seen] == ["/kept"]
    assert await broker.get("/v2/dlq") == {"messages": []}
    (fault,) = (await broker.get("/v2/dev/faults"))["faults"]
    assert (fault["met"], fault["fired"]) == (2, 1)


async def test_a_duplicated_delivery_comes_twice_under_one_id(broker: Broker, there: Destination) -> None:
    """And the message is delivered once, as its log goes."""
    await on(broker, {"kind": "duplicate", "count": 1, "ms": 20})
    message_id = await broker.publish(there.url, b"x")
    first, second = await there.gets(2)
    assert first.message_id == second.message_id == message_id
    assert (first.retried, second.retried, second.body) == (0, 0, b"x")
    assert await broker.states(message_id) == ["CREATED", "ACTIVE", "DELIVERED"]


async def test_a_delayed_delivery_is_late_and_no_retry(broker: Broker, there: Destination) -> None:
    """It waits in Redis, holds no place on the wire, and arrives with all its retries left."""
    await on(broker, {"kind": "delay", "ms": 150, "count": 1})
    late = await broker.publish(f"{there.url}/late")
    await broker.publish(f"{there.url}/soon")
    await there.gets(2)
    assert [seen.raw_path for seen in there.seen] == ["/soon", "/late"]
    assert there.seen[1].at - there.seen[0].at > 0.1
    assert there.seen[1].retried == 0
    await broker.ends(late, "DELIVERED")
    assert await broker.states(late) == ["CREATED", "ACTIVE", "RETRY", "ACTIVE", "DELIVERED"]


async def test_reordered_messages_all_arrive_in_another_order(broker: Broker, there: Destination) -> None:
    """Each once."""
    await on(broker, {"kind": "reorder", "ms": 120})
    items = [{"destination": f"{there.url}/{n}"} for n in range(12)]
    await broker.http.post("/v2/batch", json=items)
    await there.gets(12)
    paths = [seen.raw_path for seen in there.seen]
    assert sorted(paths) == sorted(f"/{n}" for n in range(12))
    assert paths != [f"/{n}" for n in range(12)]


async def test_the_api_fails_before_or_after_the_work_was_done(broker: Broker, there: Destination) -> None:
    """After it is the interesting one: the message is delivered although its publisher heard of a failure."""
    await on(broker, {"kind": "error", "count": 1, "status": 503}, {"kind": "error", "count": 1, "after": True})
    before = await broker.http.post(f"/v2/publish/{there.url}/before")
    after = await broker.http.post(f"/v2/publish/{there.url}/after")
    fine = await broker.http.post(f"/v2/publish/{there.url}/fine")
    assert [one.status_code for one in (before, after, fine)] == [503, 500, 200]
    assert "nothing was done" in before.json()["error"]
    await there.gets(2)
    assert sorted(seen.raw_path for seen in there.seen) == ["/after", "/fine"]


async def test_a_used_up_quota_has_the_documented_headers(broker: Broker, there: Destination) -> None:
    """The official client makes its own error of them. Other calls are as before, unless all were asked for."""
    from qstash.errors import DailyMessageLimitExceededError

    await on(broker, {"kind": "quota", "to": there.url})
    with pytest.raises(DailyMessageLimitExceededError):
        await broker.client.message.publish(url=there.url, retries=0)
    assert (await broker.http.get("/v2/events")).status_code == 200
    await on(broker, {"kind": "quota", "calls": "all"})
    assert (await broker.http.get("/v2/events")).status_code == 429
    assert (await broker.http.delete("/v2/dev/faults")).json()["on"] is False
    assert (await broker.http.get("/v2/events")).status_code == 200


async def test_a_refused_item_of_a_batch_leaves_the_others(broker: Broker, there: Destination) -> None:
    """An error in its place, in a 200; alone it is a 400."""
    await on(broker, {"kind": "refuse", "to": f"{there.url}/no"})
    items = [{"destination": f"{there.url}/{path}"} for path in ("yes", "no")]
    yes, no = (await broker.http.post("/v2/batch", json=items)).json()
    assert "messageId" in yes
    assert "fault on demand" in no["error"]
    assert (await broker.http.post(f"/v2/publish/{there.url}/no")).status_code == 400
    await there.gets(1)
    assert [seen.raw_path for seen in there.seen] == ["/yes"]


async def test_a_fault_for_a_destination_finds_it_in_a_batch(broker: Broker, there: Destination) -> None:
    """The body is looked at, and still reaches the route whole."""
    await on(broker, {"kind": "error", "to": "nowhere.example"})
    items = [{"destination": there.url, "body": "x" * 100_000}]
    assert (await broker.http.post("/v2/batch", json=items)).status_code == 200
    assert len((await there.gets(1))[0].body) == 100_000
    items.append({"destination": "http://nowhere.example/"})
    assert (await broker.http.post("/v2/batch", json=items)).status_code == 500
    assert (await broker.http.post("/v2/batch", content=b"{")).status_code == 400


async def test_a_slow_api_answers_late(broker: Broker, there: Destination) -> None:
    """By so much at least."""
    await on(broker, {"kind": "slow", "ms": 120, "count": 1})
    response = await broker.http.post(f"/v2/publish/{there.url}")
    assert response.elapsed.total_seconds() > 0.1
    assert response.headers[HEADER] == "slow, at most 1 times, 120 ms, to everybody"


async def test_a_plan_outlives_a_restart_only_if_asked_to(redis: Redis, valkey_url: str) -> None:
    """Redis keeps it, and only then."""
    for persist in (False, True):
        async with support.broker(valkey_url) as first:
            await on(first, {"kind": "drop", "probability": 0.25}, persist=persist, seed=7)
        assert bool(await redis.exists(FAULTS)) is persist
        async with support.broker(valkey_url) as second:
            await eventually(partial(is_on, second, persist=persist), "the plan is as it should be")
    async with support.broker(valkey_url) as third:
        await third.http.delete("/v2/dev/faults")
    assert not await redis.exists(FAULTS)


async def is_on(broker: Broker, *, persist: bool) -> bool:
    """Ready, and with faults or without."""
    ready = (await broker.http.get("/readyz")).status_code == 200
    return bool((await broker.get("/v2/dev/faults"))["on"]) is persist and ready


async def test_faults_need_the_token_and_a_plan_that_can_be_read(broker: Broker) -> None:
    """A wrong plan changes nothing."""
    for body in (b"", b"[]", b'{"faults": [{"kind": "explode"}]}', b'{"faults": [{"kind": "drop", "p": 1}]}', b"\xff"):
        response = await broker.http.put("/v2/dev/faults", content=body)
        assert response.status_code == 400, body
        assert isinstance(response.json()["error"], str)
    assert (await broker.http.get("/v2/dev/faults", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_the_command_line_starts_shows_and_stops(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a running server; the words of a refusal are shown."""
    import asyncio

    monkeypatch.setenv("INTENTION_MODE", "local")
    monkeypatch.setenv("QSTASH_URL", broker.url)
    assert await asyncio.to_thread(main, ["on", "drop,probability=0.5", "error,after=true", "--seed", "3"]) == 0
    assert await asyncio.to_thread(main, []) == 0
    assert "drop, probability 0.5, to everybody: 0 of 0 times so far" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["on", "drop,ms=5"]) == 1
    assert await asyncio.to_thread(main, ["on", "explode"]) == 2
    assert await asyncio.to_thread(main, ["off"]) == 0
    assert "no faults are on" in capsys.readouterr().out
