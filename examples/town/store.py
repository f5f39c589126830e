"""What the town remembers: the effects, one table a kind, and what became of every Idempotency-Key.

An effect and the record of its key are one transaction, so a key is either unknown or has its one row and its one answer.
Undo leaves a tombstone at the key, also where nothing had happened yet: a request that was still on its way is then refused.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from examples.town.calls import Call, Seating
from examples.town.database import Database
from examples.town.errors import KeyReused, NoSuchReference, NoTable, Undone
from examples.town.kinds import CANCELLABLE, CANCELLATION, KINDS, RESERVATION, Kind, Row
from examples.town.restaurants import STAY, Sitting, seats_left

KEEP_KEYS_MS: Final = 40 * 24 * 3600 * 1000
"""Age at which a key may be forgotten; callers may count on 30 days."""
_AFTER_ASCII: Final = "\x7f"

State = Literal["happened", "undone", "not_seen"]


class Answer(NamedTuple):
    """What a forward call is told; `replayed` when an earlier call with the key did the work."""

    status: int
    body: bytes
    replayed: bool


class Seen(NamedTuple):
    """What became of a key."""

    state: State
    kind: str | None
    result: msgspec.Raw | None


class Listing(NamedTuple):
    """Rows, and how many there are in all."""

    rows: list[Row]
    total: int


# S608 below: every name in these statements is a constant of `kinds`, never a caller's word.
def _create(kind: Kind) -> str:
    columns = ", ".join(f'"{name}" {definition}' for name, definition in kind.columns.items())
    index = "" if kind.once else f"CREATE INDEX IF NOT EXISTS {kind.table}_key ON {kind.table} (key);"
    unique = " UNIQUE" if kind.once else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {kind.table} (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
        f" key TEXT{unique}, status TEXT NOT NULL, created_ms INTEGER NOT NULL, {columns});{index}"
    )


def _applied(kind: Kind) -> str:
    return f"SELECT key, '{kind.name}' AS kind, status = '{kind.done}' AS standing FROM {kind.table}"  # noqa: S608


SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, kind TEXT, body_hash TEXT, status INTEGER, answer BLOB,
    undone INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
{"".join(_create(kind) for kind in KINDS)}
CREATE INDEX IF NOT EXISTS reservations_slot ON reservations (slot);
CREATE INDEX IF NOT EXISTS keys_at ON keys (at_ms);
DROP VIEW IF EXISTS applied;
CREATE VIEW applied AS {" UNION ALL ".join(_applied(kind) for kind in KINDS)};
"""


