"""Publish, history, presence and the state of a channel."""

import secrets
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ably_dev import history, names, presence, wire
from services.ably_dev.deps import caller, deps
from services.ably_dev.protocol import Flag


async def publish(request: Request) -> Response:
    """One message or several, all of them or none."""
    who, name = caller(request), request.path_params["channel"]
    who.must("publish", names.read(name).base)  # before the body is read
    base = secrets.token_urlsafe(9)
    receipt = await deps(request).publisher.publish(who, name, await wire.body(request), base=base)
    told = {"channel": name, "messageId": receipt.message_id, "serials": receipt.serials}
    return wire.answer(request, told, 201)


async def read_history(request: Request) -> Response:
    """A page of messages; the next one is in `Link`."""
    who, channel = caller(request), names.read(request.path_params["channel"]).base
    who.must("history", channel)
    query = history.read(dict(request.query_params))
    page = await history.page(deps(request).log, who.app, channel, query, binary=wire.wants_msgpack(request))
    return wire.answer(request, page.messages, headers={"Link": _links(request, page.cursor)})


def _links(request: Request, cursor: str | None) -> str:
    """Relative to the request, as clients resolve them."""
    said = {name: value for name, value in request.query_params.items() if name != "cursor"}
    last = request.url.path.rpartition("/")[2]
    found = [f'<./{last}?{urlencode(said)}>; rel="first"', f'<./{last}?{urlencode(dict(request.query_params))}>; rel="current"']
    if cursor:
        found.append(f'<./{last}?{urlencode(said | {"cursor": cursor})}>; rel="next"')
    return ", ".join(found)


async def read_presence(request: Request) -> Response:
    """Who is present."""
    who, channel = caller(request), names.read(request.path_params["channel"]).base
    who.must("presence", channel)
    binary, query = wire.wants_msgpack(request), request.query_params
    found = [
        presence.wire(member, binary=binary)
        for member in deps(request).presence.at(who.app, channel)
        if query.get("clientId") in (None, member.client_id) and query.get("connectionId") in (None, member.connection_id)
    ]
    return wire.answer(request, found, headers={"Link": _links(request, None)})


async def details(request: Request) -> Response:
    """Who is attached, by what they may do."""
    who, channel = caller(request), names.read(request.path_params["channel"]).base
    who.must("channel-metadata", channel)
    parts = deps(request)
    there, members = parts.hub.at(who.app, channel), parts.presence.at(who.app, channel)
    metrics = {
        "connections": len({one.connection.id for one in there}),
        "publishers": sum(Flag.PUBLISH in one.modes for one in there),
        "subscribers": sum(Flag.SUBSCRIBE in one.modes for one in there),
        "presenceConnections": sum(Flag.PRESENCE in one.modes for one in there),
        "presenceSubscribers": sum(Flag.PRESENCE_SUBSCRIBE in one.modes for one in there),
        "presenceMembers": len(members),
    }
    told = {"channelId": channel, "name": channel, "status": {"isActive": bool(there), "occupancy": {"metrics": metrics}}}
    return wire.answer(request, msgspec.to_builtins(told))
