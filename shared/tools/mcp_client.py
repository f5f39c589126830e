"""Connections to MCP servers, by the official SDK: one a server and process, made when it is needed, made anew when it broke.

The SDK says that a call failed, not whether it left. What is known of each call on its way is noted here, below the SDK, so
that "never sent", "refused" and "nobody knows" stay apart.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import anyio
import httpx2
import msgspec
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, Tool

from shared.logs import get_logger
from shared.tools import answers
from shared.tools.mcp_shape import Server
from shared.tools.outbound import Answer
from shared.tools.registry import Call, ToolNotSent, ToolRefused, ToolUnanswered

log = get_logger()
logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # it logs what servers answer, and so what they were sent

KEY_META: Final = "intention-engine/key"
"""In `_meta` of every call: the effect's key, the same for every attempt."""
CALL_META: Final = "intention-engine/call"
"""And which request this is, by which it is found again on its way."""
CONNECT_S: Final = 10.0
CLOSE_S: Final = 6.0
"""A stdio server has four seconds to end by itself before it is killed."""
MOST_BYTES: Final = 4_194_304
"""Of one answer over HTTP."""
PAGES: Final = 20
REFUSED: Final = frozenset({INVALID_PARAMS, METHOD_NOT_FOUND})
"""JSON-RPC errors that say that the tool was not run. The SDK makes others itself, of answers that it cannot read."""


class Fate(msgspec.Struct):
    """What became of one request."""

    sent: bool = False
    answer: Answer | None = None
    """Of HTTP: its status line and the beginning of the body, unless it was a good one."""
    too_large: bool = False


Fates = dict[str, Fate]
"""Of calls that are on their way, by their token."""
Transport = AbstractAsyncContextManager[Any]


class Connection:
    """One server. Safe for calls at the same time."""

    def __init__(self, server: Server, values: Mapping[str, str]) -> None:
        """`values`: headers or environment, with the secrets in their places."""
        self._server = server
        self._values = dict(values)
        self._fates: Fates = {}
        self._session: Session | None = None
        self._left: set[Session] = set()

    async def call(self, call: Call, tool: str, args: dict[str, Any], *, pure: bool) -> CallToolResult | None:
        """The tool's result, failed or not; None: it was done, and the result is too large to be read.

        ToolNotSent, ToolRefused, ToolUnanswered say of everything else whether it was done.
        """
        for last in (False, True):
            session = await self._open(call.deadline_s)
            token = secrets.token_hex(8)
            fate = self._fates[token] = Fate()
            try:
                return await session.call(tool, args, {KEY_META: call.key, CALL_META: token}, call.deadline_s)
            except MCPError as error:
                if error.code == CONNECTION_CLOSED or not fate.sent or _forgotten(fate):
                    self._leave(session)
                if fate.too_large:
                    return None
                if not _forgotten(fate) or last:
                    raise _meaning(fate, error, pure=pure) from error
            except Exception as error:
                self._leave(session)
                kind = ToolUnanswered if fate.sent else ToolNotSent
                raise kind(f"the MCP server {self._server.name} broke off ({type(error).__name__}: {error})") from error
            finally:
                del self._fates[token]
        raise AssertionError("unreachable")

    async def tools(self) -> list[Tool]:
        """All that the server lists. ToolNotSent if it cannot be asked."""
        session = await self._open(CONNECT_S)
        try:
            return await session.tools()
        except Exception as error:
            self._leave(session)
            raise ToolNotSent(f"the MCP server {self._server.name} does not list its tools ({error})") from error

    async def close(self) -> None:
        """End what is open; a stdio server ends with it."""
        if self._session is not None:
            self._leave(self._session)
        await asyncio.gather(*(session.close() for session in list(self._left)))

    async def _open(self, within_s: float) -> "Session":
        if self._session is None or self._session.over:
            self._session = Session(self._transport)
        session = self._session
        try:
            await session.ready(within_s * 0.9)
        except TimeoutError:  # it may be a moment away, so it is not left: the next call finds it
            raise ToolNotSent(f"the MCP server {self._server.name} is not ready yet") from None
        except Exception as error:
            self._leave(session)
            raise ToolNotSent(f"the MCP server {self._server.name} cannot be reached ({_innermost(error)})") from error
        return session

    def _leave(self, session: "Session") -> None:
        """No new calls on it; those that it has may end."""
        if self._session is session:
            self._session = None
        self._left = {one for one in self._left if not one.over} | {session}
        session.leave()

    def _transport(self) -> Transport:
        server = self._server
        if server.url:
            return _over_http(server.url, self._values, self._fates)
        program, *arguments = server.command
        asked = StdioServerParameters(command=program, args=arguments, env=self._values, cwd=server.folder or None)
        return _over_stdio(asked, self._fates)


