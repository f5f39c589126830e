"""Which histories have new lines, and those lines. One reader of this for a process tells all who follow (`shared.live`)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ClusterCrossSlotError

from shared.redisdb import keys
from shared.redisdb.base import Commanding
from shared.redisdb.line import Word
from shared.redisdb.reader import lines

LIVES_MS: Final = 900_000
"""How long the news go on without anybody who asks for them: so long a place in a feed is good without a reader."""
KEPT: Final = 1_000
"""Entries of a partition; a reader that gets as many at once may have missed some."""
PAGE: Final = 500
SPLIT_S: Final = 0.1
_STATE: Final = ("tenant", "status", "reason", "ver")


class Item(msgspec.Struct, frozen=True):
    """One entry: the lines `first` to `last` of an execution's history are new."""

    partition: str
    id: str
    execution: str
    first: str
    last: str


class Opened(msgspec.Struct, frozen=True):
    """The news of one partition: whether they have just begun, and the ids of their first and their latest entry."""

    begun: bool
    first: str
    last: str
    whole: bool = True
    """The first entry is the mark that they began with: none has left."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where an execution stands, and lines of its history; `status` is empty when there is no such execution.

    The record is read before the lines: whatever led to a terminal status is in them, or in the pages behind them.
    """

    lines: Sequence[dict[str, Any]] = ()
    tenant: str = ""
    status: str = ""
    reason: str = ""
    version: int = 0
    more: bool = False
    """There are lines behind these (or, of a look at the latest, before them)."""


class News(Commanding):
    """The streams of all partitions, read together on one connection; and the lines that they tell of."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        super().__init__(redis)
        self.load("news_open")
        self._split = False

    async def open(self) -> dict[str, Opened]:
        """Begin the news of every partition, or have them go on for LIVES_MS. One round trip; Unavailable without Redis."""
        self.calls["open"] += 1
        script = self._scripts["news_open"]
        pipe = self._redis.pipeline(transaction=False)
        pipe.script_load(script.text)
        for partition in keys.all_partitions():
            pipe.evalsha(script.digest, 1, keys.news(partition), LIVES_MS)
        _, *found = await self._plain(pipe.execute())
        return {
            partition: Opened(bool(begun), first.decode(), last.decode(), bool(whole))
            for partition, (begun, first, last, whole) in zip(keys.all_partitions(), found, strict=True)
        }

    async def read(self, after: Mapping[str, str], block_ms: int) -> dict[str, list[Item]]:
        """What is new behind these places, by partition; waits `block_ms` for anything. At most KEPT of each partition."""
        self.calls["read"] += 1
        streams: dict[Any, Any] = {keys.news(partition): place for partition, place in after.items()}
        found = await self._plain(self._together(streams, block_ms))
        rows = found.items() if isinstance(found, dict) else [(name, [entries]) for name, entries in found or ()]
        partitions = {keys.news(partition).encode(): partition for partition in after}
        return {partitions[name]: [_item(partitions[name], one) for part in entries for one in part] for name, entries in rows}

    async def _together(self, streams: dict[Any, Any], block_ms: int) -> Any:
        """All in one command. A cluster refuses keys of several slots: there they are asked one by one, again and again."""
        if not self._split:
            try:
                return await self._redis.xread(streams, count=KEPT, block=block_ms)
            except ClusterCrossSlotError:
                self._split = True
        await asyncio.sleep(SPLIT_S)
        pipe = self._redis.pipeline(transaction=False)
        for name, place in streams.items():
            pipe.xread({name: place}, count=KEPT)
        return [row for found in await pipe.execute() for row in found or ()]

    async def latest(self, execution: str) -> State:
        """The latest lines of a history, and where its execution stands."""
        self.calls["latest"] += 1
        latest = ("XREVRANGE", keys.history(execution), "+", "-", "COUNT", PAGE)
        state, found = await self._read_all([("HMGET", keys.record(execution), *_STATE), latest])
        return _state(state, found[::-1])

    async def behind(self, after: Mapping[str, str]) -> dict[str, State]:
        """Of each execution the lines behind that id, and where it stands there. One round trip."""
        self.calls["behind"] += 1
        commands: list[Sequence[Word]] = []
        for execution, line in after.items():
            commands.append(("HMGET", keys.record(execution), *_STATE))
            commands.append(("XRANGE", keys.history(execution), f"({line}", "+", "COUNT", PAGE))
        found = await self._read_all(commands)
        return {execution: _state(*told) for execution, *told in zip(after, found[::2], found[1::2], strict=True)}

    async def between(self, wanted: Mapping[str, tuple[str, str]]) -> list[Item]:
        """The entries of each partition from one place to another. One round trip."""
        self.calls["between"] += 1
        found = await self._read_all(
            [("XRANGE", keys.news(partition), first, last) for partition, (first, last) in wanted.items()]
        )
        items = [_item(partition, one) for partition, entries in zip(wanted, found, strict=True) for one in entries]
        return [item for item in items if item.execution]

    async def told(self, items: Sequence[Item]) -> list[State]:
        """The lines that each of these entries names, and where its execution stands now. PAGE of them at a time."""
        states: list[State] = []
        for start in range(0, len(items), PAGE):
            self.calls["told"] += 1
            page = items[start : start + PAGE]
            executions = list(dict.fromkeys(item.execution for item in page))
            commands: list[Sequence[Word]] = [("HMGET", keys.record(execution), *_STATE) for execution in executions]
            commands += [("XRANGE", keys.history(item.execution), item.first, item.last) for item in page]
            found = await self._read_all(commands)
            records = dict(zip(executions, found, strict=False))  # the lines follow the records
            states += [_state(records[item.execution], told) for item, told in zip(page, found[len(executions) :], strict=True)]
        return states

    async def tenants(self, executions: Sequence[str]) -> list[str]:
        """Whose these are; empty for what is gone."""
        self.calls["tenants"] += bool(executions)
        found = await self._read_all([("HGET", keys.record(execution), "tenant") for execution in executions])
        return [(tenant or b"").decode() for tenant in found]

    async def keeps(self, partition: str, place: str) -> bool:
        """Whether the news of a partition still have this entry."""
        return bool(await self._read("XRANGE", keys.news(partition), place, place, "COUNT", 1))

    async def page(self, execution: str, after: str) -> list[dict[str, Any]]:
        """A page of a history behind the id `after`."""
        self.calls["page"] += 1
        found = await self._read("XRANGE", keys.history(execution), f"({after}", "+", "COUNT", PAGE)
        return lines([(name, _fields(flat)) for name, flat in found])

    async def has(self, execution: str, line: str) -> bool:
        """Whether a history has the line of this id."""
        self.calls["has"] += 1
        return bool(await self._read("XRANGE", keys.history(execution), line, line, "COUNT", 1))


def _item(partition: str, entry: Any) -> Item:
    name, found = entry
    fields = found if isinstance(found, dict) else _fields(found)
    execution, first, last = (fields.get(field, b"").decode() for field in (b"x", b"a", b"z"))
    return Item(partition, name.decode(), execution, first, last)


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _state(state: Sequence[bytes | None], found: Sequence[Any]) -> State:
    tenant, status, reason, version = ((value or b"").decode() for value in state)
    more = len(found) == PAGE
    told = lines([(name, _fields(flat)) for name, flat in found])
    return State(lines=told, tenant=tenant, status=status, reason=reason, version=int(version or 0), more=more)
