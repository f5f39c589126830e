"""What this process knows of who is here: connections, who is attached where, and a bell for each of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a connection knows the hub, too
    from services.ably_dev.realtime.attachment import Attachment
    from services.ably_dev.realtime.connection import Connection


class Bell:
    """Rung when there may be something to do. A ring is never lost: `clear` before looking, `wait` after it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There may be something."""
        self._event.set()

    def clear(self) -> None:
        """About to look."""
        self._event.clear()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, or so long: what another process publishes rings no bell here."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return


class Hub:
    """One for the process."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}
        self._later: set[asyncio.TimerHandle] = set()
        self._attached: defaultdict[tuple[str, str], set[Attachment]] = defaultdict(set)

    def enter(self, attachment: "Attachment") -> None:
        """It wants to hear of its channel."""
        self._attached[attachment.app, attachment.channel].add(attachment)

    def leave(self, attachment: "Attachment") -> None:
        """Not any more."""
        place = attachment.app, attachment.channel
        self._attached[place].discard(attachment)
        if not self._attached[place]:
            del self._attached[place]

    def at(self, app: str, channel: str) -> "list[Attachment]":
        """Who is attached to a channel."""
        return list(self._attached.get((app, channel), ()))

    def everywhere(self) -> "Iterator[Attachment]":
        """Every attachment."""
        for place in list(self._attached.values()):
            yield from list(place)

    def ring(self, app: str, channel: str) -> None:
        """Something was published there."""
        for attachment in self._attached.get((app, channel), ()):
            attachment.bell.ring()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after a while, unless the server ends before."""
        self._later = {one for one in self._later if not one.cancelled() and one.when() > asyncio.get_running_loop().time()}
        self._later.add(asyncio.get_running_loop().call_later(seconds, do))

    def close(self) -> None:
        """Nothing happens later any more."""
        for one in self._later:
            one.cancel()
