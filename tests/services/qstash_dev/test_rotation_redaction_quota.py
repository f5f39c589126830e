"""Key rotation without losing a message, redaction, filters, and the limits that are off by default."""

import asyncio
import hashlib
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from qstash import Receiver
from qstash.errors import DailyMessageLimitExceededError, RateLimitExceededError
from redis.asyncio import Redis

from services.qstash_dev import quota, redaction
from services.qstash_dev.quota import Quota
from services.qstash_dev.users import DEV_USERS
from shared.errors import BadRequest, SettingsError
from tests.services.qstash_dev.support import Broker, Destination, Process, Seen, answers, eventually, talking_to
from tests.services.qstash_dev.support import broker as serving


def signed_with(seen: Seen, key: str, url: str) -> bool:
    """Whether the official receiver accepts the request under this key alone."""
    try:
        Receiver(key, key).verify(signature=seen.header["Upstash-Signature"], body=seen.body.decode(), url=url)
    except Exception:  # noqa: BLE001 - the receiver has no error class of its own for this
        return False
    return True


@pytest.mark.our_server  # everybody after it would have to know the new keys
async def test_a_rotation_with_a_thousand_messages_in_flight_loses_none(broker: Broker, there: Destination) -> None:
    """Each is accepted at once by a receiver that knows the keys from before, and the new current key signs from then on."""
    before = await broker.client.signing_key.get()
    receiver = Receiver(before.current, before.next)
    gate = asyncio.Event()

    async def answer(seen: Seen) -> web.Response:
        await gate.wait()
        receiver.verify(signature=seen.header["Upstash-Signature"], body=seen.body.decode(), url=there.url)
        return web.Response()

    there.answer = answer
    items = [{"destination": there.url, "body": str(n), "headers": {"Upstash-Retries": "0"}} for n in range(1_000)]
    sent = {one["messageId"] for one in (await broker.http.post("/v2/batch", json=items)).json()}
    await there.gets(50)
    rotating = asyncio.create_task(broker.client.signing_key.rotate())
    gate.set()
    after = await rotating
    known = len(there.seen)
    assert (after.current, after.next != before.next) == (before.next, True)
    assert await broker.client.signing_key.get() == after
    await eventually(lambda: len(there.seen) == 1_000, "all of them", within=20)

    async def settled() -> bool:
        return len((await broker.get("/v2/events", state="DELIVERED", count="1000"))["events"]) == 1_000

    await eventually(settled, "all are delivered")
    assert {seen.message_id for seen in there.seen} == sent
    assert await broker.get("/v2/dlq") == {"messages": []}
    last = there.seen[-1]
    assert known < 1_000
    assert signed_with(last, after.current, there.url)
    assert not signed_with(last, before.current, there.url)


@pytest.mark.our_server  # everybody after it would have to know the new keys
async def test_after_the_answer_of_a_rotation_only_the_new_key_signs(broker: Broker, there: Destination) -> None:
    """Also for callbacks and retries, and after a restart; other users keep theirs."""
    there.answer = answers((500, {}))
    first = await broker.client.signing_key.rotate()
    await broker.publish(there.url, Upstash_Retry_Delay="1", Upstash_Callback=there.url)
    await there.gets(4)
    assert all(signed_with(seen, first.current, there.url) for seen in there.seen)
    second = await broker.client.signing_key.rotate()
    assert second.current == first.next
    await broker.publish(there.url + "/2")
    await there.gets(5)
    assert signed_with(there.seen[-1], second.current, there.url + "/2")
    async with talking_to(broker.url, DEV_USERS[1].token) as other:
        keys = await other.client.signing_key.get()
        assert (keys.current, keys.next) == (DEV_USERS[1].current_key, DEV_USERS[1].next_key)


@pytest.mark.our_server  # faults on demand
async def test_a_delivery_that_a_fault_doubles_is_signed_with_the_new_key_twice(broker: Broker, there: Destination) -> None:
    """The copy is the same message: whoever verifies the one verifies the other."""
    keys = await broker.client.signing_key.rotate()
    plan = {"faults": [{"kind": "duplicate", "count": 1}]}
    assert (await broker.http.put("/v2/dev/faults", json=plan)).is_success
    await broker.publish(there.url)
    await there.gets(2)

    assert all(signed_with(seen, keys.current, there.url) for seen in there.seen)


