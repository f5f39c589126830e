"""What became of a key: probe it, undo it, list them all."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.town.calls import effect_key
from examples.town.deps import Deps
from examples.town.routes.query import limit_of
from examples.town.store import Store
from shared.http import Json


class Effects:
    """Everything that is addressed by key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def probe(self, request: Request) -> Response:
        """happened (with the kind and the first answer), undone, or not seen (yet: a late request may still land)."""
        key = effect_key(request.path_params["key"])
        seen = await self._store.probe(key)
        told = {"key": key, "state": seen.state, "kind": seen.kind, "result": seen.result}
        return Json({name: value for name, value in told.items() if value is not None})

    async def undo(self, request: Request) -> Response:
        """Cancel the effect, or refuse it in advance. Asked again it answers `was: undone`."""
        key = effect_key(request.path_params["key"])
        was = await self._store.undo(key)
        return Json({"key": key, "state": "undone", "was": was})

    async def all(self, request: Request) -> Response:
        """Keys and how many real rows each of them has; `total` tells when `limit` has cut the list."""
        listing = await self._store.effects(request.query_params.get("prefix", ""), limit_of(request, 1_000))
        return Json({"effects": listing.rows, "total": listing.total})


def routes(deps: Deps) -> list[Route]:
    """`/effects` and what is below it; a key may hold a slash."""
    effects = Effects(deps.store)
    return [
        Route("/effects", effects.all, methods=["GET"]),
        Route("/effects/{key:path}/undo", effects.undo, methods=["POST"]),
        Route("/effects/{key:path}", effects.probe, methods=["GET"]),
    ]
