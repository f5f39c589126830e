"""From a request to a stored execution: look up the key, plan, validate, create, and hand its first message on."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared import tracing
from shared.background import Background
from shared.clock import new_execution_id
from shared.errors import BadRequest, Conflict, Unprocessable
from shared.logs import get_logger
from shared.machine import plan as plans
from shared.machine.accept import Limits, PlanRefused, accept
from shared.machine.plan import NO_PLAN, Effect, Plan, PlanDraft, Undo
from shared.machine.state import Header, Notes, Replan
from shared.machine.status import Status
from shared.machine.versions import extended, placed
from shared.numbers import counted
from shared.planner import Clarification, Planned, Profile, Repeated, plan_text
from shared.planner.scan import tidy
from shared.policies import NO_POLICIES, Mark, Policies, Verdict
from shared.ports import Birth, Exists, KeyConflict, Stopped, Store, Words
from shared.profiles import Profiles
from shared.quota import Demand, demand_of
from shared.quota_keeper import Keeper
from shared.redisdb import keys
from shared.relay import Sender
from shared.requests import Context, Execute, links, plan_summary, request_hash
from shared.tally import Tally
from shared.tools.registry import Registry
from shared.tracing import NO_TRACER, Tracer

log = get_logger()
Planners = Literal["rules", "auto", "llm"]
"""Who plans words: the rules only; a model where the rules would ask; or always the model."""
UNPLANNED: Demand = Demand(steps=8, waits=1)
"""What is reserved for words before anybody knows their plan; what the plan needs beside it is asked for when it begins."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller is told. `created` is False when the same request had been taken before."""

    execution: str
    created: bool
    body: dict[str, Any]


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that would be accepted."""

    plan: Plan
    planned: Planned | None
    marks: tuple[Mark, ...] = ()
    """Where policies ask for a person."""

    @property
    def hash(self) -> str:
        """Its identity."""
        return plans.hash_of(plans.encode(self.plan))

    @property
    def summary(self) -> str:
        """In words."""
        return self.planned.summary if self.planned else counted(len(self.plan.steps), "step")

    @property
    def confirmations(self) -> list[Mark]:
        """Why policies let nothing start before the plan is confirmed; empty if they do."""
        return [mark for mark in self.marks if mark.kind == "confirmation"]


class Repeating(Unprocessable):
    """The words ask for something again and again: a schedule has to be made of them, not an execution."""

    def __init__(self, planned: Planned, wanted: Repeated) -> None:
        """`wanted`: the times, and the words to be planned at each of them."""
        super().__init__(
            f"these words say themselves when they are to be repeated ({wanted.words!r}): leave that out where a cron "
            "expression says it, or give them to POST /api/execute",
            code="words_repeat",
        )
        self.planned, self.wanted = planned, wanted


class Acceptor:
    """Takes intents. A refusal of any kind stores nothing."""

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        registry: Registry,
        profiles: Profiles,
        limits: Limits,
        background: Background,
        quota: Keeper,
        planners: Planners = "rules",
        policies: Policies = NO_POLICIES,
        tracer: Tracer = NO_TRACER,
        tally: Tally | None = None,
    ) -> None:
        """`background` sends the first message after the caller has its answer.

        Unless `planners` is "rules" the step executor has a model to ask.
        """
        self._tracer = tracer
        self._tally = tally or Tally()
        self._planners = planners
        self._policies = policies
        self._quota = quota
        self._store = store
        self._sender = sender
        self._registry = registry
        self._profiles = profiles
        self._limits = limits
        self._background = background

    async def check(self, tenant: str, request: Execute, *, at: datetime) -> None:
        """Whether `request` could be taken at a moment: raises what `take` would, and stores nothing."""
        await self._found(tenant, request, at)

    async def draft(self, tenant: str, request: Execute, *, at: datetime | None = None) -> Drafted:
        """The plan that `request` becomes without a model; raises what stands in its way, and stores nothing."""
        words = request.words()
        said = at or request.context.now or datetime.now(UTC)
        planned = await self._planned(tenant, request, words, said) if words else None
        ruled = judged(self._policies, self._accept(_draft(request, planned)), tenant)
        return Drafted(plan=ruled.plan, planned=planned, marks=ruled.marks)

    async def take(self, tenant: str, request: Execute, key: str, *, at: datetime | None = None) -> Accepted:
        """Store the execution that `request` asks for; with a `key`, once. `at`: when the words are said, if not now.

        Raises Repeating for words that ask for a schedule.
        """
        with self._tracer.span("accept", facts={"intention.tenant": tenant}) as span:
            taken = await self._take(tenant, request, key, at)
            span.note({"intention.execution": taken.execution, "intention.created": taken.created})
        return taken

    async def _take(self, tenant: str, request: Execute, key: str, at: datetime | None) -> Accepted:
        fingerprint = request_hash(request)
        if request.replan and self._planners == "rules":
            text = "$.replan: no model is set here that could make another plan (LLM_MODEL, LLM_API_KEY): leave it out"
            raise Unprocessable(text, code="no_model", at="$.replan")
        if key and (known := await self._known(tenant, key, fingerprint)):
            return known
        moment = at or request.context.now or datetime.now(UTC)
        found = await self._found(tenant, request, moment)
        if isinstance(found, Words):
            birth, want = self._birth_of_words(tenant, request, found, fingerprint, key), UNPLANNED
        else:
            birth, want = self._birth(tenant, request, found, moment, fingerprint, key), demand_of(found.plan)
        stored = await self._quota.create(birth, want, low=request.priority == "low")
        if isinstance(stored, KeyConflict):
            raise _conflict(key)
        if isinstance(stored, Exists):
            return _again(stored.execution)
        if stored.entry is not None:
            self._background.start(self._sender.send(stored.entry, "the first step"))
        self._sender.start(stored.commands, "another partition")
        self._tally.accepted += 1
        log.info("execution.accepted", execution=birth.header.id, tenant=tenant, status=birth.header.status)
        return _new(birth, found)

    async def _found(self, tenant: str, request: Execute, at: datetime) -> Drafted | Words:
        """A plan, or words that the model is to plan in a segment of their own: never while somebody waits for an answer."""
        text = request.words()
        if text is None or self._planners == "rules" or "${" in tidy(text):  # what looks like a reference is never planned
            return await self.draft(tenant, request, at=at)
        words = _words(request, text, at)
        asks = {"clarification_needed", "plan_refused"} if self._planners == "llm" else {"clarification_needed"}
        try:
            drafted = await self.draft(tenant, request, at=at)
        except Unprocessable as error:
            if error.error_code not in asks:
                raise
            return words
        return words if self._planners == "llm" else drafted

    async def _known(self, tenant: str, key: str, fingerprint: str) -> Accepted | None:
        found = await self._store.made_by(tenant, key)
        if found is None:
            return None
        if found[1] != fingerprint:
            raise _conflict(key)
        return _again(found[0])

    async def reader(self, tenant: str, user: str, context: Context) -> Callable[[str, datetime], Planned | Clarification]:
        """How a user's words are read: with their profile, and with the tools that there are."""
        profile = await self._profiles.get(tenant, user) or Profile()
        if context.timezone:
            profile = msgspec.structs.replace(profile, timezone=_zone(context.timezone))
        contracts = self._registry.contracts()
        final = [name for name, one in contracts.items() if one.effect is not Effect.PURE and one.undo is Undo.NONE]
        return lambda words, now: plan_text(words, profile=profile, now=now, tools=contracts.keys(), final=final)

    async def _planned(self, tenant: str, request: Execute, words: str, now: datetime) -> Planned:
        read = await self.reader(tenant, request.user_id, request.context)
        found = read(words, now)
        if isinstance(found, Clarification):
            questions = msgspec.to_builtins(found.questions)
            text = " ".join(question.question for question in found.questions)
            raise Unprocessable(text, code="clarification_needed", questions=questions)
        if found.schedule is not None:
            raise Repeating(found, found.schedule)
        return found

    def _accept(self, draft: PlanDraft) -> Plan:
        try:
            return validated(draft, self._registry, self._limits)
        except PlanRefused as error:
            raise _refused(error) from error

    def _birth(self, tenant: str, request: Execute, drafted: Drafted, at: datetime, fingerprint: str, key: str) -> Birth:
        plan, planned = drafted.plan, drafted.planned
        data = plans.encode(plan)
        execution = new_execution_id(keys.spread(f"{tenant}/{key}") if key else None)
        trace = tracing.born()
        unconfirmed = request.confirm or bool(drafted.confirmations)
        fields = {"user": request.user_id, "text": request.words() or "", "summary": planned.summary if planned else ""}
        if planned:
            fields["sources"] = msgspec.json.encode(planned.sources).decode()
        return Birth(
            header=Header(
                id=execution, tenant=tenant, plan=plans.hash_of(data), status=first_status(unconfirmed=unconfirmed), trace=trace
            ),
            notes=_notes(request, unconfirmed=unconfirmed),
            plan=data,
            cells=plan.first_cells(),
            words=_words(request, request.words() or "", at) if request.replan else None,
            fields=fields,
            timeout_ms=plan.timeout_ms or 0,
            request_hash=fingerprint,
            idempotency_key=key,
        )

    def _birth_of_words(self, tenant: str, request: Execute, words: Words, fingerprint: str, key: str) -> Birth:
        execution = new_execution_id(keys.spread(f"{tenant}/{key}") if key else None)
        trace = tracing.born()
        return Birth(
            header=Header(id=execution, tenant=tenant, plan="", status=Status.RECEIVED, trace=trace),
            notes=_notes(request, unconfirmed=request.confirm),
            plan=NO_PLAN,
            cells="",
            words=words,
            fields={"user": request.user_id, "text": words.text, "summary": ""},
            request_hash=fingerprint,
            idempotency_key=key,
        )


