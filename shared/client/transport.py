"""One request, and when it is made again.

A request is made again only where that cannot do anything twice: a GET, one with an Idempotency-Key, one that never left
because nobody took the connection, or one that ingress did nothing for (`busy`). `Retry-After` is honoured, up to
`Patience.longest_s`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeVar

import httpx
import msgspec

from shared.client.errors import ClientError, Refused, Unreachable, plain, refused

T = TypeVar("T")
AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which another try may help."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long a safe request is tried."""

    attempts: int = 4
    first_s: float = 0.2
    """Before the second attempt; it doubles, with jitter."""
    longest_s: float = 30.0
    """Before one attempt, also where `Retry-After` asks for more: then the refusal is raised."""


class Transport:
    """Speaks with one ingress."""

    def __init__(self, http: httpx.AsyncClient, actor: str, patience: Patience) -> None:
        """`http` knows the address and the key; `actor` is who acts, for the history."""
        self.http = http
        self.patience = patience
        self._headers = {"X-Actor": actor} if actor else {}

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        key: str = "",
        safe: bool = False,
    ) -> T:
        """The answer as `kind`; Refused, Unreachable. `key`: the Idempotency-Key. `safe`: twice is once, for another reason."""
        raw = await self.send(method, path, body=body, params=params, key=key, safe=safe)
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreachable(
                f"{method} {path}: the answer cannot be read ({error}): is that an ingress of this version?"
            ) from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        key: str = "",
        safe: bool = False,
    ) -> bytes:
        """The body of a good answer."""
        request = self.request(method, path, body=body, params=params, key=key)
        safe = safe or method == "GET" or bool(key)
        attempt = 1
        while True:
            try:
                return await self._once(request)
            except _Failed as failed:
                wait_s = self._wait_s(failed, attempt, safe=safe)
                if wait_s is None:
                    raise failed.error from failed.__cause__
            await asyncio.sleep(wait_s)
            attempt += 1

    async def parts(self, method: str, path: str) -> AsyncIterator[bytes]:
        """The body of a good answer while it comes; Refused, Unreachable."""
        request = self.request(method, path)
        try:
            answer = await self.http.send(request, stream=True)
            try:
                if not answer.is_success:
                    raise refused(answer.status_code, await answer.aread(), request.url)
                async for part in answer.aiter_bytes():
                    yield part
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise unreachable(request, error) from error

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        """What is sent."""
        sent = dict(self._headers) | ({"Idempotency-Key": key} if key else {}) | dict(headers or {})
        content = None
        if body is not None:
            content, sent["Content-Type"] = msgspec.json.encode(body), "application/json"
        said = {name: value for name, value in (params or {}).items() if value not in (None, "", ())}
        return self.http.build_request(method, path, content=content, params=said, headers=sent)

    async def _once(self, request: httpx.Request) -> bytes:
        try:
            answer = await self.http.send(request)
        except httpx.HTTPError as error:
            raise _Failed(unreachable(request, error), undone=isinstance(error, httpx.ConnectError)) from error
        if answer.is_success:
            return answer.content
        no = refused(answer.status_code, answer.content, request.url)
        undone = isinstance(no, Refused) and no.undone
        raise _Failed(no, again=answer.status_code in AGAIN, undone=undone, after_s=after_s(answer))

    def _wait_s(self, failed: "_Failed", attempt: int, *, safe: bool) -> float | None:
        """How long to wait for another attempt; None: there is none."""
        if attempt >= self.patience.attempts or not failed.again or not (safe or failed.undone):
            return None
        usual: float = self.patience.first_s * 2 ** (attempt - 1) * (0.5 + random.random() / 2)
        if max(usual, failed.after_s) > self.patience.longest_s:
            return None
        return failed.after_s + usual  # whoever was refused at the same moment does not come back at the same moment


class _Failed(Exception):
    """One attempt."""

    def __init__(self, error: ClientError, *, again: bool = True, undone: bool = False, after_s: float = 0.0) -> None:
        """`undone`: nothing was done for it, for certain."""
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.undone = undone
        self.after_s = after_s


def unreachable(request: httpx.Request, error: httpx.HTTPError) -> Unreachable:
    """Nobody answered."""
    return Unreachable(
        f"{plain(request.url).copy_with(path='/', query=None)} does not answer ({type(error).__name__}): is it running?"
    )


def after_s(answer: httpx.Response) -> float:
    """Seconds that an answer asks for; 0 if it asks for none. Only seconds: ingress writes nothing else."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
