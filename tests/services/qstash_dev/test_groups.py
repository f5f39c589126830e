"""URL groups, through the official client: one publish, a message for each endpoint."""

import secrets

import pytest
from qstash.errors import QStashError
from qstash.log import LogFilter

from services.qstash_dev import groups
from services.qstash_dev.groups import Endpoint
from shared.errors import BadRequest, NotFound
from tests.services.qstash_dev.support import Broker, Destination, answers


async def test_a_group_is_made_changed_and_gone(broker: Broker) -> None:
    """Endpoints are known by name, else by URL; the last one takes the group with it."""
    api = broker.client.url_group
    await api.upsert_endpoints("g", [{"url": "http://a"}, {"url": "http://b", "name": "b"}])
    await api.upsert_endpoints("g", [{"url": "http://c", "name": "b"}, {"url": "http://a"}])
    found = await api.get("g")
    assert [(one.url, one.name) for one in found.endpoints] == [("http://a", None), ("http://c", "b")]
    assert found.updated_at >= found.created_at
    await api.upsert_endpoints("f", [{"url": "http://x"}])
    assert [one.name for one in await api.list()] == ["f", "g"]
    await api.remove_endpoints("g", [{"name": "b"}])
    await api.remove_endpoints("g", [{"url": "http://a"}])
    for missing in (
        api.get("g"),
        api.remove_endpoints("g", [{"url": "http://a"}]),
        broker.client.message.publish(url_group="g"),
    ):
        with pytest.raises(QStashError, match="404"):
            await missing
    await api.delete("f")
    await api.delete("f")
    assert await api.list() == []


async def test_a_publish_to_a_group_is_a_message_each(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """The answer is a list; deliveries, messages, logs and callbacks name the group and the endpoint."""
    there.answer = answers((500, {}))
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url, "name": "one"}, {"url": elsewhere.url}])
    sent = await broker.client.message.publish(url_group="g", body="x", retries=0)
    assert isinstance(sent, list)
    assert [one.url for one in sent] == [there.url, elsewhere.url]
    (first,), (second,) = await there.gets(1), await elsewhere.gets(1)
    assert [first.message_id, second.message_id] == [one.message_id for one in sent]
    assert first.header["Upstash-Topic-Name"] == "g"
    await broker.ends(first.message_id, "FAILED")
    message = await broker.client.message.get(first.message_id)
    assert (message.url_group, message.endpoint) == ("g", "one")
    mine: LogFilter = {"url_group": "g", "from_time": broker.since_ms}
    assert len((await broker.client.log.list(filter=mine)).logs) == 7
    assert [one.endpoint for one in (await broker.client.dlq.list(filter={"url_group": "g"})).messages] == ["one"]
    assert (await broker.client.dlq.list(filter={"url_group": "h"})).messages == []


async def test_a_batch_has_an_inner_list_for_a_group(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """Beside plain items and errors; a queue takes the messages of a group too."""
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url}, {"url": elsewhere.url}])
    answer = await broker.client.message.batch([{"url_group": "g"}, {"url": there.url}, {"url_group": "g", "queue": "q"}])
    assert [len(one) if isinstance(one, list) else 1 for one in answer] == [2, 1, 2]
    mixed = (await broker.http.post("/v2/batch", json=[{"destination": "h"}, {"destination": "g"}])).json()
    assert mixed[0] == {"error": "url group h not found"}
    assert len(mixed[1]) == 2
    queued = await broker.client.message.enqueue(queue="q", url_group="g")
    assert isinstance(queued, list)
    assert (await broker.client.message.get(queued[1].message_id)).queue == "q"
    await there.gets(5)
    await elsewhere.gets(4)


async def test_deduplication_counts_for_each_endpoint(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """The same id again is the same messages; an endpoint added in between gets one."""
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url}])
    one = secrets.token_hex(8)
    await broker.client.message.publish(url_group="g", deduplication_id=one)
    await broker.client.url_group.upsert_endpoints("g", [{"url": elsewhere.url}])
    again = await broker.client.message.publish(url_group="g", deduplication_id=one)
    assert isinstance(again, list)
    assert [bool(one.deduplicated) for one in again] == [True, False]
    await elsewhere.gets(1)
    assert len(there.seen) == 1


async def test_a_group_s_default_headers_yield_to_those_of_the_publish(broker: Broker, there: Destination) -> None:
    """They are set with a PATCH, as text or as a list."""
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url}])
    headers = {"Upstash-Method": "PUT", "Upstash-Forward-A": ["default"], "Upstash-Forward-B": "default"}
    assert (await broker.http.patch("/v2/topics/g", json={"headers": headers})).status_code == 200
    assert (await broker.http.patch("/v2/topics/h", json={"headers": headers})).status_code == 404
    await broker.http.post("/v2/publish/g", headers={"Upstash-Forward-A": "mine"})
    (seen,) = await there.gets(1)
    assert (seen.method, seen.header["A"], seen.header["B"]) == ("PUT", "mine", "default")


@pytest.mark.parametrize(("name", "url"), [("a b", "http://a"), ("g", "ftp://a"), ("g", ""), ("ä", "http://a")])
async def test_a_wrong_name_or_endpoint_is_refused(broker: Broker, name: str, url: str) -> None:
    """And nothing of the request is kept."""
    wanted = {"endpoints": [{"url": "http://fine"}, {"url": url}]}
    assert (await broker.http.post(f"/v2/topics/{name}/endpoints", json=wanted)).status_code == 400
    assert await broker.client.url_group.list() == []


def test_the_group_decides_without_a_store() -> None:
    """Replaced in place, removed by name before URL, limited."""
    made = groups.added(None, [Endpoint("http://a", "n"), Endpoint("http://b")], 1)
    moved = groups.added(made, [Endpoint("http://z", "n")], 2)
    assert [one.url for one in moved.endpoints] == ["http://z", "http://b"]
    assert (moved.created_at_ms, moved.updated_at_ms) == (1, 2)
    assert groups.removed("g", moved, [Endpoint(name="n"), Endpoint(url="http://b")], 3) is None
    with pytest.raises(NotFound):
        groups.removed("g", None, [Endpoint(name="n")], 3)
    with pytest.raises(BadRequest):
        groups.removed("g", moved, [Endpoint()], 3)
    with pytest.raises(BadRequest, match="maxEndpoints"):
        groups.added(None, [Endpoint(f"http://{n}") for n in range(101)], 1)
