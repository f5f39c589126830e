"""Pages as one sequence."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar


class Page(Protocol):
    """Says where the next one begins."""

    @property
    def next(self) -> str | None:
        """None on the last one."""


P = TypeVar("P", bound=Page)


async def paged(ask: Callable[[str], Awaitable[P]], first: str = "") -> AsyncIterator[P]:
    """Every page, each asked for when the one before it is used up."""
    before: str | None = first
    while before is not None:
        page = await ask(before)
        yield page
        before = page.next
