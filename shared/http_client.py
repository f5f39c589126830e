"""The one HTTP client of what the engine and its servers call all the time: QStash, the executor, deliveries' destinations.

aiohttp, because a call costs it a tenth of the processor time that it costs httpx (docs/performance.md); it is loaded with the
client. A whole body goes out and a whole one comes back: nothing is decoded, no redirect followed, no cookie kept and no
proxy asked.
"""

import asyncio
import importlib
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import aiohttp
    import yarl

Pairs: TypeAlias = Iterable[tuple[str, str]]

KEEP_S: Final = 3.0
"""Idle connections are given up before common servers close theirs (5 s): a request must not go into a closing one."""
MOST_BYTES: Final = 1_048_576
_UNASKED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """As they came, in their order."""
    body: bytes
    """What was longer than it may be is cut."""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body for people."""
        return self.body.decode("utf-8", "replace")


class NoAnswer(Exception):
    """There was none. Its class says how far the request came, its text what happened."""


class NotConnected(NoAnswer):
    """Nothing was sent."""


class CutOff(NoAnswer):
    """The connection ended before the answer did, or what came is no HTTP: the request may have been carried out."""


class TooLate(NoAnswer):
    """The time is up: the request may be carried out."""


class HttpClient:
    """One for a process; `close` it. As many connections to a server as there are requests on their way to it."""

    def __init__(self, *, keep_s: float = KEEP_S, most_bytes: int = MOST_BYTES, tls: ssl.SSLContext | None = None) -> None:
        """`keep_s`: how long a connection is kept that nobody uses. `most_bytes`: of an answer's body. `tls`: whom to trust."""
        self._keep_s = keep_s
        self._most = most_bytes
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Pairs, body: bytes, *, answer_s: float, connect_s: float | None = None) -> Answer:
        """See `request`."""
        return await self.request("POST", url, headers, body, answer_s=answer_s, connect_s=connect_s)

    async def request(
        self, method: str, url: str, headers: Pairs, body: bytes, *, answer_s: float, connect_s: float | None = None
    ) -> Answer:
        """The answer, whatever its status. Host is added unless it is given.

        `answer_s`: until the last byte is read; `connect_s`: until the first one is sent, within `answer_s` unless it is given.
        NoAnswer; ValueError for what would not be one request, or goes to no http(s) URL.
        """
        import aiohttp

        given = list(headers)
        timeout = aiohttp.ClientTimeout(total=answer_s + (connect_s or 0), sock_connect=connect_s or answer_s)
        target = _target(url, given)
        call = self._opened().request(method, target, data=body, headers=given, timeout=timeout, allow_redirects=False)
        try:
            async with call as response:
                return Answer(response.status, list(response.raw_headers), await self._read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, UnicodeError) as error:  # no name is so long
            raise NotConnected(f"{type(error).__name__}: {error}") from error
        except TimeoutError as error:
            raise TooLate(f"no answer within {answer_s:g} s") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise ValueError(f"{url[:100]!r} is no http(s) URL with a host") from error
        except (aiohttp.ClientError, OSError) as error:
            raise CutOff(f"{type(error).__name__}: {error}") from error

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call; the library is loaded, so that the first call does not wait for it."""
        importlib.import_module("aiohttp")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `close`."""
        await self.close()

    async def close(self) -> None:
        """Give the connections up."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # transports close in the loop's next turn

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=self._keep_s, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, skip_auto_headers=_UNASKED
            )
        return self._session

    async def _read(self, response: "aiohttp.ClientResponse") -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._most:
                response.close()  # the rest of it is for nobody
                break
        return bytes(body[: self._most])


def _target(url: str, headers: Pairs) -> "yarl.URL":
    """As it is written: yarl would tidy it, and `//` in a path means something to somebody."""
    import yarl

    if urlsplit(url).port == 0:
        raise ValueError(f"{url[:100]!r} names port 0")
    found = yarl.URL(url, encoded=url.isascii())
    if found.user is not None and any(name.lower() == "authorization" for name, _ in headers):
        return found.with_user(None)  # what is given goes before what the URL says
    return found
