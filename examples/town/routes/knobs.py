"""`/knobs`: read, set and clear the faults. For tests and demonstrations; there is no key to it, so keep the town at home."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.town.deps import Deps
from examples.town.knobs import Board, Knobs
from shared.http import Json, decode, read_body

MAX_BODY: Final = 4_096
_DECODER: Final = msgspec.json.Decoder(Knobs)


class KnobRoutes:
    """The board over HTTP."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def show(self, _: Request) -> Response:
        """The knobs, what is left of each, and what they have done."""
        return Json(self._board.shown())

    async def turn(self, request: Request) -> Response:
        """Set all knobs; one that is left out is off. 400 for a knob that does not exist."""
        self._board.turn(decode(_DECODER, await read_body(request, MAX_BODY)))
        return Json(self._board.shown())

    async def clear(self, _: Request) -> Response:
        """Everything off, counts at zero."""
        self._board.clear()
        return Json(self._board.shown())


def routes(deps: Deps) -> list[Route]:
    """One path, three methods."""
    knobs = KnobRoutes(deps.board)
    return [
        Route("/knobs", knobs.show, methods=["GET"]),
        Route("/knobs", knobs.turn, methods=["PUT"]),
        Route("/knobs", knobs.clear, methods=["DELETE"]),
    ]