async def test_a_rotation_sent_twice_is_one(broker: Broker, redis: Redis) -> None:  # noqa: ARG001 - the store is the broker's
    """The same new key gives the same answer."""
    from services.qstash_dev.store import Store

    store, user = Store(redis, redis), DEV_USERS[0]
    assert await store.signing.rotate(user, "sig_new") == await store.signing.rotate(user, "sig_new")
    assert await store.signing.get(user) == {"current": user.next_key, "next": "sig_new"}


async def test_redacted_fields_are_delivered_and_never_shown(broker: Broker, there: Destination) -> None:
    """Messages, log, dead letters and schedules have a hash; the destination and a retry of the dead letter the value."""
    there.answer = answers((500, {}))
    headers = {"Authorization": "secret", "Other": "open"}
    sent = await broker.client.message.publish(
        url=there.url, body="private", headers=headers, redact={"body": True, "header": ["authorization"]}, retries=0
    )
    assert not isinstance(sent, list)
    await broker.ends(sent.message_id, "FAILED")
    shown = "REDACTED:" + hashlib.sha256(b"private").hexdigest()
    hidden = {"Authorization": ["REDACTED:" + hashlib.sha256(b"secret").hexdigest()], "Other": ["open"]}
    message = await broker.client.message.get(sent.message_id)
    assert (message.body, message.headers) == (shown, hidden)
    (dead,) = (await broker.client.dlq.list()).messages
    assert (dead.body, dead.headers) == (shown, hidden)
    again = (await broker.http.post(f"/v2/dlq/retry/{dead.dlq_id}")).json()["messageId"]
    await broker.ends(again, "DELIVERED")
    assert [(one.body, one.header["Authorization"]) for one in there.seen] == [(b"private", "secret")] * 2
    schedule_id = await broker.client.schedule.create(
        destination=there.url, cron="* * * * *", body="private", headers=headers, redact={"body": True, "header": True}
    )
    schedule = await broker.client.schedule.get(schedule_id)
    assert (schedule.body, (schedule.headers or {})["Authorization"]) == (shown, hidden["Authorization"])
    for path in ("/v2/events", "/v2/dlq", "/v2/schedules", f"/v2/messages/{again}"):
        text = (await broker.http.get(path)).text
        assert "private" not in text
        assert "cHJpdmF0ZQ" not in text  # its base64
        assert "secret" not in text


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("body", ["body"]),
        ("header", ["header"]),
        ("headers, body", ["header", "body"]),
        ("header[x-a],headers[X-B]", ["header[X-A]", "header[X-B]"]),
        ("", []),
    ],
)
def test_redact_fields_have_one_spelling(text: str, fields: list[str]) -> None:
    """Whichever of the documented ones came."""
    assert redaction.parse(text) == fields


@pytest.mark.parametrize("text", ["bodies", "header[]", "header[a b]", "body header"])
def test_a_redaction_that_cannot_be_read_refuses_the_message(text: str) -> None:
    """It would be shown otherwise."""
    with pytest.raises(BadRequest, match="Redact"):
        redaction.parse(text)


async def test_filters_of_origin_choose_messages_logs_and_dead_letters(broker: Broker, there: Destination) -> None:
    """By group, queue and schedule, alone and together; unknown ones are refused everywhere."""
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url}])
    for name in ("q1", "q2"):
        await broker.client.queue.upsert(name, paused=True)
        await broker.client.message.enqueue(queue=name, url_group="g")
        await broker.client.message.enqueue(queue=name, url=there.url)

    async def cancelled(**params: str) -> int:
        answer: dict[str, Any] = (await broker.http.delete("/v2/messages", params=params)).json()
        return int(answer["cancelled"])

    assert len((await broker.get("/v2/events", queueName="q1,q2", topicName="g"))["events"]) == 2
    assert (await broker.get("/v2/events", queueName="q1", topicName="h"))["events"] == []
    assert await cancelled(queueName="q1", topicName="g") == 1
    assert await cancelled(scheduleId="s") == 0
    assert await cancelled(queueName="q2", count="1") == 1
    assert await cancelled(queueName="q1,q2") == 2
    for method, path in [("GET", "events"), ("GET", "logs"), ("GET", "dlq"), ("DELETE", "dlq"), ("DELETE", "messages")]:
        assert (await broker.http.request(method, f"/v2/{path}?queuename=q1")).status_code == 400
    assert (await broker.http.post("/v2/dlq/retry?labeel=x")).status_code == 400


