"""Processes that can be killed and frozen between any two steps of their code.

Every task that is made inside a process's scope is run by `_Stepped`, which counts each resumption: "killed at step 57" is a
place in the code, the same one in every run of the seed. A killed process has no say any more: its clean-up code runs, as
Python cannot help it, but every port refuses it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any, Optional

_SCOPE: ContextVar[Optional["Scope"]] = ContextVar("simulated_scope", default=None)


class Scope:
    """What dies together: a process, or one invocation in it."""

    def __init__(self, name: str, parent: "Scope | None" = None) -> None:
        """`parent` dying kills this scope too."""
        self.name = name
        self.parent = parent
        self.alive = True
        self.frozen = False
        self._waiting: list[asyncio.Future[None]] = []
        """Tasks of a frozen process, to go on in this order."""
        self.on_step: Callable[[Scope], None] | None = parent.on_step if parent else None
        """Called before each step of a task of this scope; may kill or freeze it."""
        self._tasks: dict[asyncio.Task[Any], None] = {}  # not a set: those have no order
        self.children: dict[Scope, None] = {}
        if parent:
            parent.children[self] = None

    @property
    def process(self) -> "Scope":
        """The outermost scope."""
        return self.parent.process if self.parent else self

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run `work` inside this scope; whatever tasks it makes are inside too."""
        context = copy_context()
        context.run(_SCOPE.set, self)
        return context.run(asyncio.ensure_future, work)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """`task` belongs here."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)

    def kill(self) -> None:
        """All of it is gone, with everything it held."""
        if not self.alive:
            return
        self.alive = False
        self.close()
        for child in list(self.children):
            child.kill()
        for task in list(self._tasks):
            task.cancel()
        self.thaw()

    def close(self) -> None:
        """Its parent need not know it any more."""
        if self.parent:
            self.parent.children.pop(self, None)

    def freeze(self) -> None:
        """Nothing in it runs until `thaw`; time passes, and what was sent lands."""
        self.frozen = self.alive

    def thaw(self) -> None:
        """It goes on where it was."""
        self.frozen = False
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def until_thawed(self) -> "asyncio.Future[None]":
        """A future of one's own: cancelling one task must not cancel what the others wait for."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future


def current() -> Scope | None:
    """The scope that the running code belongs to; None for the surroundings themselves."""
    return _SCOPE.get()


def outside(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Run `work` as part of the surroundings: it outlives whoever caused it (who awaits it shields it, too)."""
    context = copy_context()
    context.run(_SCOPE.set, None)
    return context.run(asyncio.ensure_future, work)


def must_live() -> None:
    """What a port does first: the dead can do nothing."""
    scope = _SCOPE.get()
    if scope is not None and not scope.alive:
        raise asyncio.CancelledError


def task_factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    """Makes the loop's tasks: those of a scope are stepped, and die with it."""
    scope = _SCOPE.get()
    if scope is None:
        return asyncio.Task(work, loop=loop, **options)
    task: asyncio.Task[Any] = asyncio.Task(_Stepped(work, scope), loop=loop, **options)
    scope.adopt(task)
    if not scope.alive:
        task.cancel()
    return task


class _Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that asks its scope before each step."""

    def __init__(self, work: Coroutine[Any, Any, Any], scope: Scope) -> None:
        self._work = work
        self._scope = scope

    def send(self, value: Any) -> Any:
        scope, process = self._scope, self._scope.process
        if scope.alive and scope.on_step is not None and not process.frozen:
            scope.on_step(scope)
        if not scope.alive:
            return self._work.throw(asyncio.CancelledError())
        if process.frozen:
            return next(process.until_thawed().__await__())
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise RuntimeError("stepped by a task only")
