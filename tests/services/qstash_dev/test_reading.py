"""Messages, the event log, dead letters and cancelling, as the SDKs and plain HTTP see them."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from services.qstash_dev.users import DEV_USERS
from tests.services.qstash_dev.support import Broker, Destination, Seen, answers, eventually, talking_to


async def test_a_message_can_be_read_while_it_waits_and_after(broker: Broker, there: Destination) -> None:
    """The official client parses it; unset fields are absent, the period is 1 whenever there is a key."""
    sent = await broker.client.message.publish(
        url=there.url,
        body="text",
        headers={"test-header": "v"},
        content_type="text/plain",
        delay="1h",
        retries=2,
        retry_delay="1000 * retried",
        flow_control={"key": "k", "parallelism": 3},
        label="l",
        callback="http://127.0.0.1:1/cb",
    )
    assert not isinstance(sent, list)
    found = await broker.client.message.get(sent.message_id)
    assert (found.url, found.body, found.method, found.max_retries) == (there.url, "text", "POST", 2)
    assert found.headers == {"Test-Header": ["v"], "Content-Type": ["text/plain"]}
    assert found.flow_control
    assert (found.flow_control.key, found.flow_control.parallelism, found.flow_control.rate) == ("k", 3, None)
    assert found.flow_control.period == 1
    assert (found.label, found.retry_delay_expression, found.callback) == ("l", "1000 * retried", "http://127.0.0.1:1/cb")
    assert found.not_before - found.created_at == 3_600_000
    done = await broker.publish(there.url, b"\xff")
    await broker.ends(done, "DELIVERED")
    raw = await broker.get(f"/v2/messages/{done}")
    assert raw["bodyBase64"] == "/w=="
    assert not {"flowControlKey", "parallelism", "label", "callback", "body", "rate"} & raw.keys()


async def test_what_is_not_there_is_404_in_qstash_s_words(broker: Broker) -> None:
    """`{"error": "message <id> not found"}`."""
    for method, path in [("GET", "messages"), ("DELETE", "messages"), ("GET", "dlq"), ("DELETE", "dlq"), ("POST", "dlq/retry")]:
        response = await broker.http.request(method, f"/v2/{path}/x")
        assert response.status_code == 404
    response = await broker.http.get("/v2/messages/msg_x")
    assert response.json() == {"error": "message msg_x not found"}


async def test_users_do_not_see_each_other(broker: Broker, there: Destination) -> None:
    """Messages, log, dead letters and a cancel of everything stay with their user."""
    mine = await broker.publish(there.url, Upstash_Delay="1h")
    dead = await broker.publish("http://127.0.0.1:1/", Upstash_Retries="0")
    await broker.ends(dead, "FAILED")
    async with talking_to(broker.url, DEV_USERS[3].token) as other:
        assert (await other.http.get(f"/v2/messages/{mine}")).status_code == 404
        assert await other.get("/v2/events") == {"events": []}
        assert await other.get("/v2/dlq") == {"messages": []}
        assert (await other.http.delete("/v2/messages")).json() == {"cancelled": 0}
        assert await other.get("/v2/keys") == {"current": DEV_USERS[3].current_key, "next": DEV_USERS[3].next_key}
    assert (await broker.http.delete("/v2/messages")).json() == {"cancelled": 1}


@pytest.mark.parametrize("header", ["Bearer nobody", f"Bearer {DEV_USERS[0].token[:-1]}", f"Basic {DEV_USERS[0].token}", ""])
async def test_a_wrong_token_is_401(broker: Broker, header: str) -> None:
    """On every path of the API, and in the API's error shape."""
    for path in ("/v2/keys", "/v2/events", "/v2/queues"):
        response = await broker.http.get(path, headers={"Authorization": header})
        assert response.status_code == 401
        assert list(response.json()) == ["error"]


async def test_a_cancelled_message_is_never_delivered(broker: Broker, there: Destination) -> None:
    """Its log ends in CANCELED, and a second cancel finds nothing."""
    message_id = await broker.publish(there.url, Upstash_Delay="1s")
    later = await broker.publish(there.url + "/later", Upstash_Delay="1s")
    response = await broker.http.delete(f"/v2/messages/{message_id}")
    assert response.json() == {"cancelled": 1}
    await broker.ends(later, "DELIVERED")
    assert [one.raw_path for one in there.seen] == ["/later"]
    assert await broker.states(message_id) == ["CREATED", "CANCEL_REQUESTED", "CANCELED"]
    assert (await broker.http.delete(f"/v2/messages/{message_id}")).status_code == 404