async def test_the_daily_quota_is_an_answer_the_sdk_understands(redis: Redis, valkey_url: str, there: Destination) -> None:  # noqa: ARG001 - empties it
    """A batch that does not fit is refused as a whole; users have their own."""
    async with serving(valkey_url, QSTASH_DEV_QUOTA="daily=3") as broker:
        await broker.client.message.publish(url=there.url)
        with pytest.raises(DailyMessageLimitExceededError) as refused:
            await broker.client.message.batch([{"url": there.url}] * 3)
        assert (refused.value.limit, refused.value.remaining) == ("3", "2")
        assert int(refused.value.reset or 0) % 86_400 == 0
        await broker.client.message.batch([{"url": there.url}] * 2)
        with pytest.raises(DailyMessageLimitExceededError):
            await broker.client.message.enqueue(queue="q", url=there.url)
        assert await broker.client.queue.list() == []
        async with talking_to(broker.url, DEV_USERS[1].token) as other:
            await other.client.message.publish(url=there.url)


async def test_a_day_s_quota_counts_what_a_call_publishes(redis: Redis, valkey_url: str, there: Destination) -> None:  # noqa: ARG001 - empties it
    """One for each endpoint of a group, each trigger, each dead letter that is sent again; nothing for a wrong item."""
    there.answer = answers((500, {}))
    async with serving(valkey_url, QSTASH_DEV_QUOTA="daily=10") as broker:
        calls = broker.http

        async def left() -> int:
            refused = await calls.post("/v2/batch", json=[{"destination": there.url}] * 11)
            assert refused.status_code == 429
            return int(refused.headers["RateLimit-Remaining"])

        await calls.post("/v2/topics/g/endpoints", json=[{"url": f"{there.url}/1"}, {"url": f"{there.url}/2"}])
        failed = await broker.publish(there.url, Upstash_Retries="0")
        await broker.ends(failed, "FAILED")
        assert await left() == 9
        assert (await calls.post("/v2/publish/g")).status_code == 200
        assert await left() == 7
        await calls.post("/v2/batch", json=[{"destination": "g"}, {"destination": "nowhere://"}, {"destination": there.url}])
        assert await left() == 4
        await calls.post(f"/v2/trigger/{there.url}")
        await calls.post("/v2/batch/trigger", json=[{"destination": there.url}])
        assert await left() == 2
        assert (await calls.post("/v2/dlq/retry")).status_code == 201
        assert await left() == 1
        assert (await calls.post("/v2/publish/g")).status_code == 429
        assert await left() == 1


@pytest.mark.system
async def test_the_banner_has_the_keys_that_sign_now(redis: Redis, valkey_url: str, tmp_path: Path) -> None:  # noqa: ARG001 - empties it
    """After a rotation people would otherwise copy keys that fit no signature."""
    process = Process(valkey_url, tmp_path / "log")
    process.start()
    await process.answers("/readyz", 200)
    async with talking_to(process.url) as broker:
        keys = (await broker.http.post("/v2/keys/rotate")).json()
    await process.end(signal.SIGTERM)
    process.start()
    await process.answers("/readyz", 200)
    await process.end(signal.SIGTERM)
    found = re.findall(r"QSTASH_(?:CURRENT|NEXT)_SIGNING_KEY=(.*)", process.output.read_text())
    assert found == [DEV_USERS[0].current_key, DEV_USERS[0].next_key, keys["current"], keys["next"]]


async def test_the_burst_limit_is_an_answer_the_sdk_understands(redis: Redis, valkey_url: str, there: Destination) -> None:  # noqa: ARG001 - empties it
    """Publishing has no limit a second; the rest has."""
    async with serving(valkey_url, QSTASH_DEV_QUOTA="burst=2") as broker:

        async def list_often() -> None:
            for _ in range(20):
                await broker.client.queue.list()

        with pytest.raises(RateLimitExceededError) as refused:
            await list_often()
        assert (refused.value.limit, refused.value.remaining) == ("2", "0")
        for _ in range(10):
            await broker.client.message.publish(url=there.url)
        assert (await broker.http.get("/healthz")).status_code == 200


def test_a_quota_is_read_or_stops_the_start() -> None:
    """The official words mean none."""
    assert quota.parse("burst=5,daily=7") == Quota(7, 5)
    assert quota.parse("payg") == quota.parse("") == Quota()
    for wrong in ("daily=0", "day=1", "free", "daily=1,", "daily"):
        with pytest.raises(SettingsError):
            quota.parse(wrong)
