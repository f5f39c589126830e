"""What the API has no list of: how many messages wait, which are next, and the newest state of each recent one."""

from typing import Any, NamedTuple

from services.qstash_dev.deps import Deps
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import State
from services.qstash_dev.store import Event, Snapshot

RECENT = 1_000
"""Log entries that the recent messages are gathered from."""
SHOWN = 100


class Counts(NamedTuple):
    """How many messages wait for their time, are due, line up behind a gate, are on the wire, and are dead."""

    later: int
    due: int
    parked: int
    held: int
    dead: int


class Live(NamedTuple):
    """A message that is not finished, and when it is due (unix ms)."""

    due_ms: int
    found: Snapshot


async def counts(parts: Deps, keys: Keys) -> Counts:
    """All of them at one moment."""
    redis: Any = parts.store.reads
    pipeline = redis.pipeline(transaction=True)
    now_ms = parts.now_ms()
    pipeline.zcount(keys.due, f"({now_ms}", "+inf")
    pipeline.zcount(keys.due, "-inf", now_ms)
    for key in (f"{keys.prefix}parked", keys.held, keys.dlq):
        pipeline.zcard(key)
    return Counts(*await pipeline.execute())


async def live(parts: Deps, keys: Keys, which: str) -> list[Live]:
    """The next messages of `held`, `due` or `parked`, soonest first."""
    redis: Any = parts.store.reads
    rows = await redis.zrange(f"{keys.prefix}{which}", 0, SHOWN - 1, withscores=True)
    found = [(int(score), await parts.store.message(keys, one.decode())) for one, score in rows]
    return [Live(due_ms, one) for due_ms, one in found if one]


async def recent(parts: Deps, keys: Keys) -> list[Event]:
    """The newest log entry of each recent message, newest first."""
    entries = await parts.store.events(keys, start="-", end="+", newest_first=True, count=RECENT)
    newest: dict[str, Event] = {}
    for entry in entries:
        newest.setdefault(entry.message.message_id, entry)
    return list(newest.values())


def by_state(entries: list[Event]) -> dict[State, int]:
    """How many messages are in each state."""
    found = dict.fromkeys(State, 0)
    for entry in entries:
        found[entry.state] += 1
    return found
