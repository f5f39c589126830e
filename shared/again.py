"""Another execution of a plan that was run before: the whole of it, or from a step on with what came before it given.

The new execution has keys of its own, so that every call is a new effect. What stands of the old one stays where it is and is
none of the new one's: it is not undone with it. So whoever asks must say that this is wanted.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared import tracing
from shared.accepting import first_status, judged
from shared.api.bodies import Again, Fork
from shared.clock import new_execution_id
from shared.errors import Conflict, Unprocessable
from shared.logs import get_logger
from shared.machine import plan as plans
from shared.machine import undoing
from shared.machine.decision import Line
from shared.machine.draft import Draft
from shared.machine.plan import Blueprint, Step
from shared.machine.state import Execution, Header, Notes, Result
from shared.machine.status import SETTLED, Cell
from shared.policies import NO_POLICIES, Policies
from shared.ports import Birth, Created, Exists, KeyConflict, Store
from shared.quota import demand_of
from shared.quota_keeper import Keeper
from shared.redisdb import keys
from shared.redisdb.snapshots import Snapshot
from shared.relay import Sender

log = get_logger()

MOST_GIVEN: Final = 1_000
"""Results that a fork takes along: they are stored with its creation, by one command."""
GIVEN_BYTES: Final = 1_048_576
OUTPUT_BYTES: Final = 65_536


class New(msgspec.Struct, frozen=True, kw_only=True):
    """A plan for a new execution: its bytes, where its cells stand, what it is given."""

    plan: bytes
    cells: str
    given: dict[int, Result] = {}
    unconfirmed: bool = False
    """A policy wants the plan confirmed."""


# --- pure


def standing(x: Execution) -> list[str]:
    """Steps and items whose effects are, or may be, in the world."""
    return [x.name_of(cell) for cell in undoing.standing(Draft(x, 0))]


def check(found: Snapshot, asked: Again) -> list[str]:
    """What stands. Conflict if it still runs, was seen in another version, or if what stands was not accepted."""
    x = found.execution
    place = {"status": x.header.status, "version": found.ver}
    if asked.version is not None and asked.version != found.ver:
        raise Conflict("it has moved on since: look again", code="version_conflict", **place)
    if not found.terminal:
        raise Conflict(f"it is {x.header.status} and may still act: cancel it first", code="still_running", **place)
    if not x.header.plan:
        raise Conflict("its words never had a plan: ask for it anew, in other words", code="no_plan", **place)
    stands = standing(x)
    if stands and not asked.accept_effects:
        text = (
            f"what {', '.join(stands[:10])} did still stands, and would be done once more: say acceptEffects, or compensate it"
        )
        raise Conflict(text, code="effects_stand", standing=stands[:100], **place)
    return stands


def kept(x: Execution, step: str) -> list[int]:
    """The steps that a fork from `step` takes as given: settled, and not behind it. Unprocessable for no step of the plan."""
    start = x.blueprint.index.get(step)
    if start is None or x.blueprint.plan.steps[start].replaced:
        raise Unprocessable(f"$.step: there is no step {step!r}", code="no_such_step", at="$.step")
    behind, new = {start}, [start]
    while new:
        new = [cell for one in new for cell in x.blueprint.dependents[one] if cell not in behind]
        behind.update(new)
    waited = {cell for cell in x.holds if x.cell(cell) is Cell.SKIPPED}  # given up when the plan stopped
    return [
        cell for cell in range(x.blueprint.size) if cell not in behind | waited and x.cell(cell) in SETTLED and _rests(x, cell)
    ]


def _rests(x: Execution, cell: int) -> bool:
    return x.cell(cell) is not Cell.FAILED or x.blueprint.plan.steps[cell].may_fail


def forked(x: Execution, step: str, outputs: Mapping[int, Any], now_ms: int) -> New:
    """The plan of the fork: what is given calls nothing any more, so that its effects are no concern of the new execution."""
    given = kept(x, step)
    done = [cell for cell in given if x.cell(cell) is Cell.DONE]
    if missing := [x.name_of(cell) for cell in done if cell not in outputs]:
        raise Conflict(f"the output of {missing[0]} is gone: restart the plan instead", code="output_gone")
    results = {cell: Result(output=outputs[cell], attempt=1, started_ms=now_ms, ended_ms=now_ms) for cell in done}
    _check_size(x, results)
    steps = tuple(_given(one) if cell in given else one for cell, one in enumerate(x.blueprint.plan.steps))
    data = plans.encode(msgspec.structs.replace(x.blueprint.plan, steps=steps))
    replaced = {cell: Cell.SKIPPED.value for cell, one in enumerate(x.blueprint.plan.steps) if one.replaced}
    where = {cell: x.cell(cell).value for cell in given} | replaced
    first = Blueprint(data)
    cells = "".join(where.get(cell) or _first(first, cell, x, set(given)) for cell in range(first.size))
    return New(plan=data, cells=cells + "." * first.size, given=results)


def _given(step: Step) -> Step:
    return Step(
        name=step.name, tool="", args={}, needs=(), retry=step.retry, timeout_ms=step.timeout_ms, may_fail=step.may_fail
    )


def _first(blueprint: Blueprint, cell: int, x: Execution, given: set[int]) -> str:
    """Where a step stands that is to run: opening looks at its needs and its condition."""
    needs, join = blueprint.needs[cell], blueprint.plan.steps[cell].join
    done = sum(1 for need in needs if need in given and x.cell(need) is Cell.DONE)
    free = all(need in given for need in needs) or (join and done >= join)
    return Cell.OPENING.value if free else Cell.IDLE.value


def _check_size(x: Execution, results: Mapping[int, Result]) -> None:
    sizes = {cell: len(msgspec.json.encode(result.output)) for cell, result in results.items()}
    big = next((cell for cell, size in sizes.items() if size > OUTPUT_BYTES), None)
    if big is not None:
        raise Conflict(f"the output of {x.name_of(big)} is larger than {OUTPUT_BYTES} bytes: restart instead", code="too_large")
    if len(results) > MOST_GIVEN or sum(sizes.values()) > GIVEN_BYTES:
        raise Conflict(
            f"more than {MOST_GIVEN} results or {GIVEN_BYTES} bytes would be copied: restart instead", code="too_large"
        )


# --- doing it


class Repeater:
    """Makes the new executions."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        quota: Keeper,
        policies: Policies = NO_POLICIES,
    ) -> None:
        """`policies`: a plan that is run again is held to those of now."""
        self._policies = policies
        self._store = store
        self._sender = sender
        self._quota = quota

    async def restart(self, found: Snapshot, asked: Again, by: str, fields: dict[str, str], key: str) -> dict[str, Any]:
        """The whole plan once more; 202's body."""
        stands = check(found, asked)
        x = found.execution
        new = self._ruled(x, New(plan=plans.encode(x.blueprint.plan), cells=""))
        new = msgspec.structs.replace(new, cells=plans.decode(new.plan).first_cells())
        return await self._make(x, new, stands, fields, key, {"kind": "restart", "from": x.header.id, "by": by})

    async def fork(self, found: Snapshot, asked: Fork, by: str, fields: dict[str, str], key: str) -> dict[str, Any]:
        """From a step on; 202's body."""
        stands = check(found, asked)
        x = found.execution
        done = [cell for cell in kept(x, asked.step) if x.cell(cell) is Cell.DONE]
        new = self._ruled(x, forked(x, asked.step, await self._store.load_results(x.header.id, done), found.now_ms))
        origin = {"kind": "fork", "from": x.header.id, "by": by, "step": asked.step}
        return await self._make(x, new, stands, fields, key, origin)

    def _ruled(self, x: Execution, new: New) -> New:
        """As policies want it; Unprocessable for what they do not let through."""
        found = judged(self._policies, plans.decode(new.plan), x.header.tenant)
        return msgspec.structs.replace(new, plan=plans.encode(found.plan), unconfirmed=bool(found.confirmations))

    async def _make(
        self, x: Execution, new: New, stands: list[str], fields: dict[str, str], key: str, origin: dict[str, Any]
    ) -> dict[str, Any]:
        birth = _birth(x, new, fields, key, origin | {"standing": stands[:100]})
        made = await self._quota.create(birth, demand_of(plans.decode(birth.plan)))
        if isinstance(made, KeyConflict):
            raise Conflict(f"the Idempotency-Key {key[:80]!r} was used for another request", code="idempotency_conflict")
        execution = made.execution if isinstance(made, Exists) else birth.header.id
        if isinstance(made, Created):
            self._sender.start([made.entry] if made.entry else [], "the first step")
            log.info("action.accepted", execution=x.header.id, tenant=x.header.tenant, new=execution, **_facts(origin))
        given = [x.name_of(cell) for cell in sorted(new.given)]
        told = {"id": execution, "executionId": execution, "repeated": isinstance(made, Exists)}
        return told | origin | {"standing": stands[:100], "given": given[:100]}


def _facts(origin: dict[str, Any]) -> dict[str, Any]:
    return {"action": origin["kind"], "by": origin["by"], "step": origin.get("step")}


def _birth(x: Execution, new: New, fields: dict[str, str], key: str, origin: dict[str, Any]) -> Birth:
    asked = msgspec.json.encode([origin[name] for name in ("kind", "from")] + [origin.get("step")])
    tenant = x.header.tenant
    header = Header(
        id=new_execution_id(keys.spread(f"{tenant}/{key}") if key else None),
        tenant=tenant,
        plan=plans.hash_of(new.plan),
        status=first_status(unconfirmed=new.unconfirmed),
        trace=tracing.born(),
    )
    return Birth(
        header=header,
        plan=new.plan,
        cells=new.cells,
        notes=Notes(input=x.notes.input, unconfirmed=new.unconfirmed),
        fields=fields | {"origin": msgspec.json.encode(origin).decode()},
        timeout_ms=x.blueprint.plan.timeout_ms or 0,
        request_hash=hashlib.sha256(asked).hexdigest(),
        idempotency_key=key,
        given=new.given,
        lines=(Line(event=f"execution.{origin['kind']}ed", detail=origin),),
    )
