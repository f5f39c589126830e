"""Rules that hand messages on: who is called, with what, signed how, how often, and when no more."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from services.ably_dev.webhooks import rules
from services.ably_dev.webhooks.worker import Pace
from shared.errors import SettingsError
from tests.services.ably_dev.receiving import Call, Receiver, receiver
from tests.services.ably_dev.support import KEY, Server, serving
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

QUICK = Pace(collect=20, timeout=200, after_timeout=(10, 10), wait=lambda _: 20)
RULE: dict[str, Any] = {
    "requestMode": "batch",
    "source": {"channelFilter": "^mesh:", "type": "channel.message"},
    "target": {"url": "", "signingKeyId": "local.dev", "headers": [{"name": "x-own", "value": "secret"}]},
}


@pytest.fixture
async def there(redis: Redis) -> AsyncIterator[Receiver]:  # noqa: ARG001 - empties it
    """Who is called."""
    async with receiver() as found:
        yield found


def rule(there: Receiver, mode: str = "batch", **target: Any) -> str:
    """ABLY_DEV_RULES with one rule."""
    merged = RULE["target"] | {"url": there.url} | target
    if mode == "single":
        merged.pop("signingKeyId")
    return msgspec.json.encode([RULE | {"requestMode": mode, "target": merged}]).decode()


async def test_a_batch_is_signed_over_its_raw_body(there: Receiver, valkey: Valkey) -> None:
    """With the secret of the key that X-Ably-Key names; the message is the one that a subscriber gets."""
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there)) as server:
        await server.publish("orders", {"data": "not for it"})
        await server.publish("mesh:resume", {"id": "ce-1", "name": "go", "data": {"n": 1}})
        await eventually(lambda: there.seen, describe="the call")
        call, (stored,) = there.seen[0], await server.history("mesh:resume")
    mac = base64.b64encode(hmac.new(KEY.secret.encode(), call.body, hashlib.sha256).digest()).decode()
    assert (call.headers["X-Ably-Key"], call.headers["X-Ably-Signature"]) == ("local.dev", mac)
    assert call.headers["x-own"] == "secret"
    (item,) = call.json["items"]
    assert (item["source"], item["name"], item["data"]["channelId"]) == ("channel.message", "channel.message", "mesh:resume")
    assert item["data"]["messages"] == [stored]
    assert stored["id"] == "ce-1"
    assert (stored["data"], stored["encoding"]) == ('{"n":1}', "json")


async def test_publishes_of_a_moment_come_in_one_batch_in_their_order(there: Receiver, valkey: Valkey) -> None:
    """At most fifty a call."""
    async with serving(valkey.url, pace=Pace(collect=300), ABLY_DEV_RULES=rule(there)) as server:
        for n in range(60):
            await server.publish("mesh:resume", {"id": f"m{n}"})
        await eventually(lambda: len(there.ids()) == 60, describe="all of them")
    assert there.ids() == [f"m{n}" for n in range(60)]
    assert max(len(call.json["items"]) for call in there.seen) <= 50
    assert max(len(call.json["items"]) for call in there.seen) > 1


async def test_a_batch_that_is_not_taken_is_sent_again_until_it_is(there: Receiver, valkey: Valkey) -> None:
    """Whatever the answer was; nothing behind it overtakes it."""
    there.status = 500
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there)) as server:
        await server.publish("mesh:resume", {"id": "first"})
        await eventually(lambda: len(there.seen) >= 3, describe="three calls")
        await server.publish("mesh:resume", {"id": "second"})
        there.seen.clear()
        there.status = 200
        await eventually(lambda: "second" in there.ids(), describe="both")
    assert there.ids()[0] == "first"


async def test_what_is_older_than_five_minutes_is_dropped(there: Receiver, valkey: Valkey, redis: Redis) -> None:
    """Here after two seconds: an outage that is longer than that loses the event, retries or not."""
    there.status = 500
    pace = Pace(collect=10, drop=2_000, wait=lambda _: 50)
    async with serving(valkey.url, pace=pace, ABLY_DEV_RULES=rule(there)) as server:
        await server.publish("mesh:resume", {"id": "old"})
        await eventually(lambda: there.seen, describe="a first call")
        (queue,) = [name async for name in redis.scan_iter("ad:*hook:*")]
        await eventually(lambda: _empty(redis, queue), describe="the queue is empty")
        there.seen.clear()
        there.status = 200
        await server.publish("mesh:resume", {"id": "new"})
        await eventually(lambda: there.seen, describe="the next call")
    assert there.ids() == ["new"]
    assert Pace().drop == 300_000


async def _empty(redis: Redis, queue: bytes) -> bool:
    return await redis.xlen(queue) == 0


async def test_single_calls_have_an_envelope_or_the_bare_data(there: Receiver, valkey: Valkey) -> None:
    """One call a message, unsigned, as at Ably."""
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there, "single")) as server:
        await server.publish("mesh:a", {"id": "x:0", "data": "1"}, {"id": "x:1", "data": "2"})
        await eventually(lambda: len(there.seen) == 2, describe="two calls")
    assert [call.json["messages"][0]["id"] for call in there.seen] == ["x:0", "x:1"]
    assert (there.seen[0].json["channel"], there.seen[0].json["appId"]) == ("mesh:a", "local")
    assert "X-Ably-Signature" not in there.seen[0].headers
    there.seen.clear()
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there, "single", enveloped=False)) as server:
        await server.publish("mesh:ä", {"id": "j", "name": "n\n", "data": {"a": 1}})
        await server.publish("mesh:b", {"id": "b", "data": "AP8=", "encoding": "base64"})
        await eventually(lambda: len(there.seen) == 2, describe="two calls")
    found = {call.headers["x-ably-message-id"]: call for call in there.seen}
    assert (found["j"].headers["content-type"], found["j"].body) == ("application/json", b'{"a":1}')
    assert found["j"].headers["x-ably-message-name"] == "n?"
    assert (found["b"].headers["content-type"], found["b"].body) == ("application/octet-stream", b"\x00\xff")
    assert found["b"].headers["x-ably-envelope-channel"] == "mesh:b"


@pytest.mark.parametrize(("status", "calls"), [(500, 4), (404, 1)])
async def test_a_single_call_is_made_again_after_a_5xx_and_not_after_a_4xx(
    there: Receiver, valkey: Valkey, redis: Redis, status: int, calls: int
) -> None:
    """Until it is too old."""
    there.status = status
    pace = Pace(drop=5_000, wait=lambda failures: 10 if failures < 4 else 10_000)
    async with serving(valkey.url, pace=pace, ABLY_DEV_RULES=rule(there, "single")) as server:
        await server.publish("mesh:a", {"data": "x"})
        await eventually(lambda: there.seen, describe="a call")
        (queue,) = [name async for name in redis.scan_iter("ad:*hook:*")]
        await eventually(lambda: _empty(redis, queue), describe="it is given up")
    assert len(there.seen) == calls


async def test_a_single_call_that_times_out_is_made_twice_again(there: Receiver, valkey: Valkey, redis: Redis) -> None:
    """And no more."""
    there.hang = 5
    pace = Pace(timeout=50, after_timeout=(10, 10))
    async with serving(valkey.url, pace=pace, ABLY_DEV_RULES=rule(there, "single")) as server:
        await server.publish("mesh:a", {"data": "x"})
        await eventually(lambda: len(there.seen) == 3, describe="three calls")
        (queue,) = [name async for name in redis.scan_iter("ad:*hook:*")]
        await eventually(lambda: _empty(redis, queue), describe="it is given up")
    assert len(there.seen) == 3
    assert Pace().after_timeout == (4_000, 20_000)


async def test_faults_of_webhooks_are_seen_by_their_receiver(there: Receiver, valkey: Valkey) -> None:
    """A wrong signature, a doubled call, a lost one."""
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there)) as server:
        await server.fault({"kind": "hook_bad_signature", "count": 1}, {"kind": "hook_duplicate", "count": 1})
        await server.publish("mesh:a", {"id": "one"})
        await eventually(lambda: len(there.seen) == 2, describe="two calls")
        forged, body = there.seen[0].headers["X-Ably-Signature"], there.seen[0].body
        assert forged != rules.sign(body, KEY.secret)
        assert there.seen[1].body == body
        await server.fault({"kind": "hook_lose", "count": 1})
        await server.publish("mesh:a", {"id": "lost"})
        await eventually(lambda: _fired(server), describe="the loss")
        await server.publish("mesh:a", {"id": "three"})
        await eventually(lambda: "three" in there.ids(), describe="the next one")
        assert "lost" not in there.ids()


async def test_what_comes_late_or_reordered_is_all_there(there: Receiver, valkey: Valkey) -> None:
    """A batch in reverse order; a single call that a later one overtakes."""
    async with serving(valkey.url, pace=Pace(collect=200), ABLY_DEV_RULES=rule(there)) as server:
        await server.fault({"kind": "hook_reorder"})
        for name in ("one", "two", "three"):
            await server.publish("mesh:a", {"id": name})
        await eventually(lambda: len(there.ids()) == 3, describe="all three")
    assert [message for call in there.seen for message in _ids(call)[::-1]] == ["one", "two", "three"]
    there.seen.clear()
    async with serving(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(there, "single")) as server:
        await server.fault({"kind": "hook_late", "count": 1, "ms": 1_500})
        await server.publish("mesh:a", {"id": "late"})
        await eventually(lambda: _fired(server), describe="the delay")
        await server.publish("mesh:a", {"id": "early"})
        await eventually(lambda: len(there.seen) == 2, describe="both calls")
    assert [call.json["messages"][0]["id"] for call in there.seen] == ["early", "late"]


def _ids(call: Call) -> list[str]:
    return [message["id"] for item in call.json["items"] for message in item["data"]["messages"]]


async def _fired(server: Server) -> bool:
    view = (await server.http.get("/dev/faults")).json()
    return bool(view["faults"][0]["fired"])


def test_the_delays_of_a_batch_grow_by_the_root_of_two_up_to_a_minute() -> None:
    """1 s, 1.4 s, 2 s, 2.8 s …"""
    assert [rules.batch_wait_ms(n) for n in (1, 2, 3, 4, 5)] == [1000, 1414, 2000, 2828, 4000]
    assert rules.batch_wait_ms(13) == rules.batch_wait_ms(1_000) == 60_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "JSON list"),
        ('[{"target": {"url": "ftp://x"}}]', "http address"),
        ('[{"target": {"url": "http://x:99999"}}]', "http address"),
        ('[{"target": {"url": "http://x", "headers": [{"name": "a b", "value": "c"}]}}]', "headers"),
        ('[{"target": {"url": "http://x", "headers": [{"name": "a", "value": "c\\n"}]}}]', "headers"),
        ('[{"target": {"url": "http://x"}, "source": {"channelFilter": "["}}]', "regular expression"),
        ('[{"target": {"url": "http://x", "signingKeyId": "no.key"}}]', "no key of this server"),
        ('[{"requestMode": "single", "target": {"url": "http://x", "signingKeyId": "local.dev"}}]', "signs batches only"),
        ('[{"target": {"url": "http://x", "urll": "y"}}]', "urll"),
        ('[{"target": {"url": "http://x"}}, {"target": {"url": "http://x"}}]', "twice"),
    ],
)
def test_a_rule_that_makes_no_sense_stops_the_start(text: str, said: str) -> None:
    """With the place and what to write."""
    with pytest.raises(SettingsError, match=said):
        rules.parse(text, {KEY.name: KEY})
