"""`/api/dlq`: what died and waits for a person. Resending wakes an execution; discarding forgets a letter and nothing else."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.api import operating
from shared.api.bodies import MOST_LETTERS, LetterChoice
from shared.errors import BadRequest, NotFound, TooMany
from shared.http import Json, decode
from shared.logs import get_logger
from shared.openapi.operations import on
from shared.ports import Accepted, Letter, LetterPage
from shared.redisdb import keys
from shared.views import moment

log = get_logger()

AT_ONCE: Final = 16
_PLACE: Final = re.compile(r"([0-9]{1,15})-(dlq_[0-9a-z_]{1,80})")
_ANSWERS: Final = {
    "resent": "resent",
    "running": "it runs just now, and looks again before it rests",
    "terminal": "is over already; nothing was resent",
    "absent": "is not there",
    "full": "its inbox is full; nothing was resent",
}


_bulk = msgspec.json.Decoder(LetterChoice)


async def list_letters(request: Request) -> Response:
    """A tenant's dead letters, newest first; `before` is the `next` of the page before, `execution` filters."""
    deps, tenant = edge.known(request)
    limit = edge.number(request, "limit", 50, edge.PAGE_LIMIT, least=1)
    execution = request.query_params.get("execution", "")
    if execution:
        _check_execution(execution)
    before = _place(request.query_params.get("before", ""), "before")
    page = await deps.store.letters(tenant, limit=limit, before=before, execution=execution)
    return Json(operating.Letters(letters=await _shown(deps, page.letters), next=_next(page)))


async def get_letter(request: Request) -> Response:
    """One dead letter."""
    deps, tenant = edge.known(request)
    [shown] = await _shown(deps, [await _letter(deps, tenant, request)])
    return Json(shown)


async def resend(request: Request) -> Response:
    """Wake the execution of a letter: due now, with a fresh message. Nothing happens to one that is over."""
    deps, tenant = edge.known(request)
    letter = await _letter(deps, tenant, request)
    result = await _wake(deps, tenant, letter.execution)
    if result == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    answer = operating.Resent(id=letter.id, execution_id=letter.execution, result=_ANSWERS[result])
    if result in {"resent", "running"}:
        return Json(answer, status_code=202)
    [shown] = await _shown(deps, [letter])
    return Json(msgspec.structs.replace(answer, status=shown.execution_status))


async def discard(request: Request) -> Response:
    """Forget a letter; its execution does not change."""
    deps, tenant = edge.known(request)
    letter = request.path_params["id"]
    if not await deps.store.discard(tenant, [letter]):
        raise _not_found(letter)
    return Json(operating.Discarded(id=letter, result="discarded"))


async def resend_many(request: Request) -> Response:
    """Wake the executions of many letters, each execution once."""
    deps, tenant = edge.known(request)
    asked = await _asked(request)
    if asked.ids is not None:
        found = await asyncio.gather(*(deps.store.letter(tenant, one) for one in asked.ids))
        letters = {one: letter.execution if letter else "" for one, letter in zip(asked.ids, found, strict=True)}
        following = None
    else:
        page = await deps.store.letters(tenant, limit=MOST_LETTERS, before=_place(asked.before, "$.before"))
        letters = {letter.id: letter.execution for letter in page.letters}
        following = _next(page)
    woken = await _wake_all(deps, tenant, sorted({execution for execution in letters.values() if execution}))
    rows = tuple(_row(one, execution, woken.get(execution, "absent")) for one, execution in letters.items())
    answer = operating.ResentMany(resent=sum(row.resent for row in rows), results=rows, next=following)
    return Json(answer, status_code=202)


async def discard_many(request: Request) -> Response:
    """Forget many letters."""
    deps, tenant = edge.known(request)
    asked = await _asked(request)
    if asked.ids is not None:
        return Json(operating.DiscardedMany(discarded=await deps.store.discard(tenant, asked.ids), next=None))
    page = await deps.store.letters(tenant, limit=MOST_LETTERS, before=_place(asked.before, "$.before"))
    gone = await deps.store.discard(tenant, [letter.id for letter in page.letters])
    return Json(operating.DiscardedMany(discarded=gone, next=_next(page)))


