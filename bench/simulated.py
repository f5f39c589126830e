"""What stands around a real interpreter in a measurement: tools that answer at once, a queue that takes everything, a plan."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.invocation import Limits
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Contract, Effect
from shared.ports import Entry, Receipt

CONTRACTS = {"work": Contract(version="1", effect=Effect.IDEMPOTENT)}
LIMITS = Limits(
    hard_ms=10_000,
    checkpoint_ms=7_500,
    cutoff_ms=8_000,
    lease_ms=11_000,
    parallel=16,
    steps_per_message=0,
    stalled=5,
    continue_delay_ms=0,
)


class Instant:
    """A ToolRunner (simulated) whose calls are done at once."""

    async def run(self, start: Start, _deadline_s: float) -> Outcome:
        """See the port."""
        return Done(output={"of": start.step})


class Taken:
    """A Queue (simulated) that takes everything; this process runs the next segment itself."""

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        return Receipt(message=entry.id)


def chain(steps: int) -> dict[str, Any]:
    """One after the other."""
    return {"steps": [{"name": f"s{n}", "tool": "work", "needs": [f"s{n - 1}"] if n else []} for n in range(steps)]}


async def until_there(redis: Redis) -> None:
    """Returns once it answers, or after five seconds."""
    for _ in range(250):
        if await there(redis):
            return
        await asyncio.sleep(0.02)


async def there(redis: Redis) -> bool:
    """Whether it answers."""
    try:
        return bool(await redis.ping())
    except (OSError, RedisError):
        return False
