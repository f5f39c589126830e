"""The end of a record: exported as a line of JSON, flushed to disk, only then deleted. Nothing non-terminal comes near."""

import asyncio
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

from shared.errors import NotFound
from shared.export import document, export
from shared.logs import get_logger
from shared.ports import Store
from shared.redisdb import keys
from shared.redisdb.reader import Reader, Size

log = get_logger()

PAGE: Final = 64
"""Executions of a partition that are looked at together."""
STEPS: Final = 128
PLAN_BYTES: Final = 1_048_576
APART_BYTES: Final = 4_194_304
"""So much is read together, shares one flush to disk, and is deleted together. What is larger goes alone, read page by page."""


class Archiver:
    """Takes away what is finished and past its retention. Several share the partitions; one that is slow may archive twice."""

    def __init__(self, store: Store, reader: Reader, folder: Path | None) -> None:
        """`folder` None: delete without archiving."""
        self._store = store
        self._reader = reader
        self._folder = folder
        self._owner = secrets.token_hex(8)

    async def run_once(self) -> int:
        """Everything that is due and no other archiver's, partition by partition; how many executions went.

        All of it, however much: with a bound, a store to which more is added than that would grow for ever.
        """
        partitions = keys.all_partitions()
        first = secrets.randbelow(len(partitions))  # several that begin together are soon at different ones
        return sum([await self._partition(one) for one in partitions[first:] + partitions[:first]])

    async def _partition(self, partition: str) -> int:
        gone = 0
        while due := await self._store.retire_page(partition, owner=self._owner, limit=PAGE):
            went = await self._page(due)
            gone += went
            if not went:  # what does not go is looked at next time
                break
        return gone

    async def _page(self, due: Sequence[str]) -> int:
        if self._folder is None:
            return await self._purge(due)
        sizes = dict(zip(due, await self._reader.sizes(due), strict=True))
        small = {name: size for name, size in sizes.items() if size.plan_bytes <= PLAN_BYTES and size.steps <= STEPS}
        gone = [await self._together(some, self._folder) for some in batches(small)]
        return sum(gone + [await self._alone(name, self._folder) for name in due if name not in small])

    async def _together(self, executions: Sequence[str], folder: Path) -> int:
        lines = await self._lines(executions)
        gone = await self._away(lines, folder)
        return gone + sum([await self._alone(name, folder) for name in executions if name not in lines])

    async def _lines(self, executions: Sequence[str]) -> dict[str, bytes]:
        found = await self._reader.whole(executions, apart=APART_BYTES)
        return {name: document(one) + b"\n" for name, one in zip(executions, found, strict=True) if one is not None}

    async def _alone(self, execution: str, folder: Path) -> int:
        try:
            line = await self._line(execution)
        except NotFound as error:
            if await self._is_there(execution):
                log.error("archive.incomplete", execution=execution, missing=str(error))  # noqa: TRY400 - it stays
                return 0
            line = b""  # another archiver was faster; the index may still have it
        return await self._away({execution: line}, folder)

    async def _line(self, execution: str) -> bytes:
        parts = await export(self._reader, execution, await self._reader.tenant(execution))
        return b"".join([part async for part in parts]) + b"\n"

    async def _is_there(self, execution: str) -> bool:
        with suppress(NotFound):
            return bool(await self._reader.tenant(execution))
        return False

    async def _away(self, lines: Mapping[str, bytes], folder: Path) -> int:
        if any(lines.values()):
            await asyncio.to_thread(_append, folder / f"{datetime.now(UTC):%Y-%m}.jsonl", b"".join(lines.values()))
        return await self._purge(list(lines))

    async def _purge(self, executions: Sequence[str]) -> int:
        return sum(await asyncio.gather(*map(self._store.purge, executions)))


def batches(sizes: Mapping[str, Size]) -> Iterator[list[str]]:
    """In their order."""
    batch: list[str] = []
    bytes_left, steps_left = PLAN_BYTES, STEPS
    for execution, size in sizes.items():
        if size.plan_bytes > bytes_left or size.steps > steps_left:
            yield batch
            batch, bytes_left, steps_left = [], PLAN_BYTES, STEPS
        batch.append(execution)
        bytes_left, steps_left = bytes_left - size.plan_bytes, steps_left - size.steps
    if batch:
        yield batch


def _append(file: Path, lines: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b", buffering=0) as out:
        left = memoryview(lines if _ends_whole(out) else b"\n" + lines)
        while left:  # one write, at the end: two archivers' lines do not mix. It is a part only where the disk is full
            left = left[out.write(left) :]
        os.fsync(out.fileno())  # the delete comes next


def _ends_whole(file: FileIO) -> bool:
    """Whether the last line is a whole one: a disk that was full may have cut it."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
