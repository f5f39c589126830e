"""Planning as a segment on the real store, with a simulated planner: every crash, every refusal, every word in between."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from shared.clock import new_execution_id
from shared.machine import plan as plans
from shared.machine.events import Patience
from shared.machine.plan import NO_PLAN, Plan
from shared.machine.state import Adopted, Advice, Asked, Flawed, Header, Notes, Unreachable
from shared.machine.status import Status
from shared.ports import Accepted, Birth, Created, Going, Stopped, Words
from shared.redisdb import keys
from shared.redisdb.snapshots import Snapshots
from shared.why import why
from tests.services.engine.support import CONTRACTS, TENANT, Stage, chain
from tests.support.executions import ALLOWANCE, LEASE_MS, NOW

WORDS = Words(text="dinner, somehow", user="ann", at_ms=NOW)
DATA = plans.encode(Plan(steps=tuple(chain(2)), contracts=CONTRACTS))
FOUND = Adopted(
    plan=DATA, hash=plans.hash_of(DATA), cells=plans.decode(DATA).first_cells(), fields={"summary": "Work.", "sources": "[]"}
)
RULES = Asked(questions=({"field": "time", "question": "When?", "candidates": []},))
BUSY = Unreachable(message="the model's endpoint answered 503")


class Died(Exception):
    """The process is killed here."""


class SimulatedPlanner:
    """Says what it is told to, call by call; the last for ever."""

    def __init__(self, *said: Any, during: Callable[[], Awaitable[None]] | None = None) -> None:
        self.said = list(said)
        self.during = during
        self.calls: list[int] = []
        self.models: list[bool] = []
        self.problems: list[tuple[str, ...]] = []
        self.waits: list[float] = []

    async def advise(
        self,
        words: Words,
        *,
        tenant: str,
        call: int,
        model: bool,
        until_s: float,
        problems: Sequence[str],
        before: Flawed | None,  # noqa: ARG002 - the port's
        stopped: Stopped | None = None,  # noqa: ARG002 - the port's
    ) -> Advice:
        """See the port."""
        assert (words, tenant) == (WORDS, TENANT)
        self.calls.append(call)
        self.models.append(model)
        self.problems.append(tuple(problems))
        self.waits.append(until_s)
        said = self.said[min(len(self.calls), len(self.said)) - 1]
        if self.during is not None:
            await self.during()
        if isinstance(said, Exception):
            raise said
        return Advice(call=call, said=said if model else BUSY, tokens=50, detail={"model": "small"}, instead=RULES)


async def worded(stage: Stage, planner: SimulatedPlanner, **other: Any) -> str:
    """An execution that has words only."""
    stage.interpreter.planner = planner
    stage.interpreter.patience = Patience(calls=3, tokens=1_000, call_ms=4_000)
    header = Header(id=new_execution_id(), tenant=TENANT, plan="", status=Status.RECEIVED, trace="t" * 32)
    fields = {"user": "ann", "text": WORDS.text, "summary": ""}
    made = await stage.store.create(
        Birth(header=header, plan=NO_PLAN, cells="", words=WORDS, fields=fields, request_hash="r", **other)
    )
    assert isinstance(made, Created)
    assert made.entry is not None
    await stage.store.relay_ack([(made.entry, "msg_first")])
    return header.id


async def facts(stage: Stage, execution: str) -> tuple[str, str]:
    """Status and plan."""
    header = await stage.header(execution)
    return header["status"], header["plan"]


async def test_words_are_planned_in_the_first_segment_and_run_in_the_next(stage: Stage) -> None:
    """RECEIVED, PLANNING, PLANNED, EXECUTING, COMPLETED; the message between them is the engine's own."""
    planner = SimulatedPlanner(FOUND)
    execution = await worded(stage, planner)
    answer = await stage.run(execution)
    assert (answer.status, answer.result) == (200, "planned")
    assert await facts(stage, execution) == ("PLANNED", FOUND.hash)
    assert stage.tools.names == []
    assert [entry.reason for entry in stage.queue.taken] == ["planned"]
    assert (await stage.run(execution, segment=1)).result == "COMPLETED"
    assert stage.tools.names == ["s0", "s1"]
    view = await stage.reader.view(execution, TENANT)
    assert (view.total_steps, view.fields["summary"]) == (2, "Work.")
    events = await stage.events(execution)
    assert events[:5] == ["execution.created", "segment.started", "planning.asked", "planning.answered", "planning.planned"]


async def test_a_message_that_comes_twice_plans_once(stage: Stage) -> None:
    """The second is of an older segment."""
    planner = SimulatedPlanner(FOUND)
    execution = await worded(stage, planner)
    await stage.run(execution, segment=0)
    assert (await stage.run(execution, segment=0)).result == "stale"
    assert planner.calls == [1]


