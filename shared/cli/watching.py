"""An execution watched until it is over: a table that moves on a terminal, a line an event everywhere else."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

import click

from shared.cli import screen, shown
from shared.cli.api import Api, Failed
from shared.cli.feed import Feed
from shared.cli.grids import clean
from shared.cli.moments import span

if TYPE_CHECKING:  # rich costs 50 ms, and a pipe needs none of it
    from rich.console import RenderableType

LOOK_S: Final = 0.25
"""A look at the execution no oftener than this, however much happens."""
ANYWAY_S: Final = 5.0
"""A look even if nothing is told: the stream may be away."""
FRAMES: Final = 4
"""A second, on a terminal."""
BESIDE: Final = 6
"""Lines of the terminal that are not steps."""
BAR: Final = 30
BESIDE_BAR: Final = 68
"""Columns that the rest of its line may need."""
INTERRUPTED: Final = 130


class View(Protocol):
    """Where it is told. `room`: how many steps there is room for; 0 where nobody looks at steps."""

    room: int

    def told(self, lines: Sequence[dict[str, Any]]) -> None:
        """New lines of the history."""
        ...

    def stands(self, found: dict[str, Any], why: str) -> None:
        """How it stands now, with some of its steps; `why` it waits, if it does."""
        ...

    def away(self, message: str) -> None:
        """Ingress cannot be asked just now."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Quiet:
    """Tells nothing: the answer itself is all that is wanted."""

    room = 0

    def told(self, lines: Sequence[dict[str, Any]]) -> None:
        """See `View`."""

    def stands(self, found: dict[str, Any], why: str) -> None:
        """See `View`."""

    def away(self, message: str) -> None:
        """See `View`."""

    def close(self) -> None:
        """See `View`."""


class Lines(Quiet):
    """A line an event, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def told(self, lines: Sequence[dict[str, Any]]) -> None:
        """See `View`."""
        for one in lines:
            click.echo(line(one), file=self._stream)


def line(one: dict[str, Any]) -> str:
    """A line of a history on one line: when, what, which step, and the rest as `name=value`. Pure."""
    at = datetime.fromtimestamp(int(one["id"].partition("-")[0]) / 1000, UTC)
    attempt = {"attempt": one["attempt"]} if one.get("attempt", 0) > 1 else {}
    rest = " ".join(f"{name}={shown.compact(value)}" for name, value in (attempt | one.get("detail", {})).items())
    when = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    return clean(f"{when}  {one['event']:<22}  {one.get('step') or '-'}  {rest}").rstrip()


class Moving:
    """A table on a terminal that is drawn again while time goes by, and gone when it is over."""

    def __init__(self, stream: TextIO) -> None:
        from rich.live import Live

        self._console = screen.console(stderr=stream is sys.stderr)
        self.room = max(1, self._console.height - BESIDE)
        self._found: dict[str, Any] | None = None
        self._why = ""
        self._began = time.monotonic()
        self._live = Live(
            console=self._console, get_renderable=self._drawn, refresh_per_second=FRAMES, transient=True, redirect_stdout=False
        )
        self._live.start()

    def told(self, lines: Sequence[dict[str, Any]]) -> None:
        """See `View`."""

    def stands(self, found: dict[str, Any], why: str) -> None:
        """See `View`."""
        self._found, self._why = found, why

    def away(self, message: str) -> None:
        """See `View`."""
        self._why = message

    def close(self) -> None:
        """See `View`."""
        self._live.stop()

    def _drawn(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        found = self._found
        if found is None:
            return Text("...")
        parts: list[RenderableType] = [screen.styled(self._head(found))]
        if self._why:
            parts.append(screen.styled(f"  {self._why}"))
        if found["steps"]:
            parts.append(screen.table(shown.steps(found["steps"]), self._console.width))
        if hidden := found["totalSteps"] - len(found["steps"]):
            parts.append(Text(f"  {hidden} more steps"))
        return Group(*parts, Text("  Ctrl-C stops watching; the execution goes on", style="dim"))

    def _head(self, found: dict[str, Any]) -> str:
        done, total = found["doneSteps"], found["totalSteps"]
        width = max(4, min(BAR, self._console.width - BESIDE_BAR))
        full = width * done // total if total else 0
        bar = f"[{'#' * full}{'.' * (width - full)}]"
        short = found["id"][-screen.SHORT_ID :]
        return f"{short}  {bar} {done}/{total} steps  {shown.status_of(found)}  {span(time.monotonic() - self._began)}"


def watched(api: Api, execution: str, wait_s: float, stream: TextIO, *, quiet: bool) -> dict[str, Any]:
    """The execution when it is over, or the time is. Ctrl-C ends the watching and nothing else."""
    view: View = Quiet() if quiet else Moving(stream) if screen.is_terminal(stream) else Lines(stream)
    try:
        try:
            _follow(api, execution, time.monotonic() + wait_s, view)
        finally:
            view.close()
        return api.get(execution)
    except KeyboardInterrupt:
        click.echo(f"\nStopped watching; {execution} goes on: intention watch {execution[-screen.SHORT_ID :]}", err=True)
        sys.exit(INTERRUPTED)


def _follow(api: Api, execution: str, deadline: float, view: View) -> None:
    feed = Feed(api, execution)
    over, done = _look(api, execution, view, 0)
    looked, news = time.monotonic(), False
    while not over and (left := deadline - time.monotonic()) > 0:
        lines = feed.take(min(LOOK_S, left))
        view.told(lines)
        news = news or bool(lines)
        if feed.ended or time.monotonic() - looked >= (LOOK_S if news else ANYWAY_S):
            over, done = _look_again(api, execution, view, done)
            looked, news = time.monotonic(), False
    while over and not feed.ended and (lines := feed.take(ANYWAY_S)):
        view.told(lines)


def _look_again(api: Api, execution: str, view: View, done: int) -> tuple[bool, int]:
    """The same; where ingress is away for a while, the execution goes on without it."""
    try:
        return _look(api, execution, view, done)
    except Failed as error:
        if not error.passing:
            raise
        view.away(error.message.partition("\n")[0])
        return False, done


def _look(api: Api, execution: str, view: View, done: int) -> tuple[bool, int]:
    """Whether it is over, and how many steps are done. Of many steps those are shown that come next."""
    found = api.get(execution, first=max(0, done - view.room // 2), limit=max(1, view.room))
    waits = view.room and found["status"] == "SUSPENDED"
    why = api.ask("GET", f"/api/executions/{execution}/why")["why"] if waits else ""
    view.stands(found, why)
    return found["endedAt"] is not None, int(found["doneSteps"])
