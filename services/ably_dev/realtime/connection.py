"""One websocket: says CONNECTED, hears frames one after the other, and never is silent for longer than it promised."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from services.ably_dev import access, presence, protocol
from services.ably_dev.access import Caller
from services.ably_dev.deps import Deps
from services.ably_dev.errors import EXPIRED, Refused, from_ours, malformed
from services.ably_dev.messages import MAX_BYTES
from services.ably_dev.names import read as read_name
from services.ably_dev.presence import Member
from services.ably_dev.protocol import Action, Flag, Frame
from services.ably_dev.realtime.attaching import attach, granted
from services.ably_dev.realtime.attachment import Attachment
from shared.errors import IntentionError, Unavailable
from shared.logs import get_logger

log = get_logger()

MAX_WAITING = 10_000
"""Frames that wait for a slow reader; with more it is dropped, and comes back to its place."""


class Connection:
    """Its life: `run`. Everything else may be called from anywhere in this process."""

    def __init__(self, socket: WebSocket, deps: Deps, caller: Caller, *, resumed: str = "") -> None:
        """`resumed`: the connection key of the connection that this one goes on with."""
        self.deps = deps
        self.caller = caller
        self.id = resumed.partition("!")[0] or secrets.token_urlsafe(8)
        self.key = resumed or f"{self.id}!{secrets.token_urlsafe(16)}"
        self.binary = socket.query_params.get("format") == "msgpack"
        self.echo = socket.query_params.get("echo") != "false"
        self.attachments: dict[str, Attachment] = {}
        self._socket = socket
        self._out: asyncio.Queue[dict[str, Any] | int] = asyncio.Queue()
        self._renewed = asyncio.Event()
        self._closed = False
        self._overrun = False

    def send(self, frame: dict[str, Any]) -> None:
        """Behind everything that waits already."""
        if self._overrun:
            return
        if self._out.qsize() >= MAX_WAITING:
            self._overrun = True
            log.warning("connection.overrun", connection=self.id, waiting=self._out.qsize())
            while not self._out.empty():
                self._out.get_nowait()
            self.drop(1008)
            return
        self._out.put_nowait(frame)

    def drop(self, code: int = 1000) -> None:
        """Close the socket once what waits is sent."""
        self._out.put_nowait(code)

    def end(self, frame: dict[str, Any]) -> None:
        """A last word, then close."""
        self.send(frame)
        self.drop()

    async def run(self, error: Refused | None) -> None:
        """Until either side closes."""
        self.deps.hub.connections[self.id] = self
        await self._remember()  # first: a client must not know a key that a kill would forget
        self.send(self._connected(error))
        work = [asyncio.create_task(one()) for one in (self._write, self._read, self._keep, self._watch_token)]
        try:
            await asyncio.wait(work[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            for crash in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(crash, Exception):
                    log.error("connection.crashed", exc_info=crash, connection=self.id)
            await self._leave()

    def _connected(self, error: Refused | None = None) -> dict[str, Any]:
        timing, client_id = self.deps.timing, self.caller.client_id
        details = {
            "connectionKey": self.key,
            "clientId": client_id,
            "maxMessageSize": MAX_BYTES,
            "maxIdleInterval": timing.heartbeat,
            "connectionStateTtl": timing.connection_state,
            "serverId": "ably_dev",
        }
        return {
            "action": Action.CONNECTED,
            "connectionId": self.id,
            "connectionDetails": {name: value for name, value in details.items() if value is not None},
            "error": error.info() if error else None,
        }

    # --- what goes out ---

    async def _write(self) -> None:
        pause = self.deps.timing.heartbeat * 2 / 3 / 1_000
        while True:
            try:
                async with asyncio.timeout(pause):
                    frame = await self._out.get()
            except TimeoutError:
                frame = {"action": Action.HEARTBEAT}
            if self.deps.faults.silent:
                continue
            if isinstance(frame, int):
                await self._close(frame)
                return
            if not await self._say(frame):
                return

    async def _say(self, frame: dict[str, Any]) -> bool:
        raw = protocol.encode(frame, binary=self.binary)
        try:
            await (self._socket.send_text(raw) if isinstance(raw, str) else self._socket.send_bytes(raw))
        except (WebSocketDisconnect, RuntimeError):  # the client is gone; the reader hears of it
            return False
        return True

    async def _close(self, code: int) -> None:
        with contextlib.suppress(RuntimeError):
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._socket.close(code)

    # --- what comes in ---

    async def _read(self) -> None:
        while True:  # also after CLOSE: ending here would cut the writer off before CLOSED is sent
            try:
                message = await self._socket.receive()
            except RuntimeError:  # closed by the writer
                return
            if message["type"] != "websocket.receive":
                return
            if not self.deps.faults.silent:
                await self._hear(message["text"] if message.get("text") is not None else message["bytes"])

    async def _hear(self, raw: str | bytes) -> None:
        try:
            frame = protocol.decode(raw)
        except Refused as refused:
            self.end(protocol.error(refused))
            return
        handler = HANDLERS.get(frame.action)
        if handler is None:  # of a newer protocol
            return
        try:
            await handler(self, frame)
        except (Refused, IntentionError) as error:
            self._refuse(frame, error if isinstance(error, Refused) else from_ours(error))

    def _refuse(self, frame: Frame, refused: Refused) -> None:
        if frame.action in (Action.MESSAGE, Action.PRESENCE):
            self.send({"action": Action.NACK, "msgSerial": frame.msg_serial, "count": 1, "error": refused.info()})
        elif frame.action in (Action.ATTACH, Action.DETACH):
            # Redis away: an unasked DETACHED brings the client back, an ERROR would end the channel for good.
            told = {"action": Action.DETACHED, "channel": frame.channel, "error": refused.info()}
            self.send(told if refused.status >= 500 else protocol.error(refused, frame.channel))
        else:
            self.end(protocol.disconnected(refused) if refused.status < 500 else protocol.disconnected(_away()))

    async def heartbeat(self, frame: Frame) -> None:
        """The answer has the id of the question."""
        self.send({"action": Action.HEARTBEAT, "id": frame.id})

    async def publish(self, frame: Frame) -> None:
        """One ACK for one frame. A frame that comes again, on this connection or after its resume, is stored once."""
        if frame.msg_serial is None:
            raise malformed("a MESSAGE needs a msgSerial")
        base = f"{self.id}:{frame.msg_serial}"
        receipt = await self.deps.publisher.publish(
            self.caller, frame.channel, frame.messages or [], base=base, connection_id=self.id
        )
        self.send({"action": Action.ACK, "msgSerial": frame.msg_serial, "count": 1, "res": [{"serials": receipt.serials}]})

    async def attach(self, frame: Frame) -> None:
        """ATTACHED, then what it missed."""
        await attach(self, frame)

    async def detach(self, frame: Frame) -> None:
        """DETACHED, and nothing of the channel after it."""
        self._detach(frame.channel)
        self.send({"action": Action.DETACHED, "channel": frame.channel})

    async def close(self, _: Frame) -> None:
        """CLOSED: this connection is not resumed."""
        self._closed = True
        self._absent()
        with contextlib.suppress(Unavailable):  # then its record ends by itself
            await self.deps.log.end(self.caller.app, self.id)
        self.end({"action": Action.CLOSED})

    async def renew(self, frame: Frame) -> None:
        """A new token on the living connection."""
        token = frame.auth.access_token if frame.auth else ""
        caller = self.deps.keyring.by_token(token, self.deps.now_ms())
        if caller.app != self.caller.app:
            raise Refused(40102, 401, "the new token is of another app")
        self.caller = access.with_client_id(caller, self.caller.client_id if self.caller.client_id != "*" else None)
        self._renewed.set()
        self.send(self._connected())
        for attachment in list(self.attachments.values()):
            self._narrow(attachment)

    def _narrow(self, attachment: Attachment) -> None:
        try:
            attachment.modes &= granted(self.caller, attachment.channel, attachment.modes)
        except Refused as refused:
            self._detach(attachment.name)
            self.send(protocol.error(refused, attachment.name))

    async def enter(self, frame: Frame) -> None:
        """Presence of this client: told to all who are attached."""
        channel, now = read_name(frame.channel).base, self.deps.now_ms()
        self.caller.must("presence", channel)
        if frame.msg_serial is None:
            raise malformed("a PRESENCE needs a msgSerial")
        for member in presence.read(frame.presence, self.caller.client_id, self.id, frame.msg_serial, now):
            self._tell(channel, self.deps.presence.apply(self.caller.app, channel, member))
        self.send({"action": Action.ACK, "msgSerial": frame.msg_serial, "count": 1})

    def _tell(self, channel: str, member: Member) -> None:
        for attachment in self.deps.hub.at(self.caller.app, channel):
            if Flag.PRESENCE_SUBSCRIBE in attachment.modes:
                attachment.connection.send(_presence(Action.PRESENCE, attachment, [member]))

    def sync_presence(self, attachment: Attachment) -> None:
        """Who is there already, for somebody who has just come."""
        members = self.deps.presence.at(self.caller.app, attachment.channel)
        if members and Flag.PRESENCE_SUBSCRIBE in attachment.modes:
            self.send(_presence(Action.SYNC, attachment, members) | {"channelSerial": f"{secrets.token_hex(4)}:"})

    def _absent(self, channel: str | None = None) -> None:
        for place, member in self.deps.presence.leave(self.caller.app, self.id, self.deps.now_ms(), channel):
            self._tell(place, member)

    def unattach(self, attachment: Attachment, frame: dict[str, Any]) -> None:
        """End one attachment with these words."""
        self._detach(attachment.name)
        self.send(frame)

    def _detach(self, name: str) -> None:
        attachment = self.attachments.pop(name, None)
        if attachment:
            attachment.close()
            self.deps.hub.leave(attachment)
            self._absent(attachment.channel)

    # --- what happens by itself ---

    async def _remember(self) -> None:
        with contextlib.suppress(Unavailable):
            await self.deps.log.remember(self.caller.app, self.id, self.key, self.deps.timing.connection_state)

    async def _keep(self) -> None:
        """A killed server leaves a record behind that lasts about as long as the client may come back."""
        while not self._closed:
            await asyncio.sleep(self.deps.timing.connection_state / 4 / 1_000)
            await self._remember()

    async def _watch_token(self) -> None:
        while True:
            self._renewed.clear()
            if self.caller.expires_ms is None:  # came with a key; it may send a token later
                await self._renewed.wait()
                continue
            left = self.caller.expires_ms - self.deps.now_ms()
            if await self._renewed_within(left - min(self.deps.timing.renew_before, left / 2)):
                continue
            self.send({"action": Action.AUTH})
            if not await self._renewed_within(self.caller.expires_ms - self.deps.now_ms()):
                self.end(protocol.disconnected(Refused(EXPIRED, 401, "the token has expired")))
                return

    async def _renewed_within(self, ms: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, ms) / 1_000):
                await self._renewed.wait()
        except TimeoutError:
            return False
        return True

    async def _leave(self) -> None:
        for attachment in self.attachments.values():
            attachment.close()
            self.deps.hub.leave(attachment)
        self.attachments.clear()
        if self.deps.hub.connections.get(self.id) is self:
            del self.deps.hub.connections[self.id]
            if not self._closed:
                await self._remember()
                self.deps.hub.later(self.deps.timing.presence_grace / 1_000, self._absent_unless_back)

    def _absent_unless_back(self) -> None:
        if self.id not in self.deps.hub.connections:
            self._absent()


def _presence(action: Action, attachment: Attachment, members: list[Member]) -> dict[str, Any]:
    binary = attachment.connection.binary
    return {
        "action": action,
        "channel": attachment.name,
        "id": members[0].id.rpartition(":")[0],
        "connectionId": members[0].connection_id,
        "timestamp": members[0].timestamp,
        "presence": [presence.wire(member, binary=binary) for member in members],
    }


def _away() -> Refused:
    return Refused(80003, 400, "ably_dev cannot reach its store; come back")  # a 5xx would make the Python client a zombie


HANDLERS: dict[int, Callable[[Connection, Frame], Awaitable[None]]] = {
    Action.HEARTBEAT: Connection.heartbeat,
    Action.MESSAGE: Connection.publish,
    Action.ATTACH: Connection.attach,
    Action.DETACH: Connection.detach,
    Action.CLOSE: Connection.close,
    Action.AUTH: Connection.renew,
    Action.PRESENCE: Connection.enter,
}
