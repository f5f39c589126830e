"""Whole runs that are opened again when they are over: retried, skipped, settled or undone, with faults before and after."""

from typing import Any

import msgspec
from hypothesis import given, note
from hypothesis import strategies as st

from shared.machine import reopening
from shared.machine.decision import Changes
from shared.machine.plan import Blueprint
from shared.machine.reopening import NotReopened
from shared.machine.state import Execution
from shared.machine.status import REOPENINGS, TERMINAL, Cell, Reason, Status
from tests.machine.test_wide_world import _EXAMPLES, _FAULTS, _PEOPLE, _SETTINGS, plans
from tests.machine.wide_world import People, WideRun, check_wide, stands
from tests.machine.world import Faults, Setting

BY = "acme/anna"
_ACTS = st.lists(st.sampled_from(["retry", "skip", "settle", "compensate"]), min_size=1, max_size=3)


def snapshot(run: WideRun) -> Execution:
    """Everything that a person's action is decided on."""
    record = run.record
    return Execution(
        header=record.header,
        blueprint=record.blueprint,
        cells=bytes(record.cells),
        intents=record.intents,
        faults=record.faults,
        seen=record.seen,
        holds=record.holds,
        notes=record.notes,
    )


def decided(run: WideRun, act: str) -> Changes:
    """What a person's word puts back. A person who settles says what is so."""
    x, now_ms = snapshot(run), run.now_ms
    match act:
        case "retry":
            return reopening.retry(x, step="", by=BY, now_ms=now_ms)
        case "compensate":
            return reopening.compensate(x, by=BY, now_ms=now_ms)
        case "skip":
            _deal_with(run, x, _first(x, Cell.FAILED))
            return reopening.skip(x, step=_first(x, Cell.FAILED), output={"n": 0}, by=BY, now_ms=now_ms)
        case _:
            step = _first(x, Cell.UNKNOWN)
            cell = x.cell_of(step)
            happened = cell is not None and stands(run, cell) > 0
            return reopening.settle(x, step=step, happened=happened, output={"n": 0}, by=BY, now_ms=now_ms)


def _first(x: Execution, where: Cell) -> str:
    """A step at `where`; of a failed undo, its step."""
    forward = [cell for start, end in x.layout.forward() for cell in range(start, end)]
    found = [cell for cell in forward if where in {x.cell(cell), x.cell(x.layout.undo_of(cell))}]
    return x.name_of(found[0]) if found else "none"


def _deal_with(run: WideRun, x: Execution, step: str) -> None:
    """Whoever says so has taken back by hand what the undo could not."""
    if x.header.status is not Status.COMPENSATION_FAILED:
        return
    head = f"{x.header.id}.{step}."
    for key in [key for key in run.town.stands if key.startswith(head)]:
        run.town.stands[key] = 0
    for name, kid in run.kids.items():
        if kid.payload["step"] == step:
            run.kids[name] = kid._replace(status=Status.COMPENSATED)


def reopened(run: WideRun, changes: Changes) -> None:
    """As the store does it: the status is left although the table of moves has no such move, and the deadline goes."""
    header: Any = changes.header
    run.record.header = msgspec.structs.replace(header, deadline_ms=0, stalled=0, segment=run.record.header.segment)
    run.undo_starts.clear()  # what is undone now comes behind what was undone before, whenever it completed
    rest = msgspec.structs.replace(changes, header=None)
    run.record.write(rest)


@_EXAMPLES
@given(plan=plans(), faults=_FAULTS, setting=_SETTINGS, people=_PEOPLE, acts=_ACTS)
def test_what_is_reopened_ends_again_and_the_promises_hold(
    plan: Blueprint, faults: Faults, setting: Setting, people: People, acts: list[str]
) -> None:
    """However often: no effect is there twice, none is forgotten, and nothing waits for nobody."""
    note(msgspec.json.encode(plan.plan.steps).decode())
    run = WideRun(plan, faults, setting, people)
    run.go()
    for act in acts:
        if run.record.header.status not in TERMINAL:
            return
        origin = run.record.header.status
        try:
            changes = decided(run, act)
        except NotReopened:
            continue
        assert changes.header is not None
        assert changes.header.status in REOPENINGS[origin]
        reopened(run, changes)
        run.go()
        check_wide(run)
        if run.record.header.status not in TERMINAL:
            assert run.stop is Reason.UNDELIVERABLE
