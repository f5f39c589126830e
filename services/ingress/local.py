"""`/api/local`: breaks parts of the system on purpose and shows how they come back. Only under `make run`, in local mode.

The supervisor does it, and ingress passes the wish on; without the setting LOCAL_CONTROL these routes do not exist. What
ingress adds is what the engine knows: which executions the killed executor held and when each went on, and how it stands with
the channels.
"""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge, site
from services.ingress.edge import Deps
from shared import left_behind
from shared.circuit import Breaker
from shared.errors import Forbidden, NotFound
from shared.http import Json, decode
from shared.local import control
from shared.local.control import Command, Drop, Kill, Look, Mend, Outage, Report, What
from shared.machine.status import TERMINAL, Status
from shared.qstash import PING_PATH, PingBody
from shared.search import Filter, search
from shared.settings import Settings
from shared.views import moment

if TYPE_CHECKING:
    import httpx  # where nothing can be broken, ingress does without it

LOOK_AT: Final = 500
"""Executions that are not over and may have been held; there are never so many invocations on one machine."""
LINES: Final = 50
ANSWER_S: Final = 2.0
MOST_S: Final = 600
BODY_LIMIT: Final = 1_000
WAYS: Final = {"overdue": "watchdog", "resumed": "ably", left_behind.CAUSE: "executor"}
"""What woke an execution, by the cause of its segment; everything else came as a message."""