async def test_with_confirm_the_plan_waits_for_a_yes(stage: Stage) -> None:
    """No message; the yes names the hash that the record has."""
    execution = await worded(stage, SimulatedPlanner(FOUND), notes=Notes(unconfirmed=True))
    await stage.run(execution)
    assert await facts(stage, execution) == ("AWAITING_CONFIRMATION", FOUND.hash)
    assert stage.queue.taken == []
    assert (await stage.run(execution)).result == "paused"
    yes = {"plan_hash": FOUND.hash, "actor": "ann"}
    await stage.store.signal(execution, tenant=TENANT, sid="yes", kind="confirm", payload=yes)
    assert (await stage.run(execution)).result == "COMPLETED"


async def test_questions_end_it_and_are_in_the_record(stage: Stage) -> None:
    """REJECTED, with what is asked."""
    asked = Asked(questions=({"field": "people", "question": "How many?", "candidates": ["2"]},))
    execution = await worded(stage, SimulatedPlanner(asked))
    assert (await stage.run(execution)).result == "REJECTED"
    view = await stage.reader.view(execution, TENANT)
    assert view.output["questions"] == [{"field": "people", "question": "How many?", "candidates": ["2"]}]


async def test_a_flawed_answer_is_mended_in_the_same_segment(stage: Stage) -> None:
    """With what was wrong."""
    planner = SimulatedPlanner(Flawed(problems=("no tool x",)), FOUND)
    execution = await worded(stage, planner)
    assert (await stage.run(execution)).result == "planned"
    assert (planner.calls, planner.problems) == ([1, 2], [(), ("no tool x",)])
    lines = [line for line in await stage.reader.history(execution, TENANT) if line["event"] == "planning.answered"]
    assert [line["detail"]["said"] for line in lines] == ["flawed", "plan"]
    assert lines[0]["detail"]["problems"] == ["no tool x"]


async def test_slow_answers_go_on_in_further_segments(stage: Stage) -> None:
    """What was wrong goes along; the calls are bounded over all of them."""

    async def slow() -> None:
        stage.hand.forward(6_500)

    planner = SimulatedPlanner(Flawed(problems=("p",)), during=slow)
    execution = await worded(stage, planner)
    results = [(await stage.run(execution)).result for _ in range(3)]
    assert results == ["checkpointed", "checkpointed", "REJECTED"]
    assert (planner.calls, planner.problems) == ([1, 2, 3], [(), ("p",), ("p",)])
    assert [entry.reason for entry in stage.queue.taken] == ["continued", "continued"]


async def test_no_answer_suspends_with_a_message_for_later(stage: Stage) -> None:
    """And a message that comes too early asks nobody."""
    planner = SimulatedPlanner(BUSY, FOUND)
    execution = await worded(stage, planner)
    assert (await stage.run(execution)).result == "suspended"
    header = await stage.header(execution)
    assert (header["status"], header["reason"]) == ("SUSPENDED", "back-off")
    (entry,) = stage.queue.taken
    assert entry.not_before_ms > NOW
    stage.hand.forward(entry.not_before_ms - NOW)
    assert (await stage.run(execution)).result == "planned"
    assert planner.calls == [1, 2]


async def test_why_says_that_the_model_is_asked_again(stage: Stage) -> None:
    """And when."""
    execution = await worded(stage, SimulatedPlanner(BUSY))
    await stage.run(execution)
    found = why(await Snapshots(stage.redis).load(execution, TENANT))
    (wait,) = found.waits
    assert (wait.kind, wait.owner) == ("planning", "time")
    assert wait.until_ms > NOW
    assert "asked again" in found.text


async def test_a_model_that_never_answers_ends_in_the_rules_questions(stage: Stage) -> None:
    """After its calls, and with the reason."""
    planner = SimulatedPlanner(BUSY)
    execution = await worded(stage, planner)
    for _ in range(3):
        await stage.run(execution)
        stage.hand.forward(60_000)
    assert await facts(stage, execution) == ("REJECTED", "")
    assert planner.calls == [1, 2, 3]
    output = (await stage.reader.view(execution, TENANT)).output
    assert output["error"]["planner"] == BUSY.message
    assert output["questions"] == list(RULES.questions)


async def test_without_a_planner_the_words_are_asked_about(stage: Stage) -> None:
    """A setting was taken away meanwhile: nothing hangs."""
    execution = await worded(stage, SimulatedPlanner(FOUND))
    stage.interpreter.planner = type(stage.interpreter)(
        store=stage.store, sender=stage.interpreter.sender, tools=stage.tools, clock=stage.clock, limits=stage.limits
    ).planner
    assert (await stage.run(execution)).result == "REJECTED"


