"""Events by key on Redis or Valkey: one Lua command a method. See `shared.event_ports` for what each promises."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from shared import event_ports as limits
from shared.errors import Conflict, TooMany
from shared.event_ports import Delivery, NamedEvent, waiter_of
from shared.logs import get_logger
from shared.redisdb import keys
from shared.redisdb.base import Commanding

log = get_logger()
_encode = msgspec.json.Encoder(order="deterministic").encode
_event = msgspec.json.Decoder(NamedEvent).decode
_mark: Final = msgspec.json.Decoder(tuple[str, str, str]).decode


class RedisEvents(Commanding):
    """All of one name and key lies on one of 64 tags `ie:{e<hh>}`."""

    def __init__(self, redis: Redis, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`strict`: publications and subscriptions wait until they are on disk. `now_ms`: tests only."""
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self.load("event_publish", "event_subscribe", "event_unsubscribe", "take_due")

    async def publish(self, event: NamedEvent) -> list[Delivery]:
        """See the port."""
        limits.check(event)
        one = keys.identity(event.tenant, event.name, event.key)
        names = [keys.events(one), keys.event_times(one), keys.waiters(one), keys.event_deliveries(keys.tag_of(one))]
        args = [one, event.id, _encode(event), limits.EARLY_MS, limits.KEPT_MS, limits.EVENTS_MOST, limits.RELAY_MS]
        reply = await self._run("event_publish", names, args, barrier=True)
        if reply[0] == 1:
            raise conflict(event)
        if reply[0] == 2:
            raise too_many_events(event.name, event.key)
        return [_delivery(mark, event) for mark in reply[1]]

    async def subscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, until_ms: int
    ) -> list[Delivery]:
        """See the port."""
        limits.check_address(name, key)
        one = keys.identity(tenant, name, key)
        names = [keys.events(one), keys.event_times(one), keys.waiters(one)]
        names += [keys.event_deliveries(keys.tag_of(one)), keys.past_waiters(one)]
        args = [one, waiter_of(execution, wait_id), until_ms, limits.EARLY_MS, limits.WAIT_MOST_MS]
        reply = await self._run("event_subscribe", names, [*args, limits.WAITERS_MOST, limits.RELAY_MS], barrier=True)
        if reply[0] == 2:
            raise too_many_waiters(name, key)
        found = reply[1] if reply[0] == 0 else []
        return [_delivery(found[at], _event(found[at + 1])) for at in range(0, len(found), 2)]

    async def unsubscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, stays_away: bool = True
    ) -> None:
        """See the port."""
        one = keys.identity(tenant, name, key)
        names = [keys.event_times(one), keys.waiters(one), keys.event_deliveries(keys.tag_of(one)), keys.past_waiters(one)]
        gone_ms = limits.GONE_MS if stays_away else 0
        await self._run("event_unsubscribe", names, [one, waiter_of(execution, wait_id), gone_ms])

    async def pending(self) -> list[str]:
        """See the port. Two round trips, one if there are none."""
        now, some = await self._now_and_any(keys.everywhere(keys.event_deliveries))
        if not some:
            return []
        counts = await self._read_all(("ZCOUNT", keys.event_deliveries(tag), "-inf", now) for tag in keys.all_partitions())
        return [tag for tag, count in zip(keys.all_partitions(), counts, strict=True) if count]

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Delivery]:
        """See the port. What has lost its event (KEPT_MS went by) cannot be made any more."""
        marks = await self._run("take_due", [keys.event_deliveries(tag)], [limit, claim_ms])
        pipe = self._redis.pipeline(transaction=False)
        for mark in marks:
            one, _, event = _mark(mark)
            pipe.hget(keys.events(one), event)
        texts = await self._plain(pipe.execute()) if marks else []
        lost = [mark for mark, text in zip(marks, texts, strict=True) if text is None]
        if lost:
            log.error("event.lost", deliveries=len(lost), first=lost[0].decode(), why="not delivered while its data was kept")
            await self._plain(self._redis.zrem(keys.event_deliveries(tag), *lost))
        return [_delivery(mark, _event(text)) for mark, text in zip(marks, texts, strict=True) if text is not None]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """See the port. One command a tag."""
        tags: dict[str, list[Any]] = defaultdict(list)
        for delivery in deliveries:
            tags[_tag(delivery)].append(delivery.mark)
        for tag, marks in tags.items():
            await self._plain(self._redis.zrem(keys.event_deliveries(tag), *marks))

    async def later(self, delivery: Delivery, *, in_ms: int) -> None:
        """See the port."""
        at_ms = await self.now() + in_ms
        await self._plain(self._redis.zadd(keys.event_deliveries(_tag(delivery)), {delivery.mark: at_ms}, xx=True))


def conflict(event: NamedEvent) -> Conflict:
    """Another event has this id."""
    return Conflict(f"event {event.id!r} of {event.name!r} was published before with other data: give it an id of its own")


def too_many_events(name: str, key: str) -> TooMany:
    """No room for another event."""
    text = f"{limits.EVENTS_MOST} events of {name!r} with key {key!r} were published within a day: use more keys"
    return TooMany(text, code="too_many_events")


def too_many_waiters(name: str, key: str) -> TooMany:
    """No room for another waiter."""
    text = f"{limits.WAITERS_MOST} executions wait for {name!r} with key {key!r}: use more keys"
    return TooMany(text, code="too_many_waiters")


def _delivery(mark: bytes, event: NamedEvent) -> Delivery:
    _, waiter, _ = _mark(mark)
    execution, _, wait_id = waiter.partition("/")
    return Delivery(mark=mark.decode(), execution=execution, wait_id=wait_id, event=event)


def _tag(delivery: Delivery) -> str:
    event = delivery.event
    return keys.tag_of(keys.identity(event.tenant, event.name, event.key))
