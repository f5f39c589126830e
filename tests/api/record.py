"""`python -m tests.api.record` writes services/ingress/examples.json: answers of running services, for the OpenAPI document."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from services.ingress.app import API
from shared.client import Client
from shared.openapi.build import operation_id
from tests.api import story
from tests.support import conforming
from tests.system.harness import QUICK, System

KEY = "key-of-acme-0123456789"
MOST = 3_000
"""Bytes of an example; of the lists in a longer one the first item is shown."""
OTHERS = {"post_api_waits_token", "get_openapi_json", "get_metrics"}
"""What a step's partner calls, the document itself, and what is for a scraper: no methods of a client."""


class Recorder:
    """Sees every answer of ingress."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.called: set[str] = set()

    async def see(self, response: httpx.Response) -> None:
        """A hook of httpx."""
        method, path = response.request.method, response.request.url.path
        route = next(conforming.operations("ingress", path, method), None)
        if route is not None and response.is_success:
            self.called.add(operation_id(method, route.path))
        if "event-stream" in response.headers.get("content-type", ""):
            return
        await response.aread()
        conforming.check("ingress", response)
        if route is not None and response.is_success:
            seen = self.answers.setdefault(operation_id(method, route.path), {})
            answer = response.json()
            seen.setdefault(str(response.status_code), answer if len(response.content) <= MOST else shortened(answer))

    def missing(self) -> set[str]:
        """Operations that nobody called."""
        told = {operation_id(method, one.path) for one in conforming.routes("ingress") for method in one.said.methods}
        return told - self.called - OTHERS


def shortened(value: Any) -> Any:
    """The same, with lists of one item."""
    if isinstance(value, list):
        return [shortened(one) for one in value[:1]]
    return {name: shortened(one) for name, one in value.items()} if isinstance(value, dict) else value


@asynccontextmanager
async def playing(folder: Path, recorder: Recorder) -> AsyncIterator[tuple[Client, System]]:
    """Services, and a client that is watched."""
    async with System(folder, **QUICK, API_KEYS=f"acme:{KEY}", OPERATORS="acme") as system:
        headers = {"Authorization": f"Bearer {KEY}"}
        url = system.processes["ingress"].url
        hooks = {"response": [recorder.see]}
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False, event_hooks=hooks) as http,
            Client(http=http, actor="anna") as client,
        ):
            yield client, system


async def record(folder: Path) -> dict[str, dict[str, Any]]:
    """The answers by operation and status."""
    recorder = Recorder()
    async with playing(folder, recorder) as (client, system):
        await story.tell(client, system)
    recorder.answers["post_api_ably_token"]["200"].update(token="(a token)", url="http://127.0.0.1:8085")
    return {name: dict(sorted(found.items())) for name, found in sorted(recorder.answers.items())}


def main() -> None:
    """Write the file."""
    assert API.examples is not None
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(record(Path(folder)))
    found.pop("get_openapi_json", None)
    API.examples.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    sys.stdout.write(f"{sum(map(len, found.values()))} answers of {len(found)} operations: {API.examples}\n")


if __name__ == "__main__":
    main()
