"""Puts lines and grids onto standard output: a table on a terminal, plain lines everywhere else."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TextIO

import click

from shared.cli import moments
from shared.cli.grids import Column, Grid, Part, clean, plain

if TYPE_CHECKING:  # rich costs 50 ms, and a pipe needs none of it
    from rich.console import Console, RenderableType
    from rich.padding import Padding
    from rich.text import Text

SHORT_ID: Final = 8
"""Characters of an id's end on a terminal; every verb takes them in its place."""
ROOMY: Final = 120
"""Columns from which on ids are shown whole."""
GAP: Final = 2
LEAST: Final = 24
FLEXIBLE: Final = ("text", "note")
_COLOURS: Final = {
    "COMPLETED": "green", "DONE": "green", "done": "green", "active": "green", "ok": "green", "normal": "green",
    "FAILED": "red", "COMPENSATION_FAILED": "bold red", "UNKNOWN": "bold red", "REJECTED": "red", "TIMED_OUT": "red",
    "COMPENSATED": "yellow", "CANCELLED": "yellow", "SUSPENDED": "cyan", "PAUSED": "cyan", "paused": "cyan", "waits": "cyan",
    "circuit": "red", "tried": "cyan", "yes": "green",
    "AWAITING_CONFIRMATION": "cyan", "back-off": "yellow", "called": "blue", "RUNNING": "blue", "COMPENSATING": "yellow",
}  # fmt: skip
"""By the first word of a state; the word itself says the same to whoever sees no colour."""
_STATES: Final = re.compile(rf"\b({'|'.join(word for word in _COLOURS if word.isupper())})\b")


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it, on something that can draw."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def show(parts: Iterable[Part]) -> None:
    """Print them."""
    if not is_terminal(sys.stdout):
        for line in plain(parts):
            click.echo(line)
        return
    out = console()
    for part in parts:
        out.print(styled(part) if isinstance(part, str) else table(part, out.width), soft_wrap=False)


def console(*, stderr: bool = False) -> "Console":
    """The terminal. It reads no markup in what it prints; NO_COLOR is honoured."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def styled(line: str) -> "Padding":
    """A line with its states in colour; what does not fit stays under its beginning."""
    from rich.padding import Padding
    from rich.text import Text

    text = clean(line)
    found = Text(text.lstrip(), overflow="fold")
    found.highlight_regex(_STATES, lambda word: _COLOURS[word])
    return Padding(found, (0, 0, 0, len(text) - len(text.lstrip())), expand=False)


def table(grid: Grid, width: int) -> "RenderableType":
    """As wide as the terminal at most: the least important columns go, then texts are cut, and notes folded."""
    from rich.padding import Padding
    from rich.table import Table

    rows, widths = _laid_out(grid, width - grid.indent)
    found = Table(
        box=None,
        pad_edge=False,
        padding=(0, GAP, 0, 0),
        header_style="bold",
        show_edge=False,
        show_header=any(column.title for column in grid.columns),
    )
    for number, size in widths.items():
        column = grid.columns[number]
        right = column.kind == "number"
        found.add_column(
            column.title,
            justify="right" if right else "left",
            no_wrap=column.kind != "note",
            overflow="fold" if column.kind == "note" else "ellipsis",
            width=size,
        )
    for row in rows:
        found.add_row(*(_cell(row[number], grid.columns[number]) for number in widths))
    return Padding(found, (0, 0, 0, grid.indent), expand=False) if grid.indent else found


def _laid_out(grid: Grid, width: int) -> tuple[list[list[str]], dict[int, int]]:
    """The texts, and the widths of the columns that stay: with whole ids where no column has to go for them."""
    short = _texts(grid, whole=False)
    found = fitting(grid.columns, short, width)
    if width + grid.indent < ROOMY:
        return short, found
    whole = _texts(grid, whole=True)
    roomy = fitting(grid.columns, whole, width)
    return (whole, roomy) if len(roomy) == len(found) else (short, found)


def _texts(grid: Grid, *, whole: bool) -> list[list[str]]:
    now = moments.utc_now()

    def shown(text: str, column: Column) -> str:
        if column.kind == "moment":
            return moments.ago(text, now) if text else ""
        return text[-SHORT_ID:] if column.kind == "id" and not whole and len(text) > 2 * SHORT_ID else text

    return [[shown(clean(text), column) for text, column in zip(row, grid.columns, strict=True)] for row in grid.rows]


def _cell(text: str, column: Column) -> "Text":
    from rich.text import Text

    style = _COLOURS.get(text.partition(" ")[0], "") if column.kind == "state" else ""
    return Text(text, style="dim" if column.kind == "moment" else style)


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> dict[int, int]:
    """Columns that there is room for, by number, and how wide each is. Pure.

    Texts and notes share what the others leave, and are shown with `LEAST` characters or not at all, if they may be dropped.
    """
    from rich.cells import cell_len

    natural = [
        max(cell_len(text) for text in (column.title, *(row[number] for row in rows))) for number, column in enumerate(columns)
    ]
    kept = [number for number, column in enumerate(columns) if not column.drop or any(row[number] for row in rows)]
    while _least(columns, natural, kept) > width and any(columns[number].drop for number in kept):
        kept.remove(max(kept, key=lambda number: columns[number].drop))
    flexible = [number for number in kept if columns[number].kind in FLEXIBLE]
    left = width - sum(natural[number] for number in kept if number not in flexible) - GAP * (len(kept) - 1)
    widths = {number: natural[number] for number in kept}
    for place, number in enumerate(
        sorted(flexible, key=lambda number: natural[number])
    ):  # the short ones leave room to the long
        widths[number] = max(1, min(natural[number], left // (len(flexible) - place)))
        left -= widths[number]
    return widths


def _least(columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int]) -> int:
    sizes = (min(LEAST, natural[number]) if columns[number].kind in FLEXIBLE else natural[number] for number in kept)
    return sum(sizes) + GAP * (len(kept) - 1)
