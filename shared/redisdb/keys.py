"""Every key name. All keys of one partition share its hash tag, so one script touches one partition, on Redis Cluster too.

`docs/keyspace.md` lists each key with its owner and its end.
"""

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

PARTITIONS: Final = 64
"""Fixed for ever: an Idempotency-Key chooses its execution's partition, so another count would create things twice."""

LAYOUT = "ie:layout"
LATENCIES = "ie:{latencies}"
"""Hash: how long the calls of each tool take, by tool."""
_PARTITIONS: Final = tuple(f"{number:02x}" for number in range(PARTITIONS))


@lru_cache(maxsize=4_096)  # a commit names a dozen keys of one execution
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


@cache
def everywhere(*names: Callable[[str], str]) -> tuple[str, ...]:
    """These keys of all partitions."""
    return tuple(name(partition) for partition in _PARTITIONS for name in names)


def record(execution: str) -> str:
    """Hash: header fields, and one field an intent (`i:`), fault (`f:`), result (`r:`) and completion time (`c:`)."""
    return f"ie:{{p{partition_of(execution)}}}:x:{execution}"


def cells(execution: str) -> str:
    """String of 2n bytes: where each step and each undo stands."""
    return f"ie:{{p{partition_of(execution)}}}:s:{execution}"


def plan(execution: str) -> str:
    """String: the accepted plan's canonical bytes."""
    return f"ie:{{p{partition_of(execution)}}}:p:{execution}"


def large_value(execution: str, cell: int) -> str:
    """String: the output of one step as JSON, where it is too large for the record."""
    return f"ie:{{p{partition_of(execution)}}}:b:{execution}:{cell}"


def step_log(execution: str, cell: int) -> str:
    """List: what the latest calls of one step have logged, an attempt an element."""
    return f"ie:{{p{partition_of(execution)}}}:l:{execution}:{cell}"


def history(execution: str) -> str:
    """Stream: what happened, in order."""
    return f"ie:{{p{partition_of(execution)}}}:h:{execution}"


def inbox(execution: str) -> str:
    """Hash: signals by position, and `id:<signal id>` for each seen id."""
    return f"ie:{{p{partition_of(execution)}}}:in:{execution}"


def delivery_lag() -> str:
    """String: how many ms messages take to be delivered, as an executor measured it."""
    return "ie:{lag}:ms"


def record_prefix(partition: str) -> str:
    """What the names of a partition's records begin with."""
    return f"ie:{{p{partition}}}:x:"


def heard(execution: str, message: str) -> str:
    """String: a message's hint at an execution was taken. Has a TTL."""
    digest = hashlib.sha256(message.encode("utf8", "surrogatepass")).hexdigest()[:32]
    return f"ie:{{p{partition_of(execution)}}}:hint:{execution}:{digest}"


def news(partition: str) -> str:
    """Stream: whose histories have new lines, and which. There is one only while somebody follows. Has a TTL."""
    return f"ie:{{p{partition}}}:news"


def due(partition: str) -> str:
    """Sorted set: when each non-terminal execution must have moved."""
    return f"ie:{{p{partition}}}:due"


def outbox_times(partition: str) -> str:
    """Sorted set: entry id -> when a relay should send it."""
    return f"ie:{{p{partition}}}:obz"


def outbox_entries(partition: str) -> str:
    """Hash: entry id -> entry."""
    return f"ie:{{p{partition}}}:obh"


def outbox_away(partition: str) -> str:
    """Sorted set: entry id -> when it was put off because its channel was away."""
    return f"ie:{{p{partition}}}:oba"


def retire(partition: str) -> str:
    """Sorted set: when each finished execution may be archived and deleted."""
    return f"ie:{{p{partition}}}:retire"


def retiring(partition: str) -> str:
    """String: which archiver takes that partition's finished executions away, and until when, unix ms. Has a TTL."""
    return f"ie:{{p{partition}}}:retiring"


def listing(partition: str, tenant: str) -> str:
    """Sorted set, all scores 0: a tenant's executions by `<uuid7>`, so that their order is the order of creation."""
    return f"ie:{{p{partition}}}:idx:{tenant}"


def tally(partition: str, tenant: str) -> str:
    """Hash: how many of a tenant's executions stand where, and how many began, ended and failed in the latest minutes."""
    return f"ie:{{p{partition}}}:tally:{tenant}"


def waiting(partition: str, tenant: str) -> str:
    """Sorted set: a tenant's executions that wait, are paused or are to be confirmed -> since when."""
    return f"ie:{{p{partition}}}:waits:{tenant}"


def swept() -> str:
    """String: when a watchdog last began a round over all partitions, unix ms. Has a TTL."""
    return "ie:{sweep}:at"


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
    """Hash: which execution an Idempotency-Key made, and from which request. Goes with that execution."""
    return f"ie:{{p{partition}}}:idem:{tenant}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def ping(nonce: str) -> str:
    """String: the ping of that nonce (32 hex digits) as the step executor got it. Has a TTL."""
    return f"ie:{{p{spread(nonce)}}}:ping:{nonce}"


