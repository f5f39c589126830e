"""A history that is followed while it grows: over a real stream that breaks off, begins anew, and ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.cli.api import Api, Failed, opened
from shared.cli.feed import Feed
from shared.cli.profiles import Target
from tests.services.engine.support import serving

ID = "exe_0a_01a2046995247ddb9dba4d7b4d41fe1c"
LINES = [{"id": f"1{n}-0", "event": "step.done", "step": f"s{n}"} for n in range(5)]


class Told:
    """An ingress that says what a test wants; `streams`: what each connection to the stream is sent, in their order."""

    def __init__(self, streams: list[bytes] | None) -> None:
        self.streams = streams
        self.cursors: list[str | None] = []
        self.lines = list(LINES)
        self.over = True

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """Asks it."""
        routes = [
            Route("/api/executions/{id}", self._get),
            Route("/api/executions/{id}/history", self._history),
            *([Route("/api/executions/{id}/events", self._events)] if self.streams is not None else []),
        ]
        async with serving(Starlette(routes=routes)) as url:
            with opened(Target(url, "", "", {})) as api:
                yield api

    async def _get(self, request: Request) -> Response:
        if request.path_params["id"] != ID:
            return JSONResponse(
                {"error": {"code": "not_found", "message": "there is no execution", "details": {}}}, status_code=404
            )
        return JSONResponse({"id": ID, "endedAt": "2026-11-22T12:00:00+00:00" if self.over else None})

    async def _history(self, request: Request) -> Response:
        after = request.query_params.get("after", "")
        return JSONResponse({"history": [line for line in self.lines if line["id"] > after][:2]})

    async def _events(self, request: Request) -> Response:
        assert self.streams
        self.cursors.append(request.headers.get("last-event-id"))
        text = self.streams.pop(0)

        async def parts() -> AsyncIterator[bytes]:
            yield text

        return StreamingResponse(parts(), media_type="text/event-stream")


def said(*lines: dict[str, Any]) -> bytes:
    """Messages of a stream."""
    return b"".join(f"id: {line['id']}\ndata: {json.dumps(line | {'executionId': ID})}\n\n".encode() for line in lines)


END = b'event: end\ndata: {"status": "COMPLETED"}\n\n'


async def followed(api: Api) -> list[str]:
    """The steps that were told until the end, in a thread as the command line is one."""

    def all_of_it() -> list[str]:
        feed, found = Feed(api, ID), list[str]()
        while not feed.ended:
            found += [line["step"] for line in feed.take(20)]
        return found

    return await asyncio.wait_for(asyncio.to_thread(all_of_it), 30)


ALL = ["s0", "s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    ("streams", "cursors"),
    [
        ([said(*LINES) + END], [None]),
        ([said(*LINES[:2]), said(*LINES[2:]) + END], [None, "11-0"]),
        ([said(*LINES[:3]), b'event: reset\ndata: {"reason": "gone"}\n\n', said(*LINES) + END], [None, "12-0", None]),
        ([b": heartbeat\n\n" + said(LINES[0], LINES[0], *LINES[1:]) + END], [None]),
    ],
    ids=["whole", "breaks off", "begins anew", "tells twice"],
)
async def test_every_line_is_told_once_and_in_order(streams: list[bytes], cursors: list[str | None]) -> None:
    """Whatever happens to the stream; it goes on where it was."""
    there = Told(streams)
    async with there.api() as api:
        assert await followed(api) == ALL
    assert there.cursors == cursors


async def test_without_a_stream_the_history_is_asked() -> None:
    """An older ingress has none."""
    async with Told(None).api() as api:
        assert await followed(api) == ALL


async def test_what_is_not_there_is_told_at_once() -> None:
    """With what ingress said."""
    async with Told(None).api() as api:

        def ask() -> Callable[[float], Any]:
            return Feed(api, ID.replace("exe_0a", "exe_0b")).take

        take = await asyncio.to_thread(ask)
        with pytest.raises(Failed, match="there is no execution"):
            await asyncio.to_thread(take, 20.0)
