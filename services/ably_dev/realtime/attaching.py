"""Where a subscription begins: at a serial that is still there, some way back (`rewind`), or at the log's end."""

import re
from typing import TYPE_CHECKING, NamedTuple

from services.ably_dev import names, serials
from services.ably_dev.access import Caller
from services.ably_dev.errors import Refused, malformed, not_permitted
from services.ably_dev.log import Placed
from services.ably_dev.protocol import MODES, Flag, Frame
from services.ably_dev.realtime.attachment import LOST, Attachment
from services.ably_dev.serials import Position

if TYPE_CHECKING:  # they know each other
    from services.ably_dev.realtime.connection import Connection

OTHER_LOG = Refused(90004, 400, "unable to recover channel: its log has begun anew, or this serial is none of it")
MAX_REWIND = 100
_TIME = re.compile(r"([0-9]{1,6})([smh]?)")
_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}


class Start(NamedTuple):
    """Where to begin, what ATTACHED says about it, and why continuity is lost if it is."""

    at: Position
    flags: Flag
    error: Refused | None = None


async def attach(connection: "Connection", frame: Frame) -> None:
    """Answer ATTACH. Refused (for the channel) when the name is none or nothing is permitted there."""
    name = names.read(frame.channel)
    modes = granted(connection.caller, name.base, Flag(frame.flags & 0xFFFFFF))
    params = name.params | {key: str(value) for key, value in (frame.params or {}).items()}
    found = connection.attachments.get(frame.channel)
    if found:  # after a renewed token: the place is kept, and nothing is sent twice
        found.modes = modes
        connection.send(found.attached(Flag.RESUMED | _present(connection, name.base), params=params))
        return
    start = await begin(connection, name.base, frame, params)
    attachment = Attachment(connection, name=frame.channel, channel=name.base, at=start.at, modes=modes)
    connection.attachments[frame.channel] = attachment
    connection.deps.hub.enter(attachment)
    connection.send(attachment.attached(start.flags | _present(connection, name.base), start.error, params))
    connection.sync_presence(attachment)
    attachment.start()


def granted(caller: Caller, channel: str, asked: Flag) -> Flag:
    """The modes that are asked for (all, if none is) and permitted; Refused (40160) when that is nothing."""
    wanted = [mode for mode in MODES if mode in asked] or list(MODES)
    found = Flag(0)
    for mode in wanted:
        operations = {MODES[mode]} | ({"subscribe"} if mode is Flag.PRESENCE_SUBSCRIBE else set())
        if any(caller.permits(operation, channel) for operation in operations):
            found |= mode
    if not found:
        raise not_permitted(" or ".join(MODES[mode] for mode in wanted), channel)
    return found


async def begin(connection: "Connection", channel: str, frame: Frame, params: dict[str, str]) -> Start:
    """Where this subscription begins."""
    deps, app = connection.deps, connection.caller.app
    head = await deps.log.head(app, channel, deps.now_ms())
    if frame.channel_serial:
        return await _resume(connection, channel, frame.channel_serial, head)
    if params.get("rewind") and not frame.flags & Flag.ATTACH_RESUME:
        return _from(await _rewound(connection, channel, params), head)
    return Start(head, Flag(0))


async def _resume(connection: "Connection", channel: str, serial: str, head: Position) -> Start:
    deps, parsed = connection.deps, serials.parse(serial)
    if parsed is None or parsed[0].epoch != head.epoch:
        return Start(head, Flag(0), OTHER_LOG)
    found = await deps.log.after(connection.caller.app, channel, parsed[0], deps.now_ms())
    if found.broken:
        return Start(found.head, Flag(0), LOST)
    return Start(parsed[0], Flag.RESUMED | (Flag.HAS_BACKLOG if found.entries else Flag(0)))


def _from(entries: list[Placed], head: Position) -> Start:
    """Just before the first of these entries."""
    if not entries or entries[0].at.epoch != head.epoch:
        return Start(head, Flag(0))
    first = entries[0].at
    return Start(first._replace(seq=first.seq - 1), Flag.HAS_BACKLOG)


async def _rewound(connection: "Connection", channel: str, params: dict[str, str]) -> list[Placed]:
    """What `rewind` (`10`, `30s`, `2m`) asks for; publishes are not cut, so it may be a message more."""
    deps, app = connection.deps, connection.caller.app
    count, ms = read_rewind(params)
    if ms:
        return await deps.log.since(app, channel, deps.now_ms() - ms, count)
    return await deps.log.last(app, channel, count)


def read_rewind(params: dict[str, str]) -> tuple[int, int]:
    """At most so many messages, and of the last so many ms (0: of any time)."""
    found = _TIME.fullmatch(params["rewind"])
    limit = params.get("rewindLimit", str(MAX_REWIND))
    if not found or not limit.isascii() or not limit.isdigit():
        raise malformed("rewind is a number of messages or a time such as 30s or 2m, rewindLimit a number")
    if found[2]:
        return min(int(limit), MAX_REWIND) or 1, int(found[1]) * _MS[found[2]]
    return min(int(found[1]), MAX_REWIND) or 1, 0


def _present(connection: "Connection", channel: str) -> Flag:
    return Flag.HAS_PRESENCE if connection.deps.presence.at(connection.caller.app, channel) else Flag(0)
