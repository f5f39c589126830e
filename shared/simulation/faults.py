"""What goes wrong in a run, as data: an explicit list, so that it can be cut down until only the guilty ones are left.

A fault names a stream of events and a number in it: "the 7th command to Redis", "the 3rd message". The same fault in the same
run always meets the same event.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

PEOPLE: Final = (
    "cancel", "resend", "hint", "answer", "pause", "resume", "event", "callback", "retry", "skip", "edit",
)  # fmt: skip
STREAMS: Final = {
    "step": ("kill", "freeze", *PEOPLE),
    "command": ("reply_lost", "slow", "restart", "failover"),
    "publish": ("refused", "slow", "reply_lost"),
    "message": ("drop", "late", "duplicate", "late_duplicate"),
    "delivery": ("unreachable", "answer_lost"),
    "mesh": ("refused", "drop", "late", "duplicate"),
    "call": ("refused", "busy", "busy_for_long", "not_sent", "lost", "landed", "late", "very_late", "slow"),
    "sweep": ("kill", "freeze"),
    "model": ("slow", "busy", "flawed", "refused", "asks", "more", "fewer", "again"),
    "moment": PEOPLE,
}
"""What can happen to the n-th event of each stream. `moment` counts virtual tenths of a second."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that goes wrong (or that a person does)."""

    stream: str
    kind: str
    at: int
    """Which event of the stream, from 1."""
    ms: int = 0
    """How long, where that has a meaning."""
    target: int = 0
    """Of a signal: which execution."""

    def __str__(self) -> str:
        length = f" ({self.ms} ms)" if self.ms else ""
        return f"{self.kind} at {self.stream} {self.at}{length}"


class Faults:
    """The list at work: told of every event, it says what happens to it, and counts what it did."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """The order of `faults` has no meaning."""
        self._by_place: dict[tuple[str, int], list[Fault]] = {}
        for fault in faults:
            self._by_place.setdefault((fault.stream, fault.at), []).append(fault)
        self.count: Counter[str] = Counter()
        """Events so far, by stream."""
        self.injected: Counter[str] = Counter()
        """Faults that met their event, by stream and kind."""

    def next(self, stream: str) -> list[Fault]:
        """One more event of `stream`; what happens to it."""
        self.count[stream] += 1
        found = self._by_place.get((stream, self.count[stream]))
        if not found:
            return []
        for fault in found:
            self.injected[f"{stream}.{fault.kind}"] += 1
        return found

    def one(self, stream: str) -> Fault | None:
        """As `next`, where only one thing can happen at a time."""
        found = self.next(stream)
        return found[0] if found else None

    def moments(self) -> list[Fault]:
        """Faults that come at a moment of virtual time, the earliest first."""
        found = [fault for (stream, _), some in self._by_place.items() if stream == "moment" for fault in some]
        return sorted(found, key=lambda fault: fault.at)
