"""What workers saw: each call with its arguments, its answer, and when it began and ended by one clock."""

from typing import Any

import msgspec


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a worker. Times are nanoseconds of the machine's monotonic clock, which all processes share."""

    kind: str
    """acquire | commit | signal"""
    execution: str
    began: int
    ended: int
    answer: str
    """acquire: lease, or the reason why not; commit: committed, flags, lost; signal: accepted, or the reason why not."""
    owner: str = ""
    mark: str = ""
    """Names a commit or a signal; a repeat has the same one."""
    again: bool = False
    """The same call as before, as a client sends it when a reply is lost."""
    ver: int = 0
    """The version a commit was computed from."""
    after: int = 0
    """The version that was answered."""
    fence: int = 0
    seen: int = 0
    """The inbox position that a commit had seen."""
    going: str = ""
    """How a commit went on: none, intents, leave or end."""
    entry: str = ""
    """The outbox entry that was answered."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the server holds of one execution at the end."""

    execution: str
    ver: int
    fence: int
    inbox: dict[int, str]
    """Position to the mark of the signal."""
    history: list[dict[str, Any]]
