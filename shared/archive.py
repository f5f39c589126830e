"""The end of a record: exported as a line of JSON, flushed to disk, only then deleted. Nothing non-terminal comes near."""

import asyncio
import os
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


class Archiver:
    """Takes away what is finished and past its retention. Run twice at once it may archive twice, and deletes once."""

    def __init__(self, store: Store, reader: Reader, folder: Path | None) -> None:
        """`folder` None: delete without archiving."""
        self._store = store
        self._reader = reader
        self._folder = folder

    async def run_once(self) -> int:
        """One page of every partition; how many executions went."""
        return sum([await self._partition(partition) for partition in keys.all_partitions()])

    async def _partition(self, partition: str) -> int:
        gone = 0
        for execution in await self._store.retire_page(partition, limit=PAGE):
            if self._folder is not None:
                await self._keep(execution, self._folder)
            gone += await self._store.purge(execution)
        return gone

    async def _keep(self, execution: str, folder: Path) -> None:
        try:
            tenant = await self._reader.tenant(execution)
            parts = await export(self._reader, execution, tenant)
            line = b"".join([part async for part in parts])
        except NotFound:
            return  # another archiver was faster
        await asyncio.to_thread(_append, folder / f"{datetime.now(UTC):%Y-%m}.jsonl", line)


def _append(file: Path, line: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(line + b"\n")
        out.flush()
        os.fsync(out.fileno())  # the delete comes next