async def _asked(request: Request) -> LetterChoice:
    asked = decode(_bulk, await edge.body(request, 262_144))
    if (asked.ids is not None) == asked.all:
        raise BadRequest('$: give either {"ids": [...]} or {"all": true}', at="$")
    return asked


async def _wake(deps: Deps, tenant: str, execution: str) -> str:
    sid = f"resend-{secrets.token_hex(8)}"
    found = await deps.store.signal(execution, tenant=tenant, sid=sid, kind="resend", payload=None)
    if not isinstance(found, Accepted):
        return "resent" if found.why == "duplicate" else found.why
    log.info("execution.resend_accepted", execution=execution)
    if found.entry is None:
        return "running"
    deps.background.start(deps.sender.send(found.entry, "the resent execution"))
    return "resent"


async def _wake_all(deps: Deps, tenant: str, executions: Sequence[str]) -> dict[str, str]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(execution: str) -> str:
        async with gate:
            return await _wake(deps, tenant, execution)

    return dict(zip(executions, await asyncio.gather(*map(one, executions)), strict=True))


def _row(letter: str, execution: str, result: str) -> operating.ResentRow:
    resent = result in {"resent", "running"}
    return operating.ResentRow(id=letter, execution_id=execution or None, resent=resent, result=_ANSWERS[result])


async def _letter(deps: Deps, tenant: str, request: Request) -> Letter:
    name = request.path_params["id"]
    letter = await deps.store.letter(tenant, name)
    if letter is None:
        raise _not_found(name)
    return letter


def _not_found(letter: str) -> NotFound:
    return NotFound(f"there is no dead letter {letter[:100]}: GET /api/dlq lists them")


async def _shown(deps: Deps, letters: Sequence[Letter]) -> tuple[operating.Letter, ...]:
    """Letters for a reader, each with where its execution stands now."""
    headers = await deps.reader.headers(sorted({letter.execution for letter in letters}))
    status = {header["id"]: header["status"] for header in headers}
    return tuple(_view(letter, status.get(letter.execution)) for letter in letters)


def _view(letter: Letter, status: str | None) -> operating.Letter:
    links = {"self": f"/api/dlq/{letter.id}", "execution": f"/api/executions/{letter.execution}"}
    return operating.Letter(
        id=letter.id,
        kind=letter.kind,
        reason="undeliverable" if letter.kind == "execution" else "message dead",
        execution_id=letter.execution,
        execution_status=status,
        segment=letter.segment,
        message_id=letter.message or None,
        dlq_id=letter.dlq or None,
        status=letter.status or None,
        retried=letter.retried,
        response=letter.excerpt or None,
        times=letter.times,
        first_at=moment(letter.first_ms),
        at=moment(letter.at_ms),
        links=links | {"resend": f"/api/dlq/{letter.id}/resend"},
    )


def _next(page: LetterPage) -> str | None:
    return f"{page.next[0]}-{page.next[1]}" if page.next else None


def _place(text: str, at: str) -> tuple[int, str] | None:
    found = edge.place(text, _PLACE, at)
    return (int(found[1]), found[2]) if found else None


def _check_execution(execution: str) -> None:
    try:
        keys.partition_of(execution)
    except ValueError as error:
        raise BadRequest(f"execution={execution[:40]!r} is no execution id (exe_...)", at="execution") from error


ROUTES: Final = [
    on("GET", "/api/dlq", list_letters, operating.Letters, query=["limit", "before", "execution"]),
    on("POST", "/api/dlq/resend", resend_many, {202: operating.ResentMany}, takes=LetterChoice, example={"all": True}),
    on(
        "POST",
        "/api/dlq/discard",
        discard_many,
        operating.DiscardedMany,
        takes=LetterChoice,
        example={"ids": ["dlq_0a_019aa0000000700080000000000000aa_3"]},
    ),
    on("GET", "/api/dlq/{id}", get_letter, operating.Letter),
    on("DELETE", "/api/dlq/{id}", discard, operating.Discarded),
    on("POST", "/api/dlq/{id}/resend", resend, {200: operating.Resent, 202: operating.Resent}, errors=[429]),
]
