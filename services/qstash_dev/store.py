"""Everything this server remembers, in Redis: one typed method for each Lua command, and plain reads.

A method that returns has stored what it says; one that raises Unavailable may or may not have, and may be called again.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from services.qstash_dev.durations import DAY_MS, MINUTE_MS
from services.qstash_dev.errors import Fenced
from services.qstash_dev.gate_stores import Flows, Queues
from services.qstash_dev.group_store import Groups
from services.qstash_dev.keys import BOOTS, Keys
from services.qstash_dev.model import Answer, Lane, Message, Publish, State, lane_of
from services.qstash_dev.pipe import Pipe
from services.qstash_dev.schedule_store import Schedules
from services.qstash_dev.signing_store import Signing
from shared.redisdb.lua import Script

DEDUP_MS = 10 * MINUTE_MS
FINISHED_MS = MINUTE_MS
"""How long a finished message can still be read: the SDKs' suites look right after a fast delivery."""
DLQ_MS = 7 * DAY_MS
POP_AT_ONCE = 500


class Recorded(IntEnum):
    """Answers of `finish`."""

    GONE = 0
    RECORDED = 1
    ALREADY = 2


class Stored(NamedTuple):
    """Which message a publish stands for now."""

    message_id: str
    deduplicated: bool


class Waiting(NamedTuple):
    """A due message this process holds."""

    message_id: str
    lane: Lane


class Claimed(NamedTuple):
    """A leased message, all that its delivery needs."""

    message: Message
    body: bytes
    retried: int
    signing_key: str = ""
    """The current one, once keys were rotated; empty for the configured one."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the event log."""

    cursor: str
    state: State
    time_ms: int
    message: Message
    body: bytes
    more: dict[str, Any]


class Snapshot(NamedTuple):
    """A message as it stands."""

    message: Message
    body: bytes
    state: State
    retried: int


