"""One execution as one JSON document: for a file, for the archive, for whoever looks at it where the engine is not.

Its parts are what the API answers, each whole: `execution` with every step, `items` of its maps, `history`, the `plan` as it
was pinned, and `why` where that was asked. It is written page by page, so that 10,000 steps need no more memory than 500. What
is stored has no secret in it (an address that a step is called back at stands as `callback://...`), and so neither has this.

Something that runs may move on between two pages: `execution.version` is the version at the beginning, `endVersion` at the end.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared import views
from shared.api.executions import Step
from shared.redisdb.reader import PAGE, Reader, StepView, View, Whole

VERSION: Final = 1
"""Counts up when a reader of the document must know; new members do not."""
_encode = msgspec.json.encode


async def export(reader: Reader, execution: str, tenant: str, *, why: Any = None) -> AsyncIterator[bytes]:
    """The document's bytes, in parts. NotFound before the first of them."""
    first = await reader.view(execution, tenant)
    plan = await reader.plan(execution, tenant)
    return _Document(reader, execution, tenant).parts(first, plan, why)


def document(one: Whole) -> bytes:
    """The same document of what was read at once; nobody asks why it stands where it does."""
    view = one.view
    items = (_encode(name) + b":[" + _page(_shown(found, view.id, one.apart)) + b"]" for name, found in one.items.items())
    pages = (_page(_shown(view.steps, view.id, one.apart)), b",".join(items), _page(one.history))
    return _beginning(view, one.plan, None) + b'%s]},"items":{%s},"history":[%s]' % pages + _end(view.fields)


class _Document:
    """Writes one document, page by page."""

    def __init__(self, reader: Reader, execution: str, tenant: str) -> None:
        self._reader = reader
        self._of = (execution, tenant)

    async def parts(self, first: View, plan: bytes, why: Any) -> AsyncIterator[bytes]:
        yield _beginning(first, plan, why)
        async for part in _listed(self._steps(first)):
            yield part
        yield b']},"items":{'
        for number, name in enumerate(_maps(first, plan)):
            yield (b"," if number else b"") + _encode(name) + b":["
            async for part in _listed(self._items(name)):
                yield part
            yield b"]"
        yield b'},"history":['
        async for part in _listed(self._history()):
            yield part
        yield b"]" + _end(await self._reader.header(*self._of))

    async def _steps(self, view: View) -> AsyncIterator[list[Any]]:
        execution, tenant = self._of
        yield await self._shown(view.steps)
        while view.next_step is not None:
            view = await self._reader.view(execution, tenant, first=view.next_step)
            yield await self._shown(view.steps)

    async def _items(self, step: str) -> AsyncIterator[list[Any]]:
        execution, tenant = self._of
        first, total = 0, 1
        while first < total:
            found, total = await self._reader.items(execution, tenant, step, first=first, count=PAGE)
            yield await self._shown(found)
            first += PAGE

    async def _history(self) -> AsyncIterator[list[Any]]:
        execution, tenant = self._of
        lines = await self._reader.history(execution, tenant)
        while lines:
            yield lines
            lines = await self._reader.history(execution, tenant, after=lines[-1]["id"])

    async def _shown(self, steps: Sequence[StepView]) -> list[Any]:
        execution, tenant = self._of
        names = [step.name for step in steps if step.large_output is not None]
        return _shown(steps, execution, {name: await self._reader.output(execution, tenant, name) for name in names})


async def _listed(pages: AsyncIterator[list[Any]]) -> AsyncIterator[bytes]:
    more = False
    async for page in pages:
        if page:
            yield (b"," if more else b"") + _page(page)
            more = True


def _page(members: Sequence[Any]) -> bytes:
    """Members of a list that is open."""
    return _encode(members)[1:-1]


def _beginning(view: View, plan: bytes, why: Any) -> bytes:
    """All before the first step. The execution is as `GET /api/executions/{id}` answers, with all steps on one page."""
    head = {"export": VERSION, "exportedAt": datetime.now(UTC).isoformat(timespec="milliseconds"), "id": view.id}
    head |= {"tenant": view.fields["tenant"], "plan": msgspec.Raw(plan), "why": why}
    execution = msgspec.to_builtins(views.execution(msgspec.structs.replace(view, steps=(), next_step=None)))
    del execution["steps"]
    return _open(head) + b',"execution":' + _open(execution) + b',"steps":['


def _end(header: Mapping[str, str]) -> bytes:
    return b',"endVersion":' + header["ver"].encode() + b"}"


def _shown(steps: Sequence[StepView], execution: str, apart: Mapping[str, bytes]) -> list[Any]:
    """As the API shows them, and large outputs in their place: the path to one is of no use without the engine."""
    return [_with_output(one, apart) if one.large_output else one for one in views.steps(steps, execution)]


def _with_output(step: Step, apart: Mapping[str, bytes]) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(step)
    del shown["largeOutput"]
    return shown | {"output": msgspec.Raw(apart[step.name])}


def _open(members: dict[str, Any]) -> bytes:
    """An object that is not closed yet."""
    return _encode(members)[:-1]


def _maps(view: View, plan: bytes) -> list[str]:
    """The names of the maps that were spread."""
    names = [step["name"] for step in msgspec.json.decode(plan)["steps"]] if view.notes.maps else []
    return [names[region.step] for region in view.notes.maps]
