"""The client for the calls made all the time, against servers on loopback that do as the test says, down to the byte."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from shared.http_client import CutOff, HttpClient, NotConnected, TooLate
from tests.support.valkey import free_port
from tests.support.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request(reader: asyncio.StreamReader) -> bytes:
    """One request as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(length)


class Server:
    """What came to it, and on how many connections."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        """It gives these answers one after the other, on whatever connection, and the last one for ever."""
        self.answers, self.then_close = list(answers), then_close
        self.asked: list[bytes] = []
        self.connections = self.open = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open += 1
        try:
            while True:
                self.asked.append(await request(reader))
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
                if self.then_close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a port; with its end, all its connections end."""
    open_: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(script(reader, writer))
        open_.add(task)
        await asyncio.wait({task})
        writer.transport.abort() if task.cancelled() else writer.close()
        open_.remove(task)

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in open_:
            task.cancel()
        await eventually(lambda: not open_, describe="the server's connections ended")


@asynccontextmanager
async def server(*answers: bytes, then_close: bool = False) -> AsyncIterator[Server]:
    """One that answers so."""
    found = Server(*answers, then_close=then_close)
    async with serving(found.serve) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found


async def test_a_request_is_what_was_asked_and_nothing_more(caller: HttpClient) -> None:
    """Host and length are added; path and query stay byte for byte."""
    async with server(OK) as there:
        answer = await caller.post(f"{there.url}//a//%2F?q=1&q=2#x", [("X-Y", "ü")], b"body", answer_s=5)

    host = there.url.removeprefix("http://")
    asked, *headers = there.asked[0].decode().removesuffix("\r\n\r\nbody").split("\r\n")
    assert asked == "POST //a//%2F?q=1&q=2 HTTP/1.1"
    assert sorted(headers) == sorted([f"Host: {host}", "Content-Length: 4", "X-Y: ü"])
    assert (answer.status, answer.body, answer.ok) == (200, b"ok", True)
    assert answer.headers == [(b"Content-Length", b"2")]


async def test_requests_one_after_the_other_share_a_connection_and_those_at_once_have_their_own(caller: HttpClient) -> None:
    """And an answer belongs to the request that it answers."""

    connections = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                body = (await request(reader)).rpartition(b"\r\n")[2]
                await asyncio.sleep(0.001)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except asyncio.IncompleteReadError:
            pass

    async def ask(number: int) -> bytes:
        return (await caller.post(f"http://127.0.0.1:{port}/", (), b"%d" % number, answer_s=5)).body

    async with serving(echo) as port:
        assert [await ask(number) for number in range(5)] == [b"%d" % number for number in range(5)]
        assert connections == 1
        assert await asyncio.gather(*map(ask, range(20))) == [b"%d" % number for number in range(20)]
        assert connections == 20
        await asyncio.gather(*map(ask, range(20)))
        assert connections == 20


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n!!!\r\n0\r\n\r\n", b"ok!!!"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok"),
    ],
    ids=["chunks", "no content", "continue", "early hints"],
)
async def test_an_answer_is_read_however_it_is_framed(caller: HttpClient, answer: bytes, body: bytes) -> None:
    """Twice, on one connection: nothing of the first is left over."""
    async with server(answer) as there:
        for _ in range(2):
            assert (await caller.post(there.url, (), b"", answer_s=5)).body == body
        assert there.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection(caller: HttpClient) -> None:
    """As old servers send it."""
    async with server(b"HTTP/1.0 200 OK\r\n\r\nall of it", then_close=True) as there:
        assert (await caller.post(there.url, (), b"", answer_s=5)).body == b"all of it"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["closing", "an old server", "more than asked for", "another protocol"],
)
async def test_a_connection_that_may_not_be_used_again_is_not(caller: HttpClient, answer: bytes) -> None:
    """Each request has its own then."""
    async with server(answer) as there:
        for _ in range(3):
            assert (await caller.post(there.url, (), b"", answer_s=5)).status in {101, 200}
        assert there.connections == 3


