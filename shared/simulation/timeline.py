"""What happened in a run: virtual milliseconds, who, what. Kept only when somebody will read it."""

from collections.abc import Callable
from typing import Any, Final

import structlog

_DULL: Final = frozenset({"level", "log_level", "event", "execution", "trace", "service", "key"})


class Timeline:
    """Lines in order; `say` costs next to nothing while it is not kept."""

    def __init__(self, now_ms: Callable[[], float], *, kept: bool) -> None:
        """`now_ms`: virtual milliseconds since the run began."""
        self._now_ms = now_ms
        self.kept = kept
        self.lines: list[str] = []

    def say(self, who: str, what: str) -> None:
        """One line."""
        if self.kept:
            self.lines.append(f"{self._now_ms():>11.1f}  {who:<12} {what}")

    def processor(self, who: Callable[[], str]) -> Callable[[Any, str, Any], Any]:
        """A structlog processor that takes the engine's own log lines in, and lets none out."""

        def take(_: Any, __: str, event: Any) -> Any:
            facts = " ".join(f"{name}={value}" for name, value in event.items() if name not in _DULL)
            self.say(who(), f"{event['event']} {facts}"[:220])
            raise structlog.DropEvent

        return take
