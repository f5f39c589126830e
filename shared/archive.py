"""The end of a record: exported as a line of JSON, flushed to disk, only then deleted. Nothing non-terminal comes near."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shared.errors import NotFound
from shared.export import export
from shared.logs import get_logger
from shared.ports import Store
from shared.redisdb import keys
from shared.redisdb.reader import Reader

log = get_logger()

PAGE: Final = 50
"""Of a partition, before the next partition's turn."""
AT_ONCE: Final = 10
"""So many are read together, share one flush to disk, and are deleted together. Their documents are in memory meanwhile."""


class Archiver:
    """Takes away what is finished and past its retention. Run twice at once it may archive twice, and deletes once."""

    def __init__(self, store: Store, reader: Reader, folder: Path | None) -> None:
        """`folder` None: delete without archiving."""
        self._store = store
        self._reader = reader
        self._folder = folder

    async def run_once(self) -> int:
        """Everything that is due, a page of every partition in turn; how many executions went.

        All of it, however much: with a bound, a store to which more is added than that would grow for ever.
        """
        gone, partitions = 0, keys.all_partitions()
        while partitions:
            went = {partition: await self._page(partition) for partition in partitions}
            gone += sum(went.values())
            partitions = [partition for partition, count in went.items() if count]  # what does not go is looked at next time
        return gone

    async def _page(self, partition: str) -> int:
        due = await self._store.retire_page(partition, limit=PAGE)
        return sum([await self._some(due[at : at + AT_ONCE]) for at in range(0, len(due), AT_ONCE)])

    async def _some(self, executions: Sequence[str]) -> int:
        if self._folder is not None:
            lines = [line for line in await asyncio.gather(*map(self._line, executions)) if line]
            await asyncio.to_thread(_append, self._folder / f"{datetime.now(UTC):%Y-%m}.jsonl", lines)
        return sum(await asyncio.gather(*map(self._store.purge, executions)))

    async def _line(self, execution: str) -> bytes:
        try:
            tenant = await self._reader.tenant(execution)
            parts = await export(self._reader, execution, tenant)
            return b"".join([part async for part in parts]) + b"\n"
        except NotFound:
            return b""  # another archiver was faster


def _append(file: Path, lines: Sequence[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab", buffering=0) as out:
        out.write(b"".join(lines))  # one write, at the end: two archivers' lines do not mix
        os.fsync(out.fileno())  # the delete comes next
