"""What the routes and connections are given."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from services.ably_dev import access
from services.ably_dev.access import Caller, Keyring
from services.ably_dev.faults import Board
from services.ably_dev.hub import Hub
from services.ably_dev.log import Log
from services.ably_dev.presence import Presence
from services.ably_dev.publishing import Publisher


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things last, in ms; a test makes them short."""

    heartbeat: int = 15_000
    """maxIdleInterval: a connection is never silent for longer."""
    connection_state: int = 120_000
    """connectionStateTtl: how long after a drop a connection can be resumed under its id."""
    renew_before: int = 30_000
    """How long before a token's end its connection is asked for a new one; half of its life, if that is less."""
    presence_grace: int = 15_000
    """How long after a drop its members leave."""
    poll: int = 1_000
    """How often a subscriber looks by itself: another process rings no bell here."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Finished parts; `main.py` makes the real ones, a test its own."""

    keyring: Keyring
    log: Log
    hub: Hub
    presence: Presence
    publisher: Publisher
    faults: Board
    timing: Timing
    now_ms: Callable[[], int]
    public: bool = False
    """The public development key is good here, so pages of the web must be kept out."""


def deps(connection: HTTPConnection) -> Deps:
    """The parts of the application that serves this request."""
    found: Deps = connection.app.state.deps
    return found


def caller(connection: HTTPConnection) -> Caller:
    """Who calls; Refused when it is nobody."""
    parts = deps(connection)
    header = connection.headers.get("authorization", "")
    if not header:
        return access.of_query(parts.keyring, connection.query_params, parts.now_ms())
    return access.of_header(parts.keyring, header, parts.now_ms())
