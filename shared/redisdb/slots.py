"""Slots on Redis or Valkey: one Lua command a method. See `shared.slot_ports` for what each promises."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from shared.errors import Conflict
from shared.redisdb import keys
from shared.redisdb.base import Commanding
from shared.slot_ports import GRANT_MS, RELAY_MS, Answer, Grant, Limit, Queued, Slot, Taken, check

_mark: Final = msgspec.json.Decoder(tuple[str, str, str, str, str, str, str, str]).decode


class RedisSlots(Commanding):
    """All of one limit lies on one of 64 tags `ie:{k<hh>}`."""

    def __init__(self, redis: Redis, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`strict`: a slot that was taken is on disk, so that a failover does not give it twice. `now_ms`: tests only."""
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self.load("slot_take", "slot_give", "take_due")

    async def take(self, limit: Limit, slot: Slot) -> Answer:
        """See the port."""
        check(limit)
        keys.partition_of(slot.execution)
        one = keys.identity(limit.name)
        args = [
            one,
            limit.name,
            limit.most,
            limit.period_ms,
            slot.member,
            slot.until_ms,
            slot.tenant,
            slot.execution,
            slot.step,
        ]
        reply = await self._run("slot_take", _names(one), [*args, GRANT_MS, RELAY_MS], barrier=True)
        if reply[0] == 2:
            raise late(slot, reply[1])
        return Taken(until_ms=reply[1]) if reply[0] == 0 else Queued(position=reply[1])

    async def give(self, limit: Limit, member: str, *, until_ms: int = 0) -> list[Grant]:
        """See the port."""
        return await self._give(keys.identity(limit.name), member, until_ms, "queued" if limit.period_ms else "any")

    async def refuse(self, grant: Grant) -> list[Grant]:
        """See the port. A slot that the member has taken since is left alone: its call may be under way."""
        return await self._give(grant.identity, grant.member, grant.until_ms, "exact")

    async def sweep(self, tag: str, *, limit: int) -> list[Grant]:
        """See the port."""
        now = await self.now()
        found = await self._plain(self._redis.zrange(keys.slot_times(tag), 0, now, byscore=True, offset=0, num=limit))
        return [grant for one in found for grant in await self._give(one.decode(), "", 0, "any")]

    async def _give(self, one: str, member: str, until_ms: int, which: str) -> list[Grant]:
        reply = await self._run("slot_give", _names(one), [one, member, until_ms, which, GRANT_MS, RELAY_MS])
        return [_grant(mark) for mark in reply]

    async def pending(self) -> list[str]:
        """See the port. Two round trips, one if there are none."""
        names, tags = keys.everywhere(keys.slot_times, keys.slot_grants), keys.all_partitions()
        now, some = await self._now_and_any(names)
        if not some:
            return []
        counts = await self._read_all(("ZCOUNT", name, "-inf", now) for name in names)
        return [tag for tag, swept, told in zip(tags, counts[::2], counts[1::2], strict=True) if swept or told]

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Grant]:
        """See the port."""
        return [_grant(mark) for mark in await self._run("take_due", [keys.slot_grants(tag)], [limit, claim_ms])]

    async def done(self, grants: Sequence[Grant]) -> None:
        """See the port. One command a tag."""
        tags: dict[str, list[Any]] = defaultdict(list)
        for grant in grants:
            tags[keys.tag_of(grant.identity)].append(grant.mark)
        for tag, marks in tags.items():
            await self._plain(self._redis.zrem(keys.slot_grants(tag), *marks))

    async def later(self, grant: Grant, *, in_ms: int) -> None:
        """See the port."""
        name = keys.slot_grants(keys.tag_of(grant.identity))
        await self._plain(self._redis.zadd(name, {grant.mark: await self.now() + in_ms}, xx=True))


def late(slot: Slot, now_ms: int) -> Conflict:
    """The time of the call is over before it began."""
    return Conflict(f"{slot.member} asks for a slot until {slot.until_ms}, and it is {now_ms}: make no call", code="slot_late")


def _names(one: str) -> list[str]:
    tag = keys.tag_of(one)
    return [keys.slot_holders(one), keys.slot_queue(one), keys.slot_facts(one), keys.slot_times(tag), keys.slot_grants(tag)]


def _grant(mark: bytes) -> Grant:
    identity, name, member, tenant, execution, step, at_ms, until_ms = _mark(mark)
    return Grant(
        mark=mark.decode(),
        identity=identity,
        name=name,
        member=member,
        tenant=tenant,
        execution=execution,
        step=step,
        at_ms=int(at_ms),
        until_ms=int(until_ms),
    )
