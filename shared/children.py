"""Child executions: the commands by which a parent begins, stops and undoes them; what comes of it comes as a signal."""

from typing import Any

import msgspec

from shared.commands import Commands, woken_by
from shared.errors import Conflict, IntentionError
from shared.logs import get_logger
from shared.machine import plan as plans
from shared.machine.decision import Changes, Line
from shared.machine.plan import Plan
from shared.machine.state import Header, Notes, Parent
from shared.machine.status import Cause, Phase, Status
from shared.ports import Birth, Created, Entry, NotAccepted, Peek, Store
from shared.quota import demand_of
from shared.quota_keeper import Keeper

log = get_logger()
_plan = msgspec.json.Decoder(Plan)


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `create_child`."""

    tenant: str
    step: str
    generation: int
    input: Any
    depth: int


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `cancel_child` and `undo_child`."""

    tenant: str
    step: str
    generation: int = 1


class Children:
    """Carries out what parents decide about their children."""

    def __init__(self, store: Store, quota: Keeper | None = None) -> None:
        """`store` holds parents and children alike. `quota` None: nobody counts their messages."""
        self._store = store
        self._quota = quota

    def register(self, commands: Commands) -> None:
        """Carry out three kinds of commands from now on."""
        commands.on("create_child", self._begin)
        commands.on("cancel_child", self._cancel)
        commands.on("undo_child", self._undo)

    async def _begin(self, entry: Entry) -> Entry | None:
        """The child's plan stands in its parent's, which pins it."""
        what = msgspec.convert(entry.payload, Begin)
        data = await self._store.load_plan(entry.execution)
        step = what.step.partition(".")[0]
        child = next((one.child for one in _plan.decode(data).steps if one.name == step), None) if data else None
        if child is None:
            log.error("child.no_plan", alert=True, execution=entry.execution, step=what.step)
            return None
        try:
            made = await self._store.create(await self._counted(_birth(entry, what, child), child))
        except Conflict:  # it was stopped before it was created
            return None
        return made.entry if isinstance(made, Created) else None

    async def _counted(self, birth: Birth, plan: Plan) -> Birth:
        """With what its messages may cost, unless it is there already and this command came twice."""
        if self._quota is None or await self._store.account(birth.header.id):
            return birth
        given = await self._quota.adopt(birth.header.tenant, birth.header.id, demand_of(plan))
        return msgspec.structs.replace(birth, allowance=given)

    async def _cancel(self, entry: Entry) -> Entry | None:
        """Stop the child; one that was never created must not be created later, and has left nothing behind."""
        what = msgspec.convert(entry.payload, About)
        if await self._store.forbid(entry.to):
            return await self._tell(entry, what, Status.CANCELLED)
        found = await self._store.signal(entry.to, tenant=what.tenant, sid="cancel", kind="cancel", payload={"actor": "parent"})
        return woken_by(found, entry)

    async def _undo(self, entry: Entry) -> Entry | None:
        """Open a completed child again, to undo itself. One that is undone, or is at it, tells its parent by itself."""
        what = msgspec.convert(entry.payload, About)
        child = await self._store.peek(entry.to, tenant=what.tenant)
        if child is None:  # retention ended before the parent did: what it did stands
            return await self._tell(entry, what, Status.COMPENSATION_FAILED)
        if child.status not in {Status.COMPLETED, Status.COMPENSATION_FAILED}:
            return None
        found = await self._store.reopen(
            entry.to, tenant=what.tenant, ver=child.ver, origins=frozenset({child.status}), changes=_reopened(child)
        )
        if isinstance(found, NotAccepted):
            raise IntentionError(f"{entry.to} was not opened again: {found.why}", code="not_reopened")
        return found.entry

    async def _tell(self, entry: Entry, what: About, status: Status) -> Entry | None:
        news = {"step": what.step, "generation": what.generation, "status": status.value, "output": None}
        found = await self._store.signal(entry.execution, tenant=what.tenant, sid=f"{entry.id}!", kind="child", payload=news)
        return woken_by(found, entry)


def _birth(entry: Entry, what: Begin, child: Plan) -> Birth:
    data = plans.encode(child)
    parent = Parent(execution=entry.execution, step=what.step, generation=what.generation)
    return Birth(
        header=Header(id=entry.to, tenant=what.tenant, plan=plans.hash_of(data), status=Status.PLANNED, trace=entry.trace),
        plan=data,
        cells=child.first_cells(),
        notes=Notes(parent=parent, depth=what.depth, input=what.input),
        fields={"user": "", "text": "", "summary": f"step {what.step} of {entry.execution}"},
        timeout_ms=child.timeout_ms or 0,
        request_hash="",
    )


def _reopened(child: Peek) -> Changes:
    """To COMPENSATING: the machine opens the undo lane where none was."""
    head = msgspec.structs.replace(
        child.header, status=Status.COMPENSATING, phase=child.header.phase, cause=child.header.cause or Cause.CANCELLED
    )
    line = Line(event="execution.reopened", detail={"by": "parent", "from": child.status, "to": Status.COMPENSATING})
    forward = child.header.phase is Phase.FORWARD
    return Changes(header=head, history=[line] if forward else [line, Line(event="undo.continued")])
