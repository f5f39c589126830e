"""Callbacks: what is told, to whom, and when."""

import base64
import json

from aiohttp import web

from services.qstash_dev.users import DEV_USERS
from shared import signing
from tests.services.qstash_dev.support import Broker, Destination, Seen, answers, eventually


async def test_a_callback_tells_the_answer(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """The documented body, signed for the callback's own URL, in a message of its own."""

    async def answer(_: Seen) -> web.Response:
        return web.Response(status=201, body=b"\xff done", headers={"X-Result": "yes"})

    there.answer = answer
    url = elsewhere.url + "/told"
    message_id = await broker.publish(
        there.url + "/job",
        b"work",
        Content_Type="text/plain",
        Upstash_Callback=url,
        Upstash_Callback_Forward_Trace="t1",
        Upstash_Callback_Method="PUT",
        Upstash_Retries="2",
    )
    (told,) = await elsewhere.gets(1)
    body = json.loads(told.body)
    assert (told.method, told.raw_path, told.header["Trace"]) == ("PUT", "/told", "t1")
    assert told.message_id != message_id
    assert body["sourceMessageId"] == message_id
    assert (body["status"], body["url"], body["method"]) == (201, there.url + "/job", "POST")
    assert (body["retried"], body["maxRetries"]) == (0, 2)
    assert base64.b64decode(body["body"]) == b"\xff done"
    assert base64.b64decode(body["sourceBody"]) == b"work"
    assert body["header"]["X-Result"] == ["yes"]
    assert body["sourceHeader"] == {"Content-Type": ["text/plain"]}
    assert body["callerIP"] == "127.0.0.1"
    assert isinstance(body["createdAt"], int)
    signing.verify(
        told.header["Upstash-Signature"],
        keys=[DEV_USERS[0].current_key],
        issuer="Upstash",
        url=url,
        body=told.body,
        now=told.at,
        leeway=0,
    )


async def test_a_callback_follows_every_attempt(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """Two failures and a success are three callbacks, and no failure callback."""
    there.answer = answers((500, {}), (502, {}))
    await broker.publish(
        there.url,
        Upstash_Callback=elsewhere.url + "/each",
        Upstash_Failure_Callback=elsewhere.url + "/failed",
        Upstash_Retry_Delay="1",
    )
    await eventually(lambda: len(elsewhere.at("/each")) == 3, "three callbacks")
    told = sorted((body["retried"], body["status"]) for body in map(json.loads, (one.body for one in elsewhere.seen)))
    assert told == [(0, 500), (1, 502), (2, 200)]
    assert not elsewhere.at("/failed")


async def test_a_failure_callback_comes_once_and_names_the_dead_letter(
    broker: Broker, there: Destination, elsewhere: Destination
) -> None:
    """After the last attempt, with the dlqId under which the message lies."""
    there.answer = answers((500, {}), (500, {}))
    message_id = await broker.publish(
        there.url,
        b"in",
        Upstash_Failure_Callback=elsewhere.url,
        Upstash_Failure_Callback_Forward_X="y",
        Upstash_Retries="1",
        Upstash_Retry_Delay="1",
    )
    (told,) = await elsewhere.gets(1)
    body = json.loads(told.body)
    assert (body["status"], body["retried"], body["maxRetries"]) == (500, 1, 1)
    assert base64.b64decode(body["body"]) == b"answer 500"
    assert told.header["X"] == "y"
    dead = await broker.client.dlq.get(body["dlqId"])
    assert (dead.message_id, dead.body, dead.response_body) == (message_id, "in", "answer 500")


async def test_a_callback_has_the_retries_of_its_source_unless_it_says_otherwise(
    broker: Broker, there: Destination, elsewhere: Destination
) -> None:
    """One is given none of its own and retries as its source would; the other is given its own number."""
    elsewhere.answer = answers(*[(500, {})] * 9)
    await broker.publish(
        there.url, Upstash_Callback=elsewhere.url + "/a", Upstash_Callback_Retry_Delay="1", Upstash_Retries="1"
    )
    await eventually(lambda: len(elsewhere.at("/a")) == 2, "one retry")
    await broker.publish(
        there.url, Upstash_Callback=elsewhere.url + "/b", Upstash_Callback_Retry_Delay="1", Upstash_Callback_Retries="0"
    )

    async def both_dead() -> bool:
        return len((await broker.client.dlq.list()).messages) == 2

    await eventually(both_dead, "both callbacks in the dead-letter queue")
    assert len(elsewhere.at("/a")) == 2
    assert len(elsewhere.at("/b")) == 1


async def test_a_failing_callback_has_its_own_failure_callback(
    broker: Broker, there: Destination, elsewhere: Destination
) -> None:
    """Configuration nests: Upstash-Callback-Failure-Callback is the callback's failure callback."""
    elsewhere.answer = answers((500, {}))
    await broker.publish(
        there.url,
        Upstash_Callback=elsewhere.url + "/first",
        Upstash_Callback_Retries="0",
        Upstash_Callback_Failure_Callback=elsewhere.url + "/second",
    )
    await eventually(lambda: elsewhere.at("/second"), "the callback's failure callback")
    body = json.loads(elsewhere.at("/second")[0].body)
    assert body["url"] == elsewhere.url + "/first"
