"""Progress of executions that somebody watches, told on Ably: what the history has, line by line, on `execution:<id>`.

Whoever asks for a token (`POST /api/ably/token`) watches for as long as it lasts. An execution that nobody watches costs
nothing here. How far it was told is in Redis, so that nothing is left out when a process dies: the next one goes on, and tells
what is in doubt once more under the same ids. Nothing waits for Ably, beyond END_S at the end of an invocation.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from shared.ably import execution_channel
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.redisdb.progress import Untold

log = get_logger()

NAME: Final = "progress"
PAUSE_S: Final = 0.25
"""Between two publishes for one execution: what happens meanwhile goes out together."""
END_S: Final = 0.3
"""How long an invocation that is over waits for what is not told yet."""
TRIES: Final = 3
MOST_BYTES: Final = 49_152
"""Of the events in one message: Ably takes 65,536 with everything around them."""


class Lines(Protocol):
    """How far each history was told. See `shared.redisdb.progress`."""

    async def untold(self, execution: str) -> Untold:
        """A page of what was not told."""
        ...

    async def told(self, execution: str, line: str) -> None:
        """Everything up to this line was told."""
        ...


class Telling(Protocol):
    """Publishes one message. See `shared.ably.Publisher`."""

    async def publish(self, channel: str, *, id: str, name: str, data: Any) -> str:  # noqa: A002 - as Ably calls it
        """Empty, or why not."""
        ...


class _Work:
    """What is told of one execution, by one task at a time: so it is in order."""

    def __init__(self) -> None:
        self.moved = True
        self.hurry = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Progress:
    """See `shared.ports.Progress`. One for a process; `close` waits for what is under way."""

    def __init__(self, lines: Lines, publisher: Telling) -> None:
        """`publisher` may publish on every execution's channel."""
        self._lines = lines
        self._publisher = publisher
        self._work: dict[str, _Work] = {}

    def moved(self, execution: str) -> None:
        """See the port."""
        work = self._work.get(execution)
        if work is None:
            work = self._work[execution] = _Work()
            work.task = asyncio.create_task(self._run(execution, work))
        work.moved = True
        work.hurry.clear()

    async def settle(self, execution: str) -> None:
        """See the port."""
        work = self._work.get(execution)
        if work is not None and work.task is not None:
            work.hurry.set()
            await asyncio.wait({work.task}, timeout=END_S)

    async def close(self) -> None:
        """Tell what is not told yet, as far as Ably takes it."""
        tasks = [work.task for work in self._work.values() if work.task is not None]
        for work in self._work.values():
            work.hurry.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, execution: str, work: _Work) -> None:
        failures = 0
        try:
            while work.moved and failures < TRIES:
                work.moved = False
                error = await self._tell(execution)
                failures = failures + 1 if error else 0
                if error:
                    work.moved = True
                    log.warning("progress.not_told", execution=execution, error=error)
                    await asyncio.sleep(PAUSE_S)
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(work.hurry.wait(), PAUSE_S)
        except Exception:  # nothing may come of it: the history has it all
            log.exception("progress.failed", execution=execution)
        finally:
            del self._work[execution]

    async def _tell(self, execution: str) -> str:
        """Everything that was not told; why it was not, or ""."""
        try:
            while True:
                found = await self._lines.untold(execution)
                for data in messages(execution, found):
                    last = data["events"][-1]["id"]
                    mark = f"pr-{execution}-{last}"
                    error = await self._publisher.publish(execution_channel(execution), id=mark, name=NAME, data=data)
                    if error:
                        return error
                    await self._lines.told(execution, last)
                if not found.more:
                    return ""
        except Unavailable as error:
            return error.message


def messages(execution: str, found: Untold) -> Iterator[dict[str, Any]]:
    """The data of the messages that tell these lines, in order, each small enough; the last one has the status."""
    batches = list(_batches(found.events))
    for number, events in enumerate(batches):
        whole = number == len(batches) - 1 and not found.more
        yield {"executionId": execution, **({"status": found.status} if whole and found.status else {}), "events": events}


def _batches(events: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for event in map(_small, events):
        more = _bytes(event)
        if batch and size + more > MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += more
    if batch:
        yield batch


def _small(event: dict[str, Any]) -> dict[str, Any]:
    """The line itself, or without its detail where that is too large for a message; the history has it."""
    size = _bytes(event)
    if size <= MOST_BYTES:
        return event
    return {name: value for name, value in event.items() if name != "detail"} | {"detail": {"left_out": True, "bytes": size}}


def _bytes(event: dict[str, Any]) -> int:
    return len(json.dumps(event)) + 2  # as Ably's client writes it: every letter beyond ASCII is six bytes
