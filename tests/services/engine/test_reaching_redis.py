"""The way to Redis, and how a service that cannot start says so."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.durability import Fsync, verdict
from shared.errors import SettingsError, Unavailable
from shared.ports import Created, Exists, NotAccepted
from shared.quota import Limits
from shared.redisdb import keys
from shared.redisdb.connect import check_layout, connect, fsync_of
from shared.redisdb.lua import Script
from shared.redisdb.quota import RedisLedger
from shared.redisdb.reader import Reader
from shared.redisdb.store import RedisStore
from tests.support.executions import EXE, RETENTION_MS, birth
from tests.support.valkey import Valkey, free_port

ROOT = Path(__file__).parents[3]
PASSWORD = "p4ss/word-31"


@pytest.mark.parametrize(
    "url",
    [f"redis://:{PASSWORD}@db.example:6380/0", f"http://:{PASSWORD}@db.example", PASSWORD, f"redis://db.example:{PASSWORD}/0"],
)
def test_a_url_that_is_none_is_told_without_its_password(url: str) -> None:
    """A slash in a password makes the rest of it look like a port."""
    with pytest.raises(SettingsError) as caught:
        connect(url)

    assert "REDIS_URL" in caught.value.message
    assert "p4ss" not in caught.value.message
    assert "word-31" not in caught.value.message


async def test_more_commands_at_once_than_connections_wait_for_one(valkey: Valkey) -> None:
    """A thousand executions in one loop turn: none is told that Redis is away."""
    async with connect(valkey.url) as client:
        store = RedisStore(client, retention_ms=RETENTION_MS)
        await asyncio.gather(*(store.peek(f"exe_0a_{number:032x}", tenant="acme") for number in range(1_000)))
        count = await client.info("clients")

    assert count["connected_clients"] <= 300


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_line_that_was_cut_before_a_command_is_a_lost_connection_on_every_event_loop(valkey: Valkey, run: Any) -> None:
    """uvloop calls it a RuntimeError, which nobody who reckons with a Redis that is away expects."""

    async def cut() -> Any:
        async with connect(valkey.url) as client:
            await client.ping()
            [connection] = client.connection_pool._available_connections
            assert connection._writer is not None
            connection._writer.transport.abort()
            await asyncio.sleep(0.01)  # the transport is closed in the loop's next turn
            with pytest.raises(RedisConnectionError):
                await connection.send_command("PING")
            return await client.ping()

    assert run(cut()) is True


async def test_nobody_there_is_unavailable_soon() -> None:
    """A closed port: an error of ours, after a few tries."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(Reader(client).headers(["exe_0a_" + "1" * 32]), 5)

    assert caught.value.error_code == "store_unavailable"


async def test_the_layout_is_written_once_and_another_one_refused(redis: Redis) -> None:
    """64 partitions for ever; an unreachable Redis is readiness's business, not this one's."""
    await check_layout(redis)
    await check_layout(redis)
    assert await redis.get(keys.LAYOUT) == b"64"

    for other in ("16", "many"):
        await redis.set(keys.LAYOUT, other)
        with pytest.raises(SettingsError, match="64"):
            await check_layout(redis)
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as away:
        await check_layout(away)


async def test_a_script_is_loaded_again_when_the_server_forgot_it(redis: Redis) -> None:
    """After a restart, plainly and with the barrier."""
    script = Script("shared.redisdb", "relay_claim")
    names = [keys.outbox_times("00"), keys.outbox_entries("00")]
    for _ in range(2):
        await redis.script_flush()
        assert await script.run(redis, names, ["", 1, 1]) == []
        assert await script.run(redis, names, ["", 1, 1]) == []
        await redis.script_flush()
        reply, synced = await script.run_durably(redis, names, ["", 1, 1])
        assert (reply, synced) == ([], True)


