"""What one invocation may take, what it is asked, and what it answers."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one invocation may take, in ms from its start."""

    hard_ms: int
    checkpoint_ms: int
    cutoff_ms: int
    lease_ms: int
    parallel: int
    steps_per_message: int
    stalled: int
    continue_delay_ms: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a message asks for. `segment` -1: whichever is current."""

    execution: str
    segment: int = -1
    reason: str = "asked"
    retried: int = 0
    message: str = ""
    """QStash's id of it; empty if it came another way."""
    queued_ms: int = 0
    """When it was queued, by the store's clock; 0: unknown."""
    context: str = ""
    """Of the span that sent it (see `shared.tracing`); empty: nothing says so. The segment's trace does not depend on it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the message is answered: the status steers QStash."""

    status: int
    result: str
    retry_after_s: int | None = None
    final: bool = False
    """Never deliver this again (489)."""
