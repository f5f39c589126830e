"""What people may do to an execution: what each action checks, and the signal or the reopening that it becomes.

Whether an action fits is judged by the machine itself: the very functions that will take the signal up are tried on
a copy first. The answer may be outrun by the execution, and then the history says so (`signal.moot`).
"""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from shared.api.bodies import Action, Approve, Compensate, Confirm, Edit, Reject, Retry, Settle, Skip
from shared.api.executions import Acted
from shared.errors import BadRequest, Conflict, NotFound, TooLarge, TooMany, Unprocessable
from shared.logs import get_logger
from shared.machine import refs, reopening
from shared.machine.accept import Problem
from shared.machine.decision import Changes
from shared.machine.draft import Draft
from shared.machine.reopening import NotReopened
from shared.machine.signals import TAKEN, Misfit, absorb
from shared.machine.state import Execution, Signal
from shared.machine.status import REOPENINGS, TERMINAL, Cell, Reason, Status
from shared.policies import NO_POLICIES, Policies
from shared.ports import Accepted, NotAccepted, Store
from shared.redisdb.snapshots import Snapshot
from shared.relay import Sender

log = get_logger()

MAX_OUTPUT_BYTES: Final = 262_144
"""Of an output that a person supplies: what a tool may give too."""
ACTOR_MOST: Final = 100
STEPS_SHOWN: Final = 10


def name_of(action: Action) -> str:
    """`pause`, `retry`, ..."""
    return type(action).__name__.lower()


class ToSignal(msgspec.Struct, frozen=True, kw_only=True):
    """It goes into the inbox."""

    kind: str
    payload: dict[str, Any]
    will: str


class ToReopen(msgspec.Struct, frozen=True, kw_only=True):
    """It leaves a terminal status, for whoever saw this version."""

    origin: Status
    changes: Changes
    will: str


Deed: TypeAlias = ToSignal | ToReopen


class Schemas(Protocol):
    """What arguments tools take: the registry."""

    def get(self, name: str, version: str = "") -> Any:
        """The tool of that version (empty: the newest), or None."""
        ...

    def check_args(self, name: str, args: Mapping[str, Any], place: str, version: str = "") -> Iterator[Problem]:
        """What is wrong with them."""
        ...


# --- pure: what an action becomes


def deed_of(found: Snapshot, action: Action, by: str) -> Deed:
    """What `action` becomes. Conflict: it has nothing to act upon, or another version was seen.

    What never fits is said before a version is asked for: none would help.
    """
    x = found.execution
    if action.version is not None and action.version != found.ver:
        raise Conflict(
            f"it has moved on since version {action.version}: look again", code="version_conflict", **_place(found, action)
        )
    if x.header.status not in TERMINAL:
        return _signal(found, action, by)
    try:
        changes = _reopened(x, action, by, found.now_ms)
    except NotReopened as error:
        raise _moot(found, action, error) from error
    if action.version is None:
        raise Unprocessable(
            f"it is {x.header.status}: say which version you saw (`version` of GET /api/executions/{x.header.id})",
            code="version_required",
            **_place(found, action),
        )
    target = changes.header.status if changes.header else x.header.status
    return ToReopen(origin=x.header.status, changes=changes, will=_will_reopen(action, target, changes))


def _moot(found: Snapshot, action: Action, error: Exception) -> Conflict:
    """In the machine's own words, and with where to look or what to do instead."""
    remedy = _remedy(found.execution, action)
    return Conflict(f"{error}: {remedy}" if remedy else str(error), code="moot", **_place(found, action))


def _remedy(x: Execution, action: Action) -> str:
    step = getattr(action, "step", "")
    if step and x.cell_of(step) is None:
        names = [one.name for one in x.blueprint.plan.steps[:STEPS_SHOWN]]
        return f"its first steps are {', '.join(names)}" if names else "it has no plan yet"
    if x.header.status in TERMINAL:
        again = isinstance(action, Retry | Edit | Skip) and Status.EXECUTING not in REOPENINGS.get(x.header.status, ())
        return _AGAIN if again and x.header.plan and x.notes.parent is None else ""
    if isinstance(action, Approve | Reject) and step:
        return "GET /api/approvals lists what is asked, each with its argsHash"
    if isinstance(action, Confirm):
        return f"GET /api/executions/{x.header.id}/why has the planHash, if it waits for a yes"
    return ""


_AGAIN: Final = "`restart` runs its plan anew, `fork` does from a step on"


