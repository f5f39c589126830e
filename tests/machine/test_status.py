"""The tables of moves, and the page that is drawn from them."""

import itertools

import pytest

from shared.machine import draw
from shared.machine.status import MOVES, REOPENINGS, TERMINAL, Cell, IllegalMove, Reason, Status, check_move


@pytest.mark.parametrize(("origin", "target"), list(itertools.permutations(Status, 2)), ids=str)
def test_a_move_is_in_the_table_or_raises(origin: Status, target: Status) -> None:
    """There is no other door."""
    if target in MOVES[origin]:
        assert check_move(origin, target) is target
    else:
        with pytest.raises(IllegalMove, match=f"{origin} may not become {target}"):
            check_move(origin, target)


def test_staying_is_no_move() -> None:
    """Also for a terminal status."""
    assert all(check_move(status, status) is status for status in Status)


def test_every_status_has_a_row_and_only_terminal_ones_are_empty() -> None:
    """A status without a way on would be a trap."""
    assert set(MOVES) == set(Status)
    assert {status for status, targets in MOVES.items() if not targets} == TERMINAL


def test_every_status_can_be_reached_and_can_come_to_an_end() -> None:
    """From RECEIVED, and to a terminal one."""
    reached = {Status.RECEIVED}
    while more := {target for origin in reached for target in MOVES[origin]} - reached:
        reached |= more
    assert reached == set(Status)
    ending = set(TERMINAL)
    while more := {status for status in Status if MOVES[status] & ending} - ending:
        ending |= more
    assert ending == set(Status)


def test_only_terminal_statuses_are_reopened() -> None:
    """And what is reopened runs."""
    assert set(REOPENINGS) <= TERMINAL
    assert not any(targets & TERMINAL for targets in REOPENINGS.values())


def test_cells_are_one_letter_each() -> None:
    """The record keeps one byte a cell."""
    assert len({cell.value for cell in Cell}) == len(Cell)
    assert all(len(cell.value.encode()) == 1 for cell in Cell)


def test_the_page_in_docs_is_the_one_that_the_tables_draw() -> None:
    """`python -m shared.machine.draw` writes it again."""
    assert draw.PAGE.read_text(encoding="utf-8") == draw.page()


def test_the_page_leaves_nothing_out() -> None:
    """Each status, each cell with its meaning, each reason."""
    page = draw.page()
    assert all(f"| {status} |" in page for status in Status)
    assert all(f"- `{reason}`: " in page for reason in Reason if reason)
    assert set(draw.attribute_docs(Cell)) == {cell.name for cell in Cell}