def profile(tenant: str, user: str) -> str:
    """String: a user's stored profile."""
    return f"ie:{{p{spread(user)}}}:user:{tenant}:{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def talk(tenant: str, user: str, conversation: str) -> str:
    """String: what a conversation remembers. Has a TTL."""
    return f"ie:{{p{spread(user)}}}:talk:{tenant}:{identity(user, conversation)}"


def talk_rate(tenant: str, user: str) -> str:
    """String: how many messages a user (or, with an empty name, the tenant) has sent this minute. Has a TTL."""
    return f"ie:{{p{spread(user)}}}:talks:{tenant}:{identity(user)}"


# What concerns more than one execution lies on tags of its own: 64 of events, 64 of slots, one of gates.


def identity(*parts: str) -> str:
    """32 hex digits that stand for these texts and no others; the first two choose the tag."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def tag_of(identity: str) -> str:
    """The two digits of the tag that an identity lies on."""
    return f"{int(identity[:2], 16) % PARTITIONS:02x}"


def events(identity: str) -> str:
    """Hash: event id -> event, of one name and key. Has a TTL."""
    return f"ie:{{e{tag_of(identity)}}}:ev:{identity}"


def event_times(identity: str) -> str:
    """Sorted set: event id -> when it was published. Has a TTL."""
    return f"ie:{{e{tag_of(identity)}}}:et:{identity}"


def waiters(identity: str) -> str:
    """Sorted set: `<execution>/<wait>` -> until when it waits for events of one name and key. Has a TTL."""
    return f"ie:{{e{tag_of(identity)}}}:wt:{identity}"


def past_waiters(identity: str) -> str:
    """Sorted set: waiters that left -> until when a late subscription of theirs is refused. Has a TTL."""
    return f"ie:{{e{tag_of(identity)}}}:wg:{identity}"


def event_deliveries(tag: str) -> str:
    """Sorted set: which event goes to which waiter -> when a relay should deliver it."""
    return f"ie:{{e{tag}}}:pd"


def slot_holders(identity: str) -> str:
    """Sorted set: member -> when its slot of one limit comes back by itself. Has a TTL."""
    return f"ie:{{k{tag_of(identity)}}}:sh:{identity}"


def slot_queue(identity: str) -> str:
    """Sorted set: members that wait for a slot of one limit, in the order of arrival."""
    return f"ie:{{k{tag_of(identity)}}}:sq:{identity}"


def slot_facts(identity: str) -> str:
    """Hash: the limit itself, and whom to tell of each member that waits. Exists while one waits."""
    return f"ie:{{k{tag_of(identity)}}}:si:{identity}"


def slot_times(tag: str) -> str:
    """Sorted set: limits at which somebody waits -> when the next of their slots comes back."""
    return f"ie:{{k{tag}}}:sx"


def slot_grants(tag: str) -> str:
    """Sorted set: grants that their execution has not been told of -> when a relay should tell it."""
    return f"ie:{{k{tag}}}:sg"


def disk_mark(beside: str) -> str:
    """String: written beside a key, on its tag, by whoever waits for the disk. Has a TTL."""
    tag = beside.partition("{")[2].partition("}")[0]
    return f"ie:{{{tag}}}:disk"


def place(name: str) -> str:
    """String: how many step executors have listened there. Has a TTL."""
    return f"ie:{{p{spread(name)}}}:place:{name}"


def gates() -> str:
    """Hash: what is closed, by name."""
    return "ie:{gates}:closed"


def gates_trips() -> str:
    """Stream: which circuits opened and closed by themselves."""
    return "ie:{gates}:trips"


def gates_audit() -> str:
    """Stream: who paused and resumed what; the latest thousand."""
    return "ie:{gates}:audit"


def breaker(tool: str) -> str:
    """Hash: a tool's latest failures. Has a TTL."""
    return f"ie:{{gates}}:cb:{tool}"


def mcp_listing(server: str) -> str:
    """String: what an MCP server says of its tools. Has a TTL."""
    return f"ie:{{mcp}}:l:{server}"


def mesh_positions() -> str:
    """Hash: up to when everything on each Ably channel is handled. Has a TTL."""
    return "ie:{mesh}:positions"


def quota_sums(tenant: str) -> str:
    """Hash: what a tenant's messages have cost this day and this month, and what is reserved."""
    return f"ie:{{q:{tenant}}}:sums"


def quota_accounts(tenant: str) -> str:
    """Hash: what each execution may cost and has cost, `granted:charged:ver:asked`."""
    return f"ie:{{q:{tenant}}}:accounts"


def quota_tails(tenant: str) -> str:
    """Sorted set: executions that are over, and when nothing more can come of their messages."""
    return f"ie:{{q:{tenant}}}:tails"


def quota_looks(tenant: str) -> str:
    """Sorted set: when each account is to be compared with its execution's record."""
    return f"ie:{{q:{tenant}}}:looks"
