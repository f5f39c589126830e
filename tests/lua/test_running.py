"""How scripts are run: by digest, loaded again when a server forgot them, and durable when asked to be."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared.errors import Unavailable
from shared.ports import Created, No, NoLease
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore
from tests.support.executions import EXE, NOW, RETENTION_MS, ask, birth, created, execution_id, leased
from tests.support.stores import Recording
from tests.support.valkey import Valkey, free_port


@pytest.mark.parametrize("strict", [False, True], ids=["usual", "strict"])
async def test_a_server_that_forgot_its_scripts_gets_them_again(redis: Redis, strict: bool) -> None:  # noqa: FBT001 - a row
    """A restart empties the script cache; no call fails by it."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, strict=strict, now_ms=NOW)
    for number in (1, 2):
        await redis.script_flush()
        await created(store, execution_id(number))


async def test_strict_waits_for_the_disk(redis: Redis) -> None:
    """The command goes out behind the script, on the same connection."""
    await redis.config_resetstat()
    await created(RedisStore(redis, retention_ms=RETENTION_MS, strict=True, now_ms=NOW))
    assert (await redis.info("commandstats"))["cmdstat_waitaof"]["calls"] == 1


async def test_what_is_not_on_disk_is_not_accepted_when_strict(redis: Redis) -> None:
    """The caller is told to come again; the write may be there, and a repeat finds it."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, strict=True, now_ms=NOW)
    await redis.config_set("appendonly", "no")
    try:
        with pytest.raises(Unavailable):
            await store.create(birth())
    finally:
        await redis.config_set("appendonly", "yes")
    assert await store.create(birth()) is not None


async def test_a_store_that_is_away_says_so() -> None:
    """One error for all its reasons, and it can be tried again."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        with pytest.raises(Unavailable, match="Redis does not answer"):
            await ask(RedisStore(client, retention_ms=RETENTION_MS))


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """SIGKILL between two commands: record, outbox and due time are there again, and so is the lease."""
    server = Valkey(tmp_path)
    server.start()
    try:
        async with connect(server.url) as client:
            store = Recording(client, retention_ms=RETENTION_MS, now_ms=NOW)
            assert isinstance(await store.create(birth()), Created)
            lease = await leased(store)
            server.kill()
            server.start()
            assert isinstance(await ask(store, owner="b" * 32), NoLease)
            assert store.last.reply[0] == No.HELD
            assert (await leased(store)).fence == lease.fence
            store.now_ms = NOW + 2_000
            assert [entry.execution for entry in await store.relay_claim("0a", limit=9, claim_ms=1)] == [EXE]
    finally:
        server.kill()