async def test_what_comes_late_on_a_kept_connection_answers_nobody(caller: HttpClient) -> None:
    """Bytes that nobody asked for end it."""

    connections, ended = 0, asyncio.Event()

    async def stray(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")
        assert await reader.read() == b""
        ended.set()

    async with serving(stray) as port:
        for number in range(2):
            assert (await caller.post(f"http://127.0.0.1:{port}", (), b"", answer_s=5)).body == b"ok"
            await ended.wait()
            ended.clear()
            assert connections == number + 1


async def test_an_idle_connection_is_given_up() -> None:
    """Before the other side does."""
    async with server(OK) as there, HttpClient(keep_s=0.05) as client:
        await client.post(there.url, (), b"", answer_s=5)
        await eventually(lambda: there.open == 0, describe="the connection ended")
        await client.post(there.url, (), b"", answer_s=5)
        assert there.connections == 2


ON_BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@ON_BOTH_LOOPS
def test_services_run_on_another_loop_than_these_tests(run: Any) -> None:
    """A kept connection, one that is cut, and one that is given up."""

    async def asked() -> list[Any]:
        async with HttpClient() as client, server(OK, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok") as there:
            bodies = [(await client.post(there.url, (), b"", answer_s=5)).body for _ in range(2)]
            late = await asyncio.gather(client.post(there.url, (), b"", answer_s=0.05), return_exceptions=True)
            connections = there.connections
        async with HttpClient() as client, server(b"", then_close=True) as there:
            cut = await asyncio.gather(client.post(there.url, (), b"", answer_s=5), return_exceptions=True)
        return [*bodies, connections, type(late[0]), type(cut[0])]

    assert run(asked()) == [b"ok", b"ok", 1, TooLate, CutOff]


async def test_closing_gives_all_connections_up() -> None:
    """Nothing is left behind."""
    async with server(OK) as there:
        async with HttpClient() as client:
            await asyncio.gather(*(client.post(there.url, (), b"", answer_s=5) for _ in range(3)))
        await eventually(lambda: there.open == 0, describe="all ended")


async def test_a_body_is_read_up_to_its_limit() -> None:
    """What is longer is cut, and the rest of it reaches nobody."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n123456789"
    async with server(answer) as there, HttpClient(most_bytes=4) as client:
        for _ in range(2):
            assert (await client.post(there.url, (), b"", answer_s=5)).body == b"1234"
        assert there.connections == 2


async def test_nobody_there_means_that_nothing_was_sent(caller: HttpClient) -> None:
    """So it may be sent again, whatever it is."""
    with pytest.raises(NotConnected):
        await caller.post(f"http://127.0.0.1:{free_port()}", (), b"", answer_s=5)
    with pytest.raises(NotConnected):
        await caller.post(f"http://{'a' * 70}.example", (), b"", answer_s=5)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"SSH-2.0-x\r\n"],
    ids=["nothing", "half a head", "half a body", "half of the chunks", "no HTTP"],
)  # fmt: skip
async def test_half_an_answer_is_none(caller: HttpClient, answer: bytes) -> None:
    """The request may have been carried out."""
    async with server(answer, then_close=True) as there:
        with pytest.raises(CutOff):
            await caller.post(there.url, (), b"", answer_s=5)


async def test_an_answer_that_takes_too_long_is_not_waited_for(caller: HttpClient) -> None:
    """And its connection ends: what still comes on it is for nobody."""
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok") as there:
        with pytest.raises(TooLate):
            await caller.post(there.url, (), b"", answer_s=0.05)
        await eventually(lambda: there.open == 0, describe="the connection ended")


async def test_a_caller_that_is_cancelled_ends_its_connection(caller: HttpClient) -> None:
    """Somebody else would get its answer."""
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok") as there:
        asking = asyncio.create_task(caller.post(there.url, (), b"", answer_s=5))
        await eventually(lambda: there.asked, describe="it was asked")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await eventually(lambda: there.open == 0, describe="the connection ended")


@pytest.mark.parametrize(
    ("name", "value"), [("X", "a\r\nHost: b"), ("X", "a\nb"), ("X", "a\rb"), ("X\r\nY", "1"), ("X", "a\x00")]
)
async def test_a_header_cannot_become_another_one(caller: HttpClient, name: str, value: str) -> None:
    """Nothing is sent."""
    async with server(OK) as there:
        with pytest.raises(ValueError, match="character"):
            await caller.post(there.url, [(name, value)], b"", answer_s=5)
        assert there.connections == 0


@pytest.mark.parametrize("url", ["", "a", "ftp://a", "http://", "http:///x", "http://a:x/"])
async def test_what_is_no_url_is_said_to_be_none(caller: HttpClient, url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        await caller.post(url, (), b"", answer_s=5)


async def test_credentials_of_a_url_are_sent_unless_others_are_given(caller: HttpClient) -> None:
    """As a header, never in the path."""
    async with server(OK) as there:
        url = there.url.replace("http://", "http://user:p%40ss@")
        await caller.post(url, (), b"", answer_s=5)
        await caller.post(url, [("Authorization", "Bearer x")], b"", answer_s=5)

    assert b"\r\nAuthorization: Basic dXNlcjpwQHNz\r\n" in there.asked[0]
    assert there.asked[1].count(b"Authorization") == 1


async def test_tls_is_held_against_the_name(tmp_path: Path) -> None:
    """A certificate for 127.0.0.1 is good for that, and for no name; without trust it is good for nothing."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not there to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=a", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    await asyncio.to_thread(subprocess.run, [openssl, *made], check=True, capture_output=True)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    trusts = ssl.create_default_context(cafile=str(certificate))

    there = Server(OK)
    async with serving(there.serve, served) as port, HttpClient(tls=trusts) as client, HttpClient() as stranger:
        assert (await client.post(f"https://127.0.0.1:{port}", (), b"", answer_s=5)).body == b"ok"
        for asking, name in ((client, "localhost"), (stranger, "127.0.0.1")):
            with pytest.raises(NotConnected):
                await asking.post(f"https://{name}:{port}", (), b"secret", answer_s=5)
    assert len(there.asked) == 1
