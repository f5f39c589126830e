"""The six kinds of effects: which table holds the rows, what an answer shows, and the word for done and for undone."""

from types import MappingProxyType
from typing import Any, Final

import msgspec

Row = dict[str, Any]
"""Column to value, as in the database and in a JSON answer."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of effect. `columns` are SQL definitions in the order in which an answer shows them."""

    name: str
    table: str
    id_prefix: str
    columns: MappingProxyType[str, str]
    done: str
    undone: str
    hidden: tuple[str, ...] = ()
    """Columns of the row that no answer shows."""
    says: MappingProxyType[str, Any] = MappingProxyType({})
    """What every answer says besides the row."""
    final: bool = False
    """It stays when its key is undone."""
    once: bool = True
    """At most one row per Idempotency-Key; without it every request that lands is a row."""

    @property
    def path(self) -> str:
        """Where it is asked for and listed."""
        return f"/{self.table}"

    @property
    def id_field(self) -> str:
        """What an answer calls the row's id."""
        return f"{self.name}_id"

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns of an answer."""
        return tuple(column for column in self.columns if column not in self.hidden)


_TEXT: Final = "TEXT NOT NULL"
_WHOLE: Final = "INTEGER NOT NULL"

RESERVATION: Final = Kind(
    name="reservation",
    table="reservations",
    id_prefix="res",
    columns=MappingProxyType(
        {"restaurant": _TEXT, "party_size": _WHOLE, "date": _TEXT, "time": _TEXT, "name": _TEXT, "slot": _WHOLE}
    ),
    hidden=("slot",),
    done="confirmed",
    undone="cancelled",
)
RIDE: Final = Kind(
    name="ride",
    table="rides",
    id_prefix="ride",
    columns=MappingProxyType({"pickup": _TEXT, "destination": _TEXT, "date": _TEXT, "time": _TEXT, "passengers": _WHOLE}),
    done="booked",
    undone="cancelled",
)
MESSAGE: Final = Kind(
    name="message",
    table="messages",
    id_prefix="msg",
    columns=MappingProxyType({"to": _TEXT, "channel": _TEXT, "text": _TEXT}),
    says=MappingProxyType({"simulated_delivery": True}),
    done="sent",
    undone="retracted",
)
JOB: Final = Kind(
    name="job",
    table="jobs",
    id_prefix="job",
    columns=MappingProxyType({"label": _TEXT, "seconds": "REAL NOT NULL"}),
    done="done",
    undone="undone",
)
LETTER: Final = Kind(
    name="letter",
    table="letters",
    id_prefix="let",
    columns=MappingProxyType({"to": _TEXT, "text": _TEXT, "reference": "TEXT"}),
    done="posted",
    undone="recalled",
    once=False,
)
CANCELLATION: Final = Kind(
    name="cancellation",
    table="cancellations",
    id_prefix="can",
    columns=MappingProxyType({"what": _TEXT, "reference": _TEXT}),
    done="cancelled",
    undone="withdrawn",
    final=True,
)
KINDS: Final = (RESERVATION, RIDE, MESSAGE, JOB, LETTER, CANCELLATION)
CANCELLABLE: Final = MappingProxyType({kind.name: kind for kind in (RESERVATION, RIDE)})
