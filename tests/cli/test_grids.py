"""What is shown as lines and as tables: pure, at any width."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from shared.cli import screen
from shared.cli.grids import Column, Grid, clean, listed, plain
from shared.cli.moments import ago, between, span
from shared.cli.watching import line

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ID = "exe_0a_01a2046995247ddb9dba4d7b4d41fe1c"
COLUMNS = (
    Column("ID", "id"),
    Column("STATUS", "state"),
    Column("USER", drop=1),
    Column("ENDED", "moment", drop=2),
    Column("WHAT", "text"),
)
ROW = (ID, "SUSPENDED", "ann", "2026-11-22T11:59:00+00:00", "Book a table for two at the Golden Wok")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.0405, "40 ms"), (0.9999, "999 ms"), (1.26, "1.2 s"), (59.9, "59 s"), (60, "1 min"), (7_199, "1 h"),
     (86_399, "23 h"), (86_400, "1 d"), (9e6, "104 d")],
)  # fmt: skip
def test_a_span_is_its_largest_full_unit(seconds: float, said: str) -> None:
    """Never more than it was."""
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("before", "said"),
    [(0, "now"), (0.4, "now"), (90, "1 min ago"), (-90, "in 1 min"), (86_400 * 29, "29 d ago"), (86_400 * 31, "2026-10-22")],
)
def test_an_age_is_a_date_where_it_is_far_away(before: float, said: str) -> None:
    """Both ways."""
    assert ago((NOW - timedelta(seconds=before)).isoformat(), NOW) == said


def test_what_is_no_moment_stays() -> None:
    """And there is no duration without both ends, nor one below nothing."""
    assert ago("soon", NOW) == "soon"
    assert (between("", "x"), between(None, None)) == ("", "")
    assert between("2026-11-22T12:00:01+00:00", "2026-11-22T12:00:00+00:00") == "0 ms"


def test_a_pipe_gets_everything_whole() -> None:
    """One line a row; nothing is a dash, times are to the second."""
    rows = [ROW, (ID, "DONE", "", "", "x")]
    assert list(plain([Grid(COLUMNS, rows), "end"])) == [
        f"{ID}  SUSPENDED  ann  2026-11-22T11:59:00Z  Book a table for two at the Golden Wok",
        f"{ID}  DONE       -    -                     x",
        "end",
    ]


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    """Neither by escapes nor by new lines nor by what a library would take for a style."""
    evil = "\x1b[2J\x1b]0;x\x07 two\nlines\x9b1m [red]not red[/red]"
    assert clean(evil) == " [2J ]0;x  two lines 1m [red]not red[/red]"
    assert len(list(plain([Grid((Column("A"),), [(evil,)])]))) == 1
    assert "[red]not red[/red]" in drawn(Grid((Column("A", "text"),), [(evil,)]), 80)[1]


def drawn(grid: Grid, width: int) -> list[str]:
    """The lines of a table."""
    console = Console(width=width, force_terminal=False, markup=False, highlight=False)
    with console.capture() as found:
        console.print(screen.table(grid, width))
    return found.get().splitlines()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 119, 120, 140, 400])
def test_a_table_fits_its_terminal(width: int) -> None:
    """Or is as narrow as what may not give way."""
    lines = drawn(Grid(COLUMNS, [ROW, ROW], indent=2), width)
    assert len(lines) == 3
    assert max(map(len, lines)) <= max(width, 2 + 8 + 2 + 9 + 2 + 4)


def test_the_least_important_columns_give_way_first() -> None:
    """What cannot be dropped stays; a text has 24 characters before anything else goes."""
    titles = {width: drawn(Grid(COLUMNS, [ROW]), width)[0].split() for width in (44, 51, 80, 140)}
    assert titles == {
        44: ["ID", "STATUS", "WHAT"],
        51: ["ID", "STATUS", "USER", "WHAT"],
        80: ["ID", "STATUS", "USER", "ENDED", "WHAT"],
        140: ["ID", "STATUS", "USER", "ENDED", "WHAT"],
    }


def test_ids_are_whole_where_there_is_room() -> None:
    """Otherwise their ends stand for them."""
    assert drawn(Grid(COLUMNS, [ROW]), 119)[1].startswith(ID[-8:] + " ")
    assert drawn(Grid(COLUMNS, [ROW]), 120)[1].startswith(ID + " ")


def test_no_column_goes_for_whole_ids() -> None:
    """A short one says enough."""
    grid = Grid((*COLUMNS, Column("OF", "id"), Column("ANSWER", "text", drop=3)), [(*ROW, ID, "upstream connect error: reset")])
    assert drawn(grid, 140)[1].startswith(ID[-8:] + " ")
    assert drawn(grid, 180)[1].startswith(ID + " ")
    assert [drawn(grid, width)[0].split()[-1] for width in (140, 180)] == ["ANSWER", "ANSWER"]


def test_columns_that_are_empty_and_may_go_are_not_shown() -> None:
    """Those that may not, are."""
    assert drawn(Grid(COLUMNS, [(ID, "DONE", "", "", "")]), 140)[0].split() == ["ID", "STATUS", "WHAT"]


def test_nothing_is_said_of_nothing() -> None:
    """One word instead of an empty table."""
    assert list(listed([], (Column("A"), "a"))) == ["none"]
    assert list(plain(listed([{"a": None}], (Column("A"), "a")))) == ["-"]


def test_an_event_is_a_line() -> None:
    """When, what, which step, and the rest by name."""
    said = {
        "id": "1795476593154-3",
        "event": "step.failed",
        "step": "pay",
        "attempt": 2,
        "detail": {"code": "no", "text": "a\nb"},
    }
    assert line(said) == '2026-11-23T23:29:53.154Z  step.failed             pay  attempt=2 code="no" text="a\\nb"'
    assert line({"id": "0-1", "event": "execution.created"}) == "1970-01-01T00:00:00.000Z  execution.created       -"
