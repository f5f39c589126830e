"""How an execution of a conversation stands: what came of it, or what it waits for and asks."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.ingress.chat_turn import Turn
from services.ingress.edge import Deps
from services.ingress.why import explained
from shared.api.executions import Acted
from shared.chat import telling
from shared.chat.model import Pending, Talk
from shared.machine.status import TERMINAL, Status
from shared.redisdb.reader import View
from shared.requests import links

MOST_OUTPUTS: Final = 100
MOST_TEXT: Final = 2_000


def worded(one: Pending) -> str:
    """What waits for a yes or no: in the plan's words, and with the very arguments."""
    what = f"{one.step} with {msgspec.json.encode(one.args).decode()[:500]}" if one.step else "the whole plan"
    return f"{one.message} ({what})" if one.message else what


def shown(one: Pending) -> dict[str, Any]:
    """What waits for a person, for a reader."""
    if not one.step:
        return {"executionId": one.execution, "planHash": one.hash, "message": one.message}
    return {
        "executionId": one.execution,
        "step": one.step,
        "argsHash": one.hash,
        "args": one.args,
        "message": one.message or None,
    }


async def pending_of(deps: Deps, tenant: str, executions: Sequence[str]) -> tuple[Pending, ...]:
    """What these ask of a person now, without what was answered.

    An answer stands in the inbox until a segment takes it up, and in the execution from then on. The inbox is read first:
    an answer that is taken up between the reads would be seen by neither, and be asked for again.
    """
    asking = sorted({one.execution for one in await _asked(deps, executions)})
    answered = {(one, step) for one in asking for step in await _answered(deps, tenant, one)}
    return tuple(one for one in await _asked(deps, asking) if (one.execution, one.step) not in answered)


async def _asked(deps: Deps, executions: Sequence[str]) -> list[Pending]:
    """What these wait for, answered or not."""
    headers = await deps.reader.headers(executions) if executions else []
    unsigned = [one for one in headers if one["status"] == Status.AWAITING_CONFIRMATION]
    plans = [Pending(execution=one["id"], step="", hash=one["plan"], message=one.get("summary", "")) for one in unsigned]
    asked = await deps.reader.asked([one["id"] for one in headers if one["status"] not in TERMINAL])
    steps = [
        Pending(execution=execution, step=step, hash=hold.args_hash, message=message, args=hold.args)
        for execution, step, message, hold in asked
    ]
    return [*plans, *steps]


async def _answered(deps: Deps, tenant: str, execution: str) -> set[str]:
    """Steps to which a yes or no has come that the execution is still to take up; "" for its plan."""
    found = await deps.snapshots.load(execution, tenant)
    return {str(one.payload.get("step", "")) for one in found.unseen if one.kind in {"approve", "confirm", "reject"}}


async def standing(turn: Turn, execution: str) -> tuple[dict[str, Any], Talk]:
    """How an execution stands, with what waits for a person; and what is remembered now that it was shown."""
    deps = turn.deps
    view = await deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS)
    if view.fields["status"] in TERMINAL:
        return outcome(view), turn.kept.talk
    _, why = await explained(deps, turn.tenant, execution)
    waits = await pending_of(deps, turn.tenant, [execution])
    asks = f" Say yes or no to: {'; '.join(worded(one) for one in waits)}." if waits else ""
    text = f"{view.fields.get('summary') or execution} {why.status}: {why.text}{asks}"
    told = _about(view) | {"text": text, "waits": [shown(one) for one in waits]}
    return told, turn.kept.talk.having_shown(waits)


def _about(view: View) -> dict[str, Any]:
    return {
        "executionId": view.id,
        "status": view.fields["status"],
        "reason": view.fields.get("reason") or None,
        "links": links(view.id),
    }


def outcome(view: View) -> dict[str, Any]:
    """What came of an execution that is over."""
    done = [step for step in view.steps if step.status == "DONE"]
    outputs = {step.name: step.output if step.large_output is None else {"large": True} for step in done}
    errors = {step.name: step.error["message"] for step in view.steps if step.error}
    steps = [
        telling.Told(step=step.name, tool=step.tool, output=outputs.get(step.name), error=errors.get(step.name, ""))
        for step in view.steps
    ]
    text = telling.outcome(view.fields.get("summary", ""), view.fields["status"], steps, view.output)
    return _about(view) | {"text": text[:MOST_TEXT], "output": view.output, "outputs": outputs, "errors": errors}


def deed(told: Acted, execution: str) -> dict[str, Any]:
    """What was done to an execution, for a reader."""
    said = {"action": told.action, "will": told.will, "by": told.by}
    return said | {"executionId": execution, "links": links(execution)}


async def end_of_history(turn: Turn, execution: str) -> str:
    """The line behind which a stream goes on."""
    after = "-"
    while lines := await turn.deps.reader.history(execution, turn.tenant, after=after):
        after = lines[-1]["id"]
    return after
