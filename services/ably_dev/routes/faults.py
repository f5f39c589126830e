"""`/dev/faults`: what is to go wrong. Not part of Ably, hence under a path of our own."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ably_dev import protocol, wire
from services.ably_dev.access import Caller
from services.ably_dev.deps import Deps, caller, deps
from services.ably_dev.errors import EXPIRED, Refused
from services.ably_dev.faults import Deed, Now, Plan
from services.ably_dev.protocol import Action
from services.ably_dev.realtime.attachment import Attachment
from services.ably_dev.realtime.connection import Connection
from shared.http import decode, read_body
from shared.logs import get_logger

log = get_logger()
MAX_BYTES = 65_536
_plan, _now = msgspec.json.Decoder(Plan), msgspec.json.Decoder(Now)


async def get_faults(request: Request) -> Response:
    """The faults that are on, how often each has fired, and what there is."""
    caller(request)
    return wire.answer(request, deps(request).faults.view())


async def put_faults(request: Request) -> Response:
    """These faults instead of all before them."""
    caller(request)
    deps(request).faults.change(decode(_plan, await read_body(request, MAX_BYTES)))
    return wire.answer(request, deps(request).faults.view())


async def delete_faults(request: Request) -> Response:
    """None any more."""
    caller(request)
    deps(request).faults.change(Plan())
    return wire.answer(request, deps(request).faults.view())


async def do_now(request: Request) -> Response:
    """Something happens at once; the answer says to how many."""
    who = caller(request)
    deed = decode(_now, await read_body(request, MAX_BYTES))
    struck = await _strike(deps(request), who, deed)
    log.warning("fault.fired", kind=deed.do, channel=deed.channel, struck=struck)
    return wire.answer(request, {"do": deed.do, "struck": struck})


async def _strike(parts: Deps, who: Caller, deed: Now) -> int:
    if deed.do == "lose_continuity":
        return await _lose(parts, who, deed)
    if deed.do == "expire_tokens":
        parts.keyring.end_all_tokens()
    if deed.do in ON_ATTACHMENTS:
        there = [one for one in parts.hub.everywhere() if one.app == who.app and deed.channel in ("", one.channel)]
        for attachment in there:
            ON_ATTACHMENTS[deed.do](attachment, deed)
        return len(there)
    here = [one for one in parts.hub.connections.values() if one.caller.app == who.app]
    for connection in here:
        ON_CONNECTIONS[deed.do](connection, deed)
    return len(here)


async def _lose(parts: Deps, who: Caller, deed: Now) -> int:
    if not deed.channel:
        raise Refused(40000, 400, "lose_continuity needs the name of a channel")
    await parts.log.forget(who.app, deed.channel)
    parts.hub.ring(who.app, deed.channel)
    return len(parts.hub.at(who.app, deed.channel))


def _refusal(deed: Now) -> Refused:
    return Refused(deed.code, deed.status, "fault on demand")


def _expire(connection: Connection, _: Now) -> None:
    if connection.caller.expires_ms is not None:
        connection.end(protocol.disconnected(Refused(EXPIRED, 401, "the token has expired (fault on demand)")))


def _detach(attachment: Attachment, deed: Now) -> None:
    told = {"action": Action.DETACHED, "channel": attachment.name, "error": _refusal(deed).info()}
    attachment.connection.unattach(attachment, told)


ON_CONNECTIONS: dict[Deed, Callable[[Connection, Now], Any]] = {
    "drop": lambda one, deed: one.drop(deed.close),
    "disconnect": lambda one, deed: one.end(protocol.disconnected(_refusal(deed))),
    "disconnect_without_error": lambda one, _: one.end(protocol.disconnected(None)),
    "error": lambda one, deed: one.end(protocol.error(_refusal(deed))),
    "expire_tokens": _expire,
}
ON_ATTACHMENTS: dict[Deed, Callable[[Attachment, Now], Any]] = {
    "detach": _detach,
    "channel_error": lambda one, deed: one.connection.unattach(one, protocol.error(_refusal(deed), one.name)),
}
