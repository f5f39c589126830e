"""A client that is closed leaves no connection, whatever was under way."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.redisdb import pool
from shared.redisdb.connect import connect
from tests.support.valkey import Valkey
from tests.support.waiting import eventually


async def clients(redis: Redis) -> int:
    """How many are connected besides `redis` itself."""
    found = await redis.info("clients")
    return int(found["connected_clients"]) - 1


async def test_a_command_under_way_ends_before_its_connection(valkey: Valkey, redis: Redis) -> None:
    """It had not even a connection when the client was closed."""
    before = await clients(redis)
    client = connect(valkey.url)
    asked: asyncio.Future[Any] = asyncio.ensure_future(client.echo("hello"))
    await asyncio.sleep(0)  # it connects now
    await client.aclose()

    assert await asked == b"hello"
    assert await clients(redis) == before


async def test_a_closed_client_takes_no_command(valkey: Valkey, redis: Redis) -> None:
    """Otherwise it would connect again, and nobody would close that."""
    before = await clients(redis)
    client = connect(valkey.url)
    await client.ping()
    await client.aclose()

    with pytest.raises(RedisConnectionError, match="closed"):
        await client.ping()
    assert await clients(redis) == before


async def test_what_takes_too_long_is_cut(valkey: Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blocking command does not hold up the end of a process, and its connection does not outlive it."""
    monkeypatch.setattr(pool, "CLOSE_S", 0.05)
    before = await clients(redis)
    client = connect(valkey.url)
    asked: asyncio.Future[Any] = asyncio.ensure_future(client.blpop(["nothing"], timeout=4))
    await eventually(lambda: clients_blocked(redis), describe="it waits in Redis")
    await client.aclose()
    with pytest.raises(RedisConnectionError):
        await asked

    await eventually(lambda: same(redis, before), describe="its connection is gone")


async def clients_blocked(redis: Redis) -> bool:
    """Whether somebody waits in a blocking command."""
    found = await redis.info("clients")
    return int(found["blocked_clients"]) > 0


async def same(redis: Redis, count: int) -> bool:
    """Whether there are `count` others."""
    return await clients(redis) == count
