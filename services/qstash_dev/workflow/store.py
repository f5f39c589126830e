"""The commands of `workflow/lua/`, one method each, and plain reads. Bears being called again, like the core's store."""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from services.qstash_dev.durations import DAY_MS
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import Publish
from services.qstash_dev.store import Finish, Recorded, Store, finish_args, put_args
from services.qstash_dev.workflow.model import Entry, Record, Run, RunState, Waiter, mark, unpack
from shared.redisdb import lua
from shared.redisdb.lua import Script

CORE = "services.qstash_dev"
OWN = "services.qstash_dev.workflow"
ENDED_MS = 3 * DAY_MS
"""How long an ended run can be read: as long as the event log."""
FAILED_MS = 7 * DAY_MS
"""A failed one as long as its dead letter, which may resume it."""

_record = msgspec.json.Decoder(Record)
_waiter = msgspec.json.Decoder(Waiter)
_encode = msgspec.json.Encoder().encode


class Started(NamedTuple):
    """Which message a start stands for now."""

    message_id: str
    created_at_ms: int
    created: bool


class Ended(IntEnum):
    """Answers of `finish_run`."""

    UNKNOWN = 0
    NOW = 1
    BEFORE = 2


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """A step for another run that an ending causes: the invoker's."""

    run_id: str
    entry: Entry
    publish: Publish


