"""`POST /api/plan`: what would be done and what it would cost, before anything is done. Nothing is stored."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.accepting import Drafted
from shared.api import operating
from shared.calls import calls_of, spent
from shared.forecast import Pace, forecast, standing
from shared.http import Json, decode
from shared.machine.plan import Plan, Step, Undo
from shared.openapi.operations import on
from shared.quota import Level, Limits, allowance, demand_of
from shared.requests import Execute

_execute = msgspec.json.Decoder(Execute)
NO_LIMITS: Final = Limits()


async def plan(request: Request) -> Response:
    """The plan of these words (or the plan that is given), with its price and the hash that a confirmation names."""
    deps, tenant = edge.known(request)
    asked = decode(_execute, await edge.body(request, deps.settings.max_request_bytes))
    drafted = await deps.acceptor.draft(tenant, asked)
    return Json(await priced(deps, drafted))


async def priced(deps: Deps, drafted: Drafted) -> operating.Priced:
    """What is shown of a plan before it runs."""
    found, settings = drafted.plan, deps.settings
    pace = Pace(
        checkpoint_ms=settings.checkpoint_ms,
        cutoff_ms=settings.step_cutoff_ms,
        parallel=settings.max_parallel_steps,
        steps_per_message=settings.steps_per_message,
    )
    said = forecast(found, await deps.latencies.all(), pace)
    retries, packed = settings.qstash_retries, settings.steps_per_message
    worst = allowance(demand_of(found), per_message=packed, retries=retries, limits=NO_LIMITS, level=Level.NORMAL)
    cost = spent([*calls_of(found)])
    price = operating.Price(
        messages=said.messages,
        reserved_messages=worst.units,
        duration_ms=said.duration_ms,
        cost=cost.expected,
        worst_cost=cost.worst,
        awaits=tuple(operating.AwaitedStep(step=one.step, kind=one.kind) for one in said.awaited),
        guessed=said.guessed,
    )
    return operating.Priced(
        hash=drafted.hash,
        summary=drafted.summary,
        steps=tuple(_step(found, step) for step in found.steps),
        sources=tuple(drafted.planned.sources) if drafted.planned else (),
        cannot_be_undone=tuple(standing(found)),
        policies=drafted.marks,
        price=price,
    )


def _step(found: Plan, step: Step) -> operating.PricedStep:
    called: dict[str, str] = {}
    if step.tool:
        contract = found.contracts[step.tool]
        called = {"tool": step.tool, "version": contract.version, "effect": contract.effect, "undo": _undo(found, step)}
    asked = (step.approve.message or True) if step.approve else False
    return operating.PricedStep(name=step.name, does=_does(step), args=step.args, needs=step.needs, approval=asked, **called)


def _does(step: Step) -> str:
    kinds = {"sleep": step.sleep, "wait": step.wait, "child": step.child, "map": step.map, "call": step.tool}
    return next((kind for kind, there in kinds.items() if there), "approval")


def _undo(found: Plan, step: Step) -> str:
    """How what it does is taken back."""
    if step.undo is not None and step.undo.tool:
        return f"by {step.undo.tool}"
    if step.name in standing(found):
        return "not at all"
    return "nothing to undo" if found.contracts[step.tool].undo is Undo.NONE else "by its own key"


ROUTES: Final = [
    on(
        "POST",
        "/api/plan",
        plan,
        operating.Priced,
        takes=Execute,
        errors=[422],
        example={"intent": "Book a table for 2 at 7pm and text me the confirmation", "userId": "test-user"},
    ),
]
