"""The official Python SDK of Upstash Workflow, as it is, on this server."""

import time
from typing import Any

from tests.services.qstash_dev.support import Broker, Destination, answers, eventually
from tests.services.qstash_dev.workflow_support import Context, ends, workflow


async def test_a_workflow_with_run_sleep_sleep_until_and_call_finishes(broker: Broker, there: Destination) -> None:
    """Each step's result comes back in the list of steps, so none runs twice."""
    ran: list[str] = []
    results: list[Any] = []

    async def function(context: Context) -> None:
        def first() -> str:
            ran.append("first")
            return f"{context.request_payload['name']} is here"

        said = await context.run("first", first)
        await context.sleep("a while", 1)
        await context.sleep_until("a time", time.time() + 1)
        called = await context.call("ask", url=f"{there.url}/ask", method="POST", body={"said": said}, headers={"X-Own": "yes"})
        results.append((said, called.status, called.body))

    async with workflow(broker.url, function) as url:
        await broker.publish(url, b'{"name": "Ada"}', Content_Type="application/json")
        run = await ends(broker.http, "RUN_SUCCESS")
    assert ran == ["first"]
    assert results == [("Ada is here", 200, "fine")]
    assert there.seen[0].body == b'{"said": "Ada is here"}'
    assert there.seen[0].header["X-Own"] == "yes"
    names = [one["stepName"] for group in run["steps"] for one in group["steps"]]
    assert names == ["init", "first", "a while", "a time", "ask"]


async def test_a_call_that_fails_is_a_result_and_no_dead_letter(broker: Broker, there: Destination) -> None:
    """The workflow reads the status and goes on."""
    there.answer = answers((500, {"Retry-After": "0"}), (500, {}))
    statuses: list[int] = []

    async def function(context: Context) -> None:
        called = await context.call("ask", url=there.url, retries=1, headers={"X-Own": "1"})
        statuses.append(called.status)

    async with workflow(broker.url, function) as url:
        await broker.publish(url, b"{}")
        await ends(broker.http, "RUN_SUCCESS")
    assert statuses == [500]
    assert len(there.seen) == 2
    assert (await broker.get("/v2/dlq"))["messages"] == []
    assert (await broker.get("/v2/dlq", source="workflow"))["messages"] == []


async def test_the_failure_function_is_called_with_the_first_body(broker: Broker) -> None:
    """The run has failed, its dead letter says which run it was, and its failure function has succeeded."""
    failures: list[Any] = []

    async def function(context: Context) -> None:
        def broken() -> None:
            raise ValueError("out of coffee")

        await context.run("well", lambda: "fine")
        await context.run("broken", broken)

    async def failed(context: Context, status: int, response: str, _: dict[str, str]) -> None:
        failures.append((context.request_payload, status, response))

    async with workflow(broker.url, function, failed, retries=0) as url:
        await broker.publish(url, b'{"order": 7}', Content_Type="application/json")
        run = await ends(broker.http, "RUN_FAILED")

        async def told() -> bool:
            found = (await broker.get("/v2/dlq", source="workflow"))["messages"]
            return [one["failureCallbackInfo"]["state"] for one in found] == ["CALLBACK_SUCCESS"]

        await eventually(told, "the failure function has been called")
    assert failures == [({"order": 7}, 500, "out of coffee")]
    letter = (await broker.get("/v2/dlq", source="workflow"))["messages"][0]
    assert (letter["workflowRunId"], letter["workflowUrl"]) == (run["workflowRunId"], url)
    assert letter["workflowCreatedAt"] == run["workflowRunCreatedAt"]
    assert run["dlqId"] == letter["dlqId"]
