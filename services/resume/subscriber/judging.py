"""When a client must be replaced, and how long to wait before the next one. Pure.

The official client has states from which it never comes back, and one in which it says that all is well: a DISCONNECTED with a
5xx or without an error leaves it connected, attached and deaf. So it is asked for facts only; what they mean is decided here.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from shared.settings import Settings

REFUSED: Final = 40160
"""The key may not do this: a new client would be told the same."""
TOKEN_ERRORS: Final = range(40140, 40150)
TERMINAL: Final = frozenset({"failed", "closed", "suspended"})
"""Suspended comes back by itself, but half a minute later and with its place forgotten."""
PINGS: Final = 2


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How patient it is; seconds."""

    ping_s: float
    answer_s: float
    """How long the server has to answer anything."""
    retry_s: float
    """The client's own pause between two attempts to connect."""
    lost_s: float
    """Not connected, or a channel not attached, for so long: the client is replaced."""
    pause_s: float
    """Before the first replacement; it doubles"""
    pause_most_s: float
    """up to this."""


class Channel(msgspec.Struct, frozen=True):
    """What the client says of a channel."""

    state: str
    code: int = 0

    @property
    def refused(self) -> bool:
        """For want of a capability."""
        return self.state == "failed" and self.code == REFUSED


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a client at a moment."""

    connection: str
    code: int = 0
    """Of the connection's latest error."""
    channels: Mapping[str, Channel] = {}
    down_s: float = 0.0
    """For how long it has not been up."""
    unanswered: int = 0
    """Pings in a row."""
    deaf: bool = False
    """A ping found the socket closed under a client that says connected."""

    @property
    def up(self) -> bool:
        """It hears every channel that it may hear, and there is one."""
        heard = [one.state == "attached" for one in self.channels.values() if not one.refused]
        return self.connection == "connected" and bool(heard) and all(heard)


def pace_of(settings: Settings) -> Pace:
    """Everything follows from ABLY_PING_MS; 10 s gives 4 s for an answer and 30 s until a client is replaced."""
    ping_s = settings.ably_ping_ms / 1000
    return Pace(
        ping_s=ping_s,
        answer_s=min(4.0, max(1.0, 0.4 * ping_s)),
        retry_s=min(2.0, max(0.1, 0.2 * ping_s)),
        lost_s=3 * max(1.0, ping_s),
        pause_s=min(1.0, 0.1 * ping_s),
        pause_most_s=ping_s,
    )


def why_replace(view: View, pace: Pace) -> str:
    """Why this client will not do any more; empty while it may."""
    if view.connection in TERMINAL:
        return f"the connection is {view.connection} ({view.code})"
    failed = [f"{name} ({one.code})" for name, one in view.channels.items() if one.state == "failed" and not one.refused]
    if failed:
        return f"a channel has failed: {', '.join(failed)}"
    if view.deaf:
        return "the socket is closed, and the client says that it is connected"
    if view.unanswered >= PINGS:
        return f"{PINGS} pings in a row were not answered"
    return _why_lost(view, pace)


def _why_lost(view: View, pace: Pace) -> str:
    if view.up or not view.channels:
        return ""
    if view.connection != "connected" and view.code in TOKEN_ERRORS and view.down_s >= 2 * pace.answer_s:
        return f"its token is refused ({view.code}), and it asks for no other"
    if view.down_s < pace.lost_s:
        return ""
    if view.connection != "connected":
        return f"{view.connection} for {view.down_s:.0f} s ({view.code})"
    missing = [name for name, one in view.channels.items() if one.state != "attached"]
    return f"not attached for {view.down_s:.0f} s: {', '.join(missing)}"


def pause_s(before: int, chance: float, pace: Pace) -> float:
    """Seconds until the next client, after `before` replacements in a row that did not help; `chance` from 0 to 1."""
    most = min(pace.pause_most_s, pace.pause_s * float(2 ** min(before, 20)))
    return most * (0.5 + chance / 2)
