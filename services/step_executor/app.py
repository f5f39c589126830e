"""The step executor as an ASGI application: verify, run one segment, answer so that QStash does the right thing."""

import time
from dataclasses import dataclass, field
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from services.step_executor.callback import Callback, said_by
from services.step_executor.measures import Measures
from shared import signing, tracing
from shared.api.signed import PingNoted, Result
from shared.background import Background
from shared.callbacks import BadTicket
from shared.called import Called
from shared.http import ERROR_HANDLERS, Json, error_body, read_body
from shared.interpret import Interpreter
from shared.invocation import Answer, Delivery
from shared.logs import get_logger
from shared.numbers import whole
from shared.openapi.operations import on
from shared.openapi.serving import describing
from shared.openapi.words import EXECUTION, SIGNED, api_of
from shared.ports import Clock
from shared.probes import probe_routes
from shared.qstash import CALLBACK_PATH, EXECUTE_PATH, PING_PATH, Body, PingBody
from shared.redisdb import keys
from shared.redisdb.pings import Ping, Pings
from shared.redisdb.reader import Reader
from shared.settings import Settings
from shared.telemetry import scraping
from shared.tracing import NO_TRACER, Tracer
from shared.verify import BODY_LIMIT, SignatureMiddleware
from shared.watchdog import Watchdog

