"""The workflow protocol as the SDKs speak it, told in plain HTTP."""

import base64
import json
import secrets
from typing import Any

import pytest
from aiohttp import web

from tests.services.qstash_dev.support import Broker, Destination, Seen, answers, eventually
from tests.services.qstash_dev.workflow_support import ends, item, logs, step


@pytest.fixture
def run() -> str:
    """A run's id that no server has seen before."""
    return f"wfr_{secrets.token_hex(8)}"


async def start(broker: Broker, url: str, run_id: str, body: bytes = b"hello", **headers: str) -> dict[str, Any]:
    """The answer to a first message."""
    response = await broker.http.post("/v2/batch", json=[item(url, run_id, body, headers, init=True)])
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()[0]
    return found


async def grow(broker: Broker, url: str, run_id: str, *bodies: bytes, **headers: str) -> int:
    """The status of a batch of steps."""
    return (await broker.http.post("/v2/batch", json=[item(url, run_id, body, headers) for body in bodies])).status_code


def steps(seen: Seen) -> list[bytes]:
    """The bodies of the steps that were delivered."""
    return [base64.b64decode(one["body"]) for one in json.loads(seen.body)]


async def test_each_message_of_a_run_brings_all_steps_up_to_its_own(broker: Broker, there: Destination, run: str) -> None:
    """The first one is the body of the trigger; a batch's steps stand in its order."""
    first = await start(broker, there.url, run)
    await there.gets(1)
    assert await grow(broker, there.url, run, step(1), step(2)) == 200
    seen = sorted(await there.gets(3), key=lambda one: len(one.body))
    assert [steps(one) for one in seen] == [[b"hello"], [b"hello", step(1)], [b"hello", step(1), step(2)]]
    listed = json.loads(seen[0].body)
    assert listed == [{"messageId": first["messageId"], "body": base64.b64encode(b"hello").decode(), "callType": "step"}]
    assert seen[0].header["Upstash-Workflow-Sdk-Version"] == "1"
    assert seen[0].header["Upstash-Workflow-RunId"] == run
    assert seen[0].header["Upstash-Workflow-Url"] == there.url
    assert seen[0].header["Upstash-Workflow-Init"] == "false"
    assert seen[0].header["Upstash-Workflow-CreatedAt"] == str(first["workflowCreatedAt"])


async def test_a_run_that_is_there_is_not_begun_again(broker: Broker, there: Destination, run: str) -> None:
    """The second trigger is answered with the first one's message."""
    first = await start(broker, there.url, run)
    second = await start(broker, there.url, run)
    assert second["deduplicated"] is True
    assert second["messageId"] == first["messageId"]
    assert len(await there.gets(1)) == 1


async def test_a_step_takes_what_only_the_trigger_said(broker: Broker, there: Destination, run: str) -> None:
    """Retries, the user's headers and labels are the run's."""
    await start(broker, there.url, run, Upstash_Forward_X_Own="mine", Upstash_Retries="1", Upstash_Label="blue")
    await there.gets(1)
    there.answer = answers((500, {"Retry-After": "0"}), (500, {}))
    await grow(broker, there.url, run, step(1))
    seen = await there.gets(3)
    assert [one.header["X-Own"] for one in seen] == ["mine"] * 3
    failed = await ends(broker.http, "RUN_FAILED")
    assert (failed["label"], len(there.seen)) == ("blue", 3)


async def test_a_run_that_is_over_takes_no_step(broker: Broker, there: Destination, run: str) -> None:
    """400 is what the SDKs read as finished; ending it a second time is no error."""
    await start(broker, there.url, run)
    for _ in range(2):
        response = await broker.http.request("DELETE", f"/v2/workflows/runs/{run}?cancel=false", content=b'"done"')
        assert response.status_code == 200
    assert await grow(broker, there.url, run, step(1), step(2)) == 400
    assert await grow(broker, there.url, f"{run}-nobody", step(1)) == 400
    headers = item(there.url, run, b"")["headers"]
    assert (await broker.http.post(f"/v2/publish/{there.url}", headers=headers)).status_code == 400
    assert (await broker.http.get(f"/v2/workflows/runs/{run}")).status_code == 404
    assert (await logs(broker.http, workflowRunId=run))[0]["workflowRunResponse"] == '"done"'


async def test_a_run_that_goes_on_can_be_fetched(broker: Broker, there: Destination, run: str) -> None:
    """With its calls, which the deliveries leave out."""
    await start(broker, there.url, run)
    await there.gets(1)
    await grow(broker, there.url, run, step(1), Upstash_Delay="1h")
    found = await broker.get(f"/v2/workflows/runs/{run}")
    assert [base64.b64decode(one["body"]) for one in found] == [b"hello", step(1)]
    assert [one["callType"] for one in found] == ["step", "step"]