class DeadLetter(NamedTuple):
    """A message that could not be delivered, and the last answer."""

    dlq_id: str
    message: Message
    body: bytes
    answer: Answer


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attempt and everything it causes."""

    message_id: str
    retried: int
    verdict: State
    events: list[tuple[State, dict[str, Any]]]
    due_ms: int = 0
    dlq_id: str = ""
    answer: Answer = Answer(status=0)
    caused: list[Publish] = msgspec.field(default_factory=list)


_message = msgspec.json.Decoder(Message)
_lane = msgspec.json.Decoder(Lane)
_answer = msgspec.json.Decoder(Answer)
_encode = msgspec.json.Encoder().encode


class Store:
    """The commands of `lua/`, one method each. Times are unix milliseconds and come from the caller."""

    def __init__(self, redis: Redis, reads: Redis) -> None:
        """`redis` must never send anything again by itself (`pipe.py` does, and knows that it did); `reads` may."""
        self.reads = reads
        self._redis: Any = reads  # redis-py types a reply for every client setting at once; this client gives bytes
        self.pipe = Pipe(redis)
        self.queues, self.flows = Queues(self.pipe, reads), Flows(self.pipe, reads)
        self.schedules = Schedules(self.pipe, reads)
        self.groups, self.signing = Groups(self.pipe, reads), Signing(self.pipe, reads)
        self._boot = 0
        package = "services.qstash_dev"
        self._publish, self._publish_all = Script(package, "publish"), Script(package, "publish_all")
        self._enter, self._take_over = Script(package, "enter"), Script(package, "boot")
        self._pop, self._held, self._claim = Script(package, "pop"), Script(package, "held"), Script(package, "claim")
        self._finish, self._cancel = Script(package, "finish"), Script(package, "cancel")
        self._postpone = Script(package, "postpone")
        self._dlq_retry, self._dlq_delete = Script(package, "dlq_retry"), Script(package, "dlq_delete")

    async def publish(self, keys: Keys, publish: Publish, now_ms: int) -> Stored:
        """Store one message, unless it repeats one of the last ten minutes."""
        reply = await self.pipe.run(self._publish, keys.fixed, [keys.prefix, now_ms, *put_args(publish)])
        stored: str = reply.decode()
        return Stored(stored, stored != publish.message.message_id)

    async def publish_all(self, keys: Keys, publishes: Sequence[Publish], now_ms: int) -> list[Stored]:
        """Store several messages, all or none; each as `publish` would."""
        args = [keys.prefix, now_ms, *(arg for publish in publishes for arg in put_args(publish))]
        replies = [one.decode() for one in await self.pipe.run(self._publish_all, keys.fixed, args)]
        return [Stored(one, one != publish.message.message_id) for one, publish in zip(replies, publishes, strict=True)]

    async def enter(self) -> None:
        """Take a boot id above all earlier ones: of two processes that start together, one is the later for every user."""
        self._boot = int(await self.pipe.run(self._enter, [BOOTS], []))

    @property
    def boot(self) -> int:
        """This process's boot id, 0 before `enter`."""
        return self._boot

    async def take_over(self, keys: Keys) -> int:
        """Own the user's deliveries; how many messages a dead process had held. Fenced when a later process owns them."""
        return int(_owned(await self.pipe.run(self._take_over, keys.fixed, [self._boot])))

    async def pop(self, keys: Keys, now_ms: int) -> tuple[int | None, list[Waiting]]:
        """The next due time, if any, and the messages that are due and now held here. Fenced when another process owns them."""
        args = [keys.prefix, self._boot, now_ms, POP_AT_ONCE]
        reply = _owned(await self.pipe.run(self._pop, keys.fixed, args))
        return (int(float(reply[0])) if reply[0] else None), list(_waiting(reply[1]))

    async def held(self, keys: Keys) -> list[Waiting]:
        """Everything this process is supposed to hold. Fenced when another process owns it."""
        return list(_waiting(_owned(await self.pipe.run(self._held, keys.fixed, [keys.prefix, self._boot]))))

    async def claim(self, keys: Keys, ids: Sequence[str], now_ms: int) -> list[Claimed]:
        """Lease messages for one attempt each; those that are no longer to be delivered now are left out. Fenced as above."""
        reply = _owned(await self.pipe.run(self._claim, keys.fixed, [keys.prefix, self._boot, now_ms, *ids]))
        return [
            Claimed(_message.decode(reply[i + 1]), reply[i + 2], int(reply[i + 3]), reply[i + 4].decode())
            for i in range(0, len(reply), 5)
        ]

    async def finish(self, keys: Keys, finish: Finish, now_ms: int) -> Recorded:
        """Record an attempt and store the messages it causes, all or nothing."""
        return Recorded(await self.pipe.run(self._finish, keys.fixed, finish_args(keys, finish, now_ms)))

    async def postpone(self, keys: Keys, message_id: str, retried: int, due_ms: int, more: dict[str, Any], now_ms: int) -> None:
        """Give a leased attempt back until later, uncounted; nothing when it is no longer to be made."""
        args = [keys.prefix, now_ms, message_id, retried, due_ms, _encode(more)]
        await self.pipe.run(self._postpone, keys.fixed, args)

    async def cancel(self, keys: Keys, ids: Sequence[str], now_ms: int) -> int:
        """Cancel those that are live; how many were."""
        if not ids:
            return 0
        return int(await self.pipe.run(self._cancel, keys.fixed, [keys.prefix, now_ms, FINISHED_MS, *ids]))

    async def dlq_retry(self, keys: Keys, dlq_id: str, publish: Publish, now_ms: int) -> Stored | None:
        """Publish a dead letter again as `publish`; None when it is gone."""
        args = [keys.prefix, now_ms, dlq_id, *put_args(publish)]
        reply = await self.pipe.run(self._dlq_retry, keys.fixed, args)
        return Stored(reply.decode(), reply.decode() != publish.message.message_id) if reply else None

    async def dlq_delete(self, keys: Keys, ids: Sequence[str]) -> int:
        """Delete dead letters; how many there were."""
        return int(await self.pipe.run(self._dlq_delete, keys.fixed, [keys.prefix, *ids])) if ids else 0

    async def ping(self) -> None:
        """Unavailable, or another Redis error, when Redis does not answer."""
        await self._redis.ping()

    async def message(self, keys: Keys, message_id: str) -> Snapshot | None:
        """A message that is live, or finished within the last minute."""
        return _snapshot(await self._redis.hmget(keys.message(message_id), ["rec", "body", "state", "n"]))

    async def live(self, keys: Keys) -> list[Snapshot]:
        """Every message that is not finished, oldest due first."""
        pipeline = self._redis.pipeline(transaction=True)  # a message moves between the two: read them at one moment
        pipeline.zrange(keys.due, 0, -1)
        pipeline.zrange(keys.held, 0, -1)
        pipeline.zrange(keys.parked, 0, -1)
        due, held, parked = await pipeline.execute()
        found: list[Snapshot] = []
        ids = [*held, *due, *parked]
        for i in range(0, len(ids), 500):
            pipeline = self._redis.pipeline(transaction=False)
            for one in ids[i : i + 500]:
                pipeline.hmget(keys.message(one.decode()), ["rec", "body", "state", "n"])
            found += filter(None, map(_snapshot, await pipeline.execute()))
        return found

    async def events(self, keys: Keys, *, start: str, end: str, newest_first: bool, count: int) -> list[Event]:
        """A page of the event log between two stream positions (`-`, `+`, an id, or `(` and an id)."""
        if newest_first:
            rows = await self._redis.xrevrange(keys.events, max=end, min=start, count=count)
        else:
            rows = await self._redis.xrange(keys.events, min=start, max=end, count=count)
        return [_event(entry_id, row) for entry_id, row in rows]

    async def dlq_ids(self, keys: Keys) -> list[str]:
        """All dead-letter ids, earliest first."""
        return [one.decode() for one in await self._redis.zrange(keys.dlq, 0, -1)]

    async def dead_letters(self, keys: Keys, ids: Sequence[str]) -> list[DeadLetter]:
        """Those of the dead letters that are there."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in ids:
            pipeline.hmget(keys.dead(one), ["rec", "body", "answer"])
        rows = await pipeline.execute() if ids else []
        return [
            DeadLetter(one, _message.decode(row[0]), row[1], _answer.decode(row[2]))
            for one, row in zip(ids, rows, strict=True)
            if row[0]
        ]


def finish_args(keys: Keys, finish: Finish, now_ms: int) -> list[Any]:
    """The arguments of finish.lua."""
    args: list[Any] = [keys.prefix, now_ms, finish.message_id, finish.retried, finish.verdict, finish.due_ms, FINISHED_MS]
    args += [finish.dlq_id, _encode(finish.answer) if finish.dlq_id else b"", DLQ_MS, len(finish.events)]
    for state, more in finish.events:
        args += [state, _encode(more)]
    for publish in finish.caused:
        args += put_args(publish)
    return args


def put_args(publish: Publish) -> list[Any]:
    """The seven arguments of a message in put.lua."""
    message = publish.message
    lane, dedup = _encode(lane_of(message)), publish.dedup
    return [message.message_id, _encode(message), publish.body, lane, message.not_before_ms, dedup, DEDUP_MS]


def _owned(reply: Any) -> Any:
    if reply == -1:
        raise Fenced("another qstash_dev has taken over this data; this one delivers nothing any more: stop it")
    return reply


def _waiting(flat: list[bytes]) -> Iterator[Waiting]:
    for i in range(0, len(flat), 2):
        yield Waiting(flat[i].decode(), _lane.decode(flat[i + 1]))


def _snapshot(row: list[bytes | None]) -> Snapshot | None:
    rec, body, state, retried = row
    if rec is None or body is None or state is None or retried is None:
        return None
    return Snapshot(_message.decode(rec), body, State(state.decode()), int(retried))


def _event(entry_id: bytes, row: dict[bytes, bytes]) -> Event:
    return Event(
        cursor=entry_id.decode(),
        state=State(row[b"s"].decode()),
        time_ms=int(row[b"t"]),
        message=_message.decode(row[b"r"]),
        body=row[b"b"],
        more=msgspec.json.decode(row[b"x"]) if row[b"x"] else {},
    )
