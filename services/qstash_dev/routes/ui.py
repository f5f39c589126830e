"""`/` and `/ui/...`: the server's own page, and its few buttons."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.qstash_dev.deps import deps
from services.qstash_dev.faults.plan import Plan
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


ROUTES = [
    Route("/", messages.overview, methods=["GET"]),
    Route("/ui/messages", messages.messages, methods=["GET"]),
    Route("/ui/messages/{message_id}", messages.message, methods=["GET"]),
    Route("/ui/messages/{message_id}/cancel", cancel, methods=["POST"]),
    Route("/ui/dlq", messages.dead_letters, methods=["GET"]),
    Route("/ui/dlq/{dlq_id}/retry", retry, methods=["POST"]),
    Route("/ui/queues", others.queues, methods=["GET"]),
    Route("/ui/schedules", others.schedules, methods=["GET"]),
    Route("/ui/flow", others.flow, methods=["GET"]),
    Route("/ui/faults", others.faults, methods=["GET"]),
    Route("/ui/faults/off", faults_off, methods=["POST"]),
]
