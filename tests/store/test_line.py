"""One line for the commands of a process: answers find who asked, and what is lost is asked again."""

import asyncio
import signal
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.redisdb import line
from shared.redisdb.connect import connect, line_of
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

SAME = "return ARGV[1]"
ON_BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@ON_BOTH_LOOPS
def test_many_at_once_share_one_connection_and_each_has_its_own_answer(valkey: Valkey, run: Any) -> None:
    """Large and small answers, in one turn of the loop."""

    async def asked() -> tuple[list[bytes], int]:
        async with connect(valkey.url) as client, connect(valkey.url) as other:
            before = await clients(other)
            texts = [str(number) * (1 + number * 37) for number in range(300)]
            answers = await asyncio.gather(*(client.eval(SAME, 0, text) for text in texts))
            assert answers == [text.encode() for text in texts]
            return answers, await clients(other) - before

    answers, more = run(asked())
    assert len(answers) == 300
    assert more == 1


async def test_who_is_cancelled_leaves_the_others_their_answers(valkey: Valkey) -> None:
    """Its answer comes all the same, and belongs to nobody."""
    async with connect(valkey.url) as client:
        asked = [asyncio.ensure_future(client.eval(SAME, 0, str(number))) for number in range(6)]
        await asyncio.sleep(0)
        asked[2].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[2], asyncio.CancelledError)
    assert [answers[at] for at in (0, 1, 3, 4, 5)] == [b"0", b"1", b"3", b"4", b"5"]


@ON_BOTH_LOOPS
def test_a_line_that_was_cut_is_made_again_and_the_command_sent_again(valkey: Valkey, run: Any) -> None:
    """By the server, while a command is under way and while none is."""

    async def asked() -> list[bytes]:
        async with connect(valkey.url) as client, connect(valkey.url) as other:
            first = await client.eval(SAME, 0, "first")
            await other.client_kill_filter(_type="normal", skipme=True)
            answers = await asyncio.gather(*(client.eval(SAME, 0, text) for text in ("a", "b")))
            return [first, *answers]

    assert run(asked()) == [b"first", b"a", b"b"]


async def test_what_is_asked_once_tells_each_answer_and_is_not_sent_again(valkey: Valkey) -> None:
    """An error is the answer to its own command; a line that was lost is the caller's to judge."""
    async with connect(valkey.url) as client, connect(valkey.url) as other:
        once = line_of(client).ask_once
        found = await once([("EVAL", SAME, 0, "a"), ("EVALSHA", "0" * 40, 0), ("EVAL", SAME, 0, "b")])
        assert (found[0], type(found[1]), found[2]) == (b"a", NoScriptError, b"b")
        assert await once([]) == []

        asked = asyncio.ensure_future(once([("BLPOP", "nothing", 0)]))
        await eventually(lambda: blocked(other), describe="it waits")
        await other.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(RedisConnectionError):
            await asked
        assert await once([("EVAL", SAME, 0, "c")]) == [b"c"]


async def test_a_server_that_does_not_answer_is_a_lost_connection(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who ask are told, and once it answers again there is a new line."""
    server = Valkey(tmp_path)
    server.start()
    try:
        async with connect(server.url) as client:
            assert await client.eval(SAME, 0, "before") == b"before"
            server.signal(signal.SIGSTOP)
            with monkeypatch.context() as impatient:
                impatient.setattr(line, "ANSWER_S", 0.2)
                impatient.setattr(line, "AGAIN_S", ())
                asked = [client.eval(SAME, 0, "during") for _ in range(3)]
                answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(answer) for answer in answers] == [RedisTimeoutError] * 3
            server.signal(signal.SIGCONT)
            assert await client.eval(SAME, 0, "after") == b"after"
    finally:
        server.signal(signal.SIGCONT)
        server.kill()


async def test_what_the_server_refuses_is_told_to_who_asked(valkey: Valkey) -> None:
    """By redis-py's exceptions; the line stays."""
    async with connect(valkey.url) as client:
        with pytest.raises(NoScriptError):
            await client.evalsha("0" * 40, 0)
        with pytest.raises(ResponseError, match="no such thing"):
            await client.eval("return redis.error_reply('ERR no such thing')", 0)
        assert await client.eval(SAME, 0, "on") == b"on"


async def test_nobody_there_is_told_after_a_few_tries() -> None:
    """And to everybody who waits for the same line."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        answers = await asyncio.gather(*(client.eval(SAME, 0, "x") for _ in range(3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [RedisConnectionError] * 3


async def test_closing_waits_for_what_is_under_way_and_leaves_nothing(valkey: Valkey, redis: Redis) -> None:
    """Also where the line is only being made."""
    before = await clients(redis)
    client = connect(valkey.url)
    asked = asyncio.ensure_future(client.eval(SAME, 0, "last"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(client.aclose())
    assert await asked == b"last"
    await closing

    with pytest.raises(RedisConnectionError, match="closed"):
        await client.eval(SAME, 0, "late")

    async def gone() -> bool:
        return await clients(redis) == before

    await eventually(gone, describe="its connections are gone")


async def clients(redis: Redis) -> int:
    """How many are connected."""
    found = await redis.info("clients")
    return int(found["connected_clients"])


async def blocked(redis: Redis) -> bool:
    """Whether somebody waits in a command."""
    return bool((await redis.info("clients"))["blocked_clients"])
