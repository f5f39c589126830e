"""The one door for hints, whichever way they come: the subscriber, Ably's webhook, or a call.

A hint is durable once the due index has its execution; what follows only makes it quick.
"""

from typing import Final

from shared.executor_client import ExecutorClient
from shared.logs import get_logger
from shared.mesh import Hint
from shared.ports import Store

log = get_logger()

WOKEN: Final = "woken"
DUE: Final = "the executor is away: due now, the watchdog has it"
NOTHING: Final = "nothing to wake: terminal, or unknown"


class Door:
    """One for a process."""

    def __init__(self, store: Store, executor: ExecutorClient) -> None:
        """`executor` is called at once; it is not needed for anything to go on."""
        self._store = store
        self._executor = executor

    async def take(self, hint: Hint) -> tuple[str, int | None]:
        """What came of it, and the execution's segment. Unavailable when the store is away: take it again."""
        try:
            segment = await self._store.touch(hint.execution, in_ms=0)
        except ValueError:
            return NOTHING, None
        if segment is None:
            return NOTHING, None
        taken = await self._executor.wake(hint.execution, segment=segment, reason="resumed")
        return (WOKEN if taken else DUE), segment
