"""Whether the far side of a channel is there, as one process knows it: while it is away, everything but a probe fails at once.

Hundreds of entries that wait do not each cost a time-out then. What a process forgets here costs it one more failed probe, and
nothing else: the entries themselves wait in the outbox.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from shared.logs import get_logger

log = get_logger()

PROBE_MS: Final = 1_000
"""How often somebody may try whether the far side is back."""


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """Closed until something fails; nobody knows whether it works until something was answered. Times: ms, monotonic clock."""

    error: str = ""
    """The latest error; empty while it is closed."""
    opened_ms: float = 0.0
    probed_ms: float = 0.0
    """When the latest probe began, or the failure was that opened it."""
    back_ms: float | None = None
    """Since when it works; None while it does not, or nobody knows."""


def may_try(circuit: Circuit, now_ms: float, every_ms: float) -> bool:
    """Whether something may be sent now; while it is open, as a probe."""
    return not circuit.error or now_ms - circuit.probed_ms >= every_ms


def probing(circuit: Circuit, now_ms: float) -> Circuit:
    """Something is sent now. If its end is never told, the next probe takes its turn."""
    return msgspec.structs.replace(circuit, probed_ms=now_ms) if circuit.error else circuit


def failed(circuit: Circuit, error: str, now_ms: float) -> Circuit:
    """What was sent found nobody, or nobody who takes anything."""
    if circuit.error:
        return msgspec.structs.replace(circuit, error=error)
    return Circuit(error=error, opened_ms=now_ms, probed_ms=now_ms)


def succeeded(circuit: Circuit, now_ms: float) -> Circuit:
    """What was sent was answered."""
    return circuit if circuit.back_ms is not None else Circuit(back_ms=now_ms)


class Breaker:
    """The circuit of one channel in one process."""

    def __init__(
        self,
        name: str,
        *,
        every_ms: float = PROBE_MS,
        clock: Callable[[], float] = lambda: time.monotonic() * 1000,
        never: str = "",
    ) -> None:
        """`name` is for people. `never`: why there is no far side at all; then nothing is ever tried."""
        self.name = name
        self.never = never
        self._every_ms = every_ms
        self._clock = clock
        self._circuit = Circuit()

    @property
    def there(self) -> bool:
        """Whether nothing speaks against sending: it works, or was not tried yet."""
        return not self.never and not self._circuit.error

    @property
    def probe_due(self) -> bool:
        """Whether nobody knows that it works, and whatever is sent next would tell."""
        return not self.never and self._circuit.back_ms is None and may_try(self._circuit, self._clock(), self._every_ms)

    @property
    def back_at(self) -> float | None:
        """Since when it works, by `now`; None while it does not, or nobody knows."""
        return self._circuit.back_ms

    @property
    def error(self) -> str:
        """Why it does not work, as far as this process knows; empty while nothing speaks against it."""
        return self.never or self._circuit.error

    @property
    def away_ms(self) -> int | None:
        """For how long it has not worked; None while nothing speaks against it."""
        return int(self._clock() - self._circuit.opened_ms) if self._circuit.error else None

    def now(self) -> float:
        """Ms of its monotonic clock."""
        return self._clock()

    def refuses(self) -> str:
        """Why nothing may be sent now. Empty: send it, and tell `ended`; while it is away that is the probe."""
        if self.never:
            return self.never
        now = self._clock()
        if not may_try(self._circuit, now, self._every_ms):
            return f"{self.name} is away: {self._circuit.error}"
        self._circuit = probing(self._circuit, now)
        return ""

    def ended(self, error: str = "") -> None:
        """How it ended: `error` is why nobody was there, not why something was refused."""
        before, now = self._circuit, self._clock()
        self._circuit = failed(before, error, now) if error else succeeded(before, now)
        if error and not before.error:
            log.warning("channel.away", channel=self.name, error=error)
        elif before.error and not error:
            log.info("channel.back", channel=self.name, away_ms=round(now - before.opened_ms))
