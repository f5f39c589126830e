"""How the subscriber is: what it counts, and what `GET /api/health/mesh` shows."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from services.resume.subscriber.judging import View

PATIENCE_MS: Final = 60_000
"""Not connected for longer is an error for whoever watches status codes: a catch-up reaches back two minutes at least."""


@dataclass
class Counts:
    """Since this process began; each can be a Prometheus counter as it is."""

    heard: int = 0
    """Messages that were new, live or by a catch-up, whatever became of them."""
    handled: int = 0
    """Messages done with."""
    duplicates: int = 0
    """Messages that came again: live and from history, or from history twice."""
    malformed: int = 0
    ignored: int = 0
    """Messages with another name."""
    hints: int = 0
    """Executions (or keys) named by them and taken to the door."""
    nothing: int = 0
    """Hints that the door had nothing to do for: terminal, unknown, or another tenant's."""
    retried: int = 0
    """Times that a hint was offered again because the store was away."""
    failed: int = 0
    """Hints given up after an unexpected error; the log has it."""
    overflows: int = 0
    """Messages for which there was no room, left to a catch-up."""
    catch_ups: int = 0
    catch_ups_failed: int = 0
    caught_up: int = 0
    """Messages that only a catch-up brought."""
    rebuilds: int = 0


@dataclass
class Health:
    """What is known now. Times are unix ms."""

    channels: tuple[str, ...]
    began_ms: int
    counts: Counts = field(default_factory=Counts)
    view: View = field(default_factory=lambda: View(connection="initialized"))
    up_since_ms: int | None = None
    down_since_ms: int | None = None
    last_rebuild: str = ""
    last_rebuild_ms: int | None = None
    last_message_ms: int | None = None

    def look(self, view: View, now_ms: int) -> None:
        """The client is so now."""
        self.view = view
        if not view.up:
            self.up_since_ms, self.down_since_ms = None, self.down_since_ms or now_ms
        elif self.up_since_ms is None:
            self.up_since_ms, self.down_since_ms = now_ms, None

    def rebuilt(self, why: str, now_ms: int) -> None:
        """A client was replaced."""
        self.counts.rebuilds += 1
        self.last_rebuild, self.last_rebuild_ms = why, now_ms

    def ok(self, now_ms: int) -> bool:
        """Connected, or not for longer than a moment."""
        return self.view.up or now_ms - (self.down_since_ms or self.began_ms) <= PATIENCE_MS

    def report(self, *, waiting: int, behind: tuple[str, ...]) -> dict[str, Any]:
        """As JSON. `waiting`: messages in the queue; `behind`: channels with a catch-up to be made."""
        states = {name: _channel(self.view, name) for name in self.channels}
        counts = asdict(self.counts)
        return {
            "configured": True,
            "connected": self.view.up,
            "state": self.view.connection,
            "since": _iso(self.up_since_ms or self.down_since_ms or self.began_ms),
            "channels": states,
            "rebuilds": counts.pop("rebuilds"),
            "lastRebuild": {"why": self.last_rebuild, "at": _iso(self.last_rebuild_ms)} if self.last_rebuild else None,
            "lastMessageAt": _iso(self.last_message_ms),
            "waiting": waiting,
            "behind": list(behind),
            "counts": {_camel(name): value for name, value in counts.items()},
        }


def _channel(view: View, name: str) -> str:
    found = view.channels.get(name)
    if found is None:
        return "initialized"
    return f"{found.state} ({found.code})" if found.code and found.state != "attached" else found.state


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _iso(ms: int | None) -> str | None:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds") if ms else None