async def test_a_failing_call_comes_back_raw_and_fails_nothing(
    broker: Broker, there: Destination, elsewhere: Destination, run: str
) -> None:
    """A call that nobody answers well is told to the run by its callback, with the run's own headers on it."""
    await start(broker, there.url, run, Upstash_Forward_X_Own="mine")
    await there.gets(1)
    elsewhere.answer = answers((503, {}))
    call = item(elsewhere.url, run, b"ask")
    del call["headers"]["Upstash-Forward-Upstash-Workflow-Sdk-Version"]
    call["headers"] |= {
        "Upstash-Workflow-Url": there.url,
        "Upstash-Workflow-CallType": "toCallback",
        "Upstash-Retries": "0",
        "Upstash-Callback": f"{there.url}/back",
        "Upstash-Callback-Workflow-RunId": run,
        "Upstash-Callback-Workflow-CallType": "fromCallback",
        "Upstash-Callback-Workflow-Init": "false",
        "Upstash-Callback-Workflow-Url": there.url,
        "Upstash-Callback-Forward-Upstash-Workflow-Callback": "true",
    }
    await broker.http.post("/v2/batch", json=[call])
    assert [one.body for one in await elsewhere.gets(1)] == [b"ask"]
    await there.gets(2)
    back = there.at("/back")[0]
    assert json.loads(back.body)["status"] == 503
    assert "Upstash-Workflow-Sdk-Version" not in back.header
    assert (back.header["Upstash-Workflow-RunId"], back.header["X-Own"]) == (run, "mine")
    assert (await broker.get("/v2/dlq", source="workflow"))["messages"] == []
    assert (await logs(broker.http))[0]["workflowState"] == "RUN_STARTED"


async def test_runs_are_cancelled_by_filters_that_are_and_ed(broker: Broker, there: Destination, run: str) -> None:
    """A URL is a beginning unless an exact match is asked for; what sleeps is cancelled with its run."""
    for name, label in ((f"{run}1", "blue"), (f"{run}2", "red"), (f"{run}3", "blue")):
        await start(broker, f"{there.url}/{name}", run_id=name, Upstash_Label=label, Upstash_Delay="1h")

    async def cancelled(**filters: str) -> int:
        response = await broker.http.delete("/v2/workflows/runs", params=filters)
        assert response.status_code == 200, response.text
        return int(response.json()["cancelled"])

    assert await cancelled(workflowUrl=there.url, workflowUrlExactMatch="true") == 0
    assert await cancelled(workflowUrl=there.url, label="red") == 1
    assert await cancelled(workflowRunIds=f"{run}2,{run}3,{run}4") == 1
    assert await cancelled() == 1
    assert await cancelled() == 0
    assert (await broker.http.delete("/v2/workflows/runs", params={"labeel": "x"})).status_code == 400
    assert (await broker.http.request("DELETE", "/v2/messages")).json() == {"cancelled": 0}
    assert {one["workflowState"] for one in await logs(broker.http)} == {"RUN_CANCELED"}


async def test_what_was_on_its_way_when_its_run_ended_is_not_delivered(broker: Broker, there: Destination, run: str) -> None:
    """The retry of a cancelled run never comes."""
    there.answer = answers((500, {"Retry-After": "1"}))
    first = await start(broker, there.url, run)
    await there.gets(1)
    await broker.http.delete(f"/v2/workflows/runs/{run}?cancel=true")
    await broker.ends(first["messageId"], "CANCELED")
    assert len(there.seen) == 1


async def test_a_trigger_needs_no_sdk(broker: Broker, there: Destination, run: str) -> None:
    """One or many; the id may be the caller's, and is only once."""
    response = await broker.http.post(f"/v2/trigger/{there.url}/a?b=c", content=b"one", headers={"Upstash-Forward-X-Own": "1"})
    assert response.status_code == 200
    assert set(response.json()) == {"workflowRunId", "workflowCreatedAt"}
    named = {"destination": there.url, "body": "two", "headers": {"Upstash-Workflow-RunId": run}}
    response = await broker.http.post("/v2/batch/trigger", json=[named, named, {"destination": "nowhere"}])
    assert response.status_code == 201
    first, second, third = response.json()
    assert (first["workflowRunId"], second["deduplicated"]) == (run, True)
    assert set(third) == {"error"}
    seen = sorted(await there.gets(2), key=lambda one: one.raw_path)
    assert [(one.raw_path, steps(one)) for one in seen] == [("/", [b"two"]), ("/a?b=c", [b"one"])]


async def wait(broker: Broker, url: str, event: str, run_id: str) -> int:
    """The status of a wait."""
    headers = {name: [value] for name, value in item(url, run_id, b"")["headers"].items()}
    asked = {"url": url, "timeout": "1h", "timeoutUrl": url, "timeoutHeaders": headers}
    told = asked | {"step": {"stepId": 1, "stepName": "for it", "stepType": "Wait", "concurrent": 1}}
    return (await broker.http.post(f"/v2/wait/{event}", json=told)).status_code


