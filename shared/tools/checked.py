"""The connections of `shared.tools.outbound`: httpcore's, to addresses that were checked. Imported with the first request.

Most processes never make one, and httpcore takes 3 MiB.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

import httpcore

from shared.tools.inside import is_inside
from shared.tools.outbound import Resolver
from shared.tools.target import Target

CONNECT_S: Final = 3.0
FAILURES: Final = (TimeoutError, OSError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


class Inside(Exception):
    """An address that is not to be reached."""

    def __init__(self, address: str) -> None:
        """`address` is for the log."""
        super().__init__()
        self.address = address


def open_pool(resolver: Resolver, *, loopback: bool, ssl_context: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
    """No connection is used twice: each was checked for one request."""
    return httpcore.AsyncConnectionPool(
        ssl_context=ssl_context or httpcore.default_ssl_context(),
        max_connections=100,
        max_keepalive_connections=0,
        network_backend=_Checked(resolver, loopback=loopback),
    )


def request_of(
    method: str, target: Target, headers: Sequence[tuple[str, str]], body: bytes, deadline_s: float, trace: Any
) -> httpcore.Request:
    """With its time-outs. `trace` is told of each thing that httpcore does."""
    waits = {"connect": min(CONNECT_S, deadline_s), "read": deadline_s, "write": deadline_s, "pool": deadline_s}
    return httpcore.Request(
        method,
        httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
        headers=headers,
        content=body,
        extensions={"timeout": waits, "trace": trace},
    )


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and resolves a name no second time."""

    def __init__(self, resolver: Resolver, *, loopback: bool) -> None:
        self._resolve = resolver
        self._loopback = loopback
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one. One bad address spoils the name: it may be a trap."""
        async with asyncio.timeout(timeout):
            addresses = [host] if _is_address(host) else await self._resolve(host, port)
            for address in addresses:
                if is_inside(address, loopback=self._loopback):
                    raise Inside(address)
            problem: Exception = httpcore.ConnectError(f"{host} has no address")
            for address in addresses:
                try:
                    return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    problem = error
            raise problem

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's own signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise Inside(path)

    async def sleep(self, seconds: float) -> None:
        """As asked."""
        await asyncio.sleep(seconds)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