async def test_strict_answers_for_what_another_connection_wrote_only_when_it_is_on_disk(redis: Redis) -> None:
    """A repeat finds its work done and writes nothing: that is no proof that the first one's write is on disk."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, strict=True)
    assert isinstance(await store.create(birth(EXE)), Created)
    assert isinstance(await store.create(birth(EXE)), Exists)
    ledger, lines = RedisLedger(redis, strict=True), Limits(day=10)
    assert (await ledger.admit("acme", EXE, 1, lines)).full == ""
    await redis.config_set("appendfsync", "no")
    try:
        for command in (
            ledger.admit("acme", EXE, 1, lines),
            ledger.top_up("acme", EXE, ver=0, used=0, want=1, limits=lines),
            store.create(birth(EXE)),
            store.signal(EXE, tenant="acme", sid="s", kind="pause", payload={}),
            store.signal(EXE, tenant="acme", sid="s", kind="pause", payload={}),
        ):
            with pytest.raises(Unavailable, match="on disk"):
                await command
    finally:
        await redis.config_set("appendfsync", "always")
    again = await store.signal(EXE, tenant="acme", sid="s", kind="pause", payload={})
    assert isinstance(again, NotAccepted), "the first one was stored, and is on disk by now"


@pytest.mark.parametrize(
    ("durability", "fsync", "holds"),
    [
        ("fast", "everysec", False),
        ("fast", "no", False),
        ("fast", "unknown", False),
        ("fast", "always", True),
        ("fast", "off", False),
        ("strict", "everysec", True),
        ("strict", "unknown", True),
        ("strict", "off", False),
    ],
)
def test_what_a_power_cut_weakens_is_said(durability: Literal["fast", "strict"], fsync: Fsync, *, holds: bool) -> None:
    """Promises 1, 2, 3, 5 and a part of 4, or none."""
    found = verdict(durability, fsync)
    assert [text[0] for text in found.weakened] == ([] if holds else ["1", "2", "3", "4", "5"])
    assert found.message


async def test_when_redis_syncs_is_asked_and_never_guessed(redis: Redis) -> None:
    """Also of one that is away."""
    assert await fsync_of(redis) == "always"
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as away:
        assert await fsync_of(away) == "unknown"


def test_a_missing_script_stops_the_start_up() -> None:
    """Not the first execution that would need it."""
    with pytest.raises(FileNotFoundError):
        Script("shared.redisdb", "no_such_script")


START: list[tuple[str, str, dict[str, str], str]] = [
    ("no key", "step_executor", {"INTENTION_MODE": "production"}, "QSTASH_CURRENT_SIGNING_KEY"),
    ("a typo", "ingress", {"INGRESS_PROT": "1"}, "did you mean INGRESS_PORT?"),
    ("no Redis URL", "resume", {"REDIS_URL": f"redis://:{PASSWORD}@h:1/0"}, "REDIS_URL"),
    ("found by ingress as it starts", "ingress", {"POLICIES": "/nowhere"}, "POLICIES=/nowhere cannot be read"),
    ("found by resume as it starts", "resume", {"POLICIES": "/nowhere"}, "POLICIES=/nowhere cannot be read"),
]


@pytest.mark.parametrize(("service", "variables", "says"), [row[1:] for row in START], ids=[row[0] for row in START])
def test_a_service_that_cannot_start_fails_and_says_what_to_change(service: str, variables: dict[str, str], says: str) -> None:
    """A non-zero exit, which a supervisor sees; one line without a traceback, and without a password."""
    ports = {"RESUME_PORT": str(free_port()), "INGRESS_PORT": str(free_port())}
    environ = {"PATH": os.environ["PATH"], "INTENTION_MODE": "local", **ports, **variables}
    command = [sys.executable, "-m", f"services.{service}.main"]
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert found.returncode != 0
    assert says in found.stderr
    assert found.stderr.startswith("cannot start: ")
    assert "Traceback" not in found.stderr + found.stdout
    assert "word-31" not in found.stderr + found.stdout


async def test_data_of_another_layout_is_one_line_too(redis: Redis, valkey: Valkey) -> None:
    """It is found when the service has begun to start."""
    await redis.set(keys.LAYOUT, 32)
    environ = {"PATH": os.environ["PATH"], "INTENTION_MODE": "local", "REDIS_URL": valkey.url, "RESUME_PORT": str(free_port())}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.resume.main", cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert said.decode() == "cannot start: this Redis is laid out for 32 partitions, this release for 64\n"


def test_a_busy_port_is_one_line_too() -> None:
    """Which port, and which setting moves it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = {"PATH": os.environ["PATH"], "INTENTION_MODE": "local", "INGRESS_PORT": port}
        command = [sys.executable, "-m", "services.ingress.main"]
        found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert found.returncode != 0
    assert found.stderr.startswith(f"cannot start: ingress cannot listen on 127.0.0.1:{port}")
    assert "INGRESS_PORT" in found.stderr