class Session:
    """One conversation with a server. The SDK wants it ended by the task that began it, so it has a task of its own."""

    def __init__(self, transport: Callable[[], Transport]) -> None:
        self._client = asyncio.get_running_loop().create_future()
        self._client.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, if nobody else does
        self._leaving = asyncio.Event()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._hold(transport))

    @property
    def over(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._task.done()

    async def ready(self, within_s: float) -> None:
        """Wait for the handshake. TimeoutError, or why there is none."""
        await asyncio.wait_for(asyncio.shield(self._client), within_s)

    async def call(self, tool: str, args: dict[str, Any], meta: dict[str, Any], seconds: float) -> CallToolResult:
        """One call; whatever the SDK raises."""
        self._calls += 1
        self._idle.clear()
        try:
            client: Client = self._client.result()
            return await client.call_tool(tool, args, seconds, meta=meta)  # type: ignore[arg-type]  # names of our own
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def tools(self) -> list[Tool]:
        """Every page."""
        client: Client = self._client.result()
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="refresh")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def leave(self) -> None:
        """End when no call is under way any more."""
        self._leaving.set()

    async def close(self) -> None:
        """End now."""
        self._idle.set()
        self.leave()
        await asyncio.wait({self._task}, timeout=CLOSE_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _hold(self, transport: Callable[[], Transport]) -> None:
        try:
            async with Client(transport(), read_timeout_seconds=CONNECT_S) as client:
                self._client.set_result(client)
                await self._leaving.wait()
                await self._idle.wait()  # not for long: each call has a deadline of its own
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told; afterwards its calls are
            if not self._client.done():
                self._client.set_exception(error)
            else:
                log.warning("mcp.session_broke", error=_innermost(error))


def _forgotten(fate: Fate) -> bool:
    """The server knows no such session any more, and so did nothing."""
    return fate.answer is not None and fate.answer.status == 404 and "mcp-session-id" in fate.answer.headers


def _meaning(fate: Fate, error: MCPError, *, pure: bool) -> Exception:
    if not fate.sent:
        return ToolNotSent(f"the MCP server cannot be reached ({error.message})")
    if fate.answer is not None:
        try:
            answers.check(fate.answer, pure=pure, now_s=time.time())
        except (ToolRefused, ToolUnanswered) as found:
            return found
    if error.code in REFUSED:
        return ToolRefused(f"mcp_{abs(error.code)}", error.message[: answers.SHOWN])
    return ToolUnanswered(f"the MCP server did not say what became of it: {error.message[: answers.SHOWN]} ({error.code})")


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


# what is seen below the SDK


def _token(plain: Any) -> str:
    """Which call a JSON-RPC request is; empty for what is no call."""
    try:
        return str(plain["params"]["_meta"][CALL_META])
    except (KeyError, TypeError):
        return ""


@asynccontextmanager
async def _over_stdio(server: StdioServerParameters, fates: Fates) -> AsyncIterator[Any]:
    """A child of this process. What it writes to standard error is not kept: it has its secrets."""
    with open(os.devnull, "w", encoding="utf8") as nowhere:  # noqa: ASYNC230, PTH123 - it opens at once
        async with stdio_client(server, nowhere) as (read, write):
            yield read, _Noting(write, fates)


class _Noting:
    """A stream to the server that notes which calls went into it."""

    def __init__(self, stream: Any, fates: Fates) -> None:
        self._stream = stream
        self._fates = fates

    async def send(self, item: Any) -> None:
        """What the server's input took may have arrived there, also if this is broken off."""
        message = item.message.model_dump(by_alias=True, exclude_unset=True)
        fate = self._fates.get(_token(message)) or Fate()
        fate.sent = True
        try:
            await self._stream.send(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            fate.sent = False
            raise

    async def aclose(self) -> None:
        """See the SDK."""
        await self._stream.aclose()

    async def __aenter__(self) -> "_Noting":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


@asynccontextmanager
async def _over_http(url: str, headers: Mapping[str, str], fates: Fates) -> AsyncIterator[Any]:
    transport = _NotingTransport(fates)
    times = httpx2.Timeout(60, connect=3)  # a stream that listens is quiet for long; each call has its own deadline
    sent = {"Accept-Encoding": "identity"} | dict(headers)  # nothing grows behind the size that is looked at
    async with (
        httpx2.AsyncClient(transport=transport, headers=sent, timeout=times, trust_env=False) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


class _NotingTransport(httpx2.AsyncBaseTransport):
    """HTTP that notes how each call fared.

    A failure becomes an answer: an exception here would end the whole session, and every other call on it.
    """

    def __init__(self, fates: Fates) -> None:
        self._inner = httpx2.AsyncHTTPTransport(retries=0)
        self._fates = fates

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        fate = self._fates.get(_token(_json(await request.aread()))) or Fate()
        fate.sent, fate.answer = True, None  # the SDK may send a call again, and then only the last time counts
        try:
            response = await self._inner.handle_async_request(request)
            return await self._seen(request, response, fate)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            fate.sent = False
            return _failed(request, f"no connection ({type(error).__name__})")
        except httpx2.TransportError as error:
            return _failed(request, f"the connection broke ({type(error).__name__})")

    async def _seen(self, request: httpx2.Request, response: httpx2.Response, fate: Fate) -> httpx2.Response:
        """Streams of events go on as they are; the SDK bounds each event itself."""
        if response.is_success and response.headers.get("content-type", "").startswith("text/event-stream"):
            return response
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MOST_BYTES:
                await response.aclose()
                fate.too_large = response.is_success
                return _failed(request, "the answer is too large")
        await response.aclose()
        if not response.is_success:
            fate.answer = _answer(request, response, body)
        return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)

    async def aclose(self) -> None:
        """See the base class."""
        await self._inner.aclose()


def _answer(request: httpx2.Request, response: httpx2.Response, body: bytes) -> Answer:
    """As other tools' answers are read. Whether the request was one of a session is kept among the headers."""
    session = {"mcp-session-id": "sent"} if "mcp-session-id" in request.headers else {}
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() != "mcp-session-id"}
    return Answer(status=response.status_code, headers=headers | session, body=body[: answers.SHOWN * 4])


def _failed(request: httpx2.Request, why: str) -> httpx2.Response:
    return httpx2.Response(502, request=request, json={"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": why}})


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        return None
