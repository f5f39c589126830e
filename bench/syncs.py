"""How often processes ask the disk to sync, counted by strace (which slows them: nothing else is measured meanwhile)."""

import asyncio
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

CALLS: Final = frozenset({"fsync", "fdatasync"})
ATTACH_S: Final = 1.5
"""strace says nothing when it has attached to everything."""


def countable() -> bool:
    """Whether strace is there."""
    return shutil.which("strace") is not None


class Syncs:
    """Use as an async context manager; `count` stands after it."""

    def __init__(self, pids: Sequence[int], out: Path) -> None:
        """`out`: where strace writes."""
        self._pids, self._out = pids, out
        self.count = 0

    async def __aenter__(self) -> Self:
        who = [word for pid in self._pids for word in ("-p", str(pid))]
        what = ["-f", "-c", "-U", "name,calls", "-e", "trace=fsync,fdatasync", "-o", str(self._out)]
        self._strace = await asyncio.create_subprocess_exec("strace", *what, *who, stderr=asyncio.subprocess.DEVNULL)
        await asyncio.sleep(ATTACH_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._strace.send_signal(signal.SIGINT)
        await self._strace.wait()
        rows = [line.split() for line in self._out.read_text(encoding="utf8").splitlines()]
        self.count = sum(int(row[1]) for row in rows if len(row) == 2 and row[0] in CALLS)
