"""Every metric: its name, what it counts, its labels, and who shows it. The page, the dashboard and the alerts name no others.

Labels have few values. No execution, message or step is one; a tenant is only where METRICS_TENANTS says so.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

Type: TypeAlias = Literal["counter", "gauge", "histogram"]
PREFIX: Final = "intention_"


class Metric(NamedTuple):
    """One of them."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    shared: bool = False
    """Read from Redis when it is scraped, and the same whoever asks; else counted by one process since its start."""


def _counter(name: str, help: str, *labels: str) -> Metric:  # noqa: A002 - Prometheus's word
    return Metric(f"{PREFIX}{name}_total", "counter", help, labels)


def _gauge(name: str, help: str, *labels: str, shared: bool = False) -> Metric:  # noqa: A002 - Prometheus's word
    return Metric(f"{PREFIX}{name}", "gauge", help, labels, shared)


def _histogram(name: str, help: str, *labels: str) -> Metric:  # noqa: A002 - Prometheus's word
    return Metric(f"{PREFIX}{name}_seconds", "histogram", help, labels)


ACCEPTED: Final = _counter("executions_accepted", "Executions taken in (ingress, and resume for schedules).")
AT_WORK: Final = _gauge(
    "requests_at_work", "Requests that ingress works on now: those that start, and those that change.", "what"
)
REFUSED: Final = _counter("requests_refused", "Requests told to come again, because INGRESS_AT_WORK were at work.", "what")
STARTED: Final = _counter("executions_started", "Executions whose first segment began.")
ENDED: Final = _counter("executions_ended", "Executions that ended; a reopened one ends again.", "status")
SEGMENTS: Final = _counter("segments", "Invocations that had the lease, by what came of them.", "result")
SEGMENT: Final = _histogram("segment", "From the beginning of an invocation to its answer.")
NOT_RUN: Final = _counter("deliveries_not_run", "Deliveries with nothing to do: late, early, repeated, paused, over.", "why")
CONFLICTS: Final = _counter("lease_conflicts", "Deliveries that found the lease held, and segments that lost theirs.", "why")
ATTEMPTS: Final = _counter("step_attempts", "Calls of tools, undos and probes, by how they ended.", "tool", "call", "outcome")
STEP: Final = _histogram("step", "How long calls take.", "tool", "call")
LAG: Final = _histogram("message_lag", "From the commit that queued a message to its first delivery.")
PUBLISHED: Final = _counter("messages_published", "Messages handed to QStash, by what it said.", "outcome")
CHANNEL: Final = _gauge("channel_up", "Whether nothing speaks against sending there; 0: away, or not configured.", "channel")
EXECUTOR: Final = _gauge("executor_up", "Whether the step executor takes direct calls, as this process knows it.")
SWEEPS: Final = _counter("sweeps", "Whole rounds of the watchdog.")
RESENT: Final = _counter("resends", "Overdue executions sent again: by a direct call, a message, or in vain.", "way")
RELAYED: Final = _counter("entries_relayed", "Outbox entries that the watchdog carried out for somebody else.")
LEFT: Final = _gauge("sweep_left", "Overdue at the latest sweep and not sent again by it.")
WINDOW: Final = _gauge("resend_window", "How many executions may be sent again at once.")
HINTS: Final = _counter("hints", "What came of hints and events, whichever way they came.", "result")
MESH: Final = _counter("mesh_messages", "What the subscriber did with messages on Ably.", "what")
MALFORMED: Final = _counter("mesh_malformed", "Messages on Ably's channels that cannot be followed.")
CONNECTED: Final = _gauge("mesh_connected", "Whether the subscriber hears every channel that it may hear.")
REBUILDS: Final = _counter("mesh_rebuilds", "Times that the subscriber replaced its client.")
WAITING: Final = _gauge("mesh_waiting", "Messages that the subscriber has not handled yet.")
BROKEN: Final = _gauge("invariant_broken", "Executions that nothing would ever move, of those looked at.")

STORE: Final = _gauge("store_up", "Whether Redis answered in time; 0: what is read from it is not shown.", shared=True)
OPEN: Final = _gauge("executions_open", "Executions that are not over.", shared=True)
OVERDUE: Final = _gauge("executions_overdue", "Executions whose due time has passed.", shared=True)
OLDEST: Final = _gauge("overdue_oldest_seconds", "How long the longest overdue has been.", shared=True)
OUTBOX: Final = _gauge("outbox_entries", "Messages and commands committed and not yet known to be carried out.", shared=True)
AWAY: Final = _gauge("outbox_away_entries", "Those of them that wait for a channel to come back.", shared=True)
SHARED_LAG: Final = _gauge("message_lag_shared_seconds", "The lag that the watchdogs go by; 0: none is known.", shared=True)
CIRCUIT: Final = _gauge("circuit_open", "1 for each tool whose circuit is open.", "tool", shared=True)
PAUSED: Final = _gauge("paused", "Tools and tenants that a person has paused.", "what", shared=True)
DEAD: Final = _gauge("dead_letters", "Dead letters that nobody has dealt with.", shared=True)
SPENT: Final = _gauge("quota_spent_messages", "Messages spent.", "window", "tenant", shared=True)
QUOTA_LEFT: Final = _gauge(
    "quota_left_messages",
    "Messages neither spent nor reserved, of whom has least.",
    "window",
    "tenant",
    shared=True,
)
LIMIT: Final = _gauge("quota_limit_messages", "What one tenant may spend.", "window", "tenant", shared=True)
RUNNING: Final = _gauge("quota_running_executions", "Executions that count against the quota.", "tenant", shared=True)

METRICS: Final = tuple(found for found in list(vars().values()) if isinstance(found, Metric))
