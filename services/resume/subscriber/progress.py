"""What came, what is handled, and from where something may be missing. Pure: times come with the messages.

A channel's position is a time before which everything on it is handled: the earliest message that still waits, or the earliest
that may have been missed, or else the latest one handled. It is what a catch-up and a restart begin from.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

REMEMBERED: Final = 50_000
"""Ids. What is repeated later than that is the door's to recognise."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it came, live or from history."""

    channel: str
    id: str
    name: str = ""
    data: Any = None
    at_ms: int


class Debt(msgspec.Struct):
    """Something may be missing on a channel since `from_ms`."""

    from_ms: int
    nth: int
    """Changes when it is owed anew, so that a catch-up that had begun before does not settle it."""


class Progress:
    """One for a process, over all clients that come and go."""

    def __init__(self, positions: Mapping[str, int], *, now_ms: int, remembered: int = REMEMBERED) -> None:
        """`positions`: where an earlier process stood, by channel; `now_ms` stands for those that it does not name."""
        self._handled = dict(positions)
        self._began_ms = now_ms
        self._remembered = remembered
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: dict[str, dict[str, int]] = {}
        self._debts: dict[str, Debt] = {}
        self._nth = 0

    def admit(self, mail: Mail) -> bool:
        """Whether it is new; then it waits until `handled` or `dropped`."""
        key = (mail.channel, mail.id)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        self._waiting.setdefault(mail.channel, {})[mail.id] = mail.at_ms
        return True

    def handled(self, mail: Mail) -> None:
        """Done with it."""
        self._waiting.get(mail.channel, {}).pop(mail.id, None)
        self._handled[mail.channel] = max(mail.at_ms, self._handled.get(mail.channel, 0))

    def dropped(self, mail: Mail) -> None:
        """There was no room: as if it had not come, and it is owed."""
        self._seen.pop((mail.channel, mail.id), None)
        self._waiting.get(mail.channel, {}).pop(mail.id, None)
        self._owe(mail.channel, mail.at_ms)

    def missed(self, channel: str) -> None:
        """Something may have been missed since the channel's position."""
        self._owe(channel, self.position(channel))

    def _owe(self, channel: str, from_ms: int) -> None:
        self._nth += 1
        before = self._debts.get(channel)
        self._debts[channel] = Debt(min(from_ms, before.from_ms) if before else from_ms, self._nth)

    def position(self, channel: str) -> int:
        """See the module."""
        debt = self._debts.get(channel)
        lows = [*self._waiting.get(channel, {}).values(), *([debt.from_ms] if debt else [])]
        return min(lows) if lows else self._handled.get(channel, self._began_ms)

    def debts(self) -> dict[str, Debt]:
        """What is owed now, by channel."""
        return dict(self._debts)

    def read(self, channel: str, debt: Debt, until_ms: int) -> None:
        """A catch-up has read so far: should it break off, the next one goes on from here."""
        if self._debts.get(channel) is debt:
            debt.from_ms = max(debt.from_ms, until_ms)

    def settle(self, channel: str, debt: Debt) -> None:
        """A catch-up has read to the end. What has come to be owed since stays."""
        if self._debts.get(channel) is debt:
            del self._debts[channel]
