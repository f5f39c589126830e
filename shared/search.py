"""Finding executions of a tenant by what they are: a bounded look through its listing, newest first, page by page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

import msgspec

from shared.errors import BadRequest
from shared.machine.status import Reason, Status

LOOK: Final = 2_000
"""Executions that one question looks at; the answer says where the next one goes on."""
LOOK_COUNT: Final = 5_000
"""Executions that one count looks at; nothing of them is kept, so it may be more."""
PAGE: Final = 200


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Which ones: everything that is given must hold. Blanks around the text are none of it: blanks alone are no filter."""

    status: tuple[Status, ...] = ()
    reason: tuple[Reason, ...] = ()
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """Part of the words, of the summary, or of the user's name; capitals do not matter."""
    created_after: datetime | None = None
    created_before: datetime | None = None
    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=200)] = ()

    def __post_init__(self) -> None:
        """Tidied first, so that a filter is true for what it chooses: a blank stands between the words of every execution."""
        msgspec.structs.force_setattr(self, "text", self.text.strip())

    def __bool__(self) -> bool:
        return self != Filter()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of headers. `next`: where the next page begins; None on the last one."""

    rows: tuple[dict[str, str], ...]
    next: str | None
    looked: int


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many fit among those that were looked at. `next`: where the next look begins; None after the last one."""

    count: int
    looked: int
    next: str | None


class Listing(Protocol):
    """Reads a tenant's listing (`Reader`)."""

    async def listing(self, tenant: str, *, before: str = "", count: int = 50) -> list[str]:
        """Ids, newest first, behind the uuid `before`."""
        ...

    async def headers(self, executions: Sequence[str]) -> list[dict[str, str]]:
        """Header fields of many."""
        ...

    async def header(self, execution: str, tenant: str) -> dict[str, str]:
        """Of one, or NotFound."""
        ...


def unique(execution: str) -> str:
    """The part of an id that sorts by time."""
    return execution.rpartition("_")[2]


def stamp(moment: datetime, at: str) -> str:
    """The beginning of an id made at that moment. BadRequest without an offset."""
    if moment.tzinfo is None:
        raise BadRequest(f"{at}: write the time with its offset, as 2026-05-01T19:00:00Z", at=at)
    return f"{max(0, int(moment.timestamp() * 1000)):012x}"


def fits(row: dict[str, Any], wanted: Filter) -> bool:
    """Whether an execution is one of those, its time aside."""
    if wanted.status and row["status"] not in wanted.status:
        return False
    if wanted.reason and row.get("reason", "") not in wanted.reason:
        return False
    words, part = (row.get(name, "") for name in ("text", "summary", "user")), wanted.text.casefold()
    return not part or any(part in one.casefold() for one in words)


async def search(
    listing: Listing, tenant: str, wanted: Filter, *, before: str = "", count: int = 50, look: int = LOOK
) -> Found:
    """The next `count` that fit, looking at `look` at most."""
    if wanted.ids:
        rows = [await listing.header(one, tenant) for one in wanted.ids]
        return Found(rows=tuple(row for row in rows if fits(row, wanted)), next=None, looked=len(rows))
    top = unique(before)
    if wanted.created_before is not None:
        latest = stamp(wanted.created_before, "createdBefore")
        top = min(top, latest) if top else latest
    oldest = stamp(wanted.created_after, "createdAfter") if wanted.created_after is not None else ""
    return await _walk(listing, tenant, wanted, (top, oldest), count, look)


async def _walk(listing: Listing, tenant: str, wanted: Filter, between: tuple[str, str], count: int, look: int) -> Found:
    rows: list[dict[str, str]] = []
    top, oldest = between
    looked, size = 0, min(max(count, PAGE), look) if wanted else count
    while looked < look:
        ids = await listing.listing(tenant, before=top, count=size)
        headers = {row["id"]: row for row in await listing.headers(ids)}
        for execution in ids:
            if unique(execution) < oldest:
                return Found(rows=tuple(rows), next=None, looked=looked)
            looked, top = looked + 1, unique(execution)
            row = headers.get(execution)
            if row is not None and fits(row, wanted):
                rows.append(row)
            if len(rows) == count:
                return Found(rows=tuple(rows), next=execution, looked=looked)
        if len(ids) < size:
            return Found(rows=tuple(rows), next=None, looked=looked)
    return Found(rows=tuple(rows), next=f"exe_00_{top}", looked=looked)


async def count(listing: Listing, tenant: str, wanted: Filter, *, before: str = "", look: int = LOOK_COUNT) -> Counted:
    """How many fit, looking at `look` (to the next whole page) at most."""
    fitting, looked, place = 0, 0, before
    while looked < look:
        page = await search(listing, tenant, wanted, before=place, count=PAGE, look=PAGE)
        fitting, looked = fitting + len(page.rows), looked + page.looked
        if page.next is None:
            return Counted(count=fitting, looked=looked, next=None)
        place = page.next
    return Counted(count=fitting, looked=looked, next=place)
