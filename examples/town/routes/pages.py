"""For people and for supervisors: `/` and `/healthz`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from examples.town import page
from examples.town.deps import Deps
from examples.town.kinds import CANCELLATION, JOB, LETTER, MESSAGE, RESERVATION, RIDE
from shared.http import Json

SHOWN: Final = 25
ORDER: Final = (MESSAGE, RESERVATION, RIDE, JOB, LETTER, CANCELLATION)
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src '{page.STYLE_HASH}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Pages:
    """Two answers that need no words of the API."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def home(self, _: Request) -> Response:
        """Everything that happened in town, newest first."""
        sections = [page.Section(kind, await self._deps.store.rows(kind, "", SHOWN)) for kind in ORDER]
        return HTMLResponse(page.render(sections, self._deps.board), headers=_HEADERS)

    async def health(self, _: Request) -> Response:
        """200 while the database answers."""
        await self._deps.store.probe("healthz")
        return Json({"status": "ok"})


def routes(deps: Deps) -> list[Route]:
    """The page and the health check."""
    pages = Pages(deps)
    return [Route("/", pages.home, methods=["GET"]), Route("/healthz", pages.health, methods=["GET"])]
