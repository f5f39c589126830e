"""What a check found, and how it is shown: one line a check, and below it what to do."""

import shutil
import textwrap
from typing import Final, Literal

import click
import msgspec

Status = Literal["ok", "warn", "fail", "skip"]
_SHOWN: Final = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red"), "skip": ("--", "white")}
_NAME: Final = 15
_INDENT: Final = 6


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check."""

    check: str
    status: Status
    message: str
    remedy: str = ""
    away: bool = False
    """Nothing answered: what was asked may still be right, and only not running yet."""


def width() -> int:
    """Columns to fill: the terminal's, within reason."""
    return max(60, min(100, shutil.get_terminal_size((80, 24)).columns))


def lines(finding: Finding, columns: int) -> list[str]:
    """The finding as lines of at most so many columns, unless a word is longer."""
    word, _ = _SHOWN[finding.status]
    head = f"{word:<{_INDENT}}{finding.check:<{_NAME}} "
    indent = " " * len(head)
    shown = _wrapped(finding.message, columns, head, indent)
    if finding.remedy:
        shown += _wrapped(finding.remedy, columns, " " * _INDENT + "-> ", " " * (_INDENT + 3))
    return shown


def _wrapped(text: str, columns: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, columns, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def show(finding: Finding) -> None:
    """Print it, in colour on a terminal."""
    word, colour = _SHOWN[finding.status]
    first, *rest = lines(finding, width())
    click.echo(click.style(word, fg=colour, bold=True) + first[len(word) :])
    for line in rest:
        click.echo(line)


def masked(secret: str) -> str:
    """Enough of a secret to recognise it, and not to use it."""
    return f"...{secret[-4:]}" if len(secret) >= 16 else "***"
