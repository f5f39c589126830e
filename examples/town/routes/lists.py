"""What there is: the restaurants, a free table, and the rows of every kind."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.town.calls import MAX_PARTY, Moment, past, time_at
from examples.town.deps import Deps
from examples.town.errors import NoSuchRestaurant, NoTableFound
from examples.town.kinds import KINDS, Kind, Row
from examples.town.restaurants import RESTAURANTS, SEARCH, STAY, Free, Restaurant, free, matching, named, nearest, time_of
from examples.town.routes.query import limit_of, whole
from examples.town.store import Store
from shared.http import Json


class Rows:
    """The list of one kind, newest first."""

    def __init__(self, store: Store, kind: Kind) -> None:
        self._store = store
        self._kind = kind

    async def all(self, request: Request) -> Response:
        """Rows whose key begins with `prefix`; `total` tells when `limit` has cut the list."""
        listing = await self._store.rows(self._kind, request.query_params.get("prefix", ""), limit_of(request, 100))
        return Json({self._kind.table: listing.rows, "total": listing.total})


class Tables:
    """Looks for a table without taking it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def best(self, request: Request) -> Response:
        """The cheapest restaurant that fits and can seat the party; 404 `no_table` names the nearest free times."""
        moment, party_size = self._moment(request), whole(request, "party_size", 2, MAX_PARTY)
        candidates = _candidates(request)
        sittings = await self._deps.store.sittings(moment.slot - SEARCH, moment.slot + SEARCH + STAY - 1)
        places = free(candidates, moment.slot, party_size, sittings)
        if not places:
            others = [_offer(place) for place in nearest(candidates, moment.slot, party_size, sittings)]
            raise NoTableFound(nearest=others)
        return Json(_found(places))

    async def search(self, request: Request) -> Response:
        """Every restaurant that fits, with the seats it has left then, the cheapest first; an empty list is an answer."""
        moment, party_size = self._moment(request), whole(request, "party_size", 2, MAX_PARTY)
        candidates = _candidates(request)
        sittings = await self._deps.store.sittings(moment.slot - SEARCH, moment.slot + SEARCH + STAY - 1)
        places = free(candidates, moment.slot, party_size, sittings)
        others = [] if places else [_offer(place) for place in nearest(candidates, moment.slot, party_size, sittings)]
        return Json({"restaurants": [_shown(place) for place in places], "nearest": others})

    def _moment(self, request: Request) -> Moment:
        query = request.query_params
        moment = time_at(query.get("date", ""), query.get("time", ""))
        if (refusal := past(moment.date, self._deps.now())) is not None:
            raise refusal
        return moment


def _candidates(request: Request) -> list[Restaurant]:
    cuisine, area, restaurant = (request.query_params.get(name, "") for name in ("cuisine", "area", "restaurant"))
    if restaurant and named(restaurant) is None:
        raise NoSuchRestaurant(f"{restaurant!r} is not in town")
    return matching(cuisine=cuisine, area=area, restaurant=restaurant)


def _found(places: list[Free]) -> Row:
    return _shown(places[0]) | {"alternatives": [place.restaurant.name for place in places[1:]]}


def _shown(place: Free) -> Row:
    return {
        "restaurant": place.restaurant.name,
        "cuisine": place.restaurant.cuisine,
        "area": place.restaurant.area,
        "price": place.restaurant.price,
        "seats_left": place.seats_left,
    }


def _offer(place: Free) -> Row:
    date, time = time_of(place.slot)
    return {"restaurant": place.restaurant.name, "date": date, "time": time, "seats_left": place.seats_left}


async def _restaurants(_: Request) -> Response:
    return Json({"restaurants": RESTAURANTS})


def routes(deps: Deps) -> list[Route]:
    """Everything that only reads."""
    rows = [Route(kind.path, Rows(deps.store, kind).all, methods=["GET"]) for kind in KINDS]
    return [
        Route("/restaurants", _restaurants, methods=["GET"]),
        Route("/tables", Tables(deps).best, methods=["GET"]),
        Route("/search", Tables(deps).search, methods=["GET"]),
        *rows,
    ]
