"""From a publish to the destination: what is on the wire, and when it is tried again."""

import asyncio
import json
import secrets
import time

import pytest
from aiohttp import web
from qstash import Receiver

from services.qstash_dev.users import DEV_USERS
from tests.services.qstash_dev.support import Broker, Destination, Seen, answers, eventually, talking_to

SLACK_S = 0.05
"""Arrivals are stamped by another process's wall clock: "never early" is true to within this."""


async def test_a_message_of_the_official_client_arrives_signed_for_its_url(broker: Broker, there: Destination) -> None:
    """The official Receiver takes the signature, for exactly the URL that was published."""
    url = f"{there.url}/hook?tag=a%2Fb"
    sent = await broker.client.message.publish_json(url=url, body={"n": 1}, headers={"x-request-id": "r1"})
    (seen,) = await there.gets(1)
    assert not isinstance(sent, list)
    assert seen.message_id == sent.message_id
    assert seen.method == "POST"
    assert seen.raw_path == "/hook?tag=a%2Fb"
    assert json.loads(seen.body) == {"n": 1}
    # Twice the current key: with two, the official Receiver's error is only ever about the next one.
    receiver = Receiver(DEV_USERS[0].current_key, DEV_USERS[0].current_key)
    receiver.verify(signature=seen.header["Upstash-Signature"], body=seen.body.decode(), url=url)
    with pytest.raises(Exception, match="Invalid subject"):
        receiver.verify(signature=seen.header["Upstash-Signature"], body=seen.body.decode(), url=url + "x")
    with pytest.raises(Exception, match="Invalid body hash"):
        receiver.verify(signature=seen.header["Upstash-Signature"], body="other", url=url)


async def test_an_empty_body_is_signed_as_the_hash_of_nothing(broker: Broker, there: Destination) -> None:
    """A GET without a body verifies like any other."""
    await broker.publish(there.url + "/", Upstash_Method="GET")
    (seen,) = await there.gets(1)
    Receiver(DEV_USERS[0].current_key, "sig_x").verify(signature=seen.header["Upstash-Signature"], body="", url=there.url + "/")
    assert (seen.method, seen.body) == ("GET", b"")


async def test_every_user_signs_with_keys_of_their_own(broker: Broker, there: Destination) -> None:
    """The second development user's message verifies with the second pair and with no other."""
    async with talking_to(broker.url, DEV_USERS[1].token) as second:
        await second.publish(there.url, b"x")
    (seen,) = await there.gets(1)
    signature, body = seen.header["Upstash-Signature"], seen.body.decode()
    Receiver(DEV_USERS[1].current_key, DEV_USERS[1].next_key).verify(signature=signature, body=body)
    with pytest.raises(Exception, match="Signature"):
        Receiver(DEV_USERS[0].current_key, DEV_USERS[0].next_key).verify(signature=signature, body=body)


async def test_headers_are_forwarded_and_the_server_s_own_win(broker: Broker, there: Destination) -> None:
    """Forward prefixes come off; what belongs to an earlier hop is neither believed nor sent on."""
    await broker.publish(
        there.url,
        b"\x00\xff raw",
        Content_Type="application/x-thing",
        Upstash_Forward_Test_Header="kept",
        Upstash_Forward_Content_Type="text/ignored",
        Upstash_Forward_Content_Length="999",
        Upstash_Forward_Host="evil.example",
        Upstash_Forward_Connection="close",
        Upstash_Forward_Upstash_Signature="stale",
        Upstash_Forward_Upstash_Message_Id="stale",
        X_Not_Forwarded="no",
    )
    (seen,) = await there.gets(1)
    assert seen.header["Test-Header"] == "kept"
    assert seen.header.getall("Content-Type") == ["application/x-thing"]
    assert seen.header["Host"] in there.url
    assert seen.header["User-Agent"] == "Upstash-QStash"
    assert seen.header["Upstash-Caller-Ip"] == "127.0.0.1"
    assert seen.header["Upstash-Retried"] == "0"
    assert seen.header.getall("Upstash-Signature") != ["stale"]
    assert seen.message_id.startswith("msg_")
    assert len(seen.message_id) == 57
    assert seen.body == b"\x00\xff raw"
    assert "X-Not-Forwarded" not in seen.header
    assert "Authorization" not in seen.header


async def test_the_destination_keeps_its_slashes_and_its_query(broker: Broker, there: Destination) -> None:
    """`//` survives; only our own parameters are taken out of the query, and they are options."""
    path = "//first//second/%C3%A9?a=1&b=%20&upstash-method=PUT&upstash-forward-x=1&c="
    response = await broker.http.post(f"/v2/publish/{there.url}{path}")
    (seen,) = await there.gets(1)
    assert seen.raw_path == "//first//second/%C3%A9?a=1&b=%20&c="
    assert seen.method == "PUT"
    assert seen.header["X"] == "1"
    assert response.json()["url"] == f"{there.url}//first//second/%C3%A9?a=1&b=%20&c="