class After(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt's outcome means for its run."""

    run_id: str
    does: str = ""
    dlq_id: str = ""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    failure: str = ""
    follow: Follow | None = None


class _Composed(Script):
    """A script of this package on the core's `log` and `put`: one Lua text, so one command, all or nothing."""

    def __init__(self, name: str, text: str = "") -> None:
        shared = "\n".join((lua.read(CORE, "log"), lua.read(CORE, "put"), lua.read(OWN, "run")))
        self.name = name
        self.text = f"{shared}\n{text or lua.read(OWN, name)}"
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _recording() -> Script:
    """The core's finish.lua and after.lua as one command; the run's arguments stand behind the core's, their number last."""
    core, after = lua.read(CORE, "finish"), lua.read(OWN, "after")
    cut = (
        "local given, mine = ARGV, {}\n"
        "local count = tonumber(given[#given])\n"
        "local ARGV = {}\n"
        "for i = 1, #given - 1 - count do ARGV[i] = given[i] end\n"
        "for i = 1, count do mine[i] = given[#given - 1 - count + i] end\n"
    )
    core_call = f"local recorded = (function()\n{core}\nend)()\nif recorded ~= 1 then return recorded end\n"
    return _Composed("record", cut + core_call + after)


class RunStore:
    """Runs, their steps and waiters in Redis. Raises Unavailable like the core's store."""

    def __init__(self, core: Store) -> None:
        self._core = core
        self._redis: Any = core.reads
        self._start, self._append, self._end = _Composed("start"), _Composed("append"), _Composed("finish_run")
        self._wait, self._notify, self._timed_out = _Composed("wait"), _Composed("notify"), _Composed("timed_out")
        self._callback, self._record = _Composed("callback"), _recording()

    async def start(
        self, keys: Keys, record: Record, entries: Sequence[Entry], publish: Publish, now_ms: int, *, dlq_id: str = ""
    ) -> Started | None:
        """Create a run; None when it was to go on from a dead letter that is gone."""
        packed = [entry.packed() for entry in entries]
        args = [keys.prefix, now_ms, record.run_id, _encode(record), dlq_id, len(packed), *packed, *put_args(publish)]
        reply = await self._core.pipe.run(self._start, keys.fixed, args)
        return Started(reply[0].decode(), int(reply[1]), bool(reply[2])) if reply else None

    async def append(self, keys: Keys, run_id: str, entry: Entry, publish: Publish, now_ms: int) -> str | None:
        """Store a step and its message; None when the run is over or unknown."""
        args = [keys.prefix, now_ms, run_id, entry.packed(), mark(entry), *put_args(publish)]
        reply = await self._core.pipe.run(self._append, keys.fixed, args)
        return reply.decode() if reply else None

    async def end(
        self, keys: Keys, run_id: str, state: RunState, response: bytes, now_ms: int, follow: Follow | None = None
    ) -> Ended:
        """End a run, and tell its invoker."""
        args = [keys.prefix, now_ms, run_id, state, response, ENDED_MS, *_follow(follow)]
        return Ended(await self._core.pipe.run(self._end, keys.fixed, args))

    async def wait(
        self, keys: Keys, event: str, waiter: Waiter, publish: Publish, now_ms: int, early: Entry | None
    ) -> str | int:
        """The id of the message that waits; 0 to look again, empty when the run is over."""
        came = ["1", early.packed()] if early else ["", ""]
        args = [keys.prefix, now_ms, waiter.run_id, event, _encode(waiter), *came]
        reply = await self._core.pipe.run(self._wait, keys.fixed, [*args, *put_args(publish)])
        return 0 if reply == 0 else reply.decode() if reply else ""

    async def notify(
        self, keys: Keys, event: str, run_id: str, data: bytes, wakes: Sequence[tuple[Waiter, Entry, bytes]], now_ms: int
    ) -> list[str] | None:
        """Wake these waiters; the ids of the messages that come now. None: look again."""
        args: list[Any] = [keys.prefix, now_ms, event, run_id, data]
        for waiter, entry, body in wakes:
            args += [waiter.run_id, waiter.message_id, entry.packed(), body]
        reply = await self._core.pipe.run(self._notify, keys.fixed, args)
        return None if reply == 0 else [one.decode() for one in reply]

    async def timed_out(self, keys: Keys, run_id: str, event: str, entry: Entry, body: bytes) -> bool:
        """End a wait without a notification, unless one came."""
        args = [keys.prefix, run_id, entry.message_id, event, entry.packed(), body]
        return bool(await self._core.pipe.run(self._timed_out, keys.fixed, args))

    async def callback(self, keys: Keys, run_id: str, publish: Publish | None, now_ms: int) -> bool:
        """Send the failure callback again, or cancel it (None); False when the run has not failed."""
        args = [keys.prefix, now_ms, run_id, *(put_args(publish) if publish else [])]
        return bool(await self._core.pipe.run(self._callback, keys.fixed, args))

    async def record(self, keys: Keys, finish: Finish, after: After, now_ms: int) -> Recorded:
        """Record an attempt, the messages it causes, and what it means for the run: all or nothing."""
        mine = [after.run_id, after.does, FAILED_MS, after.dlq_id, _encode(after.facts), after.failure, *_follow(after.follow)]
        args = [*finish_args(keys, finish, now_ms), *mine, len(mine)]
        return Recorded(await self._core.pipe.run(self._record, keys.fixed, args))

    async def run(self, keys: Keys, run_id: str, *, steps: bool = True) -> Run | None:
        """A run as it stands; its steps only when asked for."""
        found = await self.runs(keys, [run_id], steps=steps)
        return found[0] if found else None

    async def runs(self, keys: Keys, ids: Sequence[str], *, steps: bool) -> list[Run]:
        """Those of the runs that are there."""
        pipeline = self._redis.pipeline(transaction=True)
        for run_id in ids:
            pipeline.hgetall(f"{keys.prefix}w:{run_id}")
            pipeline.lrange(f"{keys.prefix}ws:{run_id}", 0, -1 if steps else 0)
        rows = await pipeline.execute() if ids else []
        return [_run(rows[i], rows[i + 1]) for i in range(0, len(rows), 2) if rows[i]]

    async def known(self, keys: Keys) -> list[tuple[str, int]]:
        """Run ids and their times, newest first; some may be forgotten already."""
        rows = await self._redis.zrange(f"{keys.prefix}runs", 0, -1, desc=True, withscores=True)
        return [(run_id.decode(), int(at_ms)) for run_id, at_ms in rows]

    async def waiters(self, keys: Keys, event: str) -> list[Waiter]:
        """Who waits for an event."""
        return [_waiter.decode(one) for one in await self._redis.hvals(f"{keys.prefix}wait:{event}")]

    async def progress(self, keys: Keys, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """State and retries of those messages that are still remembered."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in ids:
            pipeline.hmget(keys.message(one), ["state", "n"])
        rows = await pipeline.execute() if ids else []
        return {one: (row[0].decode(), int(row[1])) for one, row in zip(ids, rows, strict=True) if row[0]}


def _run(raw: dict[bytes, bytes], steps: list[bytes]) -> Run:
    fields = {name.decode(): value for name, value in raw.items()}
    state, created = RunState(fields["state"].decode()), int(fields["created"])
    return Run(_record.decode(fields["rec"]), state, created, fields, [unpack(one) for one in steps])


def _follow(follow: Follow | None) -> list[Any]:
    return [follow.run_id, follow.entry.packed(), *put_args(follow.publish)] if follow else ["", ""]
