"""What every route of ingress does first: who calls, the body, the numbers and the place of a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from shared.accepting import Acceptor
from shared.actions import Actions, actor_of
from shared.again import Repeater
from shared.background import Background
from shared.between import Between
from shared.called import Called
from shared.callers import Callers
from shared.circuit import Breaker
from shared.errors import BadRequest
from shared.executor_client import Reach
from shared.http import check_json, read_body
from shared.live.live import Live
from shared.numbers import whole
from shared.ports import Store
from shared.profiles import Profiles
from shared.quota_keeper import Keeper
from shared.redisdb.latencies import Latencies
from shared.redisdb.reader import Reader
from shared.redisdb.schedules import RedisSchedules
from shared.redisdb.snapshots import Snapshots
from shared.redisdb.step_logs import StepLogs
from shared.redisdb.talks import Talks
from shared.redisdb.tallies import Tallies
from shared.relay import Sender
from shared.room import Room, Seat
from shared.schedules.firing import Firing
from shared.settings import Settings
from shared.telling import Teller
from shared.tools.registry import Registry
from shared.tracing import NO_TRACER, Tracer
from shared.watchdog import Watchdog

PAGE_LIMIT = 500
KEY_LIMIT = 255
PLACES = frozenset({"before", "after"})
"""Parameters that may be empty: the beginning."""
EXECUTION_PLACE = re.compile(r"exe_[0-3][0-9a-f]_[0-9a-f]{32}")
"""How the `next` of a page of executions looks."""


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need."""

    settings: Settings
    acceptor: Acceptor
    schedules: RedisSchedules
    firing: Firing
    store: Store
    sender: Sender
    reader: Reader
    step_logs: StepLogs
    profiles: Profiles
    registry: Registry
    callers: Callers
    watchdog: Watchdog
    between: Between
    called: Called
    teller: Teller
    actions: Actions
    repeater: Repeater
    snapshots: Snapshots
    quota: Keeper
    latencies: Latencies
    talks: Talks
    live: Live
    tallies: Tallies
    qstash: Breaker
    channel: Breaker | None
    reach: Reach
    rooms: Mapping[str, Room]
    background: Background = field(default_factory=Background)
    tracer: Tracer = NO_TRACER


def known(request: Request) -> tuple[Deps, str]:
    """The dependencies and the caller's tenant; every request of a known caller also sweeps a little.

    Unavailable (`busy`) for what needs a seat and finds none: before its body is read, and at last when it is there (`body`).
    """
    deps: Deps = request.app.state.deps
    tenant = deps.callers.tenant(request)
    _check_query(request)
    if seat := _seat(request):
        enter = seat.look if request.scope["said"].takes else seat.take
        enter()
    if deps.watchdog.lazy:
        deps.background.start(deps.watchdog.lazily())
    return deps, tenant


def _seat(request: Request) -> Seat | None:
    """None for what needs none (`shedding`)."""
    found: Seat | None = request.scope.get("seat")
    return found


def _check_query(request: Request) -> None:
    """BadRequest for a parameter that the route does not take, or that says nothing: a mistyped filter finds everything."""
    taken = request.scope["said"].query
    for name, value in request.query_params.multi_items():
        if name not in taken:
            raise BadRequest(
                f"{name[:40]!r} is no parameter here: {', '.join(taken) or 'there are none'}",
                code="unknown_parameter",
                at=name[:40],
            )
        if name not in PLACES and not value.strip():
            raise BadRequest(f"{name} is empty: give it a value, or leave it out", at=name)


def actor(request: Request, tenant: str, said: str) -> str:
    """Who acts, for the history: the caller's tenant, and the person that it names (`X-Actor`, or `actor` in the body)."""
    return actor_of(tenant, said or request.headers.get("X-Actor", ""))


def idempotency_key(request: Request) -> str:
    """The caller's Idempotency-Key; empty without one."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_LIMIT:
        raise BadRequest(f"the Idempotency-Key is longer than {KEY_LIMIT} characters", at="Idempotency-Key")
    return key


async def told_of(deps: Deps, execution: str, tenant: str) -> dict[str, str]:
    """What an execution was told about itself, for another that does the same."""
    header = await deps.reader.header(execution, tenant)
    return {name: text for name, text in header.items() if name in {"text", "user", "summary", "sources"}}


async def body(request: Request, limit: int) -> bytes:
    """The raw JSON body; empty where there is none. With it the work begins: Unavailable (`busy`) if there is no seat."""
    raw = await read_body(request, limit)
    if seat := _seat(request):
        seat.take()
    if raw:
        check_json(request)
    return raw


def values(request: Request, name: str) -> list[str]:
    """Of a parameter that may be given several times, or with commas; BadRequest if it is given and names none."""
    given = request.query_params.getlist(name)
    found = [part.strip() for text in given for part in text.split(",") if part.strip()]
    if given and not found:
        raise BadRequest(f"{name} is empty: give it a value, or leave it out", at=name)
    return found


def number(request: Request, name: str, default: int, most: int, *, least: int = 0) -> int:
    """A number of the query string; BadRequest names it."""
    text = request.query_params.get(name, str(default))
    found = whole(text)
    if found is None or not least <= found <= most:
        raise BadRequest(f"{name}={text[:20]!r}: give a number from {least} to {most}", at=name)
    return found


def place(text: str, form: re.Pattern[str], at: str) -> re.Match[str] | None:
    """Where a list goes on: a `next` of this form that an answer gave, or None from its beginning. BadRequest names `at`.

    What is no place would begin anew, and one action upon many would do everything once more.
    """
    if not text:
        return None
    found = form.fullmatch(text)
    if found is None:
        raise BadRequest(f"{at}={text[:40]!r}: this is no place in the list; give the `next` of the page before", at=at)
    return found


def before(request: Request, form: re.Pattern[str] = EXECUTION_PLACE) -> str:
    """The `before` of the query string, checked; empty from the beginning."""
    found = place(request.query_params.get("before", ""), form, "before")
    return found[0] if found else ""
