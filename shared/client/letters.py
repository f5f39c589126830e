"""Dead letters."""

from collections.abc import AsyncIterator, Sequence

from shared.api.bodies import LetterChoice
from shared.api.operating import Discarded, DiscardedMany, Letter, Resent, ResentMany
from shared.api.operating import Letters as Page
from shared.client.pages import paged
from shared.client.transport import Transport


class Letters:
    """`/api/dlq`."""

    def __init__(self, transport: Transport) -> None:
        """Of one client."""
        self._transport = transport

    async def page(self, *, execution: str = "", before: str = "", limit: int = 50) -> Page:
        """A page, newest first."""
        params = {"execution": execution, "before": before, "limit": limit}
        return await self._transport.ask("GET", "/api/dlq", Page, params=params)

    async def list(self, *, execution: str = "") -> AsyncIterator[Letter]:
        """All of them, newest first."""
        async for page in paged(lambda before: self.page(execution=execution, before=before)):
            for one in page.letters:
                yield one

    async def get(self, letter: str) -> Letter:
        """One."""
        return await self._transport.ask("GET", f"/api/dlq/{letter}", Letter)

    async def resend(self, letter: str) -> Resent:
        """Wake its execution."""
        return await self._transport.ask("POST", f"/api/dlq/{letter}/resend", Resent)

    async def discard(self, letter: str) -> Discarded:
        """Forget it."""
        return await self._transport.ask("DELETE", f"/api/dlq/{letter}", Discarded)

    async def resend_many(self, ids: Sequence[str] = (), *, before: str = "") -> ResentMany:
        """Wake the executions of these; without `ids`, of all (behind `before`), so many at a time."""
        return await self._transport.ask("POST", "/api/dlq/resend", ResentMany, body=_choice(ids, before))

    async def discard_many(self, ids: Sequence[str] = (), *, before: str = "") -> DiscardedMany:
        """Forget these; without `ids`, all (behind `before`), so many at a time."""
        return await self._transport.ask("POST", "/api/dlq/discard", DiscardedMany, body=_choice(ids, before))


def _choice(ids: Sequence[str], before: str) -> LetterChoice:
    return LetterChoice(ids=tuple(ids)) if ids else LetterChoice(all=True, before=before)
