"""A process that makes calls under a limit, and counts at a tool of its own how many are under way: `python -m ... url name`.

The tool counts a call from its slot until it ends; the call of a caller that dies (every seventh) until its slot's own end.
"""

import asyncio
import secrets
import sys

from redis.asyncio import Redis

from shared.errors import Conflict
from shared.redisdb import keys
from shared.redisdb.connect import connect
from shared.redisdb.slots import RedisSlots
from shared.slot_ports import Limit, Taken
from tests.support.lines import slot

LIMIT = Limit(name="tool/book_ride", most=3)
TAG = keys.tag_of(keys.identity(LIMIT.name))
CALLERS, CALLS = 6, 12
DEAD_MS = 400
LOST_MS = 30_000

# KEYS: 1 calls by their end  2 the most at a time  ARGV: 1 call  2 end
ENTER = """
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local count = redis.call('ZCARD', KEYS[1])
if count > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], count) end
redis.call('INCR', 'made')
return count
"""


async def caller(slots: RedisSlots, tool: Redis, name: str) -> None:
    """One call after the other; asking again is what a grant's signal causes."""
    for number in range(CALLS):
        member, dies = f"{name}.{number}", secrets.randbelow(7) == 0
        while True:
            until_ms = await slots.now() + (DEAD_MS if dies else LOST_MS)
            try:
                answer = await slots.take(LIMIT, slot(member, until_ms=until_ms))
            except Conflict:
                continue  # the machine was so slow that the end of the slot came before the question
            if isinstance(answer, Taken):
                break
            await asyncio.sleep(0.002)
            await slots.sweep(TAG, limit=9)
        await tool.eval(ENTER, 2, "calls", "most", member, answer.until_ms)
        if not dies:
            await asyncio.sleep(0.001 * secrets.randbelow(5))
            await tool.zrem("calls", member)
            await slots.give(LIMIT, member)


async def main(url: str, tool_url: str, name: str) -> None:
    """All callers of this process at once."""
    async with connect(url) as redis, Redis.from_url(tool_url) as tool:
        slots = RedisSlots(redis)
        await asyncio.gather(*(caller(slots, tool, f"{name}.{number}") for number in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
