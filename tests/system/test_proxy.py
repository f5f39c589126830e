"""The proxy itself: in clear weather it only carries, and each kind of bad weather does what it says."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.system.proxy import CLEAR, Proxy, Weather


@asynccontextmanager
async def echo(prefix: bytes = b"") -> AsyncIterator[int]:
    """A server that says back what it hears, behind its own word; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(prefix + data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port := free_port())
    try:
        yield port
    finally:
        server.close()


async def said(proxy: Proxy, words: bytes, *, expect: int) -> bytes:
    """What comes back on a new connection: `expect` bytes, or what there was until it ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(words)
        await writer.drain()
        try:
            return await reader.readexactly(expect)
        except asyncio.IncompleteReadError as cut:
            return cut.partial
    finally:
        writer.close()


async def test_in_clear_weather_many_connections_carry_everything() -> None:
    """A hundred at once, half a megabyte each way."""
    words = bytes(range(256)) * 2_000
    async with echo() as port, Proxy(free_port(), [port]) as proxy:
        answers = await asyncio.gather(*(said(proxy, words, expect=len(words)) for _ in range(100)))

    assert all(answer == words for answer in answers)
    assert (proxy.taken, proxy.cuts) == (100, 0)


async def test_connections_go_to_the_backends_in_turn_and_pass_over_one_that_is_gone() -> None:
    """Two that live and one that nobody listens on."""
    async with echo(b"a") as first, echo(b"b") as second, Proxy(free_port(), [first, second, free_port()]) as proxy:
        answers = [await said(proxy, b".", expect=2) for _ in range(12)]

    assert set(answers) == {b"a.", b"b."}
    assert min(answers.count(b"a."), answers.count(b"b.")) >= 4


async def test_a_refusing_proxy_takes_nobody_and_cuts_who_is_there_until_it_clears() -> None:
    """An open connection ends, a new one is refused; afterwards all is as before."""
    async with echo() as port, Proxy(free_port(), [port]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await proxy.turn(Weather(refuse=True))

        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.close()
        await proxy.turn(CLEAR)
        assert await said(proxy, b"again", expect=5) == b"again"


async def test_a_dropping_proxy_takes_a_connection_and_ends_it_without_a_byte() -> None:
    """The backend never hears of it."""
    async with echo() as port, Proxy(free_port(), [port]) as proxy:
        await proxy.turn(Weather(drop=True))
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            assert await reader.read(1) == b""
        except ConnectionResetError:
            pass  # what a reset looks like to a reader that was quick
        finally:
            writer.close()


async def test_a_hole_keeps_everything_back_and_gives_it_when_the_weather_clears() -> None:
    """Nothing is lost, nothing comes before."""
    async with echo() as port, Proxy(free_port(), [port]) as proxy:
        await proxy.turn(Weather(hole=True))
        asking = asyncio.create_task(said(proxy, b"hello", expect=5))
        await eventually(lambda: proxy.taken, describe="the connection is taken")
        done, _ = await asyncio.wait({asking}, timeout=0.2)
        assert not done
        await proxy.turn(CLEAR)
        assert await asking == b"hello"


async def test_a_cutting_proxy_resets_a_connection_in_the_middle_of_what_it_carries() -> None:
    """Half of the request arrives at most; so less than the whole comes back."""
    async with echo() as port, Proxy(free_port(), [port], seed=1) as proxy:
        await proxy.turn(Weather(cut=1.0))
        try:
            found = await said(proxy, b"0123456789", expect=10)
        except ConnectionResetError:
            found = b""
        assert len(found) < 10
        assert proxy.cuts >= 1


@pytest.mark.parametrize("weather", [Weather(delay_s=0.1), Weather(rate=10_000)], ids=["delayed", "throttled"])
async def test_a_slow_line_takes_its_time_and_loses_nothing(weather: Weather) -> None:
    """0.1 s there and 0.1 s back; or 2,000 bytes at 10,000 a second. A lower bound only: a busy machine is slower."""
    words = b"x" * 2_000
    async with echo() as port, Proxy(free_port(), [port]) as proxy:
        await proxy.turn(weather)
        began = time.monotonic()
        assert await said(proxy, words, expect=len(words)) == words
    assert time.monotonic() - began >= 0.15
