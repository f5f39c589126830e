"""The way out for tools: HTTP to hosts outside, whatever a URL, a name server or an answer says.

A name is resolved once, every address it has is checked, and the connection goes to one of the checked addresses; the name is
what TLS and the Host header get. Redirects are not followed, proxies of the environment not asked, and an answer is read up to
a size and a time. Who resolves names is a port (`Resolver`).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.logs import get_logger
from shared.tools.registry import Call, ToolNotSent, ToolRefused, ToolUnanswered
from shared.tools.target import PORTS, BadUrl, Rule, Target, read

if TYPE_CHECKING:
    import httpcore

log = get_logger()

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> its addresses; OSError when it has none."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_BYTES: Final = 262_144
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"[\t -~]{0,8000}")
OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", "accept-encoding",
     "proxy-authorization", "proxy-connection", "expect"}
)  # fmt: skip
"""Set here, so that nobody else frames a request."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False
    """The body was longer than it may be; this is its beginning."""

    @property
    def text(self) -> str:
        """The body for people."""
        return self.body.decode("utf-8", "replace")


async def resolve(host: str, port: int) -> list[str]:
    """By the system: the hosts file and its name servers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outbound:
    """One for a process; close it."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        loopback: bool = False,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`rules`: who may go where. `loopback`: this machine may be reached, for development."""
        self._rules = tuple(rules)
        self._resolver, self._loopback = resolver, loopback
        self._ssl_context = ssl_context

    @cached_property
    def _pool(self) -> "httpcore.AsyncConnectionPool":
        """Made when it is needed first: many a process asks nobody, and reading the trusted certificates takes 20 ms."""
        from shared.tools import checked

        return checked.open_pool(self._resolver, loopback=self._loopback, ssl_context=self._ssl_context)

    async def aclose(self) -> None:
        """Close what is open."""
        if "_pool" in self.__dict__:
            await self._pool.aclose()

    async def request(
        self,
        call: Call,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        configured: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Ask once, within the call's deadline; any status is an answer.

        `configured`: the host is from the installation's own configuration, not from a plan, so no rule is asked.
        ToolRefused: it may not be asked. ToolNotSent: nothing left this process. ToolUnanswered: something did.
        """
        target = self._target(call, url, configured=configured)
        sending = _Sending()
        sent = _headers(method, target, headers or {}, body)
        from shared.tools import checked  # late: see there

        request, pool = checked.request_of(method, target, sent, body, call.deadline_s, sending.trace), self._pool
        try:
            async with asyncio.timeout(call.deadline_s):
                return await _answer(pool, request, max_bytes)
        except checked.Inside as error:
            log.warning("outbound.refused", host=target.host, address=error.address, tenant=call.tenant)
            raise ToolRefused("address_not_allowed", f"{target.host} is at an address that tools may not reach") from error
        except checked.FAILURES as error:
            raise sending.failed(target.host, error) from error

    def _target(self, call: Call, url: str, *, configured: bool) -> Target:
        try:
            target = read(url)
        except BadUrl as error:
            raise ToolRefused("bad_url", f"the URL cannot be used: {error}") from error
        if not configured and not any(rule.permits(call.tenant, target) for rule in self._rules):
            where = target.host if target.port in PORTS.values() else f"{target.host}:{target.port}"
            raise ToolRefused("host_not_allowed", f"{where} is not among the hosts that OUTBOUND_ALLOW opens for this tenant")
        return target


async def _answer(pool: "httpcore.AsyncConnectionPool", request: "httpcore.Request", max_bytes: int) -> Answer:
    async with aclosing(await pool.handle_async_request(request)) as answer:
        found = bytearray()
        async for chunk in answer.aiter_stream():
            found += chunk
            if len(found) > max_bytes:
                break
        headers = {name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in answer.headers}
        return Answer(status=answer.status, headers=headers, body=bytes(found[:max_bytes]), truncated=len(found) > max_bytes)


class _Sending:
    """Whether anything of the request has left: it decides what a failure means."""

    def __init__(self) -> None:
        self._begun = False

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Told by httpcore of each thing that it does."""
        self._begun = self._begun or event == "http11.send_request_headers.started"

    def failed(self, host: str, error: Exception) -> Exception:
        """What the tool's caller is told."""
        if self._begun:
            return ToolUnanswered(f"{host} took the request and did not answer ({type(error).__name__})")
        return ToolNotSent(f"{host} cannot be reached ({type(error).__name__})")


def _headers(method: str, target: Target, headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    if method not in METHODS:
        raise ToolRefused("bad_request", f"{method[:20]!r} is no method; it is one of {', '.join(METHODS)}")
    sent = [("Host", target.host_header), ("Accept-Encoding", "identity"), ("Connection", "close")]
    named = {name.lower() for name in headers}
    if "user-agent" not in named:
        sent.append(("User-Agent", "intention-engine"))
    for name, value in headers.items():
        check_header(name, value)
        sent.append((name, value))
    if body or method in {"POST", "PUT", "PATCH"}:
        sent.append(("Content-Length", str(len(body))))
    return sent


def check_header(name: str, value: str) -> None:
    """ToolRefused for one that could become something else on the wire; the value is not shown."""
    if not _TOKEN.fullmatch(name) or name.lower() in OWN_HEADERS:
        raise ToolRefused("bad_request", f"the header {name[:40]!r} cannot be given")
    if not _VALUE.fullmatch(value):
        raise ToolRefused("bad_request", f"the value of the header {name} has characters that a header cannot have")
