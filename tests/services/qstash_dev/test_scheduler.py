"""The scheduler's races, made to happen: a real Valkey and a real destination, with one reply held back."""

import asyncio

from redis.asyncio import Redis

from services.qstash_dev import ids
from services.qstash_dev.delivery import Courier, open_session
from services.qstash_dev.keys import Keys
from services.qstash_dev.publish import Caller, parse
from services.qstash_dev.scheduler import Offer, Scheduler, now_ms
from services.qstash_dev.store import Finish, Recorded, Store, Waiting
from services.qstash_dev.users import DEV_USERS
from tests.services.qstash_dev.support import Destination, answers, eventually


class SlowReply(Store):
    """Its `finish` is done in Redis at once, but its caller hears of it only after the message was popped again."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, redis)
        self.popped: list[str] = []

    async def pop(self, keys: Keys, now_ms: int) -> tuple[int | None, list[Waiting]]:
        """As it is, and remembered."""
        next_ms, waiting = await super().pop(keys, now_ms)
        self.popped += [one.message_id for one in waiting]
        return next_ms, waiting

    async def finish(self, keys: Keys, finish: Finish, now_ms: int) -> Recorded:
        """As it is, and told late."""
        if finish.due_ms:
            self.popped.clear()  # the first attempt may have been popped too, before it was offered
        recorded = await super().finish(keys, finish, now_ms)
        if finish.due_ms:
            await eventually(lambda: finish.message_id in self.popped, "the retry is popped before its outcome is heard of")
        return recorded


async def test_a_retry_that_is_due_before_its_outcome_is_heard_of_is_not_lost(redis: Redis, there: Destination) -> None:
    """The popped message is still known as one on the wire; it must be started again when that one is over."""
    there.answer = answers((500, {}))
    user, store = DEV_USERS[0], SlowReply(redis)
    headers = [("Upstash-Retry-Delay", "1")]
    wanted = parse(there.url, headers, b"", Caller(ids.message_id(), now_ms(), "127.0.0.1"))
    async with open_session() as session:
        scheduler = Scheduler(store=store, courier=Courier(session), users=[user])
        running = asyncio.create_task(scheduler.run())
        await eventually(lambda: scheduler.ready, "it owns the deliveries")
        await store.publish(user.keys, wanted, now_ms())
        scheduler.offer(Offer(user, wanted))
        await there.gets(2, within=5)
        running.cancel()
        await asyncio.wait([running])
        await store.pipe.close()
    assert store.popped == [wanted.message.message_id]
    assert [one.retried for one in there.seen] == [0, 1]
