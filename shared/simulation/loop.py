"""An event loop whose clock jumps: when nothing is ready, it is at once the time of the next timer. Nobody ever waits.

It has no sockets and no threads, on purpose: what waits for the real world would wait for ever, and is refused instead.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

_T = TypeVar("_T")
_RESOLUTION_S: Final = 1e-7


class Stuck(Exception):
    """Nothing is ready and no timer is set: what was awaited can never come."""


class _Jump:
    """Stands where the loop has its selector: instead of waiting for sockets, it moves the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise Stuck("everybody waits and nothing is on its way")
        self.now_s += timeout_s
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Time begins at 0 s and passes only while nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jump()
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._selector.now_s

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: the selector only moves the clock."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: no other thread waits."""

    def run_in_executor(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override] # it takes anything, and refuses it
        """Refused: a thread's time is not virtual."""
        raise RuntimeError("a thread was asked for inside the simulation: fakes must wait with asyncio.sleep only")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` on a loop of its own; what is still running at its end is cancelled."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        _cancel_all(loop)
        loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    loop.set_task_factory(None)
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