def _place(found: Snapshot, action: Action) -> dict[str, Any]:
    """Where it stands, for whoever was refused."""
    x = found.execution
    step = getattr(action, "step", "")
    cell = x.cell_of(step) if step else None
    where = {"step": step, "stepStatus": x.cell(cell).name} if cell is not None else {}
    return {"status": x.header.status, "reason": x.header.reason or None, "version": found.ver, **where}


def _signal(found: Snapshot, action: Action, by: str) -> ToSignal:
    kind, payload = name_of(action), _payload(action, by)
    if isinstance(action, Retry) and not action.step:
        raise Unprocessable("$.step: name the step that is tried again", code="step_needed", at="$.step")
    draft = Draft(found.execution, found.now_ms)
    absorb(draft, found.unseen)
    try:
        TAKEN[kind](draft, payload, Signal(position=0, kind=kind, payload=payload))
    except Misfit as error:
        raise _moot(found, action, error) from error
    later = " once the running invocation looks" if found.held else ""
    will = _WILL_END if isinstance(action, Reject) and not action.step else _WILL[kind].format(step=getattr(action, "step", ""))
    return ToSignal(kind=kind, payload=payload, will=will + later)


def _payload(action: Action, by: str) -> dict[str, Any]:
    said = {name: getattr(action, name) for name in action.__struct_fields__ if name not in {"actor", "version"}}
    if isinstance(action, Approve) and action.args is None:
        del said["args"]
    return said | {"actor": by}


_WILL: Final = {
    "cancel": "no further step starts; what was done is undone unless that is not wanted",
    "compensate": "no further step starts, and what was done is undone",
    "pause": "no further step starts; calls that are under way end first",
    "resume": "it goes on where it stood",
    "retry": "{step} is tried again at once",
    "skip": "{step} counts as done with this output",
    "edit": "{step} is called with these arguments",
    "approve": "{step} goes on with the approved arguments",
    "confirm": "the plan begins, exactly as it was confirmed",
    "reject": "{step} fails as rejected",
    "settle": "{step} goes on as the person says",
}


_WILL_END: Final = "it ends as REJECTED, and nothing of it was done"


def _reopened(x: Execution, action: Action, by: str, now_ms: int) -> Changes:
    match action:
        case Retry():
            return reopening.retry(x, step=action.step, by=by, now_ms=now_ms)
        case Edit():
            return reopening.edit(x, step=action.step, args=action.args, by=by, now_ms=now_ms)
        case Skip():
            return reopening.skip(x, step=action.step, output=action.output, by=by, now_ms=now_ms)
        case Settle():
            said = {"happened": action.happened, "output": action.output}
            return reopening.settle(x, step=action.step, by=by, now_ms=now_ms, **said)
        case Compensate():
            return reopening.compensate(x, by=by, now_ms=now_ms)
        case _:
            raise NotReopened(f"it is over ({x.header.status}): {name_of(action)} is for executions that run")


def _will_reopen(action: Action, target: Status, changes: Changes) -> str:
    steps = [line.step for line in changes.history if line.step]
    about = f": {', '.join(dict.fromkeys(steps[:20]))}" if steps else ""
    return f"it is {target} again ({name_of(action)}{about})"


def check_input(action: Action, x: Execution, schemas: Schemas, policies: Policies = NO_POLICIES) -> None:
    """Unprocessable for arguments that the tool does not take, or a policy does not allow.

    TooLarge for an output that is too large to keep.
    """
    output = getattr(action, "output", None)
    if output is not None and len(msgspec.json.encode(output)) > MAX_OUTPUT_BYTES:
        raise TooLarge(f"$.output: larger than {MAX_OUTPUT_BYTES} bytes", at="$.output", limit=MAX_OUTPUT_BYTES)
    args, cell = getattr(action, "args", None), x.cell_of(getattr(action, "step", ""))
    if args is None or cell is None:
        return
    try:
        refers = next(refs.find(args, "$.args"), None)
    except refs.BadReference as error:
        raise Unprocessable(str(error), code="bad_arguments", at=error.place) from error
    if refers is not None:
        raise Unprocessable(
            f"{refers.place}: these arguments are taken as they stand, references are not", code="bad_arguments"
        )
    step = x.layout.step(cell)
    tool, version = x.blueprint.plan.steps[step].tool, x.blueprint.contract(step).version
    found = [*_problems(schemas, tool, version, args), *policies.sent(x.header.tenant, tool, args, "$.args")]
    problems = [{"at": one.at, "message": one.message} for one in found]
    if problems:
        raise Unprocessable(
            "; ".join(f"{one['at']}: {one['message']}" for one in problems[:3]), code="bad_arguments", problems=problems
        )


