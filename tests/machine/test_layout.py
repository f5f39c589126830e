"""Which step, which item and which lane a cell belongs to; and that a working copy counts and indexes like one loaded anew."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.machine.state import Layout, Notes, Region
from shared.machine.status import Cell
from tests.machine.play import call, compiled
from tests.machine.support import header
from tests.machine.world import Record

LAYOUT = Layout(3, (Region(1, 6, 2), Region(2, 10, 1)))


@pytest.mark.parametrize(
    ("cell", "step", "item", "undo"),
    [(0, 0, -1, False), (2, 2, -1, False), (3, 0, -1, True), (5, 2, -1, True), (6, 1, 0, False), (7, 1, 1, False),
     (8, 1, 0, True), (9, 1, 1, True), (10, 2, 0, False), (11, 2, 0, True)],
)  # fmt: skip
def test_every_cell_has_its_place(cell: int, step: int, item: int, undo: bool) -> None:  # noqa: FBT001 - a row of the table
    """Steps, their undos, then each map's items and their undos."""
    assert (LAYOUT.step(cell), LAYOUT.item(cell), LAYOUT.is_undo(cell)) == (step, item, undo)
    assert LAYOUT.end == 12


_REGIONS = st.lists(st.integers(1, 6), max_size=4)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(size=st.integers(4, 7), counts=_REGIONS)
def test_every_forward_cell_has_one_undo_and_every_undo_one_forward_cell(size: int, counts: list[int]) -> None:
    """And together they are all cells."""
    regions, start = [], 2 * size
    for step, count in enumerate(counts):
        regions.append(Region(step, start, count))
        start += 2 * count
    layout = Layout(size, tuple(regions))
    forward = [cell for begin, end in layout.forward() for cell in range(begin, end)]
    undos = [layout.undo_of(cell) for cell in forward]
    assert sorted(forward + undos) == list(range(layout.end))
    for cell, undo in zip(forward, undos, strict=True):
        assert layout.forward_of(undo) == cell
        assert (layout.step(undo), layout.item(undo)) == (layout.step(cell), layout.item(cell))
        assert layout.is_undo(undo)
        assert not layout.is_undo(cell)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("a", 0), ("m", 1), ("m.0", 4), ("m.2", 6), ("m.3", None), ("m.", 1), ("m.01", None), ("m.-1", None), ("m.x", None),
     ("m.\u00b2", None), ("m." + "1" * 5_000, None), ("a.0", None), ("z", None), ("", None), ("z.1", None)],
)  # fmt: skip
def test_a_name_is_of_one_cell_or_of_none(name: str, cell: int | None) -> None:
    """Names come from outside: each is an answer, none an error."""
    plan = compiled(call("a"), call("m", map={"over": [1, 2, 3]}))
    record = Record(header(), plan)
    record.cells = bytearray(b"dw.." + b"r......"[:6])
    record.notes = Notes(maps=(Region(1, 4, 3),))
    x = record.load()
    assert x.cell_of(name) == cell
    if cell is not None and not name.endswith("."):
        assert x.name_of(cell) == name


@settings(max_examples=200, deadline=None, derandomize=True)
@given(moves=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(list(Cell))), max_size=40))
def test_a_working_copy_that_was_moved_counts_like_one_that_is_loaded(moves: list[tuple[int, Cell]]) -> None:
    """Every index and every count."""
    plan = compiled(call("a"), call("m", map={"over": [1, 2, 3]}))
    record = Record(header(), plan)
    record.cells = bytearray(b"..........")
    record.notes = Notes(maps=(Region(1, 4, 3),))
    moved = record.load()
    for cell, target in moves:
        moved.move(cell, target)
    record.cells = moved.cells
    loaded = record.load()
    for name in ("running", "backoff", "settling", "waiting", "undoing", "spread"):
        assert set(getattr(moved, name)) == set(getattr(loaded, name)), name
    assert moved.settled == loaded.settled
    assert moved.tally == loaded.tally
    assert Counter(moved.cells[4:7]) == Counter({byte: count for byte, count in moved.tally[4].items() if count})
