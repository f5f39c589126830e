"""Events by key without a server: every answer and refusal as the Lua commands give them. Nothing survives the process."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from shared import event_ports as limits
from shared.event_ports import Delivery, NamedEvent, waiter_of
from shared.redisdb import keys
from shared.redisdb.events import conflict, too_many_events, too_many_waiters

_encode = msgspec.json.Encoder(order="deterministic").encode
_event = msgspec.json.Decoder(NamedEvent).decode


@dataclass
class _Meeting:
    """One name and key."""

    events: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By id: when it was published, and its text."""
    waiters: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)

    def order(self) -> list[str]:
        """Event ids as a sorted set has them: by time, then by their bytes."""
        return sorted(self.events, key=lambda id_: (self.events[id_][0], id_.encode()))

    def waiting(self) -> list[str]:
        return sorted(self.waiters, key=lambda name: (self.waiters[name], name.encode()))


_Mark = tuple[str, str, str]


class MemoryEvents:
    """See `shared.event_ports.Events` for what each method promises."""

    def __init__(self, *, now_ms: int | None = None) -> None:
        """`now_ms` replaces the clock while it is set."""
        self.now_ms = now_ms
        self._meetings: dict[str, _Meeting] = defaultdict(_Meeting)
        self._pending: dict[str, dict[_Mark, int]] = defaultdict(dict)

    async def now(self) -> int:
        """Unix ms."""
        return self._now()

    def _now(self) -> int:
        return self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000

    async def publish(self, event: NamedEvent) -> list[Delivery]:
        """See the port."""
        limits.check(event)
        now, text = self._now(), _encode(event)
        one = keys.identity(event.tenant, event.name, event.key)
        here, pending = self._meetings[one], self._pending[keys.tag_of(one)]
        here.events = {id_: kept for id_, kept in here.events.items() if kept[0] > now - limits.KEPT_MS}
        here.waiters = {waiter: until for waiter, until in here.waiters.items() if until > now}
        known = here.events.get(event.id)
        if known and known[1] != text:
            raise conflict(event)
        marks = [(one, waiter, event.id) for waiter in here.waiting()]
        if not known:
            if sum(at > now - limits.EARLY_MS for at, _ in here.events.values()) >= limits.EVENTS_MOST:
                raise too_many_events(event.name, event.key)
            here.events[event.id] = (now, text)
            pending |= dict.fromkeys(marks, now + limits.RELAY_MS)
        return [self._delivery(mark) for mark in marks if mark in pending]

    async def subscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, until_ms: int
    ) -> list[Delivery]:
        """See the port."""
        limits.check_address(name, key)
        now, waiter = self._now(), waiter_of(execution, wait_id)
        one = keys.identity(tenant, name, key)
        here, pending = self._meetings[one], self._pending[keys.tag_of(one)]
        last = now + limits.WAIT_MOST_MS
        until = min(until_ms, last) if until_ms > 0 else last
        if here.gone.get(waiter, 0) > now or until <= now:
            return []
        here.waiters = {other: end for other, end in here.waiters.items() if end > now}
        if waiter not in here.waiters:
            if len(here.waiters) >= limits.WAITERS_MOST:
                raise too_many_waiters(name, key)
            here.waiters[waiter] = until
            early = [id_ for id_ in here.order() if here.events[id_][0] > now - limits.EARLY_MS]
            pending |= dict.fromkeys([(one, waiter, id_) for id_ in early], now + limits.RELAY_MS)
        return [self._delivery((one, waiter, id_)) for id_ in here.order() if (one, waiter, id_) in pending]

    async def unsubscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, stays_away: bool = True
    ) -> None:
        """See the port."""
        now, waiter = self._now(), waiter_of(execution, wait_id)
        one = keys.identity(tenant, name, key)
        here, pending = self._meetings[one], self._pending[keys.tag_of(one)]
        here.waiters.pop(waiter, None)
        for id_ in here.events:
            pending.pop((one, waiter, id_), None)
        here.gone = {other: until for other, until in here.gone.items() if until > now}
        if stays_away:
            here.gone[waiter] = now + limits.GONE_MS

    async def pending(self) -> list[str]:
        """See the port."""
        now = self._now()
        return [tag for tag in keys.all_partitions() if any(at <= now for at in self._pending[tag].values())]

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Delivery]:
        """See the port."""
        now, pending = self._now(), self._pending[tag]
        due = sorted((at, msgspec.json.encode(mark), mark) for mark, at in pending.items() if at <= now)
        marks = [mark for _, _, mark in due[:limit]]
        for mark in [mark for mark in marks if mark[2] not in self._meetings[mark[0]].events]:  # its data is gone
            marks.remove(mark)
            del pending[mark]
        pending |= dict.fromkeys(marks, now + claim_ms)
        return [self._delivery(mark) for mark in marks]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        for delivery in deliveries:
            self._pending[_tag(delivery)].pop(_mark(delivery), None)

    async def later(self, delivery: Delivery, *, in_ms: int) -> None:
        """See the port."""
        pending = self._pending[_tag(delivery)]
        if _mark(delivery) in pending:
            pending[_mark(delivery)] = self._now() + in_ms

    def _delivery(self, mark: _Mark) -> Delivery:
        one, waiter, id_ = mark
        execution, _, wait_id = waiter.partition("/")
        event = _event(self._meetings[one].events[id_][1])
        return Delivery(mark=msgspec.json.encode(mark).decode(), execution=execution, wait_id=wait_id, event=event)


def _mark(delivery: Delivery) -> _Mark:
    event = delivery.event
    one = keys.identity(event.tenant, event.name, event.key)
    return (one, waiter_of(delivery.execution, delivery.wait_id), event.id)


def _tag(delivery: Delivery) -> str:
    return keys.tag_of(_mark(delivery)[0])
