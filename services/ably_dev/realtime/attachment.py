"""One channel of one connection: reads the channel's log from its own place on, and sends what it finds."""

import asyncio
from typing import TYPE_CHECKING, Any

from services.ably_dev import messages
from services.ably_dev.errors import Refused
from services.ably_dev.hub import Bell
from services.ably_dev.log import Placed
from services.ably_dev.protocol import Action, Flag
from services.ably_dev.serials import Position
from shared.errors import Unavailable
from shared.logs import get_logger

if TYPE_CHECKING:  # they know each other
    from services.ably_dev.realtime.connection import Connection

log = get_logger()

AGAIN_S = 0.5
LOST = Refused(90003, 400, "unable to recover channel: messages are gone")


class Attachment:
    """Its place in the log is what it has sent. So nothing is left out whoever publishes, and whatever else goes on."""

    def __init__(self, connection: "Connection", *, name: str, channel: str, at: Position, modes: Flag) -> None:
        self.connection = connection
        self.name = name
        """The channel with its qualifiers, as this client calls it."""
        self.channel = channel
        self.app = connection.caller.app
        self.at = at
        self.modes = modes
        self.bell = Bell()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Send what is behind `at`, and what comes."""
        self._task = asyncio.create_task(self._run(), name=f"attachment {self.name}")
        self._task.add_done_callback(self._ended)

    def close(self) -> None:
        """Nothing is sent any more."""
        self._closed = True
        if self._task:
            self._task.cancel()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A fault of ours must not leave a subscriber connected and deaf: dropped, it comes back to its place."""
        if not task.cancelled() and (error := task.exception()):
            log.error("attachment.crashed", exc_info=error, channel=self.channel)
            self.connection.drop(1011)

    def attached(self, flags: Flag, error: Refused | None = None, params: dict[str, str] | None = None) -> dict[str, Any]:
        """The ATTACHED of this place."""
        return {
            "action": Action.ATTACHED,
            "channel": self.name,
            "channelSerial": str(self.at),
            "flags": int(flags | self.modes),
            "params": params or None,
            "error": error.info() if error else None,
        }

    async def _run(self) -> None:
        while not self._closed:
            self.bell.clear()
            try:
                more = await self._look()
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            if not more:
                await self.bell.wait(self.connection.deps.timing.poll / 1_000)

    async def _look(self) -> bool:
        """Send the next entries; whether there were any."""
        deps = self.connection.deps
        found = await deps.log.after(self.app, self.channel, self.at, deps.now_ms())
        if found.broken:
            self.at = found.head
            self.connection.send(self.attached(Flag(0), LOST))
            return True
        for placed in found.entries:
            if self._closed:
                return False
            await self._deliver(placed)
        return bool(found.entries)

    async def _deliver(self, placed: Placed) -> None:
        faults, own = self.connection.deps.faults, placed.entry.connection_id == self.connection.id
        if Flag.SUBSCRIBE not in self.modes or (own and not self.connection.echo):
            self.at = placed.at
            return
        if late := faults.fires("late", self.channel):
            await asyncio.sleep(late.ms / 1_000)
        self.at = placed.at
        if faults.fires("lose", self.channel):
            return
        frame = self._message(placed)
        if faults.fires("no_serial", self.channel):
            del frame["channelSerial"]
        for _ in range(2 if faults.fires("duplicate", self.channel) else 1):
            self.connection.send(frame)

    def _message(self, placed: Placed) -> dict[str, Any]:
        at, entry = placed
        return {
            "action": Action.MESSAGE,
            "channel": self.name,
            "channelSerial": str(at),
            "id": entry.messages[0].id.rpartition(":")[0] or entry.messages[0].id,
            "connectionId": entry.connection_id,
            "timestamp": at.ms,
            "messages": messages.wire(entry, at, binary=self.connection.binary),
        }
