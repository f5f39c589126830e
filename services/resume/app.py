"""The resume service as an ASGI application. A hint carries an id and a reason, never state: it can only cause an attempt."""

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from services.resume.ably_bodies import AblyBody
from services.resume.webhook import RESUME_PATH, Asked, Webhook
from shared.api.signed import Hinted, Result, Soundness, Subscription, Swept, Watching
from shared.dead_letters import excerpt, letter_of
from shared.http import ERROR_HANDLERS, Json, read_body
from shared.invariant import Invariant
from shared.logs import get_logger
from shared.machine.decision import Line
from shared.numbers import whole
from shared.openapi.operations import on
from shared.openapi.serving import describing
from shared.openapi.words import EXECUTION, SIGNED, api_of
from shared.ports import Letter, Store
from shared.probes import probe_routes
from shared.qstash import FAILED_PATH, Body
from shared.quota_keeper import Keeper
from shared.redisdb import keys
from shared.redisdb.reader import Reader
from shared.settings import Settings
from shared.telemetry import scraping
from shared.verify import BODY_LIMIT, SignatureMiddleware
from shared.watchdog import Watchdog

if TYPE_CHECKING:
    from services.resume.subscriber.running import Subscriber  # with Ably's client, for whoever has a key

log = get_logger()

SWEEP_PATH = "/api/mesh/sweep"
AFTER_DEAD_LETTER_MS = 2_000
SWEEP_S = 6.0


class DeadLetter(msgspec.Struct, frozen=True, rename="camel"):
    """The part of QStash's failure callback that says which message died, and how (reference: failure callbacks)."""

    source_message_id: str = ""
    status: int = 0
    retried: int = 0
    source_body: str = ""
    body: str = ""
    dlq_id: str = ""


_letter = msgspec.json.Decoder(DeadLetter)
_body = msgspec.json.Decoder(Body)


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need."""

    store: Store
    webhook: Webhook
    watchdog: Watchdog
    reader: Reader
    invariant: Invariant
    quota: Keeper | None = None
    subscriber: "Subscriber | None" = None
    sweep_s: float = 1.0
    """Between two rounds."""


async def resume(request: Request) -> Response:
    """See `services.resume.webhook`."""
    deps: Deps = request.app.state.deps
    return await deps.webhook(request)


async def sweep(request: Request) -> Response:
    """The watchdog's rounds until nothing is left, for deployments without a long-running process (a QStash schedule calls it).

    Cut off in time for an invocation that may take ten seconds; `left` are overdue, and the next call's.
    """
    deps: Deps = request.app.state.deps
    moved, left = await deps.watchdog.sweep_within(SWEEP_S, every_s=deps.sweep_s)
    return Json(Swept(moved=moved, left=left))


async def watching(request: Request) -> Response:
    """How the watchdog of this process stands: counts since its start, its window, and what it saw last."""
    deps: Deps = request.app.state.deps
    return Json(msgspec.convert(deps.watchdog.report(), Watching))


async def failed(request: Request) -> Response:
    """A message of ours is dead. Not the end of its execution: noted, and looked at again soon. Always 200."""
    deps: Deps = request.app.state.deps
    try:
        letter = _letter.decode(await read_body(request, BODY_LIMIT))
        body = _body.decode(base64.b64decode(letter.source_body))
        keys.partition_of(body.execution_id)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        log.warning("message.dead", error=f"the failure callback is not readable: {error}")
        return Json(Result(result="not readable"))
    facts = {"id": letter.source_message_id, "status": letter.status, "retried": letter.retried, "dlq": letter.dlq_id}
    log.warning("message.dead", execution=body.execution_id, segment=body.segment, **facts)
    line = Line(event="message.dead", detail={"segment": body.segment, **facts})
    found = Letter(
        id=letter_of(body.execution_id, body.segment),
        execution=body.execution_id,
        kind="message",
        segment=body.segment,
        marks=(f"{letter.source_message_id}/{letter.dlq_id}",),
        message=letter.source_message_id,
        dlq=letter.dlq_id,
        status=letter.status,
        retried=letter.retried,
        excerpt=_excerpt(letter.body),
    )
    await deps.store.bury(found, in_ms=AFTER_DEAD_LETTER_MS, line=line)
    if letter.source_message_id:  # its retries, this callback, and the callback's own
        again = whole(request.headers.get("Upstash-Retried", "")) or 0
        await deps.store.count(body.execution_id, letter.source_message_id, letter.retried + 1 + again)
        if deps.quota:
            deps.quota.settle_soon(body.execution_id)
    return Json(Result(result="noted"))


def _excerpt(answer: str) -> str:
    """Of the last answer, as QStash repeats it; what is no base64 is shown as it is."""
    try:
        return excerpt(base64.b64decode(answer, validate=True))
    except (binascii.Error, ValueError):
        return excerpt(answer.encode())


async def invariant(request: Request) -> Response:
    """Whether anything was found that nothing would ever move: 200, or 503 for whoever watches status codes. Counts, no ids."""
    deps: Deps = request.app.state.deps
    report = msgspec.convert(deps.invariant.report(), Soundness)
    return Json(report, status_code=200 if report.ok else 503)


async def mesh_health(request: Request) -> Response:
    """How the second channel's subscriber is: 200, or 503 when it has not been connected for more than a minute. No ids."""
    subscriber = request.app.state.deps.subscriber
    if subscriber is None:
        return Json(Subscription(configured=False))
    return Json(msgspec.convert(subscriber.report(), Subscription), status_code=200 if subscriber.ok() else 503)