def _words(request: Execute, text: str, at: datetime) -> Words:
    """What a planner is told of what was said."""
    timezone = _zone(request.context.timezone) if request.context.timezone else ""
    return Words(text=text, user=request.user_id, timezone=timezone, at_ms=int(at.timestamp() * 1000))


def _notes(request: Execute, *, unconfirmed: bool) -> Notes:
    return Notes(unconfirmed=unconfirmed, replan=Replan(most=request.replan.most) if request.replan else None)


def validated(draft: PlanDraft, registry: Registry, limits: Limits) -> Plan:
    """The one validator of every plan, whoever wrote it; PlanRefused names what is wrong."""
    return accept(draft, contracts=registry.contracts(), check_args=registry.check_args, limits=limits)


def ruled(draft: PlanDraft, registry: Registry, limits: Limits, policies: Policies, tenant: str) -> tuple[Plan, bool]:
    """A plan as policies want it, and whether they let nothing start before it is confirmed; PlanRefused."""
    found = policies.judge(validated(draft, registry, limits), tenant)
    if found.problems:
        raise PlanRefused(found.problems)
    return found.plan, any(mark.kind == "confirmation" for mark in found.marks)


def ruled_again(
    stopped: Stopped, draft: PlanDraft, registry: Registry, limits: Limits, policies: Policies, tenant: str
) -> tuple[Plan, bool]:
    """The next version of a plan that failed, as `ruled` has the first; nothing of the steps before is changed. PlanRefused."""
    size, contracts = len(stopped.plan.steps), registry.contracts()
    plan = extended(stopped.plan, stopped.cells, draft, contracts=contracts, check_args=registry.check_args, limits=limits)
    found = policies.judge(plan, tenant)
    if found.problems:
        raise PlanRefused(placed(found.problems, size))
    whole = msgspec.structs.replace(found.plan, steps=(*plan.steps[:size], *found.plan.steps[size:]))
    return whole, any(mark.kind == "confirmation" for mark in found.marks)


