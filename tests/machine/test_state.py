"""The working copy: its indexes are always those that a record just loaded would have."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.machine.decision import Changes, apply, merge
from shared.machine.state import Execution
from shared.machine.status import Cell
from tests.machine.support import blueprint, execution, fault, intent

PLAN = blueprint("a idem", "b idem a", "c idem a")


def indexes(x: Execution) -> list[Any]:
    """What deciding reads instead of all cells."""
    found = (x.running, x.backoff, x.settling, x.undoing)
    return [bytes(x.cells), x.settled, list(x.ready()), *(sorted(index) for index in found)]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Cell)), max_size=20))
def test_moving_cells_keeps_the_indexes_true(moves: list[tuple[int, Cell]]) -> None:
    """Whatever the moves: also those that only a reopened record makes."""
    x = execution(PLAN)
    for cell, target in moves:
        x.move(cell, target)
    assert indexes(x) == indexes(Execution(header=x.header, blueprint=PLAN, cells=bytes(x.cells)))


def test_applying_brings_all_parts_up_to_date() -> None:
    """And the inbox position never goes back."""
    x = execution(PLAN)
    apply(x, Changes(cells={0: Cell.INTENDED}, intents={0: intent()}, faults={0: fault()}, seen=4))
    apply(x, Changes(seen=2))
    assert (x.cell(0), list(x.intents), list(x.faults), x.seen) == (Cell.INTENDED, [0], [0], 4)


def test_merged_changes_are_the_second_on_top_of_the_first() -> None:
    """What was decided before something had to be loaded is stored with what was decided after."""
    first = Changes(cells={0: Cell.BACKOFF, 1: Cell.READY}, faults={0: fault(1)}, seen=3, progress=True)
    second = Changes(cells={0: Cell.INTENDED}, faults={0: fault(2)}, seen=1)
    both = merge(first, second)
    assert both.cells == {0: Cell.INTENDED, 1: Cell.READY}
    assert (both.faults[0].attempt, both.seen, both.progress) == (2, 3, True)
    assert not Changes()
    assert both
