"""What a setting of durability and of Redis comes to, in words: told at the start of every service."""

from typing import Final, Literal

import msgspec

Fsync = Literal["always", "everysec", "no", "off", "unknown"]
"""Redis's `appendfsync`; `off`: it keeps no append-only file; `unknown`: it does not say, or is not there."""

WEAKENED: Final = ("1", "2", "3", "4 (tools that are not idempotent)", "5")
"""The promises of docs/promises.md that a Redis breaks which comes back without its last writes."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lost."""

    message: str
    weakened: tuple[str, ...]
    """By a machine that is lost, or a server that keeps nothing; a replica that is promoted may always lack writes."""


def verdict(durability: Literal["fast", "strict"], fsync: Fsync) -> Verdict:
    """What this choice holds and what it does not."""
    if fsync == "off":
        return Verdict(message="Redis keeps no append-only file: what it forgets with its process is lost", weakened=WEAKENED)
    if durability == "strict":
        message = "creates, signals, intents and ends are answered when they are on disk (WAITAOF); " + _PROMOTED
        return Verdict(message=message, weakened=())
    if fsync == "always":
        return Verdict(message="every write is on disk before it is answered; " + _PROMOTED, weakened=())
    lost = "what was answered within the last second" if fsync == "everysec" else "what was answered and not synced"
    message = f"a lost machine or a failover takes {lost}; DURABILITY=strict or appendfsync always prevents it"
    return Verdict(message=message, weakened=WEAKENED)


_PROMOTED: Final = "a promoted replica may lack the last writes all the same"
