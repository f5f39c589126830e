"""SQLite behind two threads, so that the event loop never waits for a disk.

One thread writes and one reads; both connections stay on their thread. Writes that arrive while the disk is busy share the
next commit, each in its own savepoint: one that fails takes only itself back, and all of them are on disk before any caller
hears of it (`synchronous=FULL`). Knows nothing of what is stored.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from shared.errors import SettingsError

T = TypeVar("T")
BATCH: Final = 256
"""Writes that share one commit at most."""
BUSY_MS: Final = 5_000
"""How long to wait for another process that has the file."""


class _Write(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    future: "Future[Any]"


class _Outcome(NamedTuple):
    value: Any = None
    error: Exception | None = None


class Database:
    """One file. What `write` has answered survives a kill and a power cut; a `read` sees all that was answered before it."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or create `path` and bring in `schema` (statements that may be run again); SettingsError if that fails."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = _connect(path)
            self._writing.execute("PRAGMA journal_mode=WAL")
            self._writing.executescript(schema)
            self._reading = _connect(path)
            self._reading.execute("PRAGMA query_only=ON")
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"TOWN_DATABASE={path} cannot be opened ({error}): name a file that can be written") from error
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._reader = ThreadPoolExecutor(1, "town-reader")
        self._writer = threading.Thread(target=self._write_all, name="town-writer", daemon=True)
        self._writer.start()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; what it raises is raised here, and then nothing of it is stored."""
        future: Future[T] = Future()
        self._queue.put(_Write(work, future))
        return await asyncio.wrap_future(future)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read_one, work)

    def close(self) -> None:
        """Finish what was asked for, then let the file go."""
        self._queue.put(None)
        self._writer.join()
        self._reader.shutdown()
        self._reading.close()
        self._writing.close()

    def _read_one(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._reading.execute("BEGIN")
        try:
            return work(self._reading)
        finally:
            self._reading.execute("ROLLBACK")

    def _write_all(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._next_batch()
            writes = [write for write in batch if write.future.set_running_or_notify_cancel()]
            for write, outcome in zip(writes, _commit(self._writing, writes), strict=True):
                if outcome.error is None:
                    write.future.set_result(outcome.value)
                else:
                    write.future.set_exception(outcome.error)

    def _next_batch(self) -> tuple[list[_Write], bool]:
        """Wait for one write, then take what else is there already; False once the end was asked for."""
        batch: list[_Write] = []
        while not batch or (len(batch) < BATCH and not self._queue.empty()):
            write = self._queue.get()
            if write is None:
                return batch, False
            batch.append(write)
        return batch, True


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _commit(connection: sqlite3.Connection, writes: list[_Write]) -> list[_Outcome]:
    """All writes in one transaction; if the commit itself fails, every one of them has failed."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_attempt(connection, write.work) for write in writes]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [_Outcome(error=error) for _ in writes]
    return outcomes


def _attempt(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> _Outcome:
    connection.execute("SAVEPOINT one")
    try:
        outcome = _Outcome(work(connection))
    except Exception as error:  # noqa: BLE001 - it belongs to the caller, whose future carries it
        connection.execute("ROLLBACK TO one")
        outcome = _Outcome(error=error)
    connection.execute("RELEASE one")
    return outcome
