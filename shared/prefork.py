"""Several processes of one service at one address, so that it may use more than one core: the parent forks them. Linux.

The children listen each on a socket of its own at the same port (SO_REUSEPORT), so the kernel spreads connections over those
that are alive. They share what was loaded before the fork. The parent serves nothing. It starts again what was killed, ends
all when it is told to or when one cannot go on, and none outlives it. See docs/decisions/0034-executors-on-several-cores.md.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from shared.logs import get_logger, tell_apart

log = get_logger()

TOLD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONG_S: Final = 10.0
"""What has lived longer is started again at once."""
WAIT_S: Final = 1.0
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG


def prefork(count: int) -> None:
    """Returns in each of `count` children, never in the parent: SystemExit with 0, or with the code of the first that fails.

    To be called with one thread and no event loop.
    """
    Parent().run(count)


class Parent:
    """Has children until it is told to end."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._over = False
        self._code = 0

    def run(self, count: int) -> None:
        """Returns in a child."""
        gc.collect()
        gc.freeze()  # or the children's first look for garbage would write to, and so copy, every page they share
        for number in TOLD:
            signal.signal(number, self._told)
        for _ in range(count):
            if self._bear():
                return
        log.info(
            "processes.forked", pids=list(self._began), message="they serve, each on a core of its own; this one minds them"
        )
        while self._began:
            if self._ended() and self._bear():
                return
        raise SystemExit(self._code)

    def _bear(self) -> bool:
        """Whether this is the child."""
        parent = os.getpid()
        with _signals_wait():  # for the parent to know its child, and for the child not to act as the parent would
            if self._over:
                return False
            if pid := os.fork():
                self._began[pid] = time.monotonic()
                return False
            for number in TOLD:
                signal.signal(number, signal.SIG_DFL)
        os.setsid()  # a Ctrl-C reaches the parent alone: told twice, uvicorn cuts its requests off
        _die_with(parent)
        tell_apart(pid=os.getpid())
        return True

    def _ended(self) -> bool:
        """Once one has: whether another is wanted. Whoever ends with a code has said why, and another would say the same."""
        pid, code, began = self._reaped()
        if not began:  # as process 1 of a container: somebody's orphan
            return False
        lived_s = time.monotonic() - began
        if code > 0 and not self._over:
            self._code = code
            self._end()
        if self._over:
            return False
        log.warning("process.ended", pid=pid, by=_name(code), lived_s=round(lived_s, 1), message="another takes its place")
        time.sleep(0 if lived_s > LONG_S else WAIT_S)
        return True

    def _reaped(self) -> tuple[int, int, float]:
        """Its pid, how it ended (below 0: the signal), and when it began: 0 if it was never ours."""
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert found is not None  # noqa: S101 - without WNOHANG it waits
        with _signals_wait():  # its pid is nobody else's until it is reaped, and from then on nobody must be told by it
            _, status = os.waitpid(found.si_pid, 0)
            return found.si_pid, os.waitstatus_to_exitcode(status), self._began.pop(found.si_pid, 0.0)

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._end()

    def _end(self) -> None:
        self._over = True
        for pid in self._began:
            os.kill(pid, signal.SIGTERM)


@contextmanager
def _signals_wait() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with(parent: int) -> None:
    """SIGKILL when the parent ends, however it does: what runs here is made to be killed, and the port must become free."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        sys.exit(1)


def _name(code: int) -> str:
    return signal.Signals(-code).name if code else "itself"
