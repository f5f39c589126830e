"""Every key name. All keys of one partition share its hash tag, so one script touches one partition, on Redis Cluster too.

`docs/keyspace.md` lists each key with its owner and its end.
"""

import hashlib
from typing import Final

PARTITIONS: Final = 64
"""Fixed for ever: an Idempotency-Key chooses its execution's partition, so another count would create things twice."""

LAYOUT = "ie:layout"
_PARTITIONS: Final = tuple(f"{number:02x}" for number in range(PARTITIONS))


def partition_of(execution: str) -> str:
    """The two hex digits of `exe_<pp>_<uuid7>`; ValueError for what is no execution id."""
    prefix, _, rest = execution.partition("_")
    pp, _, unique = rest.partition("_")
    if prefix != "exe" or len(unique) != 32 or not _is_partition(pp):
        raise ValueError(f"{execution[:60]!r} is no execution id")
    return pp


def partition_of_schedule(schedule: str) -> str:
    """The two hex digits of `sch_<pp>_<uuid7>`; ValueError for what is no schedule id."""
    prefix, _, rest = schedule.partition("_")
    pp, _, unique = rest.partition("_")
    if prefix != "sch" or len(unique) != 32 or not _is_partition(pp):
        raise ValueError(f"{schedule[:60]!r} is no schedule id")
    return pp


def _is_partition(pp: str) -> bool:
    return pp in _PARTITIONS  # not int(pp, 16), which takes "+f" and " f" too


def spread(text: str) -> str:
    """The partition that a text (an Idempotency-Key, a user) hashes to."""
    return f"{hashlib.sha256(text.encode()).digest()[0] % PARTITIONS:02x}"


def all_partitions() -> list[str]:
    """Every partition's two digits."""
    return list(_PARTITIONS)


def record(execution: str) -> str:
    """Hash: header fields, and one field an intent (`i:`), fault (`f:`), result (`r:`) and completion time (`c:`)."""
    return f"ie:{{p{partition_of(execution)}}}:x:{execution}"


def cells(execution: str) -> str:
    """String of 2n bytes: where each step and each undo stands."""
    return f"ie:{{p{partition_of(execution)}}}:s:{execution}"


def plan(execution: str) -> str:
    """String: the accepted plan's canonical bytes."""
    return f"ie:{{p{partition_of(execution)}}}:p:{execution}"


def history(execution: str) -> str:
    """Stream: what happened, in order."""
    return f"ie:{{p{partition_of(execution)}}}:h:{execution}"


def inbox(execution: str) -> str:
    """Hash: signals by position, and `id:<signal id>` for each seen id."""
    return f"ie:{{p{partition_of(execution)}}}:in:{execution}"


def due(partition: str) -> str:
    """Sorted set: when each non-terminal execution must have moved."""
    return f"ie:{{p{partition}}}:due"


def outbox_times(partition: str) -> str:
    """Sorted set: entry id -> when a relay should send it."""
    return f"ie:{{p{partition}}}:obz"


def outbox_entries(partition: str) -> str:
    """Hash: entry id -> entry."""
    return f"ie:{{p{partition}}}:obh"


def retire(partition: str) -> str:
    """Sorted set: when each finished execution may be archived and deleted."""
    return f"ie:{{p{partition}}}:retire"


def listing(partition: str, tenant: str) -> str:
    """Sorted set, all scores 0: a tenant's executions by `<uuid7>`, so that their order is the order of creation."""
    return f"ie:{{p{partition}}}:idx:{tenant}"


def dead_times(partition: str, tenant: str) -> str:
    """Sorted set: a tenant's dead letters by the time of the latest death."""
    return f"ie:{{p{partition}}}:dlq:{tenant}"


def dead_letters(partition: str, tenant: str) -> str:
    """Hash: a tenant's dead letters by id."""
    return f"ie:{{p{partition}}}:dlh:{tenant}"


def schedule(schedule: str) -> str:
    """Hash: what a schedule does, when, and what came of it."""
    return f"ie:{{p{partition_of_schedule(schedule)}}}:sch:{schedule}"


def schedule_times(partition: str) -> str:
    """Sorted set: when each schedule is to be looked at."""
    return f"ie:{{p{partition}}}:sched"


def schedule_listing(partition: str, tenant: str) -> str:
    """Sorted set, all scores 0: a tenant's schedules by `<uuid7>`."""
    return f"ie:{{p{partition}}}:sdx:{tenant}"


def idempotency(partition: str, tenant: str, key: str) -> str:
    """Hash: which execution an Idempotency-Key made, and from which request. Has a TTL."""
    return f"ie:{{p{partition}}}:idem:{tenant}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def ping(nonce: str) -> str:
    """String: the ping of that nonce (32 hex digits) as the step executor got it. Has a TTL."""
    return f"ie:{{p{spread(nonce)}}}:ping:{nonce}"


def profile(tenant: str, user: str) -> str:
    """String: a user's stored profile."""
    return f"ie:{{p{spread(user)}}}:user:{tenant}:{hashlib.sha256(user.encode()).hexdigest()[:32]}"
