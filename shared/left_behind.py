"""What a step executor does first where others were before it: it goes on with what they left behind, asked by nobody.

QStash asks a second after the kill, or seven when the first time was too early; the sweep, when the lease is over. Nothing is
stored for this: the due index has what is held, and the record by whom. See
docs/decisions/0031-a-restarted-executor-goes-on-unasked.md.
"""

from collections.abc import Callable
from typing import Final

from shared.errors import Unavailable
from shared.invocation import Delivery
from shared.logs import get_logger
from shared.places import succeeds
from shared.ports import Store

log = get_logger()

CAUSE: Final = "left behind"
LOOKED_AT: Final = 50
"""Of a partition: 3,200 records are read at most. Who held more than one process can is found by the others, one by one."""
MOST: Final = 200
"""Twice what QStash has one executor run at once by default."""
STALLED: Final = 2
"""What has begun more segments without a result is left to QStash and the sweep: it may be what the process dies of."""


async def take_up(store: Store, mine: str, *, lease_ms: int, start: Callable[[Delivery], None]) -> None:
    """Have `start` run what processes before us in our place still hold; `mine`: what the names of our leases begin with.

    Each is a delivery like any other: the lease, fence and version decide. What is not found, or too much, others bring.
    """
    if not succeeds(mine):
        return
    try:
        found = await store.left_behind(mine, lease_ms=lease_ms, limit=LOOKED_AT, stalled=STALLED)
    except Unavailable as error:
        log.info("left_behind.unknown", error=error.message, message="it goes on when QStash or the sweep comes")
        return
    if found:
        log.info("left_behind.taken_up", executions=min(len(found), MOST), others=max(0, len(found) - MOST))
    for execution in found[:MOST]:
        start(Delivery(execution=execution, reason=CAUSE))
