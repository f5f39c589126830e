"""What the routes are given, and how they find out who calls."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from services.qstash_dev.faults.board import Board
from services.qstash_dev.quota import Meter
from services.qstash_dev.scheduler import Scheduler
from services.qstash_dev.store import Store
from services.qstash_dev.users import User, authenticate
from shared.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Deps:
    """Finished parts; `main.py` makes the real ones, a test its own."""

    users: tuple[User, ...]
    store: Store
    scheduler: Scheduler
    faults: Board
    meter: Meter
    now_ms: Callable[[], int]
    new_id: Callable[[], str]


def deps(request: Request) -> Deps:
    """The parts of the application that serves this request."""
    found: Deps = request.app.state.deps
    return found


def user(request: Request) -> User:
    """Who calls: the Bearer token, or `?qstash_token=`. Unauthorized when it is nobody's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = next((value for name, value in query_pairs(request) if name == "qstash_token"), "")
    if not token:
        raise Unauthorized("unauthorized: send Authorization: Bearer <QSTASH_TOKEN>")
    return authenticate(deps(request).users, token.strip())


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Decoded query parameters in their order."""
    return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def split_query(raw: str) -> tuple[list[tuple[str, str]], str]:
    """Our parameters (`upstash-*`, `qstash_token`), decoded; and the rest, untouched: it belongs to the destination."""
    ours: list[tuple[str, str]] = []
    rest: list[str] = []
    for part in raw.split("&") if raw else []:
        name, _, value = part.partition("=")
        name = unquote_plus(name).lower()
        if name == "qstash_token" or name.startswith("upstash-"):
            ours.append((name, unquote_plus(value)))
        else:
            rest.append(part)
    return ours, "&".join(rest)
