"""What is made up: `GET /weather`, `/places`, `/route`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.town import calls, simulated
from examples.town.errors import InvalidValue
from shared.http import Json

MOST: int = 200


def _words(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if not text.strip() or len(text) > MOST:
        raise InvalidValue(f"{name}: 1 to {MOST} characters are needed, not only blanks", at=name)
    return text


async def _weather(request: Request) -> Response:
    day = calls.time_at(request.query_params.get("date", ""), "00:00").date
    return Json(simulated.weather(_words(request, "place"), day))


async def _places(request: Request) -> Response:
    return Json(simulated.place(_words(request, "q")))


async def _route(request: Request) -> Response:
    return Json(simulated.way(_words(request, "origin"), _words(request, "destination")))


def routes() -> list[Route]:
    """Three questions."""
    return [
        Route("/weather", _weather, methods=["GET"]),
        Route("/places", _places, methods=["GET"]),
        Route("/route", _route, methods=["GET"]),
    ]