async def test_a_webhook_is_forwarded_whole_but_for_the_token(broker: Broker, there: Destination) -> None:
    """With Upstash-Header-Forward the sender needs no prefixes, and the token may come in the query."""
    response = await broker.http.post(
        f"/v2/publish/{there.url}/in?qstash_token={DEV_USERS[0].token}&upstash-header-forward=true&k=v",
        headers={"X-Event": "push", "Authorization": ""},
        content=b"payload",
    )
    assert response.status_code == 200, response.text
    (seen,) = await there.gets(1)
    assert seen.raw_path == "/in?k=v"
    assert seen.header["X-Event"] == "push"
    assert "Authorization" not in seen.header


async def test_a_delay_holds_a_message_back(broker: Broker, there: Destination) -> None:
    """Nothing arrives early, and it does arrive; a message published after it overtakes it."""
    start = time.time()
    await broker.publish(there.url + "/late", Upstash_Delay="1s")
    await broker.publish(there.url + "/now")
    seen = await there.gets(2)
    assert [one.raw_path for one in seen] == ["/now", "/late"]
    assert seen[1].at - start > 1.0 - SLACK_S


async def test_not_before_wins_over_delay(broker: Broker, there: Destination) -> None:
    """Unix seconds; a time in the past means now."""
    await broker.publish(there.url, Upstash_Not_Before=str(int(time.time()) - 10), Upstash_Delay="1h")
    await there.gets(1)


async def test_a_message_without_delay_is_on_the_wire_at_once(broker: Broker, there: Destination) -> None:
    """Typically two milliseconds after the request; far more would mean that it waited for a poll."""
    took = []
    for _ in range(20):
        start, count = time.time(), len(there.seen)
        await broker.publish(there.url)
        took.append((await there.gets(count + 1))[-1].at - start)
    assert sorted(took)[10] < 0.5  # a poll comes once a second


async def test_a_failing_destination_is_tried_again_after_its_own_expression(broker: Broker, there: Destination) -> None:
    """Same id on every attempt, a rising Upstash-Retried, and the delay of the expression."""
    there.answer = answers((500, {}), (503, {}))
    message_id = await broker.publish(there.url, Upstash_Retries="2", Upstash_Retry_Delay="100 * (1 + retried)")
    seen = await there.gets(3)
    await broker.ends(message_id, "DELIVERED")
    assert {one.message_id for one in seen} == {message_id}
    assert [one.retried for one in seen] == [0, 1, 2]
    assert seen[1].at - seen[0].at > 0.1 - SLACK_S
    assert seen[2].at - seen[1].at > 0.2 - SLACK_S
    assert await broker.states(message_id) == [
        "CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "value", "least"),
    [
        pytest.param("Retry-After", "0", 0.0, id="seconds-zero-is-at-once"),
        pytest.param("Retry-After", "1", 1.0, id="seconds"),
        pytest.param("Retry-After", "150ms", 0.15, id="go-duration"),
        pytest.param("Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT", 0.0, id="http-date"),
        pytest.param("X-RateLimit-Reset-Tokens", "0.2s", 0.2, id="rate-limit-reset"),
    ],
)
async def test_the_destination_says_when_to_come_back(
    broker: Broker, there: Destination, header: str, value: str, least: float
) -> None:
    """A hint in the answer beats the ladder, whose first rung is twelve seconds."""
    there.answer = answers((429, {header: value}))
    await broker.publish(there.url)
    first, second = await there.gets(2, within=4)
    assert second.at - first.at > least - SLACK_S


async def test_the_ladder_is_what_is_planned_without_a_hint(broker: Broker, there: Destination) -> None:
    """The log shows the next delivery about twelve seconds away."""
    there.answer = answers((500, {}))
    message_id = await broker.publish(there.url)
    await broker.ends(message_id, "RETRY")
    entry = (await broker.get("/v2/events", messageId=message_id))["events"][0]
    assert entry["nextDeliveryTime"] - entry["time"] == pytest.approx(12_183, abs=5)


async def test_489_with_its_header_is_final(broker: Broker, there: Destination) -> None:
    """No retry is spent on what can never succeed; without the header 489 is an ordinary failure."""
    there.answer = answers((489, {"Upstash-NonRetryable-Error": "true"}))
    message_id = await broker.publish(there.url, Upstash_Retries="5", Upstash_Retry_Delay="1")
    await broker.ends(message_id, "FAILED")
    assert len(there.seen) == 1
    there.answer = answers((489, {}))
    message_id = await broker.publish(there.url, Upstash_Retries="5", Upstash_Retry_Delay="1")
    await broker.ends(message_id, "DELIVERED")
    assert len(there.seen) == 3


async def test_a_timeout_is_a_failed_attempt(broker: Broker, there: Destination) -> None:
    """The first attempt is cut off after a second, the next one is answered."""
    done = asyncio.Event()

    async def answer(seen: Seen) -> web.Response:
        if seen.retried == 0:
            await done.wait()
        return web.Response()

    there.answer = answer
    message_id = await broker.publish(there.url, Upstash_Timeout="1", Upstash_Retry_Delay="1")
    await broker.ends(message_id, "DELIVERED")
    done.set()
    first, second = there.seen
    assert second.at - first.at > 1.0 - SLACK_S
    errors = (await broker.get("/v2/events", messageId=message_id, state="ERROR"))["events"]
    assert [entry["error"] for entry in errors] == ["the destination did not answer within 1 s"]