async def test_a_notification_wakes_every_waiter_once(broker: Broker, there: Destination, run: str) -> None:
    """Each gets the data; nobody waits afterwards."""
    for name in (f"{run}1", f"{run}2"):
        await start(broker, there.url, run_id=name)
        assert await wait(broker, there.url, "it", run_id=name) == 200
    waiters = await broker.get("/v2/waiters/it")
    assert [one["url"] for one in waiters] == [there.url] * 2
    told = (await broker.http.post("/v2/notify/it", content=b"data")).json()
    assert {one["workflowRunId"] for one in told} == {f"{run}1", f"{run}2"}
    assert (await broker.http.post("/v2/notify/it", content=b"data")).json() == []
    seen = (await there.gets(4))[2:]
    last = [json.loads(steps(one)[-1]) for one in seen]
    assert [(one["waitEventId"], one["waitTimeout"], base64.b64decode(one["out"])) for one in last] == [
        ("it", False, b"data")
    ] * 2
    assert {one.message_id for one in seen} == {one["messageId"] for one in told}


async def test_a_wait_of_a_run_that_is_over_is_refused_and_ends_with_it(broker: Broker, there: Destination, run: str) -> None:
    """Its waiters are gone with it."""
    await start(broker, there.url, run)
    await wait(broker, there.url, "it", run)
    await broker.http.delete(f"/v2/workflows/runs/{run}?cancel=true")
    assert await broker.get("/v2/waiters/it") == []
    assert await wait(broker, there.url, "it", run) == 400


async def test_a_failed_run_restarts_from_its_first_body_or_has_its_failure_function_called_again(
    broker: Broker, there: Destination, run: str
) -> None:
    """A new run each time; the dead letter is gone with the restart, and the new settings hold for it."""
    failing = "Upstash-Failure-Callback"
    more = {
        failing: f"{there.url}/failed",
        f"{failing}-Workflow-Runid": run,
        f"{failing}-Workflow-Calltype": "failureCall",
        f"{failing}-Workflow-Url": there.url,
    }
    there.answer = answers((500, {}), (500, {}))
    await broker.http.post("/v2/batch", json=[item(there.url, run, b"hello", {"Upstash-Retries": "0", **more}, init=True)])
    await ends(broker.http, "RUN_FAILED")

    async def stands(state: str) -> None:
        async def there_is_one() -> bool:
            found = await broker.get("/v2/dlq", source="workflow", failureFunctionState=state)
            return len(found["messages"]) == 1

        await eventually(there_is_one, f"the failure function's call is {state}")

    await stands("CALLBACK_FAIL")
    found = (await broker.get("/v2/dlq", source="workflow"))["messages"][0]
    again = await broker.http.post(f"/v2/workflows/dlq/callback/{found['dlqId']}")
    assert again.json()["workflowRunId"] == run

    await stands("CALLBACK_SUCCESS")
    assert json.loads(there.at("/failed")[-1].body)["sourceBody"] == base64.b64encode(b"hello").decode()
    response = await broker.http.post("/v2/workflows/dlq/restart", params={"dlqIds": found["dlqId"]})
    new = response.json()["workflowRuns"][0]["workflowRunId"]
    assert new != run
    await eventually(lambda: there.seen[-1].header.get("Upstash-Workflow-RunId") == new, "the new run")
    assert steps(there.seen[-1]) == [b"hello"]
    assert (await broker.get("/v2/dlq", source="workflow"))["messages"] == []
    assert (await broker.http.post("/v2/workflows/dlq/restart", params={"dlqIds": found["dlqId"]})).json()["workflowRuns"] == []


async def test_a_failed_run_is_no_plain_dead_letter(broker: Broker, there: Destination, run: str) -> None:
    """Its message alone, tried again, would help no run: it is neither listed nor retried as one, and it can be deleted."""

    async def refuse(_: Seen) -> web.Response:
        return web.Response(status=489, headers={"Upstash-NonRetryable-Error": "true"})

    there.answer = refuse
    await start(broker, there.url, run)
    failed = await ends(broker.http, "RUN_FAILED")
    assert (await broker.get("/v2/dlq"))["messages"] == []
    assert (await broker.http.post(f"/v2/dlq/retry/{failed['dlqId']}")).status_code == 400
    deleted = await broker.http.delete("/v2/workflows/dlq", params={"workflowUrl": there.url})
    assert deleted.json() == {"deleted": 1}
    assert "dlqId" not in (await logs(broker.http))[0]


async def test_logs_have_pages(broker: Broker, there: Destination, run: str) -> None:
    """Newest first; the cursor is there as long as there is more."""
    for number in range(5):
        await start(broker, there.url, run_id=f"{run}{number}", Upstash_Delay="1h")
    found, cursor = [], ""
    for _ in range(3):
        page = await broker.get("/v2/workflows/logs", count="2", **({"cursor": cursor} if cursor else {}))
        found += [one["workflowRunId"] for one in page["runs"]]
        cursor = page.get("cursor", "")
    assert cursor == ""
    assert sorted(found) == [f"{run}{number}" for number in range(5)]


async def test_a_step_that_is_published_twice_is_in_the_run_once(broker: Broker, there: Destination, run: str) -> None:
    """As it happens when a delivery comes again after a crash: the first result stands."""
    await start(broker, there.url, run)
    await there.gets(1)
    await grow(broker, there.url, run, step(1, out="1"))
    await grow(broker, there.url, run, step(1, out="2"))
    found = await broker.get(f"/v2/workflows/runs/{run}")
    assert [base64.b64decode(one["body"]) for one in found] == [b"hello", step(1, out="1")]