log = get_logger()
_body = msgspec.json.Decoder(Body)
_callback = msgspec.json.Decoder(Callback)
_ping = msgspec.json.Decoder(PingBody)
QUEUED_LEAST_MS = 1_000
QUEUED_MOST_PERCENT = 30


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need."""

    settings: Settings
    interpreter: Interpreter
    watchdog: Watchdog
    called: Called
    reader: Reader
    pings: Pings
    measures: Measures
    clock: Clock
    tracer: Tracer = NO_TRACER
    background: Background = field(default_factory=Background)


class Stamp:
    """Notes when a request came in: an invocation's budget starts here, not where its handler starts."""

    def __init__(self, app: ASGIApp) -> None:
        """Outermost middleware."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            scope["state"] = {**scope.get("state", {}), "came_ms": time.monotonic() * 1000}
        await self._app(scope, receive, send)


class Signed(SignatureMiddleware):
    """Also every address at which calls end."""

    def applies(self, path: str) -> bool:
        """See the base."""
        return super().applies(path) or path.startswith(f"{CALLBACK_PATH}/")


async def execute_step(request: Request) -> Response:
    """Run one segment of the execution that the message names."""
    deps: Deps = request.app.state.deps
    started_ms = _started_ms(request)
    try:
        body = _body.decode(await read_body(request, BODY_LIMIT))
        keys.partition_of(body.execution_id)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return _answered(Answer(status=489, result=f"malformed message: {error}", final=True))
    delivery = Delivery(
        execution=body.execution_id,
        segment=body.segment,
        reason=body.reason or "asked",
        retried=whole(request.headers.get("Upstash-Retried", "")) or 0,
        message=request.headers.get("Upstash-Message-Id", "") if request.state.caller == "qstash" else "",
        queued_ms=body.queued_ms,
        context=tracing.read(request.headers.getlist(tracing.HEADER)),
    )
    if deps.watchdog.lazy:
        deps.background.start(deps.watchdog.lazily())
    deps.measures.share()
    run = deps.interpreter.run(delivery, started_ms=started_ms)
    if request.state.caller == "internal" and request.headers.get("Prefer") == "respond-async":
        deps.background.start(run)
        return Json(Result(result="started"), status_code=202)
    answer = await run
    await deps.tracer.settle()
    took = int(time.monotonic() * 1000 - started_ms)
    log.info("segment.answered", execution=body.execution_id, status=answer.status, result=answer.result, took_ms=took)
    return _answered(answer)


def _started_ms(request: Request) -> float:
    """When the invocation began, on the monotonic clock. Queueing before us counts."""
    deps: Deps = request.app.state.deps
    came: float = request.state.came_ms
    queued_ms = (time.time() - request.state.issued_s) * 1000 - (time.monotonic() * 1000 - came)
    return came - believed_ms(queued_ms, hard_ms=deps.settings.hard_limit_ms)


def believed_ms(queued_ms: float, *, hard_ms: int) -> float:
    """What is believed of the time that a message seems to have queued before us, in an invocation of `hard_ms`.

    It is read off the signature's time, so clocks that differ look like queueing, and for every invocation. If all of it were
    believed, none would have time for a step, and every execution would end as undeliverable.
    """
    return min(queued_ms, hard_ms * QUEUED_MOST_PERCENT / 100) if queued_ms > QUEUED_LEAST_MS else 0.0


def _answered(answer: Answer) -> Response:
    headers = {"Retry-After": str(answer.retry_after_s)} if answer.retry_after_s is not None else {}
    if answer.final:
        headers["Upstash-NonRetryable-Error"] = "true"
    body = Result(result=answer.result) if answer.status < 300 else error_body("not_run", answer.result)
    return Json(body, status_code=answer.status, headers=headers)


async def callback(request: Request) -> Response:
    """QStash tells how a call ended that it made for a step."""
    deps: Deps = request.app.state.deps
    try:
        ticket = deps.called.read(request.path_params["token"])
        said = said_by(_callback.decode(await read_body(request, BODY_LIMIT)))
    except (BadTicket, msgspec.DecodeError, RecursionError) as error:
        return _answered(Answer(status=489, result=f"no callback of ours: {error}", final=True))
    result = "it is tried again" if said is None else await deps.called.tell(ticket, said)
    full = result == "full"
    return _answered(Answer(status=503 if full else 200, result=result, retry_after_s=60 if full else None))


async def ping(request: Request) -> Response:
    """Note that a signed call arrived, and how: `intention doctor` looks for it in Redis."""
    deps: Deps = request.app.state.deps
    try:
        body = _ping.decode(await read_body(request, BODY_LIMIT))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return _answered(Answer(status=489, result=f"malformed ping: {error}", final=True))
    caller = request.state.caller
    signed_with = _key_name(deps.settings, request.headers.get("Upstash-Signature", "")) if caller == "qstash" else "internal"
    found = Ping(
        caller=caller,
        signed_with=signed_with,
        message=request.headers.get("Upstash-Message-Id", "")[:100],
        retried=whole(request.headers.get("Upstash-Retried", "")) or 0,
    )
    await deps.pings.note(body.nonce, found)
    log.info("ping.noted", caller=caller, signed_with=signed_with, nonce=body.nonce)
    return Json(PingNoted(result="noted", caller=caller, signed_with=signed_with))


def _key_name(settings: Settings, token: str) -> str:
    """Whether a verified signature was made with the current or with the next key."""
    used = settings.signing_keys[signing.key_of(token, settings.signing_keys) or 0]
    return "current" if used == settings.qstash_current_signing_key else "next"


async def ready(request: Request) -> None:
    """Whether the store answers."""
    deps: Deps = request.app.state.deps
    await deps.reader.ping()


NOT_RUN: Final = [409, 423, 489, 503]
"""Later (`Retry-After`), or never (489: QStash does not try again)."""
API: Final = api_of(
    "intention engine: step executor",
    "What QStash calls: one delivered message runs one segment. Addresses and bodies are signed.",
    *SIGNED,
    "metrics",
)
ROUTES: Final = [
    on(
        "POST",
        EXECUTE_PATH,
        execute_step,
        {200: Result, 202: Result},
        takes=Body,
        options=["Upstash-Message-Id", "Upstash-Retried", "Prefer"],
        errors=NOT_RUN,
        guards=SIGNED,
        example={"executionId": EXECUTION, "segment": 0, "reason": "start"},
    ),
    on(
        "POST",
        PING_PATH,
        ping,
        PingNoted,
        takes=PingBody,
        options=["Upstash-Message-Id", "Upstash-Retried"],
        errors=[489],
        guards=SIGNED,
        example={"nonce": "0123456789abcdef0123456789abcdef"},
    ),
    on(
        "POST",
        CALLBACK_PATH + "/{token}",
        callback,
        Result,
        takes=Callback,
        errors=[489],
        guards=SIGNED,
        example={"status": 200, "body": "eyJwYWlkIjp0cnVlfQ==", "retried": 0, "maxRetries": 3},
    ),
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
            Middleware(Stamp),
            Middleware(
                Signed,
                settings=settings,
                base_url=settings.executor_url,
                paths=frozenset({EXECUTE_PATH, PING_PATH}),
            ),
        ],
        lifespan=lifespan,
    )