async def test_nobody_listening_is_a_failed_attempt(broker: Broker) -> None:
    """A refused connection is told in the log and ends in the dead-letter queue with status 0."""
    message_id = await broker.publish("http://127.0.0.1:1/x", Upstash_Retries="0")
    await broker.ends(message_id, "FAILED")
    (dead,) = (await broker.client.dlq.list()).messages
    assert (dead.message_id, dead.response_status) == (message_id, 0)
    assert "Connect" in (await broker.get("/v2/events", messageId=message_id))["events"][0]["error"]


async def test_a_redirect_is_not_followed(broker: Broker, there: Destination) -> None:
    """It is an answer that is not 2xx."""
    there.answer = answers((302, {"Location": "/other"}))
    message_id = await broker.publish(there.url, Upstash_Retries="0")
    await broker.ends(message_id, "FAILED")
    assert [one.raw_path for one in there.seen] == ["/"]


async def test_a_repeated_deduplication_id_is_answered_with_the_first_message(broker: Broker, there: Destination) -> None:
    """202, the old id, and no second delivery; another user's same id is another message."""
    url, job = f"/v2/publish/{there.url}", secrets.token_hex(8)
    first = await broker.http.post(url, headers={"Upstash-Deduplication-Id": job})
    again = await broker.http.post(url, headers={"Upstash-Deduplication-Id": job})
    assert (first.status_code, again.status_code) == (200, 202)
    assert again.json()["deduplicated"] is True
    assert again.json()["messageId"] == first.json()["messageId"]
    async with talking_to(broker.url, DEV_USERS[2].token) as other:
        foreign = await other.publish(there.url + "/other", Upstash_Deduplication_Id=job)
    await eventually(lambda: there.at("/other") and there.at("/"), "both users' messages")
    assert foreign != first.json()["messageId"]
    assert len(there.at("/")) == 1


async def test_equal_content_is_one_message(broker: Broker, there: Destination) -> None:
    """The hash covers destination, body and delivered headers; the Python SDK's capital `True` counts."""

    async def send(body: str, header: str) -> bool:
        sent = await broker.client.message.publish(
            url=there.url, body=body, headers={"h": header}, content_based_deduplication=True
        )
        assert not isinstance(sent, list)
        return sent.deduplicated

    assert [await send(*pair) for pair in [("a", "1"), ("a", "1"), ("b", "1"), ("a", "2")]] == [False, True, False, False]


async def test_a_batch_sends_what_is_right_and_names_what_is_wrong(broker: Broker, there: Destination) -> None:
    """One answer per item in order; wrong ones do not stop the others."""
    response = await broker.http.post(
        "/v2/batch",
        json=[
            {"destination": f"{there.url}//a", "headers": {"upstash-forward-X": "1", "Content-Type": "a/b"}, "body": "one"},
            {"destination": "ftp://x/y", "headers": {}},
            {"destination": there.url, "headers": {"Upstash-Deduplication-Id": "a:b"}},
            {"destination": there.url, "headers": {"Upstash-Retries": "6"}},
            {"destination": "no-such-group"},
            {"destination": there.url, "headers": {"Upstash-Forward-X": "a\r\nEvil: 1"}},
            7,
            {"destination": f"{there.url}/b"},
        ],
    )
    assert response.status_code == 200
    items = response.json()
    assert [list(item) for item in items] == [["messageId", "url"], *[["error"]] * 6, ["messageId", "url"]]
    assert items[1]["error"] == "invalid destination url: endpoint has invalid scheme, add http:// or https://"
    assert items[2]["error"] == "DeduplicationId cannot contain ':'"
    assert items[3]["error"] == "quota maxRetries exceeded"
    await there.gets(2)
    (one,) = there.at("//a")
    assert (one.body, one.header["X"], one.header["Content-Type"]) == (b"one", "1", "a/b")
    assert len(there.at("/b")) == 1


async def test_a_batch_of_the_official_client_arrives(broker: Broker, there: Destination) -> None:
    """A hundred messages at once, every one delivered once."""
    sent = await broker.client.message.batch_json(
        [{"url": f"{there.url}/{n}", "body": {"n": n}, "retries": 1} for n in range(100)]
    )
    seen = await there.gets(100)
    assert {one.raw_path for one in seen} == {f"/{n}" for n in range(100)}
    assert {one.message_id for one in seen} == {one.message_id for one in sent if not isinstance(one, list)}


async def test_a_duplicate_inside_one_batch_is_one_message(broker: Broker, there: Destination) -> None:
    """Items are stored in their order."""
    item = {"destination": there.url, "headers": {"Upstash-Deduplication-Id": "same"}}
    first, second = (await broker.http.post("/v2/batch", json=[item, item])).json()
    assert second["deduplicated"] is True
    assert first["messageId"] == second["messageId"]
