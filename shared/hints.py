"""The second channel: when QStash does not take a message, an Ably event asks the resume service to look at the execution.

What is asked for while a publish is under way goes out together with the next one: a hint names an execution, and an event can
name many, so that a QStash that is away does not cost a call to Ably for each.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from typing import Any, Final

from shared.ably import MESH, PUBLISH_S, Publisher
from shared.circuit import Breaker
from shared.logs import get_logger
from shared.mesh import CONTINUE, MOST, VERSION
from shared.ports import Entry

log = get_logger()

REMEMBERED: Final = 10_000
PROBE_MS: Final = 500
"""More often than QStash is tried: the entry that tries QStash's return tries Ably's, too."""
AGAIN_S: Final = 5
"""The same hint within so long is one event, whichever process gives it; later it is said again, for the first may be lost."""


class Hints:
    """See `shared.ports.Channel`. One for a process; `close` waits for what is under way."""

    def __init__(self, publisher: Publisher) -> None:
        """`publisher` may publish on the engine's own channel."""
        self._publisher = publisher
        self._waiting: list[tuple[Entry, asyncio.Future[str]]] = []
        self._task: asyncio.Task[None] | None = None
        self._told: OrderedDict[str, int] = OrderedDict()
        self.breaker = Breaker("Ably", every_ms=PROBE_MS)

    async def hint(self, entry: Entry) -> str:
        """See the port."""
        if self._told.get(entry.id) == _moment():
            return ""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._publish_all())
        try:
            return await asyncio.wait_for(future, 2 * PUBLISH_S)
        except TimeoutError:
            return "Ably did not answer in time"

    async def _publish_all(self) -> None:
        await asyncio.sleep(0)  # who refuses one message often refuses its neighbours in the same turn
        while self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            error = self.breaker.refuses() or await self._publish([entry for entry, _ in some])
            for entry, future in some:
                self._note(entry, error)
                if not future.done():
                    future.set_result(error)

    async def _publish(self, entries: list[Entry]) -> str:
        error = await self._publisher.publish(MESH, id=f"ce-{entries[0].id}-{_moment()}", name=CONTINUE, data=event_of(entries))
        self.breaker.ended(error)
        return error

    def _note(self, entry: Entry, error: str) -> None:
        facts = {"execution": entry.execution, "entry": entry.id}
        if error:
            log.debug("hint.not_sent", error=error, **facts)  # `channel.away` has said it once
            return
        log.info("hint.sent", message=f"CONTINUE_EXECUTION published for {entry.execution}", **facts)
        self._told[entry.id] = _moment()
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def _moment() -> int:
    return int(time.time()) // AGAIN_S


def event_of(entries: list[Entry]) -> dict[str, Any]:
    """What one event for these says. Its message's id is made of the first entry's, which no other event begins with."""
    places = [{"executionId": entry.execution, "segment": entry.segment} for entry in entries]
    who = places[0] if len(places) == 1 else {"executions": places}
    return {"v": VERSION, "reason": entries[0].reason, **who}