async def test_a_message_on_the_wire_can_be_cancelled(broker: Broker, there: Destination) -> None:
    """The request may complete, but its failure is neither recorded nor retried."""
    release = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await release.wait()
        return web.Response(status=500)

    there.answer = answer
    message_id = await broker.publish(there.url, Upstash_Retry_Delay="1")
    await there.gets(1)
    await broker.client.message.cancel(message_id)
    release.set()
    after = await broker.publish(there.url + "/after", Upstash_Retries="0")
    await broker.ends(after, "FAILED")
    assert len(there.at("/")) == 1
    assert (await broker.states(message_id))[-1] == "CANCELED"


async def test_many_are_cancelled_by_ids_by_filter_or_all(broker: Broker, there: Destination) -> None:
    """Ids come in the body (Python SDK) or in the query (JS SDK); only live messages count."""
    one, two, three, four = [await broker.publish(there.url, Upstash_Delay="1h", Upstash_Label=f"l{n}") for n in range(4)]
    done = await broker.publish(there.url)
    await broker.ends(done, "DELIVERED")
    assert await broker.client.message.cancel_many([one, done, "msg_unknown"]) == 1
    assert (await broker.http.delete(f"/v2/messages?messageIds={two}&messageIds={one}")).json() == {"cancelled": 1}
    assert (await broker.http.delete("/v2/messages?label=l2,lx")).json() == {"cancelled": 1}
    assert (await broker.states(three))[-1] == "CANCELED"
    for wrong in ("labeel=l3", "count=x"):
        assert (await broker.http.delete(f"/v2/messages?{wrong}")).status_code == 400
    empty = await broker.http.request("DELETE", "/v2/messages", json={"messageIds": []})
    assert empty.status_code == 400
    assert await broker.client.message.cancel_all() == 1
    assert (await broker.states(four))[-1] == "CANCELED"


async def test_the_log_is_newest_first_and_pages_by_cursor(broker: Broker, there: Destination) -> None:
    """Every entry once over all pages, and no cursor on the last one."""
    ids = [await broker.publish(f"{there.url}/{n}") for n in range(5)]
    for message_id in ids:
        await broker.ends(message_id, "DELIVERED")
    everything = (await broker.get("/v2/events"))["events"]
    assert len(everything) == 15
    assert [entry["time"] for entry in everything] == sorted((entry["time"] for entry in everything), reverse=True)
    pages: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await broker.get("/v2/logs", count="4", **cursor)
        pages.append(page["logs"])
        assert page["logs"] == page["events"]
        if "cursor" not in page:
            break
        cursor = {"cursor": page["cursor"]}
    assert [len(page) for page in pages] == [4, 4, 4, 3]
    assert [entry for page in pages for entry in page] == everything


async def test_the_log_is_filtered(broker: Broker, there: Destination) -> None:
    """OR inside a filter, AND between them, and an unknown filter is refused."""
    there.answer = answers((500, {}))
    failed = await broker.publish(
        f"{there.url}/f", Upstash_Label="red, blue", Upstash_Retry_Delay="3600000", Upstash_Forward_A="b"
    )
    await broker.ends(failed, "RETRY")
    fine = await broker.publish(f"{there.url}/g", b"body", Upstash_Label="green")
    await broker.ends(fine, "DELIVERED")

    async def found(**params: str) -> list[tuple[str, str]]:
        events = (await broker.get("/v2/events", **params))["events"]
        return [("f" if entry["messageId"] == failed else "g", entry["state"]) for entry in events]

    assert await found(label="blue") == [("f", state) for state in ("RETRY", "ERROR", "ACTIVE", "CREATED")]
    assert await found(state="ERROR,DELIVERED") == [("g", "DELIVERED"), ("f", "ERROR")]
    assert await found(state="CREATED", label="red,green", url=f"{there.url}/g") == [("g", "CREATED")]
    assert await found(state="IN_PROGRESS", messageId=failed) == [("f", "RETRY"), ("f", "ERROR"), ("f", "ACTIVE")]
    assert await found(toDate="1") == []
    assert await found(order="earliestFirst", count="1") == [("f", "CREATED")]
    for wrong in ({"labeel": "x"}, {"state": "DONE"}, {"cursor": "x"}, {"order": "up"}, {"fromDate": "today"}):
        assert (await broker.http.get("/v2/events", params=wrong)).status_code == 400
    newest = (await broker.get("/v2/events", messageId=failed))["events"][0]
    assert newest["retryDelayExpr"] == newest["retryDelayExpression"] == "3600000"
    assert (newest["label"], newest["labels"], newest["header"]) == ("red", ["red", "blue"], {"A": ["b"]})
    delivered = (await broker.client.log.list(filter={"message_id": fine})).logs[0]
    assert (delivered.state.value, delivered.response_status, delivered.body_base64) == ("DELIVERED", 200, "Ym9keQ==")