async def ready(request: Request) -> None:
    """Whether the store answers."""
    deps: Deps = request.app.state.deps
    await deps.reader.ping()


HINTED: Final = (
    "A hint that an execution should be looked at. From Ably: a batch, an envelope, or a bare message with its headers. From "
    "anybody else: an execution's id. 200 or 202 once it is durable."
)
API: Final = api_of(
    "intention engine: resume",
    "Wakes what stopped: hints of Ably and of others, the watchdog's rounds, and QStash's word that a message is dead.",
    "key",
    *SIGNED,
    "ably",
    "mesh",
    "metrics",
)
ROUTES: Final = [
    on(
        "POST",
        RESUME_PATH,
        resume,
        {200: Hinted, 202: Hinted},
        takes=(Asked, AblyBody),
        errors=[404],
        guards=("key", *SIGNED, "ably", "mesh"),
        example={"executionId": EXECUTION},
        about=HINTED,
    ),
    on("POST", SWEEP_PATH, sweep, Swept, errors=[413], guards=SIGNED),
    on(
        "POST",
        FAILED_PATH,
        failed,
        Result,
        takes=DeadLetter,
        guards=SIGNED,
        example={"sourceMessageId": "msg_1", "status": 500, "retried": 3, "sourceBody": "e30=", "body": "", "dlqId": "1-0"},
    ),
    on("GET", "/api/health/invariant", invariant, {200: Soundness, 503: Soundness}, guards=()),
    on("GET", "/api/health/mesh", mesh_health, {200: Subscription, 503: Subscription}, guards=()),
    on("GET", "/api/health/watchdog", watching, Watching, guards=()),
    *scraping.ROUTES,
    *probe_routes(ready),
    describing(API),
]


def build_app(settings: Settings, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """The routes; `app.state.deps` is set by the lifespan, or by a test."""
    return Starlette(
        routes=ROUTES,
        exception_handlers=ERROR_HANDLERS,
        middleware=[
            Middleware(
                SignatureMiddleware,
                settings=settings,
                base_url=settings.resume_url,
                paths=frozenset({SWEEP_PATH, FAILED_PATH}),
            )
        ],
        lifespan=lifespan,
    )
