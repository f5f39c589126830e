"""How an execution comes to be: what its messages may cost is reserved, then it is stored."""

from typing import Protocol

from shared.ports import Birth, Made, Store
from shared.quota import Answer, Ledger, Limits


class Births(Protocol):
    """Reserves and stores. What dies in between leaves a reserve for nobody, which a look at the record finds."""

    async def admitted(self, birth: Birth, lines: Limits) -> tuple[Answer, Made | None]:
        """Reserve what `birth.allowance` says below `lines`, and store it; nothing is stored if the answer is a refusal.

        Both may be sent twice. Conflict if it was cancelled before it was created.
        """
        ...


class OneByOne:
    """The ledger is asked, then the store."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        """On whatever servers they are."""
        self._store = store
        self._ledger = ledger

    async def admitted(self, birth: Birth, lines: Limits) -> tuple[Answer, Made | None]:
        """See the port."""
        units = birth.allowance.units if birth.allowance else 0
        answer = await self._ledger.admit(birth.header.tenant, birth.header.id, units, lines)
        return answer, None if answer.full else await self._store.create(birth)
