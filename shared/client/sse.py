"""Server-sent events, from a stream that is taken up again where it broke."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final

import httpx

from shared.client.errors import Unreachable, refused
from shared.client.messages import Decoder, Sent
from shared.client.transport import AGAIN, Transport, after_s, unreachable

SILENT_S: Final = 60.0
"""A stream that says nothing for so long, not even that it is alive, is dead."""
END, RESET, DROPPED = "end", "reset", "dropped"


async def events(parts: AsyncIterable[bytes]) -> AsyncIterator[Sent]:
    """The events that the bytes of one connection are."""
    decoder = Decoder()
    async for part in parts:
        for sent in decoder.feed(part):
            yield sent


class Stream:
    """A stream of ingress, across as many connections as it takes."""

    def __init__(self, transport: Transport, path: str, params: Mapping[str, Any], after: str) -> None:
        """`after`: the id that it goes on behind; empty: from the beginning."""
        self._transport = transport
        self._path = path
        self._params = params
        self._last = after
        self._failures = 0

    async def __aiter__(self) -> AsyncGenerator[Sent, None]:
        """Every event once, in order, until `end`. `reset`: its place was gone, and what follows begins anew.

        Whoever is dropped, because he was slow or ingress is going away, goes on behind the last event.

        Refused; Unreachable after as many connections in a row that brought nothing as the client's patience has attempts.
        """
        while True:
            try:
                async with aclosing(self._connected()) as connected:
                    async for sent in connected:
                        self._failures = 0
                        self._last = sent.id if sent.event == RESET else sent.id or self._last
                        if sent.event == DROPPED:
                            break
                        yield sent
                        if sent.event == END:
                            return
            except httpx.HTTPError as error:
                failed = unreachable(self._request(), error)
            else:
                failed = Unreachable(f"{self._path}: the stream ends again and again without saying that it is over")
            await self._pause(failed)

    def _request(self) -> httpx.Request:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last} if self._last else {})
        return self._transport.request("GET", self._path, params=self._params, headers=headers)

    async def _connected(self) -> AsyncGenerator[Sent, None]:
        request = self._request()
        request.extensions["timeout"] = {"connect": 10.0, "read": SILENT_S, "write": 10.0, "pool": 10.0}
        answer = await self._transport.http.send(request, stream=True)
        try:
            if not answer.is_success:
                await self._refused(answer)
                return
            decoder = Decoder()
            async for part in answer.aiter_bytes():
                for sent in decoder.feed(part):
                    yield sent
                self._moved(decoder.place)
        finally:
            await answer.aclose()

    def _moved(self, place: str) -> None:
        """It may move on although nothing is told: what a filter leaves out need not be read again."""
        if place and place != self._last:
            self._last, self._failures = place, 0

    async def _refused(self, answer: httpx.Response) -> None:
        """Raises what cannot be mended by waiting; waits as long as it is asked to."""
        error = refused(answer.status_code, await answer.aread(), answer.request.url)
        longest_s = self._transport.patience.longest_s
        if answer.status_code not in AGAIN or self._failures + 1 >= self._transport.patience.attempts:
            raise error
        if after_s(answer) > longest_s:
            raise error
        await asyncio.sleep(after_s(answer))

    async def _pause(self, failed: Unreachable) -> None:
        self._failures += 1
        patience = self._transport.patience
        if self._failures >= patience.attempts:
            raise failed
        wait_s = patience.first_s * 2 ** (self._failures - 1) * (0.5 + random.random() / 2)
        await asyncio.sleep(min(wait_s, patience.longest_s))


async def streamed(transport: Transport, method: str, path: str, *, body: Any, key: str = "") -> AsyncIterator[Sent]:
    """The events of one answer, on one connection; Refused, Unreachable."""
    headers = {"Accept": "text/event-stream"}
    request = transport.request(method, path, body=body, key=key, headers=headers)
    try:
        answer = await transport.http.send(request, stream=True)
        try:
            if not answer.is_success:
                raise refused(answer.status_code, await answer.aread(), request.url)
            async for sent in events(answer.aiter_bytes()):
                yield sent
        finally:
            await answer.aclose()
    except httpx.HTTPError as error:
        raise unreachable(request, error) from error
