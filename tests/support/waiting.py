"""Waiting for something to become true, with a deadline and a name for it: never a guessed sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(condition: Callable[[], Awaitable[T]], *, within: float = 8.0, describe: str) -> T: ...
@overload
async def eventually(condition: Callable[[], T], *, within: float = 8.0, describe: str) -> T: ...
async def eventually(condition: Callable[[], Any], *, within: float = 8.0, describe: str) -> Any:
    """The first true value of `condition`; an AssertionError that says what never came about."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        found = await value if inspect.isawaitable(value) else value
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"never came about within {within} s: {describe} (last: {found!r})")
        await asyncio.sleep(0.005)
