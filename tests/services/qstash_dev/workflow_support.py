"""A workflow application of the official Python SDK, as it is, behind a real socket."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpx
import msgspec
import uvicorn
from qstash import AsyncQStash, Receiver
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from upstash_workflow import AsyncWorkflowContext, async_serve  # type: ignore[import-untyped]  # it ships no types

from services.qstash_dev.users import DEV_USERS
from shared.settings import DEV_TOKEN
from tests.services.qstash_dev.support import eventually

Context: TypeAlias = AsyncWorkflowContext[Any]
Function = Callable[[Context], Awaitable[None]]
OnFailure = Callable[[Context, int, str, dict[str, str]], Awaitable[Any]]


@asynccontextmanager
async def workflow(broker_url: str, function: Function, failure: OnFailure | None = None, **options: Any) -> AsyncIterator[str]:
    """The URL of an endpoint that serves this workflow and checks every signature."""
    client = AsyncQStash(DEV_TOKEN, base_url=broker_url, retry=False)
    keys = Receiver(DEV_USERS[0].current_key, DEV_USERS[0].next_key)
    served: Any = async_serve(function, qstash_client=client, receiver=keys, failure_function=failure, env={}, **options)
    handle = served["handler"]

    async def endpoint(request: Request) -> Response:
        answer = await handle(request)
        return Response(answer.body, answer.status, answer.headers)

    async with serving(Starlette(routes=[Route("/workflow", endpoint, methods=["POST"])])) as url:
        yield f"{url}/workflow"
    await client.http._client.aclose()


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """An application on a port of its own."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    settled = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    settled.load()
    server = uvicorn.Server(settled)
    server.lifespan = settled.lifespan_class(settled)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for one in server.servers:
            one.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await eventually(lambda: not server.server_state.connections, "the broker has hung up")


async def logs(http: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    """The runs that match, newest first."""
    response = await http.get("/v2/workflows/events", params={"groupBy": "workflowRunId", **filters})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["runs"]
    return found


async def ends(http: httpx.AsyncClient, state: str, *, within: float = 10.0) -> dict[str, Any]:
    """The newest run, once it is in this state."""

    async def there() -> bool:
        found = await logs(http)
        return bool(found) and found[0]["workflowState"] == state

    await eventually(there, f"the run is {state}", within=within)
    return (await logs(http))[0]


def step(number: int, name: str = "a step", **more: Any) -> bytes:
    """The body of a step's result."""
    return msgspec.json.encode({"stepId": number, "stepName": name, "stepType": "Run", "concurrent": 1, **more})


def item(url: str, run_id: str, body: bytes, headers: dict[str, str] | None = None, *, init: bool = False) -> dict[str, Any]:
    """A batch item of a workflow SDK."""
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    own = {
        "Upstash-Workflow-Init": str(init).lower(),
        "Upstash-Workflow-RunId": run_id,
        "Upstash-Workflow-Url": url,
        "Upstash-Forward-Upstash-Workflow-Sdk-Version": "1",
        "Content-Type": "application/json",
    }
    return {"destination": url, "headers": {**own, **named}, "body": body.decode()}
