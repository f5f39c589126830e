"""100,000 executions are overdue at once: what the watchdog makes of it is flat, and nobody waits behind a crowd."""

from redis.asyncio import Redis

from bench.overdue import SMALL, curve
from shared.redisdb import keys
from shared.watchdog import EACH, PAGE

OVERDUE, RATE, SWEEPS = 100_000, 200, 12
PASS = -(-OVERDUE // (PAGE * keys.PARTITIONS))
"""So many sweeps look at all of it once."""


async def test_the_curve_is_flat_and_a_small_tenant_is_through_with_the_first_look(redis: Redis) -> None:
    """Re-sends at the rate; five younger ones of another tenant in the first four sweeps; work and memory that do not grow."""
    rows = await curve(redis, overdue=OVERDUE, rate=RATE, sweeps=SWEEPS)

    assert [row.resent for row in rows] == [RATE] * SWEEPS
    assert sum(row.small for row in rows[:PASS]) == SMALL
    assert max(row.held for row in rows) <= EACH + SMALL + RATE
    first, last = max(row.commands for row in rows[:PASS]), max(row.commands for row in rows[-PASS:])
    assert last <= 1.1 * first
    assert first < 2 * PAGE * keys.PARTITIONS
