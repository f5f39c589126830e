"""What every composition root of the engine wires the same way: Redis, QStash, the outbox's relay and the watchdog."""

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from redis.asyncio import Redis
from starlette.types import ASGIApp

from shared import http, logs
from shared.ably import Publisher, engine_publisher
from shared.background import Background
from shared.between import Between, join, open_between
from shared.callbacks import Addresses
from shared.called import Called
from shared.children import Children
from shared.circuit import Breaker
from shared.commands import Commands
from shared.durability import verdict
from shared.errors import SettingsError
from shared.executor_client import ExecutorClient
from shared.hints import Hints
from shared.http_client import HttpClient
from shared.qstash import QStashQueue
from shared.quota_keeper import Keeper, Paid
from shared.redaction import Scrubber, secrets_of
from shared.redisdb.births import RedisBirths
from shared.redisdb.connect import check_layout, connect, fsync_of
from shared.redisdb.quota import RedisLedger
from shared.redisdb.store import RedisStore
from shared.redisdb.tallies import Tallies
from shared.relay import Acks, Relay, Sender
from shared.returns import Returns
from shared.settings import Settings
from shared.settings_load import load
from shared.tally import Tally
from shared.telemetry.opening import open_tracer
from shared.telling import Teller
from shared.tracing import Tracer
from shared.watchdog import Watchdog

log = logs.get_logger()
DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The parts that ingress, step executor and resume share."""

    settings: Settings
    redis: Redis
    store: RedisStore
    qstash: QStashQueue
    queue: Commands
    sender: Sender
    background: Background
    executor: ExecutorClient
    watchdog: Watchdog
    between: Between
    addresses: Addresses
    called: Called
    teller: Teller
    quota: Keeper
    tallies: Tallies
    channel: Breaker | None
    """How it stands with Ably, as this process knows it; None without ABLY_API_KEY."""
    tracer: Tracer
    tally: Tally
    channels: Mapping[str, Breaker]
    """By name."""
    ably: Publisher | None
    """May publish on the engine's own channel, and the progress of executions; None without ABLY_API_KEY."""


async def open_engine(settings: Settings, stack: AsyncExitStack, service: str) -> Engine:
    """Connect; `stack` closes everything in reverse order. Needs no neighbour to be up. `service`: how traces call it."""
    tracer, tally = await open_tracer(settings, service, stack), Tally()
    redis = connect(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    await check_layout(redis)
    await announce_durability(redis, settings)
    client = await stack.enter_async_context(HttpClient())
    store = RedisStore(
        redis,
        retention_ms=round(settings.retention_days * DAY_MS),
        strict=settings.durability == "strict",
        large_bytes=settings.large_value_bytes,
    )
    acks = Acks(store)
    stack.push_async_callback(acks.close)
    qstash = QStashQueue(client, settings, tracer=tracer, tally=tally)
    stack.push_async_callback(qstash.close)
    executor = ExecutorClient(client, settings)
    direct = executor if settings.resume_direct else None
    background = Background()
    ledger = RedisLedger(redis, strict=settings.durability == "strict")
    births = RedisBirths(redis, store, ledger, strict=settings.durability == "strict")
    quota = Keeper(ledger=ledger, store=store, settings=settings, background=background, births=births)
    queue = Commands(Paid(qstash, direct, quota, store), store, acks)
    Children(store, quota).register(queue)
    channel: Hints | None = None
    if publisher := engine_publisher(settings):
        stack.push_async_callback(publisher.close)
        channel = Hints(publisher)
        stack.push_async_callback(channel.close)
    relay = Relay(store, queue, acks, channel)
    stack.push_async_callback(background.close)  # first to be closed: its work needs everything above
    watchdog = Watchdog(store, relay, acks, direct, rate=max(1, settings.sweep_rate * settings.sweep_ms // 1000), tracer=tracer)
    sender = Sender(queue, acks, background, channel)
    between = open_between(redis, store, sender, settings)
    join(between, queue, watchdog)
    watchdog.take_along(quota)
    back = Returns(store, relay, background, queue=qstash.breaker, channel=channel.breaker if channel else None)
    watchdog.take_along(back)
    tallies = Tallies(redis)
    watchdog.take_along(tallies)
    addresses = Addresses(settings.internal_signing_key, settings.ingress_url)
    return Engine(
        settings=settings,
        redis=redis,
        store=store,
        qstash=qstash,
        queue=queue,
        sender=sender,
        background=background,
        executor=executor,
        watchdog=watchdog,
        between=between,
        addresses=addresses,
        called=Called(addresses, store, sender),
        teller=Teller(store, sender, between.event_relay, background),
        quota=quota,
        tallies=tallies,
        channel=channel.breaker if channel else None,
        tracer=tracer,
        tally=tally,
        channels={"qstash": qstash.breaker} | ({"ably": channel.breaker} if channel else {}),
        ably=publisher,
    )


async def announce_durability(redis: Redis, settings: Settings) -> None:
    """Say what a crash of Redis's machine may take, before anything is promised."""
    fsync = await fsync_of(redis)
    found = verdict(settings.durability, fsync)
    say = log.warning if found.weakened else log.info
    weakened = list(found.weakened)
    say("durability.chosen", durability=settings.durability, appendfsync=fsync, weakened=weakened, message=found.message)


def run(
    name: str,
    create: Callable[[Settings], ASGIApp],
    *,
    address: Callable[[Settings], tuple[str, int]],
    port: str,
    processes: Callable[[Settings], int] = lambda _: 1,
) -> None:
    """A service's main: settings, logs, serve until told to stop. What is wrong with the settings ends it with one line.

    `port` names the setting that chooses the port, for whoever finds it taken. So many `processes` serve.
    """
    try:
        settings = load(os.environ)
        clean = Scrubber(secrets_of(settings)).line
        logs.configure(service=name, format=settings.log_format, level=settings.log_level, clean=clean)
        where, number = address(settings)
        app = create(settings)
        http.serve(app, host=where, port=number, name=name, port_setting=port, processes=processes(settings))
    except SettingsError as error:
        http.stop(error)