async def test_a_dead_letter_is_retried_as_a_new_message(broker: Broker, there: Destination) -> None:
    """It leaves the queue, keeps its settings, and takes those that the request overrides."""
    there.answer = answers((500, {}))
    old = await broker.publish(
        f"{there.url}/x", b"\xfe", Content_Type="a/b", Upstash_Retries="0", Upstash_Forward_A="1", Upstash_Method="PATCH"
    )
    await broker.ends(old, "FAILED")
    (dead,) = (await broker.get("/v2/dlq"))["messages"]
    assert (dead["messageId"], dead["responseStatus"], dead["responseBody"]) == (old, 500, "answer 500")
    assert dead["bodyBase64"] == "/g=="
    response = await broker.http.post(f"/v2/dlq/retry/{dead['dlqId']}", headers={"Upstash-Forward-A": "2"})
    assert response.status_code == 201
    _, again = await there.gets(2)
    assert again.message_id == response.json()["messageId"] != old
    assert (again.method, again.body, again.header["A"], again.header["Content-Type"]) == ("PATCH", b"\xfe", "2", "a/b")
    assert await broker.get("/v2/dlq") == {"messages": []}
    assert (await broker.http.post(f"/v2/dlq/retry/{dead['dlqId']}")).status_code == 404


async def test_dead_letters_are_listed_filtered_paged_and_deleted(broker: Broker, there: Destination) -> None:
    """Earliest first; a deleted one is 404; the bulk forms take ids or filters."""
    there.answer = answers(*[(status, {}) for status in (500, 501, 502, 503)])
    for n in range(4):
        message_id = await broker.publish(f"{there.url}/{n}", Upstash_Retries="0", Upstash_Label=f"l{n}")
        await broker.ends(message_id, "FAILED")
    listed = (await broker.get("/v2/dlq"))["messages"]
    assert [dead["url"][-1] for dead in listed] == ["0", "1", "2", "3"]
    first = await broker.get("/v2/dlq", count="3")
    rest = await broker.get("/v2/dlq", count="3", cursor=first["cursor"])
    assert first["messages"] + rest["messages"] == listed
    assert "cursor" not in rest
    assert [dead["url"][-1] for dead in (await broker.get("/v2/dlq", order="latestFirst"))["messages"]] == list("3210")
    assert [dead["url"][-1] for dead in (await broker.get("/v2/dlq", responseStatus="502"))["messages"]] == ["2"]
    assert [dead["url"][-1] for dead in (await broker.get("/v2/dlq", label="l1,l3"))["messages"]] == ["1", "3"]
    assert (await broker.http.get("/v2/dlq?host=x")).status_code == 400
    await broker.client.dlq.delete(listed[0]["dlqId"])
    assert (await broker.http.delete(f"/v2/dlq/{listed[0]['dlqId']}")).status_code == 404
    assert await broker.client.dlq.delete_many([listed[0]["dlqId"], listed[1]["dlqId"]]) == 1
    retried = await broker.http.post(f"/v2/dlq/retry?dlqIds={listed[2]['dlqId']}")
    assert retried.json()["cursor"] == ""
    assert len(retried.json()["responses"]) == 1
    assert [dead["dlqId"] for dead in (await broker.get("/v2/dlq"))["messages"]] == [listed[3]["dlqId"]]
    await eventually(lambda: len(there.at("/2")) == 2, "the retried dead letter")


async def test_the_keys_are_those_the_js_sdk_expects(broker: Broker) -> None:
    """Its dev mode compares this answer letter by letter before it would download a server."""
    keys = await broker.client.signing_key.get()
    assert (keys.current, keys.next) == ("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/llm/v1/chat/completions"),
        ("GET", "/v2/events?groupBy=messageId"),
    ],
)
async def test_what_is_not_built_says_so(broker: Broker, method: str, path: str) -> None:
    """501 and an error, never a silent success."""
    response = await broker.http.request(method, path)
    assert response.status_code == 501
    assert "not built" in response.json()["error"]


async def test_an_option_of_schedules_refuses_a_message(broker: Broker, there: Destination) -> None:
    """Ignoring it would deliver something else than what was asked."""
    for name in ("Upstash-Cron", "Upstash-Schedule-Id"):
        response = await broker.http.post(f"/v2/publish/{there.url}", headers={name: "* * * * *"})
        assert response.status_code == 400
        assert "/v2/schedules" in response.json()["error"]
    assert await broker.get("/v2/events") == {"events": []}


async def test_an_unknown_path_and_a_broken_batch_have_the_same_error_shape(broker: Broker) -> None:
    """`{"error": "<text>"}` everywhere."""
    for response in [
        await broker.http.get("/v2/nothing"),
        await broker.http.post("/v2/batch", content=b"{"),
        await broker.http.post("/v2/batch", json={"destination": "x"}),
        await broker.http.post("/v2/publish/ftp://x"),
    ]:
        assert response.status_code in {400, 404}
        assert isinstance(response.json()["error"], str)
