"""The one task for all schedules: looks at the clock, and publishes what is due.

A time that passed while nothing ran is made up for once, however many of them passed; the next one is after now. Each time is
made by one script that checks whether it was made before, so neither a crash nor a lost reply makes it twice or not at all.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from redis.exceptions import RedisError

from services.qstash_dev import ids, schedules
from services.qstash_dev.schedule_store import Standing
from services.qstash_dev.scheduler import Scheduler
from services.qstash_dev.store import Store, put_args
from services.qstash_dev.users import User
from shared.errors import IntentionError, Unavailable
from shared.logs import get_logger

log = get_logger()

LOOK_S = 0.5
"""Between two looks; a cron has minutes."""
CLOSE_S = 2.0
AT_ONCE = 100


class Timetable:
    """Publishes for every user's schedules, while this process owns the deliveries; from its making until `close`."""

    def __init__(self, *, store: Store, scheduler: Scheduler, users: Iterable[User], now_ms: Callable[[], int]) -> None:
        self._store, self._scheduler = store, scheduler
        self._users, self._now_ms = tuple(users), now_ms
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="timetable")

    async def close(self) -> None:
        """End after the look of the moment; a cancel could get lost inside redis-py (`pipe.py`), so it is the last resort."""
        self._stop.set()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_S)
        for task in late:
            task.cancel()
        await asyncio.wait([self._task], timeout=CLOSE_S)

    async def _run(self) -> None:
        while not self._stop.is_set():
            if self._scheduler.ready:
                try:
                    await self._look()
                except (Unavailable, RedisError) as error:
                    log.warning("timetable.redis_lost", message=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_S)

    async def _look(self) -> None:
        for user in self._users:
            for schedule_id in await self._store.schedules.due(user.keys, self._now_ms(), AT_ONCE):
                one = await self._store.schedules.get(user.keys, schedule_id)
                if one:
                    await self._fire(user, one)

    async def _fire(self, user: User, one: Standing) -> None:
        now_ms, error, put = self._now_ms(), "", []
        try:
            group = await self._store.groups.get(user.keys, one.schedule.destination)
            wanted = schedules.publishes(one.schedule, group, one.body, now_ms, ids.message_id)
            put = [arg for publish in wanted for arg in put_args(publish)]
        except IntentionError as failure:
            if isinstance(failure, Unavailable):
                raise
            error = failure.message
        next_ms = schedules.next_ms(one.schedule.cron, now_ms)
        made = await self._store.schedules.fire(
            user.keys, self._store.boot, one, next_ms=next_ms, now_ms=now_ms, error=error, put=put
        )
        log.info("schedule.fired", schedule_id=one.schedule.schedule_id, messages=made, error=error)
        if made > 0:
            self._scheduler.look()
