"""History of a channel: newest first unless told otherwise, page by page. A page may end inside of a publish."""

from typing import Any, NamedTuple

from services.ably_dev import messages, serials
from services.ably_dev.errors import Refused, malformed
from services.ably_dev.log import Log, Placed
from services.ably_dev.serials import Position

MAX_LIMIT, LIMIT = 1_000, 100
MAX_MS = 10**14


class Query(NamedTuple):
    """What is asked for. `start` and `end` in unix ms, both included."""

    forwards: bool = False
    limit: int = LIMIT
    start: int | None = None
    end: int | None = None
    until: tuple[Position, int | None] | None = None
    """Up to this place and including it (a subscriber's attach serial)."""
    cursor: tuple[Position, int] | None = None
    """The last message of the page before."""


class Page(NamedTuple):
    """Messages as they go out, and where the next page begins; None on the last one."""

    messages: list[dict[str, Any]]
    cursor: str | None


def read(said: dict[str, str]) -> Query:
    """The query's parameters; Refused (40000) names the wrong one."""
    direction = said.get("direction", "backwards")
    if direction not in ("forwards", "backwards"):
        raise malformed(f"direction is {direction!r}: forwards or backwards")
    until = said.get("fromSerial") or said.get("from_serial")
    found = Query(
        forwards=direction == "forwards",
        limit=_number(said, "limit", LIMIT) or 0,
        start=_number(said, "start", None),
        end=_number(said, "end", None),
        until=_serial("fromSerial", until) if until else None,
        cursor=_cursor(said.get("cursor")),
    )
    if not 1 <= found.limit <= MAX_LIMIT:
        raise malformed(f"limit is {found.limit}: 1 to {MAX_LIMIT}")
    if found.start is not None and found.end is not None and found.start > found.end:
        raise malformed("start is after end")
    if found.until and found.forwards:
        raise malformed("fromSerial needs direction=backwards")
    return found


async def page(log: Log, app: str, channel: str, query: Query, *, binary: bool) -> Page:
    """One page."""
    low, high = _bounds(query)
    found: list[dict[str, Any]] = []
    while len(found) <= query.limit:
        want = query.limit + 2 - len(found)
        entries = await log.between(app, channel, low, high, want, forwards=query.forwards)
        for placed in entries:
            found += _messages(placed, query, binary=binary)
        if len(entries) < want:
            break
        low, high = _behind(entries[-1].at, low, high, forwards=query.forwards)
    more = len(found) > query.limit
    found = found[: query.limit]
    return Page(found, found[-1]["serial"] if more else None)


def _messages(placed: Placed, query: Query, *, binary: bool) -> list[dict[str, Any]]:
    """The entry's messages in the query's order, without those of earlier pages."""
    raw = list(enumerate(messages.wire(placed.entry, placed.at, binary=binary)))
    if query.cursor and query.cursor[0].entry_id == placed.at.entry_id:
        at = query.cursor[1]
        raw = [(place, one) for place, one in raw if (place > at if query.forwards else place < at)]
    if query.until and query.until[0].entry_id == placed.at.entry_id and query.until[1] is not None:
        raw = [(place, one) for place, one in raw if place <= (query.until[1] or 0)]
    return [one for _, one in (raw if query.forwards else reversed(raw))]


def _bounds(query: Query) -> tuple[str, str]:
    low = "-" if query.start is None else f"{query.start}-0"
    high = "+" if query.end is None else str(query.end)
    if query.until and (query.end is None or query.until[0].ms <= query.end):
        high = query.until[0].entry_id
    if query.cursor:
        low, high = (query.cursor[0].entry_id, high) if query.forwards else (low, query.cursor[0].entry_id)
    return low, high


def _behind(at: Position, low: str, high: str, *, forwards: bool) -> tuple[str, str]:
    return (f"({at.entry_id}", high) if forwards else (low, f"({at.entry_id}")


def _number(said: dict[str, str], name: str, default: int | None) -> int | None:
    text = said.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:20]) > MAX_MS:
        raise malformed(f"{name} is {text[:40]!r}: write a number")
    return int(text)


def _serial(name: str, text: str) -> tuple[Position, int | None]:
    found = serials.parse(text)
    if found is None:
        raise Refused(40000, 400, f"{name} is no serial of this server")
    return found


def _cursor(text: str | None) -> tuple[Position, int] | None:
    if not text:
        return None
    at, index = _serial("cursor", text)
    if index is None:
        raise malformed("cursor is no serial of a message")
    return at, index