class Dropping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a drop."""

    seconds: Annotated[float, msgspec.Meta(gt=0, le=MOST_S)] | None = None
    """None: until it is mended."""


_dropping = msgspec.json.Decoder(Dropping)


class Local:
    """The way to the supervisor, and what ingress remembers of what was broken."""

    def __init__(self, settings: Settings, client: "httpx.AsyncClient") -> None:
        """`client` reaches loopback."""
        self._settings = settings
        self._client = client
        self._held: dict[str, tuple[int, tuple[str, ...]]] = {}
        """By tenant: when the executor was killed, and what it held then."""

    async def command(self, wish: Command) -> Report:
        """See `shared.local.control.ask`."""
        return await control.ask(self._settings.local_control, self._settings.local_control_key, wish)

    async def kill(self, deps: Deps, tenant: str) -> Report:
        """Its leases outlive the executor until another process begins, so they are read behind its end."""
        report = await self.command(Kill())
        moving = Filter(status=tuple(set(Status) - TERMINAL))
        found = await search(deps.reader, tenant, moving, count=LOOK_AT)
        held = await deps.reader.held([one["id"] for one in found.rows])
        self._held[tenant] = (report.killing.killed_ms if report.killing else 0, tuple(held))
        return report

    async def view(self, deps: Deps, tenant: str, report: Report) -> dict[str, Any]:
        """Everything for a reader."""
        await self._probe(deps.qstash)
        return {
            "executor": _killed(report) | {"held": await self._went_on(deps, tenant, report)},
            "qstash": _outage(report, "qstash") | {"there": _there(deps.qstash), "error": deps.qstash.error or None},
            "ably": _outage(report, "ably") | await self._subscriber(),
        }

    async def _went_on(self, deps: Deps, tenant: str, report: Report) -> list[dict[str, Any]]:
        killed_ms, held = self._held.get(tenant, (0, ()))
        if report.killing is None or killed_ms != report.killing.killed_ms:
            return []
        rows = {one["id"]: one for one in await deps.reader.headers(held)}
        return [_held(rows[one]) | await _next(deps, tenant, one, killed_ms) for one in held if one in rows]

    async def _subscriber(self) -> dict[str, Any]:
        """How the resume service says that it is connected."""
        import httpx

        try:
            answer = await self._client.get(f"{self._settings.resume_url.rstrip('/')}/api/health/mesh", timeout=ANSWER_S)
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            return {"there": None, "error": "the resume service does not answer"}
        there = bool(found.get("connected"))
        return {"there": there, "error": None if there else f"its subscriber is {found.get('state', 'not there')}"}

    async def _probe(self, breaker: Breaker) -> None:
        """While QStash is away, a message of no consequence tries whether it is back: ingress may have no other for long."""
        if breaker.error and not breaker.refuses():
            await self.ping(breaker)

    async def ping(self, breaker: Breaker) -> None:
        """Publish a ping to the executor. It costs a message of the local QStash, and tells how it stands with it."""
        import httpx

        headers = {"Authorization": f"Bearer {self._settings.token!s}", "Upstash-Retries": "0"}
        base, executor = self._settings.qstash_url.rstrip("/"), self._settings.executor_url.rstrip("/")
        body = msgspec.to_builtins(PingBody(nonce=secrets.token_hex(16)))
        try:
            url = f"{base}/v2/publish/{executor}{PING_PATH}"
            answer = await self._client.post(url, json=body, headers=headers, timeout=ANSWER_S)
        except httpx.HTTPError as error:
            breaker.ended(f"QStash is not reachable ({type(error).__name__})")
        else:
            breaker.ended("" if answer.is_success else f"QStash answered {answer.status_code}")


async def look(request: Request) -> Response:
    """What was broken, how it stands with it, and what became of the executions that were held."""
    deps, tenant = _operator(request)
    local = _local(request)
    return Json(await local.view(deps, tenant, await local.command(Look())))


async def kill(request: Request) -> Response:
    """End the step executor with SIGKILL. The supervisor starts it again."""
    deps, tenant = await _asked(request)
    local = _local(request)
    return Json(await local.view(deps, tenant, await local.kill(deps, tenant)), status_code=202)


async def drop(request: Request) -> Response:
    """A channel refuses what it is given and loses what it has, for `seconds` or until it is mended."""
    deps, tenant = _operator(request)
    wish = decode(_dropping, await edge.body(request, BODY_LIMIT) or b"{}")
    return await _done(request, deps, tenant, Drop(_what(request), wish.seconds))


async def mend(request: Request) -> Response:
    """A channel that is dropped works again."""
    deps, tenant = await _asked(request)
    return await _done(request, deps, tenant, Mend(_what(request)))


async def _done(request: Request, deps: Deps, tenant: str, wish: Drop | Mend) -> Response:
    local = _local(request)
    report = await local.command(wish)
    if wish.what == "qstash":
        await local.ping(deps.qstash)  # so that it is noticed although nothing runs
    return Json(await local.view(deps, tenant, report), status_code=202)


def _operator(request: Request) -> tuple[Deps, str]:
    deps: Deps = request.app.state.deps
    tenant = deps.callers.tenant(request)
    if tenant not in deps.settings.operating_tenants:
        raise Forbidden("this breaks the system for everybody: only a tenant of the setting OPERATORS does it")
    return deps, tenant


async def _asked(request: Request) -> tuple[Deps, str]:
    """There is nothing to say; what is said all the same is read and left alone."""
    deps, tenant = _operator(request)
    await edge.body(request, BODY_LIMIT)
    return deps, tenant


def _local(request: Request) -> Local:
    found: Local = request.app.state.local
    return found


def _what(request: Request) -> What:
    name = request.path_params["channel"]
    if name not in ("qstash", "ably"):
        raise NotFound(f"there is no channel {name[:40]!r}: qstash or ably")
    found: What = name
    return found


def _held(header: dict[str, str]) -> dict[str, Any]:
    return {"id": header["id"], "status": header["status"], "endedAt": moment(header.get("ended_ms"))}


async def _next(deps: Deps, tenant: str, execution: str, killed_ms: int) -> dict[str, Any]:
    """Who took it up after the kill, and when."""
    lines = await deps.reader.history(execution, tenant, after=f"{killed_ms}-0", count=LINES)
    taken = next((line for line in lines if line["event"] == "segment.started"), None)
    if taken is None:
        return {"wentOnAt": None, "by": None}
    return {"wentOnAt": moment(taken["id"].partition("-")[0]), "by": way(taken)}


def way(line: dict[str, Any]) -> str:
    """Which way woke an execution: `watchdog`, `ably`, `qstash`, or the restarted `executor` itself."""
    return WAYS.get((line.get("detail") or {}).get("cause", ""), "qstash")


def _killed(report: Report) -> dict[str, Any]:
    killing = report.killing
    return {
        "pid": report.pid or None,
        "killedAt": moment(killing.killed_ms) if killing else None,
        "backAt": moment(killing.back_ms) if killing else None,
    }


def _outage(report: Report, what: What) -> dict[str, Any]:
    found: Outage | None = report.outages.get(what)
    return {
        "here": what in report.here,
        "dropped": found is not None and not found.ended_ms,
        "since": moment(found.since_ms) if found else None,
        "until": moment(found.until_ms) if found else None,
        "endedAt": moment(found.ended_ms) if found else None,
        "struck": found.struck if found else 0,
    }


def _there(breaker: Breaker) -> bool | None:
    known = breaker.back_at is not None or breaker.error
    return breaker.there if known else None


def routes(settings: Settings | None) -> Sequence[Route]:
    """None unless the supervisor of this run can be asked. They come before all others; the described API has none of them."""
    if settings is None or not settings.local or not settings.local_control:
        return ()
    return (
        Route("/", site.breakable_page, methods=["GET"]),
        Route("/api/local", look, methods=["GET"]),
        Route("/api/local/executor/kill", kill, methods=["POST"]),
        Route("/api/local/{channel}/drop", drop, methods=["POST"]),
        Route("/api/local/{channel}/mend", mend, methods=["POST"]),
    )
