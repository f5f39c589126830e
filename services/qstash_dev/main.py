"""The composition root: settings, Redis, the courier and the scheduler, in the order they need each other.

`python -m services.qstash_dev.main`
"""

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.qstash_dev import hosts, ids, users
from services.qstash_dev.app import build_app
from services.qstash_dev.delivery import Courier, open_session
from services.qstash_dev.deps import Deps
from services.qstash_dev.faults.board import Board
from services.qstash_dev.faults.delivery import Interference
from services.qstash_dev.quota import Meter, Quota
from services.qstash_dev.quota import parse as parse_quota
from services.qstash_dev.scheduler import Scheduler, now_ms
from services.qstash_dev.store import Store
from services.qstash_dev.timetable import Timetable
from shared import http, logs
from shared.errors import SettingsError
from shared.redisdb.cluster import Node
from shared.redisdb.pool import Pool
from shared.settings import Settings
from shared.settings_load import load


def connect(url: str, *, retries: int) -> Redis:
    """A client that sends a command again so many times after a lost connection."""
    retry = Retry(NoBackoff(), retries)
    return Node.from_pool(Pool.from_url(url, timeout=10, retry=retry, socket_timeout=10, socket_connect_timeout=2))


@asynccontextmanager
async def running(config: Settings, quota: Quota = Quota()) -> AsyncIterator[Deps]:  # noqa: B008 - a constant
    """The parts, connected and at work; closed in reverse."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(config.redis_url, retries=0))
        reads = await stack.enter_async_context(connect(config.redis_url, retries=1))
        store = Store(redis, reads)
        stack.push_async_callback(store.pipe.close)
        courier = Courier(await stack.enter_async_context(open_session()), hosts.parse(config.qstash_dev_hosts))
        known, board = users.of(config), Board(reads, store.pipe)
        interference = Interference(board, store, courier)
        stack.push_async_callback(interference.close)
        scheduler = Scheduler(store=store, courier=courier, users=known, interference=interference)
        stack.push_async_callback(_end, asyncio.create_task(scheduler.run(), name="scheduler"))
        timetable = Timetable(store=store, scheduler=scheduler, users=known, now_ms=now_ms)
        stack.push_async_callback(timetable.close)
        yield Deps(
            users=known,
            store=store,
            scheduler=scheduler,
            faults=board,
            meter=Meter(quota, store.pipe),
            now_ms=now_ms,
            new_id=ids.message_id,
        )


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def check_host(config: Settings) -> None:
    """SettingsError unless the server stays on this machine, or is allowed not to."""
    if config.qstash_dev_allow_public:
        return
    found = socket.getaddrinfo(config.qstash_dev_host, None) if config.qstash_dev_host else []
    addresses = {str(info[4][0]) for info in found}
    if not addresses or not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise SettingsError(
            f"QSTASH_DEV_HOST={config.qstash_dev_host} is not loopback: anybody who reaches the port could make this machine "
            "call any address. Set QSTASH_DEV_ALLOW_PUBLIC=true if the network is closed."
        )


def banner(config: Settings, keys: Mapping[str, str] | None = None) -> str:
    """What is printed at the start, in the official server's words: its spawners wait for the first line.

    `keys` are those that sign after a rotation (`current`, `next`); without them the configured ones are shown.
    """
    host = f"[{config.qstash_dev_host}]" if ":" in config.qstash_dev_host else config.qstash_dev_host
    url, user = f"http://{host}:{config.qstash_dev_port}", users.of(config)[0]
    keys = keys or {"current": user.current_key, "next": user.next_key}
    return (
        f"QStash server is running at {url}\n"
        f"QSTASH_URL={url}\n"
        f"QSTASH_TOKEN={user.token}\n"
        f"QSTASH_CURRENT_SIGNING_KEY={keys['current']}\n"
        f"QSTASH_NEXT_SIGNING_KEY={keys['next']}\n"
    )


@asynccontextmanager
async def announced(config: Settings, quota: Quota) -> AsyncIterator[Deps]:
    """`running`, and said so on the terminal."""
    async with running(config, quota) as deps:
        if any(user.token == config.token for user in users.DEV_USERS):  # other keys are secrets: a log is no place for them
            sys.stdout.write(banner(config, await _signing(deps)))
            sys.stdout.flush()
        yield deps


async def _signing(deps: Deps) -> Mapping[str, str] | None:
    """The keys that sign now; None while Redis is away, for a start does not wait for it."""
    try:
        async with asyncio.timeout(1):
            return await deps.store.signing.get(deps.users[0])
    except (RedisError, TimeoutError):
        return None


def with_hosts(environ: Mapping[str, str], argv: Sequence[str]) -> dict[str, str]:
    """The environment, with the command line's `--host name=http://127.0.0.1:port` added to QSTASH_DEV_HOSTS."""
    parser = argparse.ArgumentParser(prog="qstash_dev", description="A local, durable QStash; settings are variables.")
    parser.add_argument("--host", action="append", default=[], metavar="NAME=URL", help="send what goes to NAME to URL")
    named = ",".join([environ.get("QSTASH_DEV_HOSTS", ""), *parser.parse_args(argv).host]).strip(",")
    return {**environ, "QSTASH_DEV_HOSTS": named}


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    try:
        config = load(with_hosts(os.environ, sys.argv[1:]))
        check_host(config)
        hosts.parse(config.qstash_dev_hosts)
        users.of(config)
        logs.configure(service="qstash_dev", format=config.log_format, level=config.log_level)
        host, port = config.qstash_dev_host, config.qstash_dev_port
        quota = parse_quota(os.environ.get("QSTASH_DEV_QUOTA", ""))
        app = build_app(lambda: announced(config, quota))
        http.serve(app, host=host, port=port, name="qstash_dev", port_setting="QSTASH_DEV_PORT")
    except SettingsError as error:
        http.stop(error)


if __name__ == "__main__":
    main()
