"""Executions: looking at them, following them, and acting upon them."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from shared.api import bodies
from shared.api.executions import (
    Acted,
    BulkDone,
    Cancelling,
    EventTold,
    Execution,
    FilterCount,
    History,
    HistoryLine,
    Items,
    NotCancelled,
    Row,
    Rows,
    RunAgain,
    Step,
    Why,
)
from shared.client.errors import StillRunning
from shared.client.messages import Sent
from shared.client.pages import paged
from shared.client.sse import Stream
from shared.client.transport import Transport
from shared.machine.plan import Plan
from shared.redisdb.step_logs import ShownLog
from shared.search import Filter

FIRST_S: Final = 0.1
"""Between two looks at an execution that is waited for; it grows to the longest."""
LONGEST_S: Final = 2.0
BulkName = Literal["cancel", "pause", "resume", "retry", "compensate", "restart"]


class Executions:
    """`/api/executions`."""

    def __init__(self, transport: Transport) -> None:
        """Of one client."""
        self._transport = transport

    # --- looking

    async def page(
        self,
        *,
        status: Collection[str] = (),
        reason: Collection[str] = (),
        text: str = "",
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        before: str = "",
        limit: int = 50,
    ) -> Rows:
        """A page, newest first."""
        times = {"createdAfter": created_after, "createdBefore": created_before}
        params: dict[str, Any] = {name: moment.isoformat() for name, moment in times.items() if moment is not None}
        params |= {"status": tuple(status), "reason": tuple(reason), "text": text, "before": before, "limit": limit}
        return await self._transport.ask("GET", "/api/executions", Rows, params=params)

    async def list(
        self,
        *,
        status: Collection[str] = (),
        reason: Collection[str] = (),
        text: str = "",
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> AsyncIterator[Row]:
        """All that fit, newest first."""
        times = {"created_after": created_after, "created_before": created_before}
        async for page in paged(
            lambda before: self.page(status=status, reason=reason, text=text, before=before, limit=200, **times)
        ):
            for one in page.executions:
                yield one

    async def count(self, chosen: Filter, *, before: str = "") -> FilterCount:
        """How many fit, of one bounded look; `next` is where the next one begins, with the answer's `created_before`."""
        params = msgspec.to_builtins(chosen) | {"before": before}
        return await self._transport.ask("GET", "/api/executions/count", FilterCount, params=params)

    async def get(self, execution: str, *, first: int = 0, limit: int = 500) -> Execution:
        """One, with a page of its steps."""
        return await self._transport.ask("GET", _path(execution), Execution, params={"first": first, "limit": limit})

    async def steps(self, execution: str) -> AsyncIterator[Step]:
        """All its steps, in the plan's order."""
        first: int | None = 0
        while first is not None:
            page = await self.get(execution, first=first)
            for step in page.steps:
                yield step
            first = page.next_steps

    async def items_page(self, execution: str, step: str, *, first: int = 0, limit: int = 100) -> Items:
        """A page of the items of a map."""
        path = f"{_path(execution)}/steps/{quote(step, safe='')}/items"
        return await self._transport.ask("GET", path, Items, params={"first": first, "limit": limit})

    async def items(self, execution: str, step: str) -> AsyncIterator[Step]:
        """All items of a map."""
        first: int | None = 0
        while first is not None:
            page = await self.items_page(execution, step, first=first, limit=500)
            for item in page.items:
                yield item
            first = page.next

    async def output(self, execution: str, step: str) -> Any:
        """The output of a step, however large."""
        path = f"{_path(execution)}/steps/{quote(step, safe='')}/output"
        return msgspec.json.decode(await self._transport.send("GET", path))

    async def history_page(self, execution: str, *, after: str = "", limit: int = 500) -> History:
        """A page of what happened."""
        params = {"after": after, "limit": limit}
        return await self._transport.ask("GET", f"{_path(execution)}/history", History, params=params)

    async def history(self, execution: str) -> AsyncIterator[HistoryLine]:
        """All that happened so far, in order."""
        async for page in paged(lambda after: self.history_page(execution, after=after)):
            for line in page.history:
                yield line

    async def plan(self, execution: str) -> Plan:
        """The plan as it was pinned; without steps while there is none."""
        return await self._transport.ask("GET", f"{_path(execution)}/plan", Plan)

    async def logs(self, execution: str, step: str) -> ShownLog:
        """What the calls of one step, or of one item (`step.3`), have logged."""
        return await self._transport.ask("GET", f"{_path(execution)}/steps/{quote(step, safe='')}/logs", ShownLog)

    def export(self, execution: str) -> AsyncIterator[bytes]:
        """Everything of it as one JSON document (`shared.api.executions.Exported`), in parts as they come. Unreachable if it
        breaks off: half of it is no JSON.
        """
        return self._transport.parts("GET", f"{_path(execution)}/export")

    async def why(self, execution: str) -> Why:
        """What it waits for."""
        return await self._transport.ask("GET", f"{_path(execution)}/why", Why)

    async def wait(self, execution: str, *, timeout_s: float = 300.0) -> Execution:
        """The execution once it is over; StillRunning when the time is up."""
        deadline, pause_s = time.monotonic() + timeout_s, FIRST_S
        while True:
            found = await self.get(execution)
            if found.ended_at is not None:
                return found
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise StillRunning(found)
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_S)

    def events(self, execution: str, *, after: str = "") -> AsyncGenerator[Sent, None]:
        """What happened and what happens, live, until it is over (`event: end`); taken up again where a connection breaks."""
        return aiter(Stream(self._transport, f"{_path(execution)}/events", {}, after))

    # --- acting

    async def cancel(
        self, execution: str, *, reason: str = "", undo: bool = True, version: int | None = None
    ) -> Cancelling | NotCancelled:
        """No further step starts. `undo` False: what was done is left."""
        body = bodies.Cancel(reason=reason, undo=undo, version=version)
        raw = await self._transport.send("POST", f"{_path(execution)}/cancel", body=body)
        if "status" in msgspec.json.decode(raw):
            return msgspec.json.decode(raw, type=NotCancelled)
        return msgspec.json.decode(raw, type=Cancelling)

    async def pause(self, execution: str, *, version: int | None = None) -> Acted:
        """Nothing new starts."""
        return await self._act(execution, bodies.Pause(version=version))

    async def resume(self, execution: str, *, version: int | None = None) -> Acted:
        """On again."""
        return await self._act(execution, bodies.Resume(version=version))

    async def compensate(self, execution: str, *, version: int | None = None) -> Acted:
        """Stop and undo."""
        return await self._act(execution, bodies.Compensate(version=version))

    async def retry(self, execution: str, *, step: str = "", version: int | None = None) -> Acted:
        """A step once more, at once; of what is over, all that failed."""
        return await self._act(execution, bodies.Retry(step=step, version=version))

    async def skip(self, execution: str, step: str, *, output: Any = None, version: int | None = None) -> Acted:
        """Go on as if the step had given `output`."""
        return await self._act(execution, bodies.Skip(step=step, output=output, version=version))

    async def edit(self, execution: str, step: str, args: Mapping[str, Any], *, version: int | None = None) -> Acted:
        """Other arguments for a step that has not happened."""
        return await self._act(execution, bodies.Edit(step=step, args=dict(args), version=version))

    async def approve(
        self,
        execution: str,
        step: str,
        args_hash: str,
        *,
        args: Mapping[str, Any] | None = None,
        note: str = "",
        version: int | None = None,
    ) -> Acted:
        """Yes to the arguments of this hash; with `args`, to these instead."""
        given = None if args is None else dict(args)
        return await self._act(
            execution, bodies.Approve(step=step, args_hash=args_hash, args=given, note=note, version=version)
        )

    async def confirm(self, execution: str, plan_hash: str, *, version: int | None = None) -> Acted:
        """Yes to the plan of this hash."""
        return await self._act(execution, bodies.Confirm(plan_hash=plan_hash, version=version))

    async def reject(self, execution: str, *, step: str = "", note: str = "", version: int | None = None) -> Acted:
        """No: to a step's arguments, or without a step to the plan."""
        return await self._act(execution, bodies.Reject(step=step, note=note, version=version))

    async def settle(
        self, execution: str, step: str, *, happened: bool, output: Any = None, version: int | None = None
    ) -> Acted:
        """Say whether an effect that nobody knows of happened."""
        return await self._act(execution, bodies.Settle(step=step, happened=happened, output=output, version=version))

    async def restart(
        self, execution: str, *, accept_effects: bool = False, version: int | None = None, idempotency_key: str = ""
    ) -> RunAgain:
        """The same plan as a new execution."""
        body = bodies.Again(accept_effects=accept_effects, version=version)
        return await self._transport.ask("POST", f"{_path(execution)}/restart", RunAgain, body=body, key=idempotency_key)

    async def fork(
        self,
        execution: str,
        step: str,
        *,
        accept_effects: bool = False,
        version: int | None = None,
        idempotency_key: str = "",
    ) -> RunAgain:
        """A new execution from a step on."""
        body = bodies.Fork(step=step, accept_effects=accept_effects, version=version)
        return await self._transport.ask("POST", f"{_path(execution)}/fork", RunAgain, body=body, key=idempotency_key)

    async def tell(self, execution: str, name: str, *, data: Any = None, event_id: str = "") -> EventTold:
        """An event for this execution. The same `event_id` again changes nothing, so it may be retried."""
        body = bodies.DirectEvent(data=data, id=event_id or None)
        path = f"{_path(execution)}/events/{quote(name, safe='')}"
        return await self._transport.ask("POST", path, EventTold, body=body, safe=bool(event_id))

    async def bulk(
        self,
        action: BulkName,
        chosen: Filter,
        *,
        having: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        before: str = "",
        limit: int = bodies.MOST_BULK,
    ) -> BulkDone:
        """One action upon all that fit; `dry_run` only says what would be done. `having`: what the action itself takes."""
        body = bodies.BulkAction(
            action=action, filter=chosen, having=dict(having or {}), dry_run=dry_run, before=before, limit=limit
        )
        return await self._transport.ask("POST", "/api/executions/bulk", BulkDone, body=body)

    async def bulk_all(
        self,
        action: BulkName,
        chosen: Filter,
        *,
        having: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        before: str = "",
    ) -> AsyncIterator[BulkDone]:
        """One action upon all that fit, a request for each page; behind the `next` of the last page it goes on."""
        async for page in paged(lambda place: self.bulk(action, chosen, having=having, dry_run=dry_run, before=place), before):
            yield page

    async def _act(self, execution: str, action: bodies.Action) -> Acted:
        name = type(action).__name__.lower()
        return await self._transport.ask("POST", f"{_path(execution)}/{name}", Acted, body=action)


def _path(execution: str) -> str:
    return f"/api/executions/{quote(execution, safe='')}"
