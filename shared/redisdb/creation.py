"""A birth as `create.lua` takes it, and what the script answers."""

import secrets
from typing import Any, Final

from shared.errors import Conflict
from shared.machine.status import Status
from shared.ports import REST_MS, WATCH_MS, Birth, Created, Exists, KeyConflict, Made
from shared.redisdb import keys, wire

_BORN: Final = b'{"event":"execution.created"}'


class Creation:
    """One call: sent twice, it is still the same call."""

    def __init__(self, birth: Birth, *, paid: bool = False) -> None:
        """`paid`: nothing is stored unless the ledger has an account for it by then. A cluster cannot look there."""
        self._birth = birth
        self._commands = wire.queue_entries(birth.header, birth.commands)
        self.names = _names(birth) + ([keys.quota_accounts(birth.header.tenant)] if paid else [])
        self.args = [*_facts(birth), *_lists(birth), len(self._commands), *wire.queue_texts(self._commands)]

    def made(self, reply: Any) -> Made | None:
        """None: it was not paid. Conflict if it was cancelled before it was created."""
        match reply[0]:
            case 0:
                return Created(entry=wire.entry(reply[1]) if reply[1] else None, commands=self._commands)
            case 1:
                return Exists(execution=reply[1].decode())
            case 2:
                return KeyConflict()
            case 3:
                raise Conflict(f"{self._birth.header.id} was cancelled before it was created", code="buried")
            case _:
                return None


def _names(birth: Birth) -> list[str]:
    execution, tenant, pp = birth.header.id, birth.header.tenant, keys.partition_of(birth.header.id)
    return [
        keys.record(execution),
        keys.cells(execution),
        keys.plan(execution),
        keys.history(execution),
        keys.due(pp),
        keys.outbox_times(pp),
        keys.outbox_entries(pp),
        keys.listing(pp, tenant),
        keys.idempotency(pp, tenant, birth.idempotency_key),
        keys.news(pp),
        keys.tally(pp, tenant),
        keys.waiting(pp, tenant),
    ]


def _facts(birth: Birth) -> list[Any]:
    header = birth.header
    return [
        header.id,
        birth.request_hash,
        "1" if birth.idempotency_key else "0",
        WATCH_MS,
        secrets.token_hex(6),
        header.id.rpartition("_")[2],
        birth.plan,
        birth.cells,
        header.trace,
        birth.timeout_ms,
        REST_MS if header.status is Status.AWAITING_CONFIRMATION else "",
    ]


def _lists(birth: Birth) -> list[Any]:
    """The record's fields, and the first lines of its history."""
    fields = wire.header_fields(birth.header, birth=True) | wire.notes_text(birth.notes) | birth.fields
    fields |= wire.words_text(birth.words)
    fields |= wire.allowance_fields(birth.allowance) | wire.given(birth.given)
    lines = [_BORN, *(wire.line(line) for line in birth.lines)]
    return [len(fields), *(part for pair in fields.items() for part in pair), len(lines), *lines]
