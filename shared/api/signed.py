"""What the services that QStash calls take and answer. What is read of a message tolerates fields that it does not know."""

from typing import Any

import msgspec

from shared.api.base import Moment, Told


class Result(Told, frozen=True, kw_only=True):
    """What came of a call."""

    result: str


class PingNoted(Told, frozen=True, kw_only=True):
    """A signed call arrived, and how it was signed."""

    result: str
    caller: str
    signed_with: str


class Hinted(Told, frozen=True, kw_only=True):
    """What came of hints: of one, with the segment that was due, or of how many."""

    result: str
    segment: int | msgspec.UnsetType = msgspec.UNSET
    hints: int | msgspec.UnsetType = msgspec.UNSET


class Swept(Told, frozen=True, kw_only=True):
    """How many executions and entries were moved, and how many are left for the next call."""

    moved: int
    left: int


class Resent(Told, frozen=True, kw_only=True):
    """By which way overdue executions were woken."""

    direct: int
    messages: int
    unanswered: int


class SweepWindow(Told, frozen=True, kw_only=True):
    """How many executions are woken at a time."""

    size: int
    most: int
    waiting: int


class Reach(Told, frozen=True, kw_only=True):
    """Whether the executor was there when it was called last."""

    there: bool


class Watching(Told, frozen=True, kw_only=True):
    """How the watchdog stands."""

    sweeps: int
    resent: Resent
    relayed: int
    left: int
    window: SweepWindow
    backlog: int
    late_ms: int
    executor: Reach | None


class Subscription(Told, frozen=True, kw_only=True):
    """How the second channel's subscriber stands; without one, only that there is none."""

    configured: bool
    connected: bool | msgspec.UnsetType = msgspec.UNSET
    state: str = ""
    since: Moment | msgspec.UnsetType | None = msgspec.UNSET
    channels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    rebuilds: int | msgspec.UnsetType = msgspec.UNSET
    last_rebuild: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    last_message_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    waiting: int | msgspec.UnsetType = msgspec.UNSET
    behind: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    counts: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class Soundness(Told, frozen=True, kw_only=True):
    """Whether something was found that nothing would ever move; counts since the process began."""

    ok: bool
    broken: int
    partitions: int
    rounds: int | msgspec.UnsetType = msgspec.UNSET
    checked: int | msgspec.UnsetType = msgspec.UNSET
    found: int | msgspec.UnsetType = msgspec.UNSET
