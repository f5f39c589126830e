"""`/` and `/ui/...`: the server's own page, and its few buttons."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.qstash_dev.deps import deps
from services.qstash_dev.faults.plan import Plan
from services.qstash_dev.openapi.operations import BYTES, HTML, REDIRECT, Handler, Operation, on
from services.qstash_dev.page import messages, others
from services.qstash_dev.page.frame import HEADERS
from services.qstash_dev.page.guard import Viewer, pressed
from services.qstash_dev.page.html import address
from services.qstash_dev.page.inside import ask, is_id
from shared.errors import NotFound


async def retry(request: Request) -> Response:
    """Publish a dead letter again, and show the new message."""
    who, dlq_id = await pressed(request), request.path_params["dlq_id"]
    told = await ask(request, who, f"/v2/dlq/retry/{_checked(dlq_id)}", method="POST")
    if not told.fine:
        raise NotFound(told.error)
    return _see(who, f"/ui/messages/{told.body['messageId']}")


async def cancel(request: Request) -> Response:
    """Cancel a live message, and show what became of it."""
    who, message_id = await pressed(request), request.path_params["message_id"]
    await ask(request, who, f"/v2/messages/{_checked(message_id)}", method="DELETE")
    return _see(who, f"/ui/messages/{message_id}")


async def faults_off(request: Request) -> Response:
    """No fault any more."""
    who = await pressed(request)
    await deps(request).faults.change(Plan())
    return _see(who, "/ui/faults")


def _checked(one: str) -> str:
    if not is_id(one):
        raise NotFound(f"{one} is no id")
    return one


def _see(who: Viewer, path: str) -> Response:
    return RedirectResponse(address(path, {"qstash_token": who.token}), status_code=303, headers=HEADERS)


def _page(path: str, handler: Handler, *others: int) -> Operation:
    return on("GET", path, handler, dict.fromkeys((200, *others), HTML), errors=[401, 503])


def _button(path: str, handler: Handler) -> Operation:
    return on("POST", path, handler, {303: REDIRECT}, takes=BYTES, errors=[401, 403, 404, 503])


ROUTES = [
    _page("/", messages.overview),
    _page("/ui/messages", messages.messages),
    _page("/ui/messages/{message_id}", messages.message, 404),
    _button("/ui/messages/{message_id}/cancel", cancel),
    _page("/ui/dlq", messages.dead_letters),
    _button("/ui/dlq/{dlq_id}/retry", retry),
    _page("/ui/queues", others.queues),
    _page("/ui/schedules", others.schedules),
    _page("/ui/flow", others.flow),
    _page("/ui/faults", others.faults),
    _button("/ui/faults/off", faults_off),
]