class Store:
    """The town's one file. Whatever a method has answered is on disk; every method may be called again."""

    def __init__(self, path: Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """Open or create the file; SettingsError if it cannot be. `now_ms` is Unix time in milliseconds."""
        self._now_ms = now_ms
        self._database = Database(path, SCHEMA)

    def close(self) -> None:
        """Finish what is under way and let the file go."""
        self._database.close()

    async def forget_old_keys(self) -> None:
        """Forget keys of which nothing was heard for 40 days; the effects stay, without their key."""
        before_ms = self._now_ms() - KEEP_KEYS_MS
        await self._database.write(lambda connection: _forget(connection, before_ms))

    async def seen(self, call: Call) -> Answer | None:
        """The answer of an earlier call with this key, if there was one; KeyReused, Undone."""
        return await self._database.read(lambda connection: _seen(connection, call))

    async def apply(self, call: Call) -> Answer:
        """Do it, once for a key unless the kind is careless; KeyReused, Undone, NoTable or the call's own refusal."""
        at_ms = self._now_ms()
        return await self._database.write(lambda connection: _apply(connection, call, at_ms))

    async def undo(self, key: str) -> State:
        """Take back what stands under the key and refuse it from now on; says how it stood before."""
        at_ms = self._now_ms()
        return await self._database.write(lambda connection: _undo(connection, key, at_ms))

    async def probe(self, key: str) -> Seen:
        """How it stands with a key; `result` is the first answer's body, while the effect stands."""
        return await self._database.read(lambda connection: _probe(connection, key))

    async def effects(self, prefix: str, limit: int) -> Listing:
        """Every key that was applied or undone, with the number of real rows behind it, by key."""
        return await self._database.read(lambda connection: _effects(connection, prefix, limit))

    async def rows(self, kind: Kind, prefix: str, limit: int) -> Listing:
        """The effects of a kind whose key begins with `prefix`, newest first."""
        return await self._database.read(lambda connection: _rows(connection, kind, prefix, limit))

    async def sittings(self, first_slot: int, last_slot: int) -> list[Sitting]:
        """Who sits somewhere in these slots, both included."""
        return await self._database.read(lambda connection: _sittings(connection, first_slot, last_slot))


def _apply(connection: sqlite3.Connection, call: Call, at_ms: int) -> Answer:
    if (earlier := _seen(connection, call)) is not None:
        return earlier
    if call.refusal is not None:
        raise call.refusal
    if call.seating is not None:
        _need_seats(connection, call.seating)
    if call.kind is CANCELLATION:
        _cancel(connection, call.row)
    row_id = _insert(connection, call, at_ms)
    body = msgspec.json.encode(_shown(call.kind, row_id, call.row, call.kind.done))
    if call.kind.once:
        record = (call.key, call.kind.name, call.body_hash, 201, body, at_ms)
        connection.execute(
            "INSERT INTO keys (key, kind, body_hash, status, answer, undone, at_ms) VALUES (?,?,?,?,?,0,?)", record
        )
    return Answer(201, body, replayed=False)


def _seen(connection: sqlite3.Connection, call: Call) -> Answer | None:
    record = connection.execute("SELECT * FROM keys WHERE key = ?", (call.key,)).fetchone()
    if record is None or not call.kind.once:
        return None
    if record["undone"]:
        raise Undone(key=call.key)
    if record["kind"] != call.kind.name:
        raise KeyReused(f"the key was used for a {record['kind']}: take another one", key=call.key)
    if record["body_hash"] != call.body_hash:
        raise KeyReused("the key was used with another body: take another one", key=call.key)
    return Answer(record["status"], record["answer"], replayed=True)


def _need_seats(connection: sqlite3.Connection, seating: Seating) -> None:
    restaurant, slot, party_size = seating
    left = seats_left(restaurant, slot, _sittings(connection, slot, slot + STAY - 1))
    if left < party_size:
        raise NoTable(f"{restaurant.name} has {max(left, 0)} seats left then", restaurant=restaurant.name, seats_left=left)


def _cancel(connection: sqlite3.Connection, row: Row) -> None:
    """What is cancelled already stays so: it is what was asked for."""
    kind = CANCELLABLE[row["what"]]
    statement = f"UPDATE {kind.table} SET status = ? WHERE id = ?"  # noqa: S608
    if not connection.execute(statement, (kind.undone, row["reference"])).rowcount:
        raise NoSuchReference(f"there is no {kind.name} {row['reference']!r}")


def _sittings(connection: sqlite3.Connection, first_slot: int, last_slot: int) -> list[Sitting]:
    query = "SELECT restaurant, slot, party_size FROM reservations WHERE slot BETWEEN ? AND ? AND status = ?"
    found = connection.execute(query, (first_slot - STAY + 1, last_slot, RESERVATION.done))
    return [Sitting(*row) for row in found]


def _insert(connection: sqlite3.Connection, call: Call, at_ms: int) -> str:
    row_id = f"{call.kind.id_prefix}_{secrets.token_hex(8)}"
    columns = ", ".join(f'"{name}"' for name in call.kind.columns)
    marks = ", ".join("?" for _ in call.kind.columns)
    statement = f"INSERT INTO {call.kind.table} (id, key, status, created_ms, {columns}) VALUES (?, ?, ?, ?, {marks})"  # noqa: S608
    values = (call.row[name] for name in call.kind.columns)
    connection.execute(statement, (row_id, call.key, call.kind.done, at_ms, *values))
    return row_id


def _shown(kind: Kind, row_id: str, row: Row | sqlite3.Row, status: str) -> Row:
    return {kind.id_field: row_id, **{name: row[name] for name in kind.shown}, "status": status, **kind.says}


def _undo(connection: sqlite3.Connection, key: str, at_ms: int) -> State:
    was = _probe(connection, key).state
    for kind in (kind for kind in KINDS if not kind.final):
        statement = f"UPDATE {kind.table} SET status = ? WHERE key = ? AND status = ?"  # noqa: S608
        connection.execute(statement, (kind.undone, key, kind.done))
    tombstone = (
        "INSERT INTO keys (key, undone, at_ms) VALUES (?, 1, ?)"
        " ON CONFLICT (key) DO UPDATE SET undone = 1, at_ms = excluded.at_ms"
    )
    connection.execute(tombstone, (key, at_ms))
    return was


def _probe(connection: sqlite3.Connection, key: str) -> Seen:
    rows = [(kind, row) for kind in KINDS for row in _rows_of_key(connection, kind, key)]
    for kind, row in rows:
        if row["status"] == kind.done:
            return Seen("happened", kind.name, msgspec.Raw(msgspec.json.encode(_shown(kind, row["id"], row, row["status"]))))
    if rows:
        return Seen("undone", rows[0][0].name, None)
    tombstone = connection.execute("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchone()
    return Seen("undone" if tombstone else "not_seen", None, None)


def _rows_of_key(connection: sqlite3.Connection, kind: Kind, key: str) -> list[sqlite3.Row]:
    return connection.execute(f"SELECT * FROM {kind.table} WHERE key = ? ORDER BY seq", (key,)).fetchall()  # noqa: S608


def _effects(connection: sqlite3.Connection, prefix: str, limit: int) -> Listing:
    # A key has rows (of a kind), a record (with or without a tombstone), or both.
    groups = """
        SELECT key, max(kind) AS kind, sum(applied) AS times_applied, sum(standing) AS standing FROM (
            SELECT key, kind, 1 AS applied, standing FROM applied WHERE key >= :first AND key < :end
            UNION ALL SELECT key, kind, 0, 0 FROM keys WHERE key >= :first AND key < :end
        ) GROUP BY key"""
    bounds = {"first": prefix, "end": prefix + _AFTER_ASCII, "limit": limit}
    rows = connection.execute(f"{groups} ORDER BY key LIMIT :limit", bounds).fetchall()
    total = connection.execute(f"SELECT count(*) FROM ({groups})", bounds).fetchone()[0]  # noqa: S608
    return Listing([dict(row) | {"state": "happened" if row["standing"] else "undone"} for row in rows], total)


def _rows(connection: sqlite3.Connection, kind: Kind, prefix: str, limit: int) -> Listing:
    where = "WHERE key >= :first AND key < :end" if prefix else ""
    bounds = {"first": prefix, "end": prefix + _AFTER_ASCII, "limit": limit}
    query = f"SELECT * FROM {kind.table} {where} ORDER BY seq DESC LIMIT :limit"  # noqa: S608
    rows = [_listed(kind, row) for row in connection.execute(query, bounds)]
    total = connection.execute(f"SELECT count(*) FROM {kind.table} {where}", bounds).fetchone()[0]  # noqa: S608
    return Listing(rows, total)


def _listed(kind: Kind, row: sqlite3.Row) -> Row:
    return _shown(kind, row["id"], row, row["status"]) | {"key": row["key"], "created_ms": row["created_ms"]}


def _forget(connection: sqlite3.Connection, before_ms: int) -> None:
    connection.execute("DELETE FROM keys WHERE at_ms < ?", (before_ms,))
    for kind in KINDS:
        statement = (
            f"UPDATE {kind.table} SET key = NULL WHERE created_ms < ? AND key IS NOT NULL"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.key = "
            f"{kind.table}.key)"
        )
        connection.execute(statement, (before_ms,))
