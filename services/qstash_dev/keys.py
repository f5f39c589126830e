"""Every Redis key of this server. All of a user's data shares the hash tag `{<user>}`, so one script may touch all of it."""

BOOTS = "qd:boots"
"""Counter of starts. This key and the next belong to no user."""
FAULTS = "qd:faults"
"""JSON: the faults that are to survive a restart; there only while such a plan is on."""


class Keys:
    """Key names of one user. `docs/qstash-dev.md` says who writes each and when it ends."""

    __slots__ = ("fixed", "prefix")

    def __init__(self, user: str) -> None:
        self.prefix = f"qd:{{{user}}}:"
        self.fixed = [self.due, self.held, self.events, self.dlq, self.boot]
        """What every script is given as KEYS, in this order."""

    @property
    def due(self) -> str:
        """zset id -> unix ms: stored messages that wait for their time."""
        return self.prefix + "due"

    @property
    def held(self) -> str:
        """zset id -> unix ms: messages the running process has taken, in its lanes or on the wire."""
        return self.prefix + "held"

    @property
    def events(self) -> str:
        """stream: the event log."""
        return self.prefix + "events"

    @property
    def dlq(self) -> str:
        """zset dead-letter id -> unix ms."""
        return self.prefix + "dlq"

    @property
    def boot(self) -> str:
        """string: the boot id of the process that owns the deliveries."""
        return self.prefix + "boot"

    @property
    def parked(self) -> str:
        """zset id -> place: messages that wait at a gate, a queue or a flow-control key (see put.lua)."""
        return self.prefix + "parked"

    def message(self, message_id: str) -> str:
        """hash: rec, body, lane, due, n (retries so far), state, lease; of gated ones also q, fk, place, and tq, tk of a
        ticket (a queue's consumer); sid of a scheduled one."""
        return f"{self.prefix}m:{message_id}"

    def dead(self, dlq_id: str) -> str:
        """hash: rec, body, answer of a dead letter."""
        return f"{self.prefix}dlq:{dlq_id}"
