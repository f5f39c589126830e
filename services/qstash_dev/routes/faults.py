"""`/v2/dev/faults`: what is to go wrong on demand. Not part of QStash, hence under a path of our own."""

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev.deps import deps, user
from services.qstash_dev.faults.board import read
from services.qstash_dev.faults.plan import Plan
from shared.http import Json, read_body

MAX_BYTES = 65_536


async def get_faults(request: Request) -> Response:
    """The faults that are on, and how often each has fired."""
    user(request)
    return Json(deps(request).faults.view())


async def put_faults(request: Request) -> Response:
    """These faults instead of all before them."""
    user(request)
    board = deps(request).faults
    await board.change(read(await read_body(request, MAX_BYTES)))
    return Json(board.view())


async def delete_faults(request: Request) -> Response:
    """None any more."""
    user(request)
    board = deps(request).faults
    await board.change(Plan())
    return Json(board.view())