def _problems(schemas: Schemas, tool: str, version: str, args: Mapping[str, Any]) -> Iterator[Problem]:
    """By the version that the plan pinned: it is the one that will be called."""
    if not tool:
        return
    if schemas.get(tool, version) is None:
        which = f"{tool}, version {version}," if version else tool
        yield Problem("$.args", f"this installation has no tool {which} that could say whether it takes them")
        return
    yield from schemas.check_args(tool, args, "$.args", version)


def actor_of(tenant: str, person: str) -> str:
    """Who acts, for the history: whose key it is, and whom that caller names. BadRequest for a name that could mislead."""
    if len(person) > ACTOR_MOST or not person.isprintable():
        raise BadRequest(f"the actor is a name of up to {ACTOR_MOST} printable characters", code="bad_actor", at="actor")
    person = person.strip()
    return f"{tenant}/{person}" if person else tenant


def asked_about(x: Execution) -> list[str]:
    """The steps that wait for a person's approval."""
    return [
        x.name_of(cell)
        for cell, hold in sorted(x.holds.items())
        if x.cell(cell) is Cell.WAITING and hold.kind is Reason.APPROVAL
    ]


# --- doing it


class Looks(Protocol):
    """Reads executions (`Snapshots`)."""

    async def load(self, execution: str, tenant: str) -> Snapshot:
        """One, or NotFound."""
        ...


class Actions:
    """Carries actions out, and notes who did what."""

    def __init__(self, store: Store, looks: Looks, schemas: Schemas, sender: Sender, policies: Policies = NO_POLICIES) -> None:
        """One for a process."""
        self._policies = policies
        self._store = store
        self._looks = looks
        self._schemas = schemas
        self._sender = sender

    async def plan(self, execution: str, tenant: str, action: Action, by: str, *, seen: bool = True) -> tuple[Snapshot, Deed]:
        """What would be done. `seen` False: whatever version there is was seen (bulk actions choose by filter)."""
        found = await self._looks.load(execution, tenant)
        check_input(action, found.execution, self._schemas, self._policies)
        if not seen and found.terminal:
            action = msgspec.structs.replace(action, version=found.ver)
        return found, deed_of(found, action, by)

    async def act(self, execution: str, tenant: str, action: Action, by: str, *, seen: bool = True) -> Acted:
        """Do it; the answer says what will happen."""
        found, deed = await self.plan(execution, tenant, action, by, seen=seen)
        if isinstance(deed, ToReopen):
            await self._reopen(execution, tenant, found.ver, deed)
        else:
            await self._tell(execution, tenant, deed, _sid(deed.kind))
        name, step = name_of(action), getattr(action, "step", "") or None
        log.info("action.accepted", execution=execution, tenant=tenant, action=name, by=by, step=step)
        return Acted(id=execution, result="accepted", will=deed.will, action=name, by=by, step=step)

    async def _reopen(self, execution: str, tenant: str, ver: int, deed: ToReopen) -> None:
        done = await self._store.reopen(
            execution, tenant=tenant, ver=ver, origins=frozenset({deed.origin}), changes=deed.changes
        )
        if isinstance(done, NotAccepted):
            raise Conflict("somebody else acted meanwhile: look again", code="version_conflict", why=done.why)
        self._sender.start([done.entry], "the reopened execution")

    async def _tell(self, execution: str, tenant: str, deed: ToSignal, sid: str) -> None:
        done = await self._store.signal(execution, tenant=tenant, sid=sid, kind=deed.kind, payload=deed.payload)
        if isinstance(done, Accepted):
            if done.entry is not None:
                self._sender.start([done.entry], f"the {deed.kind}")
        elif done.why == "full":
            raise TooMany("this execution's inbox is full", code="inbox_full")
        elif done.why == "absent":
            raise NotFound(f"there is no execution {execution}")
        elif done.why == "terminal":
            raise Conflict("it has ended meanwhile: look again", code="moot")


def _sid(kind: str) -> str:
    """One cancel is enough for an execution; everything else may come again."""
    return "cancel" if kind in {"cancel", "compensate"} else f"{kind}-{secrets.token_hex(8)}"
