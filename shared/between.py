"""What concerns more than one execution, wired once for every service: events by key, slots, gates."""

from dataclasses import dataclass

from redis.asyncio import Redis

from shared.clock import SystemClock
from shared.commands import Commands
from shared.event_relay import EventRelay
from shared.gate_ports import Policy
from shared.gates import Gates
from shared.ports import Store
from shared.redisdb.events import RedisEvents
from shared.redisdb.gates import RedisGates
from shared.redisdb.slots import RedisSlots
from shared.relay import Sender
from shared.settings import Settings
from shared.slot_relay import SlotRelay
from shared.watchdog import Watchdog


@dataclass(frozen=True, kw_only=True)
class Between:
    """Who needs several of these asks for them here."""

    event_relay: EventRelay
    slots: RedisSlots
    slot_relay: SlotRelay
    gate_store: RedisGates
    gates: Gates


def policy_of(settings: Settings) -> Policy:
    """When circuits open."""
    return Policy(
        in_a_row=settings.breaker_failures,
        calls=settings.breaker_calls,
        percent=settings.breaker_percent,
        window_ms=settings.breaker_window_ms,
        open_ms=settings.breaker_open_ms,
        open_most_ms=max(settings.breaker_open_ms, settings.breaker_open_most_ms),
    )


def open_between(redis: Redis, store: Store, sender: Sender, settings: Settings) -> Between:
    """Needs no neighbour to be up."""
    strict = settings.durability == "strict"
    slots, gate_store = RedisSlots(redis, strict=strict), RedisGates(redis, policy_of(settings))
    return Between(
        event_relay=EventRelay(RedisEvents(redis, strict=strict), store, sender.start),
        slots=slots,
        slot_relay=SlotRelay(slots, store, sender.start),
        gate_store=gate_store,
        gates=Gates(gate_store, SystemClock()),
    )


def join(between: Between, commands: Commands, watchdog: Watchdog) -> None:
    """Executions reach them by their outboxes; the watchdog does what a dead process left."""
    commands.on("subscribe", between.event_relay.subscribe)
    commands.on("unsubscribe", between.event_relay.unsubscribe)
    commands.on("slot_give", between.slot_relay.give)
    watchdog.take_along(between.event_relay)
    watchdog.take_along(between.slot_relay)
