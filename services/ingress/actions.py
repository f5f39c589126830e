"""What people do to executions: decode, one call, encode. `shared/actions.py` knows what each action means."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.api import executions
from shared.api.bodies import ACTIONS, Action, Again, Cancel, Fork
from shared.errors import NotFound, TooMany
from shared.http import Json, decode
from shared.logs import get_logger
from shared.openapi.operations import Operation, on
from shared.ports import Accepted
from shared.requests import links

log = get_logger()
_DECODERS: Final["dict[str, msgspec.json.Decoder[Any]]"] = {name: msgspec.json.Decoder(kind) for name, kind in ACTIONS.items()}
_again = msgspec.json.Decoder(Again)
_fork = msgspec.json.Decoder(Fork)
_NOT_AGAIN: Final = {"duplicate": "was cancelled before", "terminal": "is over already; nothing was cancelled"}


async def act(request: Request) -> Response:
    """Pause, resume, retry, skip, edit, approve, confirm, reject, settle or compensate one execution."""
    deps, tenant = edge.known(request)
    action = await _action(request, request.url.path.rpartition("/")[2])
    by = edge.actor(request, tenant, action.actor)
    return Json(await deps.actions.act(request.path_params["id"], tenant, action, by), status_code=202)


async def cancel(request: Request) -> Response:
    """Stop an execution and undo what it did (`undo: false`: leave it). No step starts after this is answered."""
    deps, tenant = edge.known(request)
    execution, action = request.path_params["id"], await _action(request, "cancel")
    assert isinstance(action, Cancel)  # noqa: S101 - for the type checker
    by = edge.actor(request, tenant, action.actor)
    await deps.reader.header(execution, tenant)
    payload = {"reason": action.reason, "undo": action.undo, "actor": by}
    found = await deps.store.signal(execution, tenant=tenant, sid="cancel", kind="cancel", payload=payload)
    if isinstance(found, Accepted):
        if found.entry is not None:
            deps.background.start(deps.sender.send(found.entry, "the cancellation"))
        log.info("action.accepted", execution=execution, tenant=tenant, action="cancel", by=by, reason=action.reason)
        return Json(executions.Cancelling(id=execution, result="cancelling", undo=action.undo), status_code=202)
    if found.why == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    if found.why == "absent":
        raise NotFound(f"there is no execution {execution}")
    header = await deps.reader.header(execution, tenant)
    return Json(executions.NotCancelled(id=execution, result=_NOT_AGAIN[found.why], status=header["status"]))


async def restart(request: Request) -> Response:
    """The same plan as a new execution. What stands of the old one must be accepted."""
    deps, tenant = edge.known(request)
    asked = decode(_again, await edge.body(request, 65_536) or b"{}")
    return await _made(request, deps, tenant, asked)


async def fork(request: Request) -> Response:
    """A new execution from a step on: what came before it is given."""
    deps, tenant = edge.known(request)
    asked = decode(_fork, await edge.body(request, 65_536) or b"{}")
    return await _made(request, deps, tenant, asked)


async def _made(request: Request, deps: Deps, tenant: str, asked: Again) -> Response:
    key = edge.idempotency_key(request)
    by = edge.actor(request, tenant, asked.actor)
    old = request.path_params["id"]
    found = await deps.snapshots.load(old, tenant)
    fields = await edge.told_of(deps, old, tenant)
    if isinstance(asked, Fork):
        told = await deps.repeater.fork(found, asked, by, fields, key)
    else:
        told = await deps.repeater.restart(found, asked, by, fields, key)
    place = f"/api/executions/{told['id']}"
    answer = msgspec.convert(told | {"links": links(told["id"])}, executions.RunAgain)
    return Json(answer, status_code=202, headers={"Location": place})


async def _action(request: Request, name: str) -> Action:
    raw = await edge.body(request, request.app.state.deps.settings.max_request_bytes)
    found: Action = decode(_DECODERS[name], raw or b"{}")
    return found


def _acts(name: str, example: dict[str, Any]) -> Operation:
    """The route of an action; a body without anything that must be in it may be left out."""
    body = ACTIONS[name]
    needed = any(one.required for one in msgspec.structs.fields(body))
    return on(
        "POST",
        f"/api/executions/{{id}}/{name}",
        act,
        {202: executions.Acted},
        takes=body if needed else None,
        may_take=body,
        options=["X-Actor"],
        errors=[409, 422, 429],
        example=example,
        about=f"{name.capitalize()} it. {body.__doc__}",
    )


_AGAIN: Final[dict[str, Any]] = {"options": ["X-Actor", "Idempotency-Key"], "errors": [409, 422, 429], "place": True}
ROUTES: Final = [
    on(
        "POST",
        "/api/executions/{id}/cancel",
        cancel,
        {200: executions.NotCancelled, 202: executions.Cancelling},
        may_take=Cancel,
        options=["X-Actor"],
        errors=[429],
        example={"reason": "not needed any more", "undo": True},
    ),
    _acts("pause", {"version": 7}),
    _acts("resume", {}),
    _acts("compensate", {"version": 7}),
    _acts("retry", {"step": "book"}),
    _acts("skip", {"step": "book", "output": {"id": "by telephone"}}),
    _acts("edit", {"step": "book", "args": {"party_size": 3}}),
    _acts("approve", {"step": "pay", "argsHash": "0a1b2c3d4e5f6071", "note": "checked"}),
    _acts("confirm", {"planHash": "0a1b2c3d4e5f6071"}),
    _acts("reject", {"step": "pay", "note": "too dear"}),
    _acts("settle", {"step": "pay", "happened": True, "output": {"receipt": "r-1"}}),
    on(
        "POST",
        "/api/executions/{id}/restart",
        restart,
        {202: executions.RunAgain},
        may_take=Again,
        example={"acceptEffects": True},
        **_AGAIN,
    ),
    on(
        "POST",
        "/api/executions/{id}/fork",
        fork,
        {202: executions.RunAgain},
        takes=Fork,
        example={"step": "book", "acceptEffects": True},
        **_AGAIN,
    ),
]
