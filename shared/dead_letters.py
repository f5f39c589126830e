"""The names of dead letters, and what is kept of an answer. Pure.

A letter is about one thing that died: the messages of one segment, or the execution itself. However often that happens it stays
one letter that counts, so that a partner who is away for a night does not push everybody else's letters out.
"""

import re
from typing import Final

EXCERPT: Final = 500
"""Characters kept of the answer that a dead message got last."""
MOST: Final = 1_000
"""Letters of one tenant on one partition; the oldest leave."""
UNDELIVERABLE: Final = "undeliverable"
"""What a letter about an execution is named after; one about messages is named after their segment."""

_ID: Final = re.compile(r"dlq_([0-3][0-9a-f]_[0-9a-f]{32})_(?:[0-9]{1,15}|undeliverable)")
_SECRET: Final = re.compile(
    r"(?i)(\bbearer\s+|\bsig_|\beyJ|\b(?:api[_-]?key|token|password|secret|signature|authorization)[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:bearer|basic)\s+)?[^\s\"',;}&]+"
)
_UNSHOWN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def prefix_of(execution: str) -> str:
    """What the ids of an execution's letters begin with."""
    return f"dlq_{execution.removeprefix('exe_')}_"


def letter_of(execution: str, segment: int) -> str:
    """The id of the letter about the messages of a segment."""
    return f"{prefix_of(execution)}{max(segment, 0)}"


def letter_of_execution(execution: str) -> str:
    """The id of the letter about an execution that nothing comes of."""
    return f"{prefix_of(execution)}{UNDELIVERABLE}"


def execution_of(letter: str) -> str | None:
    """The execution that a letter's id is about; None for what is no such id."""
    found = _ID.fullmatch(letter)
    return f"exe_{found[1]}" if found else None


def excerpt(answer: bytes) -> str:
    """The beginning of an answer, readable, with what looks like a secret struck out before it is cut."""
    text = _UNSHOWN.sub(" ", answer[: 8 * EXCERPT].decode(errors="replace"))
    return _SECRET.sub(r"\1***", text)[:EXCERPT]
