"""`/v2/events` and `/v2/logs`: the event log, newest first unless asked otherwise."""

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import filters, views
from services.qstash_dev.deps import deps, query_pairs, user
from services.qstash_dev.errors import NotBuilt
from services.qstash_dev.filters import Filter
from services.qstash_dev.keys import Keys
from services.qstash_dev.store import Event, Store
from shared.http import Json

MAX_COUNT = 1_000
PAGE = 500
ALLOWED = filters.MESSAGE_FILTERS | {"state", "trimBody", "groupBy"}


async def list_events(request: Request) -> Response:
    """A page of entries; `cursor` is there when there may be more. The docs call the list `logs`, the SDKs `events`."""
    keys = user(request).keys
    chosen = filters.read(query_pairs(request), allowed=ALLOWED, max_count=MAX_COUNT, newest_first=True)
    if chosen.has("groupBy"):
        raise NotBuilt("groupBy is not built in this server yet")
    filters.check_states(chosen)
    found, more = await _collect(deps(request).store, keys, chosen)
    trim = "true" in chosen.values.get("trimBody", ())
    events = [views.event(entry, trim=trim) for entry in found]
    body = {"events": events, "logs": events} if request.url.path == "/v2/logs" else {"events": events}
    return Json(body | ({"cursor": found[-1].cursor} if more else {}))


async def _collect(store: Store, keys: Keys, chosen: Filter) -> tuple[list[Event], bool]:
    """The entries of one page, and whether another one matches after them."""
    found: list[Event] = []
    place = chosen.cursor
    while True:
        page = await _page(store, keys, place, newest_first=chosen.newest_first)
        for entry in page:
            if _wanted(entry, chosen):
                if len(found) == chosen.limit:
                    return found, True
                found.append(entry)
        if len(page) < PAGE:
            return found, False
        place = page[-1].cursor


async def _page(store: Store, keys: Keys, place: str, *, newest_first: bool) -> list[Event]:
    after = f"({place}" if place else ""
    if newest_first:
        return await store.events(keys, start="-", end=after or "+", newest_first=True, count=PAGE)
    return await store.events(keys, start=after or "-", end="+", newest_first=False, count=PAGE)


def _wanted(entry: Event, chosen: Filter) -> bool:
    return filters.state_matches(chosen, entry.state) and filters.matches(chosen, entry.message, entry.time_ms)