# crashes: before and after each commit


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", ["the call is counted", "the plan is stored"])
async def test_a_crash_costs_a_call_at_most_and_never_the_plan(stage: Stage, at: str, when: str) -> None:
    """Planned again, or the stored plan is found; the steps run once each."""
    kind, died = {"the call is counted": "intents", "the plan is stored": "leave"}[at], False

    async def die(_: str, going: Going) -> None:
        nonlocal died
        if going.kind == kind and not died:
            died = True
            raise Died

    setattr(stage.store, when, die)
    planner = SimulatedPlanner(FOUND)
    execution = await worded(stage, planner)
    with pytest.raises(Died):
        await stage.run(execution)
    for _ in range(3):
        stage.hand.forward(LEASE_MS + 1_000)
        await stage.run(execution)
    assert await facts(stage, execution) == ("COMPLETED", FOUND.hash)
    assert stage.tools.names == ["s0", "s1"]
    again = at == "the plan is stored" and when == "before"
    assert len(planner.calls) == (2 if again else 1)
    lost = at == "the call is counted" and when == "after"
    assert planner.calls[-1] == (2 if again or lost else 1), "a call that was counted counts"


async def test_processes_that_die_in_every_call_end_in_the_rules_questions(stage: Stage) -> None:
    """The calls are bounded by what was counted, not by what was answered."""
    planner = SimulatedPlanner(Died())
    execution = await worded(stage, planner)
    for _ in range(3):
        with pytest.raises(Died):
            await stage.run(execution)
        stage.hand.forward(LEASE_MS + 1_000)
    planner.said = [FOUND]
    assert (await stage.run(execution)).result == "REJECTED"
    assert (planner.calls, planner.models) == ([1, 2, 3, 3], [True, True, True, False])


async def test_who_was_too_slow_stores_no_plan(stage: Stage) -> None:
    """Another has the lease by then, and plans itself."""

    async def taken_over() -> None:
        stage.hand.forward(LEASE_MS + 1)
        await stage.store.acquire(execution, owner="b" * 32, lease_ms=LEASE_MS, segment=-1, cause="test")

    execution = await worded(stage, SimulatedPlanner(FOUND, during=taken_over))
    assert (await stage.run(execution)).result == "lost"
    assert await facts(stage, execution) == ("PLANNING", "")
    assert await stage.store.load_plan(execution) == NO_PLAN


# signals


@pytest.mark.parametrize(("kind", "status"), [("cancel", "CANCELLED"), ("pause", "PAUSED")])
async def test_a_word_that_comes_during_the_call_is_heard_before_the_plan_is_stored(
    stage: Stage, kind: str, status: str
) -> None:
    """What the model said is in the history all the same: it cost money."""

    async def told() -> None:
        answer = await stage.store.signal(execution, tenant=TENANT, sid=kind, kind=kind, payload={"actor": "ann"})
        assert isinstance(answer, Accepted)

    execution = await worded(stage, SimulatedPlanner(FOUND, during=told))
    await stage.run(execution)
    assert await facts(stage, execution) == (status, "")
    assert (await stage.events(execution)).count("planning.answered") == 1


async def test_it_can_be_cancelled_between_two_calls(stage: Stage) -> None:
    """The wait ends at once."""
    planner = SimulatedPlanner(BUSY)
    execution = await worded(stage, planner)
    await stage.run(execution)
    await stage.store.signal(execution, tenant=TENANT, sid="cancel", kind="cancel", payload={})
    assert (await stage.run(execution)).result == "CANCELLED"
    assert planner.calls == [1]


async def test_after_a_pause_it_is_planned(stage: Stage) -> None:
    """By the next segment, once somebody resumes it."""
    planner = SimulatedPlanner(FOUND)
    execution = await worded(stage, planner)
    await stage.store.signal(execution, tenant=TENANT, sid="p", kind="pause", payload={"actor": "ann"})
    await stage.run(execution)
    assert (await stage.header(execution))["status"] == "PAUSED"
    await stage.store.signal(execution, tenant=TENANT, sid="r", kind="resume", payload={})
    assert (await stage.run(execution)).result == "planned"


# money


async def test_the_plans_undo_lane_keeps_its_part_of_the_messages(stage: Stage) -> None:
    """More than words need: their next segment asks for it."""
    allowance = msgspec.structs.replace(ALLOWANCE, floor=1)
    execution = await worded(stage, SimulatedPlanner(FOUND), allowance=allowance)
    await stage.run(execution)
    account = await stage.store.account(execution)
    assert account is not None
    assert account.floor == 3


async def test_no_secret_and_no_answer_is_in_the_record(stage: Stage) -> None:
    """What a flawed answer said is for the model only."""
    flawed = Flawed(problems=("p",), answer="the whole answer")
    execution = await worded(stage, SimulatedPlanner(flawed, FOUND))
    await stage.run(execution)
    stored: Any = await stage.redis.hgetall(keys.record(execution))
    history: Any = await stage.redis.xrange(keys.history(execution))
    assert b"the whole answer" not in repr((stored, history)).encode()


async def test_a_slow_invocation_gives_the_model_less_time(stage: Stage) -> None:
    """Nobody waits beyond the cut-off."""
    planner = SimulatedPlanner(FOUND)
    execution = await worded(stage, planner)
    await stage.run(execution, late_ms=5_000)
    assert planner.waits == [3.0]
