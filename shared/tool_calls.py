"""Calls of tools, undos and probes: begun, timed, counted, and stopped with the segment that they belong to."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from shared import step_log
from shared.machine.decision import Start
from shared.machine.events import Accepted, Done, NotSent, Outcome, Refused, Report, Unanswered
from shared.ports import Lease
from shared.tracing import NO_TRACER, Fact

if TYPE_CHECKING:
    from shared.interpret import Interpreter


def _of_call(start: Start, what: str) -> dict[str, Fact]:
    return {
        "intention.execution": start.execution,
        "intention.tenant": start.tenant,
        "intention.step": start.step,
        "intention.attempt": start.intent.attempt,
        "intention.call": what,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": start.tool,
    }


_OUTCOMES: Final[dict[type, str]] = {
    Done: "done",
    Refused: "refused",
    NotSent: "not_sent",
    Unanswered: "unanswered",
    Accepted: "accepted",
}


def _outcome(outcome: Outcome) -> str:
    """In few words, for whoever counts."""
    return _OUTCOMES[type(outcome)]


class Calls:
    """The calls of one segment that are under way."""

    def __init__(self, engine: "Interpreter", lease: Lease, now_ms: Callable[[], int], cutoff_ms: int) -> None:
        """`now_ms`: unix ms by the store's clock; `cutoff_ms`: when the segment's own calls must have ended, by that clock."""
        self._engine = engine
        self._lease = lease
        self._now_ms = now_ms
        self._cutoff_ms = cutoff_ms
        self._tasks: set[asyncio.Task[Report]] = set()
        self._logged: dict[int, tuple[bytes, ...]] = {}

    def __bool__(self) -> bool:
        """Whether any is under way."""
        return bool(self._tasks)

    def begin(self, start: Start) -> None:
        """Call; each has a task of its own."""
        self._tasks.add(asyncio.create_task(self._call(start)))

    def logged(self) -> dict[int, tuple[bytes, ...]]:
        """What ended calls have logged since this was last asked, by cell."""
        said, self._logged = self._logged, {}
        return said

    async def ended(self, within_s: float | None) -> tuple[Report, ...]:
        """All that end in one turn of the loop, in the order of their cells; none if nothing does `within_s`."""
        if len(self._tasks) == 1 and within_s is None:
            await next(iter(self._tasks))
        else:
            await asyncio.wait(self._tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # siblings whose answers are in the same turn share the commit
        done = {task for task in self._tasks if task.done()}
        self._tasks -= done
        return tuple(sorted((task.result() for task in done), key=lambda report: report.cell))

    async def stop(self) -> None:
        """Whatever still runs belongs to nobody now; its intent is settled by the next owner."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, start: Start) -> Report:
        what = "undo" if start.undo else "probe" if start.intent.probe else "run"
        tracer = self._engine.tracer
        report = await (self._called(start) if tracer is NO_TRACER else self._traced(start, what))
        self._engine.tally.step(start.tool, what, _outcome(report.outcome), (report.ended_ms - report.started_ms) / 1000)
        return report

    async def _traced(self, start: Start, what: str) -> Report:
        facts = _of_call(start, what)
        with self._engine.tracer.span(f"{what} {start.tool}", parent=self._lease.header.trace, facts=facts) as span:
            report = await self._called(start)
            if isinstance(report.outcome, Refused):
                span.failed(report.outcome.code)
            elif isinstance(report.outcome, NotSent | Unanswered):
                span.failed(_outcome(report.outcome))
        return report

    async def _called(self, start: Start) -> Report:
        notebook = step_log.Notebook(self._now_ms, self._engine.clean)
        step_log.take_notes(notebook)  # of this call alone: it has a task of its own
        report = await self._answered(start)
        if logged := notebook.logged(start.intent.attempt):
            self._logged[start.cell] = (*self._logged.get(start.cell, ()), step_log.encode(logged))
        return report

    async def _answered(self, start: Start) -> Report:
        began = self._now_ms()
        deadline_ms = min(start.timeout_ms, self._cutoff_ms - began)
        if deadline_ms <= 0 or began + deadline_ms > self._lease.until_ms:
            # Our own lease would end under the call (this process was paused, say): another may own the execution already.
            outcome: Any = NotSent(message="the invocation was too old to send the request")
        else:
            outcome = await self._engine.tools.run(start, deadline_ms / 1000)
        ended = self._now_ms()
        if not isinstance(outcome, NotSent):
            self._engine.estimates.add(start.tool, ended - began)
        return Report(cell=start.cell, outcome=outcome, started_ms=began, ended_ms=ended)
