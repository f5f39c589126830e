"""The town as an ASGI app, made of finished parts."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from examples.town.deps import Deps
from examples.town.errors import NoSuchRestaurant
from examples.town.knobs import Faults
from examples.town.routes import effects, forward, knobs, lists, pages, simulated
from shared.http import ERROR_HANDLERS, Json, error_body


def build_app(deps: Deps) -> Starlette:
    """Routes in front of `deps`; whoever made them closes them."""
    found = [*pages.routes(deps), *forward.routes(deps), *lists.routes(deps), *effects.routes(deps), *knobs.routes(deps)]
    found += simulated.routes()
    return Starlette(
        routes=found,
        middleware=[Middleware(Faults, board=deps.board)],
        exception_handlers={**ERROR_HANDLERS, HTTPException: _on_http_error, NoSuchRestaurant: _on_unknown_restaurant},
    )


async def _on_unknown_restaurant(request: Request, error: Exception) -> Response:
    """With the address of the list, as the caller reaches it: people read this where they do not see the town."""
    if not isinstance(error, NoSuchRestaurant):
        raise error
    message = f"{error.message}: {request.base_url}restaurants lists those that are"
    return Json(error_body(error.error_code, message), status_code=error.status)


async def _on_http_error(_: Request, error: Exception) -> Response:
    """No such path, or not with this method, in the one error shape."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return Json(error_body(code, error.detail), status_code=error.status_code, headers=error.headers)
