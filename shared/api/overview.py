"""What is told of a tenant at a glance."""

from shared.api.base import Links, Moment, Told
from shared.api.operating import Allowance


class Counts(Told, frozen=True, kw_only=True):
    """Executions, by where they stand."""

    total: int
    by_status: dict[str, int]


class Oldest(Told, frozen=True, kw_only=True):
    """The execution that has not moved for longest."""

    id: str
    status: str
    reason: str | None
    text: str | None
    since: Moment | None
    links: Links


class Waiting(Told, frozen=True, kw_only=True):
    """How many wait, and who waits longest."""

    count: int
    oldest: Oldest | None


class Minute(Told, frozen=True, kw_only=True):
    """What one minute brought. `failed` are some of those that `ended`."""

    at: Moment | None
    started: int
    ended: int
    failed: int


class Channel(Told, frozen=True, kw_only=True):
    """A way to executions. `there` is null where nobody has tried; `awayMs` null while it is not known to be away."""

    there: bool | None
    error: str | None
    away_ms: int | None


class QStash(Channel, frozen=True, kw_only=True):
    """The first way. `waitingMessages` wait for a way to come back, of all tenants."""

    waiting_messages: int


class Subscriber(Told, frozen=True, kw_only=True):
    """Who hears what is published on the second way, and up to when."""

    there: bool
    heard_at: Moment | None


class Ably(Channel, frozen=True, kw_only=True):
    """The second way."""

    configured: bool
    subscriber: Subscriber | None


class Watchdog(Told, frozen=True, kw_only=True):
    """Whether somebody sweeps, and when a round last began."""

    there: bool
    swept_at: Moment | None


class Executor(Told, frozen=True, kw_only=True):
    """Whether the executor was there when it was called last."""

    there: bool


class Channels(Told, frozen=True, kw_only=True):
    """Every way in which executions move."""

    qstash: QStash
    ably: Ably
    watchdog: Watchdog
    executor: Executor


class Overview(Told, frozen=True, kw_only=True):
    """A tenant at a glance. `minutes` are the latest, oldest first; the last is not over yet."""

    at: Moment | None
    executions: Counts
    waiting: Waiting
    minutes: tuple[Minute, ...]
    channels: Channels
    quota: Allowance
