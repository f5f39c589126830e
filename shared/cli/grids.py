"""What is shown, before it is known where: lines and grids. Pure.

A grid knows its columns by what they mean, so that a pipe gets whole ids and exact times, and a terminal short ones and ages.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["id", "state", "moment", "number", "word", "text", "note"]
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Column:
    """`kind`: what stands in it. On a terminal `text` may be cut and `note` folded; `moment` is ISO 8601."""

    title: str
    kind: Kind = "word"
    drop: int = 0
    """Where a terminal is narrow the highest goes first; 0 stays."""


@dataclass(frozen=True)
class Grid:
    """Rows of as many texts as there are columns. What somebody else wrote may be in them: they are cleaned when shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    indent: int = 0


Part: TypeAlias = str | Grid


def listed(found: Sequence[dict[str, Any]], *spec: tuple[Column, str | Callable[[dict[str, Any]], Any]]) -> Iterator[Part]:
    """A row for each: a column's text is a member of the answer, or made of it. `none` where there is nothing."""
    rows = [[_text(one[of] if isinstance(of, str) else of(one)) for _, of in spec] for one in found]
    yield Grid([column for column, _ in spec], rows) if rows else "none"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def clean(text: str) -> str:
    """Without what a terminal would obey: other people's words are in it."""
    return _CONTROL.sub(" ", text)


def plain(parts: Iterable[Part]) -> Iterator[str]:
    """For a pipe: a line a row, columns two spaces apart, nothing cut, no title, no colour; `-` for nothing."""
    for part in parts:
        if isinstance(part, str):
            yield clean(part)
        else:
            yield from _rows(part)


def _rows(grid: Grid) -> Iterator[str]:
    rows = [[_exact(clean(text), column) for text, column in zip(row, grid.columns, strict=True)] for row in grid.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    for row in rows:
        yield " " * grid.indent + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _exact(text: str, column: Column) -> str:
    """Times in UTC to the second."""
    return (f"{text[:19]}Z" if column.kind == "moment" and text else text) or "-"
