"""Slots without a server: every answer and refusal as the Lua commands give them. Nothing survives the process."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from shared.redisdb import keys
from shared.redisdb.slots import late
from shared.slot_ports import GRANT_MS, RELAY_MS, Answer, Grant, Limit, Queued, Slot, Taken, check


@dataclass
class _Line:
    """One limit. Its latest declaration counts for those who wait."""

    limit: Limit
    holders: dict[str, int] = field(default_factory=dict)
    queue: dict[str, Slot] = field(default_factory=dict)
    """In the order of arrival."""

    def free(self, now: int) -> None:
        self.holders = {member: until for member, until in self.holders.items() if until > now}

    def promote(self, now: int) -> list[Grant]:
        """Who waits gets what is free."""
        found = []
        until = now + GRANT_MS
        while self.queue and len(self.holders) < self.limit.most:
            slot = self.queue.pop(next(iter(self.queue)))
            self.holders[slot.member] = until
            found.append(self._grant(slot, now, until))
        return found

    def _grant(self, slot: Slot, now: int, until: int) -> Grant:
        one = keys.identity(self.limit.name)
        return Grant(
            mark=msgspec.json.encode((one, slot.member, now)).decode(),
            identity=one,
            name=self.limit.name,
            member=slot.member,
            tenant=slot.tenant,
            execution=slot.execution,
            step=slot.step,
            at_ms=now,
            until_ms=until,
        )


class MemorySlots:
    """See `shared.slot_ports.Slots` for what each method promises."""

    def __init__(self, *, now_ms: int | None = None) -> None:
        """`now_ms` replaces the clock while it is set."""
        self.now_ms = now_ms
        self._lines: dict[str, _Line] = {}
        self._grants: dict[str, dict[str, tuple[int, Grant]]] = defaultdict(dict)
        """By tag and mark: when a relay tells, and whom."""

    async def now(self) -> int:
        """Unix ms."""
        return self._now()

    def _now(self) -> int:
        return self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000

    async def take(self, limit: Limit, slot: Slot) -> Answer:
        """See the port."""
        check(limit)
        keys.partition_of(slot.execution)
        now, one = self._now(), keys.identity(limit.name)
        until = now + limit.period_ms if limit.period_ms else slot.until_ms
        if until <= now:
            raise late(slot, now)
        line = self._lines.setdefault(one, _Line(limit))
        line.limit = limit
        line.free(now)
        self._remember(line.promote(now))
        if slot.member in line.holders or len(line.holders) < limit.most:
            line.holders[slot.member] = until
            return Taken(until_ms=until)
        line.queue.setdefault(slot.member, slot)
        return Queued(position=list(line.queue).index(slot.member) + 1)

    async def give(self, limit: Limit, member: str, *, until_ms: int = 0) -> list[Grant]:
        """See the port."""
        line = self._lines.get(keys.identity(limit.name))
        if line is None:
            return []
        line.free(self._now())
        if not limit.period_ms and (not until_ms or line.holders.get(member, 0) <= until_ms):
            line.holders.pop(member, None)
        if member in line.queue and (not until_ms or line.queue[member].until_ms <= until_ms):
            del line.queue[member]
        return self._remember(line.promote(self._now()))

    async def refuse(self, grant: Grant) -> list[Grant]:
        """See the port."""
        line = self._lines[grant.identity]
        line.free(self._now())
        if line.holders.get(grant.member) == grant.until_ms:
            del line.holders[grant.member]
        return self._remember(line.promote(self._now()))

    async def sweep(self, tag: str, *, limit: int) -> list[Grant]:
        """See the port."""
        found = []
        for one in self._over(tag)[:limit]:
            line = self._lines[one]
            line.free(self._now())
            found += self._remember(line.promote(self._now()))
        return found

    def _over(self, tag: str) -> list[str]:
        """Limits on this tag where somebody waits for what has run out, as a sorted set has them."""
        firsts = {
            one: min(line.holders.values(), default=0)
            for one, line in self._lines.items()
            if line.queue and keys.tag_of(one) == tag
        }
        return sorted((one for one, first in firsts.items() if first <= self._now()), key=lambda one: (firsts[one], one))

    async def pending(self) -> list[str]:
        """See the port."""
        now = self._now()
        return [
            tag for tag in keys.all_partitions() if self._over(tag) or any(at <= now for at, _ in self._grants[tag].values())
        ]

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Grant]:
        """See the port."""
        now, grants = self._now(), self._grants[tag]
        due = sorted((at, mark) for mark, (at, _) in grants.items() if at <= now)[:limit]
        found = [grants[mark][1] for _, mark in due]
        grants |= {grant.mark: (now + claim_ms, grant) for grant in found}
        return found

    async def done(self, grants: Sequence[Grant]) -> None:
        """See the port."""
        for grant in grants:
            self._grants[keys.tag_of(grant.identity)].pop(grant.mark, None)

    async def later(self, grant: Grant, *, in_ms: int) -> None:
        """See the port."""
        grants = self._grants[keys.tag_of(grant.identity)]
        if grant.mark in grants:
            grants[grant.mark] = (self._now() + in_ms, grant)

    def _remember(self, grants: list[Grant]) -> list[Grant]:
        for grant in grants:
            self._grants[keys.tag_of(grant.identity)][grant.mark] = (self._now() + RELAY_MS, grant)
        return grants
