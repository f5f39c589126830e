"""Places in a channel's log. Pure. A serial is `<epoch>:<ms>-<seq>`, a message's ends in `:<index>`; they sort as text."""

import re
import secrets
from typing import NamedTuple

_SERIAL = re.compile(r"([0-9a-f]{20}):([0-9]{14})-([0-9]{12})(?::([0-9]{3}))?")


class Position(NamedTuple):
    """One entry of a log; `seq` counts a channel's entries without gaps for as long as its epoch lasts."""

    epoch: str
    ms: int
    seq: int

    @property
    def entry_id(self) -> str:
        """The stream's id of this entry."""
        return f"{self.ms}-{self.seq}"

    def __str__(self) -> str:
        return f"{self.epoch}:{self.ms:014d}-{self.seq:012d}"

    def message(self, index: int) -> str:
        """The serial of the entry's n-th message."""
        return f"{self}:{index:03d}"


def parse(text: str | None) -> tuple[Position, int | None] | None:
    """A serial of a channel or of a message, with its index; None for what this server did not write."""
    found = _SERIAL.fullmatch(text or "")
    if not found:
        return None
    return Position(found[1], int(found[2]), int(found[3])), None if found[4] is None else int(found[4])


def new_epoch(now_ms: int) -> str:
    """The name of a log that begins now; later ones sort behind it."""
    return f"{now_ms:012x}{secrets.token_hex(4)}"
