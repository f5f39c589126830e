"""The websocket's door, at any path: who comes, and does an earlier connection go on?"""

from urllib.parse import urlsplit

from starlette.websockets import WebSocket

from services.ably_dev import access, protocol
from services.ably_dev.access import Caller
from services.ably_dev.deps import Deps, deps
from services.ably_dev.errors import Refused, from_ours
from services.ably_dev.realtime.connection import Connection
from shared.errors import Unavailable

INVALID_KEY = Refused(80018, 400, "unable to resume connection: the connection key is not valid")
EXPIRED = Refused(80008, 400, "unable to resume connection: it has expired")


async def connect(socket: WebSocket) -> None:
    """One connection, from the upgrade to its end."""
    parts = deps(socket)
    if parts.faults.fires("refuse_connections") or (parts.public and not _of_this_machine(socket.headers.get("origin", ""))):
        await socket.close()
        return
    await socket.accept()
    try:
        caller = _caller(socket, parts)
        resumed, error = await _resumed(socket, parts, caller)
    except Refused as refused:
        await _turn_away(socket, protocol.error(refused))
    except Unavailable as unavailable:
        await _turn_away(socket, protocol.disconnected(Refused(80003, 400, from_ours(unavailable).message)))
    else:
        await Connection(socket, parts, caller, resumed=resumed).run(error)


def _of_this_machine(origin: str) -> bool:
    """Any page in a browser may open a websocket to this machine, and everybody knows the public key."""
    try:
        return not origin or urlsplit(origin).hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        return False


def _caller(socket: WebSocket, parts: Deps) -> Caller:
    caller = access.of_query(parts.keyring, socket.query_params, parts.now_ms())
    return access.with_client_id(caller, socket.query_params.get("clientId"))


async def _resumed(socket: WebSocket, parts: Deps, caller: Caller) -> tuple[str, Refused | None]:
    """The key of the connection that goes on, or why it does not."""
    key = socket.query_params.get("resume") or socket.query_params.get("recover")
    if not key:
        return "", None
    connection_id, bang, _ = key.partition("!")
    if not bang or len(key) > 100:
        return "", INVALID_KEY
    known = await parts.log.recall(caller.app, connection_id)
    if known != key:
        return "", EXPIRED if known is None else INVALID_KEY
    if old := parts.hub.connections.get(connection_id):  # its client knows better than we that its socket is dead
        old.drop()
    return key, None


async def _turn_away(socket: WebSocket, frame: dict[str, object]) -> None:
    raw = protocol.encode(frame, binary=socket.query_params.get("format") == "msgpack")
    await (socket.send_text(raw) if isinstance(raw, str) else socket.send_bytes(raw))
    await socket.close()