def judged(policies: Policies, plan: Plan, tenant: str) -> Verdict:
    """An accepted plan as policies want it; Unprocessable for what they do not let through."""
    found = policies.judge(plan, tenant)
    if found.problems:
        raise _refused(PlanRefused(found.problems))
    return found


def first_status(*, unconfirmed: bool) -> Status:
    """Where an execution begins."""
    return Status.AWAITING_CONFIRMATION if unconfirmed else Status.PLANNED


def _refused(error: PlanRefused) -> Unprocessable:
    problems = [{"at": problem.at, "message": problem.message} for problem in error.problems]
    return Unprocessable(str(error), code="plan_refused", problems=problems)


def _draft(request: Execute, planned: Planned | None) -> PlanDraft:
    draft = msgspec.convert(planned.plan, PlanDraft) if planned else request.plan
    assert draft is not None  # noqa: S101 - `words` made sure that one of them is given
    return draft


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of zones, such as Europe, is an OSError
        raise BadRequest(f"$.context.timezone: {name[:60]!r} is no time zone; write one like Europe/Berlin") from error
    return name


def _conflict(key: str) -> Conflict:
    return Conflict(f"the Idempotency-Key {key[:80]!r} was used for another request", code="idempotency_conflict")


def _again(execution: str) -> Accepted:
    body = {"id": execution, "executionId": execution, "repeated": True, "links": links(execution)}
    return Accepted(execution=execution, created=False, body=body)


def _new(birth: Birth, found: Drafted | Words) -> Accepted:
    execution = birth.header.id
    body = {
        "id": execution,
        "executionId": execution,
        "status": birth.header.status,
        "plan": None if isinstance(found, Words) else _shown(birth, found),
        "links": links(execution),
    }
    if isinstance(found, Drafted) and found.marks:
        body["policies"] = msgspec.to_builtins(found.marks)
    return Accepted(execution=execution, created=True, body=body)


def _shown(birth: Birth, found: Drafted) -> dict[str, Any]:
    sources = msgspec.to_builtins(found.planned.sources) if found.planned else []
    return plan_summary(found.plan, birth.header.plan, found.summary, sources)
