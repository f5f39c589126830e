"""Steps that are more than a call, on the real store: time, events, callbacks, people, conditions, joins, maps, children."""

from typing import Any

import msgspec
import pytest

from shared.background import Background
from shared.children import Children
from shared.commands import Commands
from shared.gate_ports import Policy, tool_gate
from shared.gates import PAUSED_MS, Gates
from shared.guards import SharedGuards
from shared.machine import plan as plans
from shared.machine.accept import Limits, PlanRefused, accept
from shared.machine.decision import Start
from shared.machine.events import Accepted as TookOver
from shared.machine.events import Done, Outcome, Refused
from shared.machine.plan import PlanDraft
from shared.ports import MESSAGE, Accepted, Birth, Created
from shared.redisdb.gates import RedisGates
from shared.redisdb.slots import RedisSlots
from shared.relay import Sender
from shared.slot_relay import SlotRelay
from tests.services.engine.support import CONTRACTS, TENANT, Stage

LIMITS = Limits(steps=1_000, argument_bytes=65_536, step_ms=8_000)
HOUR = 3_600_000


async def created(stage: Stage, *steps: dict[str, Any], **plan: Any) -> str:
    """A stored execution of a plan as a caller writes it."""
    draft = msgspec.convert({"steps": list(steps)} | plan, PlanDraft)
    data = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=LIMITS))
    header = stage.header_of(data, None)
    birth = Birth(header=header, plan=data, cells=plans.decode(data).first_cells(), fields={}, request_hash="r")
    assert isinstance(await stage.store.create(birth), Created)
    return header.id


async def tell(stage: Stage, execution: str, kind: str, sid: str = "", **payload: Any) -> None:
    """A signal comes in."""
    found = await stage.store.signal(execution, tenant=TENANT, sid=sid or kind, kind=kind, payload=payload)
    assert isinstance(found, Accepted), found


async def where(stage: Stage, execution: str) -> str:
    """Status and reason."""
    header = await stage.header(execution)
    return " ".join(part for part in (header["status"], header.get("reason", "")) if part)


async def go(stage: Stage, execution: str) -> str:
    """One delivery; where it stands then."""
    await stage.run(execution)
    return await where(stage, execution)


async def output(stage: Stage, execution: str, step: str) -> Any:
    """What a step gave."""
    view = await stage.reader.view(execution, TENANT)
    return next(one.output for one in view.steps if one.name == step)


async def cells(stage: Stage, execution: str) -> str:
    """Every cell."""
    seen = await stage.store.peek(execution, tenant=TENANT)
    assert seen is not None
    return seen.cells.decode()


def call(name: str, **more: Any) -> dict[str, Any]:
    """A step that calls."""
    return {"name": name, "tool": "work"} | more


# --- time


async def test_a_sleep_ends_by_itself(stage: Stage) -> None:
    """And not before."""
    execution = await created(
        stage, call("a"), {"name": "nap", "sleep": {"ms": HOUR}, "needs": ["a"]}, call("b", needs=["nap"])
    )
    assert await go(stage, execution) == "SUSPENDED sleep"
    stage.hand.forward(HOUR - 5_000)
    assert await go(stage, execution) == "SUSPENDED sleep"
    stage.hand.forward(5_000)
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.names == ["a", "b"]


async def test_a_sleep_until_a_moment_in_the_past_is_over(stage: Stage) -> None:
    """A moment may come from another step."""
    execution = await created(stage, call("a"), {"name": "nap", "sleep": {"until": "2001-01-01T00:00:00Z"}, "needs": ["a"]})
    assert await go(stage, execution) == "COMPLETED"


async def test_a_moment_that_is_none_fails_the_step(stage: Stage) -> None:
    """What was done is undone."""
    execution = await created(stage, call("a"), {"name": "nap", "sleep": {"until": "${a.of}"}})
    assert await go(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["a", "undo a"]


# --- events


EVENT = {"name": "paid", "wait": {"events": [{"name": "payment"}], "timeout_ms": HOUR}}


async def test_an_event_ends_the_wait(stage: Stage) -> None:
    """Its data is the step's output."""
    execution = await created(stage, EVENT, call("b", args={"sum": "${paid.data.sum}"}))
    assert await go(stage, execution) == "SUSPENDED event"
    await tell(stage, execution, "event", name="payment", data={"sum": 7})
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.started[0].intent.args == {"sum": 7}


async def test_an_event_that_comes_early_is_kept(stage: Stage) -> None:
    """Also over segments, while other steps wait."""
    nap = {"name": "nap", "sleep": {"ms": HOUR}}
    execution = await created(stage, nap, EVENT | {"needs": ["nap"]})
    await tell(stage, execution, "event", name="payment", data=1)
    assert await go(stage, execution) == "SUSPENDED sleep"
    stage.hand.forward(HOUR)
    assert await go(stage, execution) == "COMPLETED"
    assert await output(stage, execution, "paid") == {"name": "payment", "key": "", "data": 1}


async def test_without_the_event_the_wait_fails_or_goes_on(stage: Stage) -> None:
    """As the step says."""
    execution = await created(stage, EVENT)
    patient = await created(stage, {"name": "paid", "wait": EVENT["wait"] | {"on_timeout": "continue"}})  # type: ignore[operator] # both are dicts
    for one in (execution, patient):
        await go(stage, one)
    stage.hand.forward(HOUR)
    assert await go(stage, execution) == "FAILED"
    assert await go(stage, patient) == "COMPLETED"
    assert await output(stage, patient, "paid") == {"timed_out": True, "events": {}}


async def test_all_events_must_come(stage: Stage) -> None:
    """In any order."""
    both = {"events": [{"name": "x"}, {"name": "y"}], "mode": "all"}
    execution = await created(stage, {"name": "w", "wait": both})
    await go(stage, execution)
    await tell(stage, execution, "event", sid="1", name="y", data=2)
    assert await go(stage, execution) == "SUSPENDED event"
    await tell(stage, execution, "event", sid="2", name="x", data=1)
    assert await go(stage, execution) == "COMPLETED"
    assert await output(stage, execution, "w") == {"events": {"x": 1, "y": 2}}


async def test_a_keyed_wait_subscribes_and_takes_its_leave(stage: Stage) -> None:
    """The key may come from another step."""
    wait = {"name": "w", "wait": {"events": [{"name": "paid", "key": "${a.of}"}]}}
    execution = await created(stage, call("a"), wait)
    assert await go(stage, execution) == "SUSPENDED event"
    assert [(e.kind, e.to) for e in stage.queue.taken if e.kind != MESSAGE] == [("subscribe", "a")]
    await tell(stage, execution, "event", name="paid", key="b")
    assert await go(stage, execution) == "SUSPENDED event"
    await tell(stage, execution, "event", sid="2", name="paid", key="a")
    assert await go(stage, execution) == "COMPLETED"
    assert [e.kind for e in stage.queue.taken if e.kind != MESSAGE] == ["subscribe", "unsubscribe"]


async def test_each_wait_by_key_is_told_from_every_other(stage: Stage) -> None:
    """Two keys of one name are two subscriptions; what has come is left at once, and the rest with the end."""
    events = [{"name": "paid", "key": "a"}, {"name": "paid", "key": "b"}]
    both = [{"name": "paid", "key": "a"}, {"name": "sent", "key": "b"}]
    execution = await created(
        stage, {"name": "v", "wait": {"events": events}}, {"name": "w", "wait": {"events": both, "mode": "all"}}
    )
    assert await go(stage, execution) == "SUSPENDED event"
    found = [entry for entry in stage.queue.taken if entry.kind == "subscribe"]
    assert len({entry.id for entry in found}) == 4
    since = {(entry.payload["wait"], entry.payload["since_ms"]) for entry in found}
    assert len(since) == 2
    stage.queue.taken.clear()
    await tell(stage, execution, "event", name="sent", key="b")
    await go(stage, execution)
    [left] = [entry for entry in stage.queue.taken if entry.kind == "unsubscribe"]
    assert (left.payload["wait"], left.to) == ("w", "b")
    assert (left.payload["wait"], left.payload["since_ms"]) in since


@pytest.mark.parametrize("key", ["x" * 256, "a\nb"])
async def test_a_key_that_no_event_has_fails_the_wait(stage: Stage, key: str) -> None:
    """Rather than waiting for ever."""
    execution = await created(stage, {"name": "w", "wait": {"events": [{"name": "paid", "key": key}]}})
    assert await go(stage, execution) == "FAILED"


async def test_what_no_event_is_called_is_refused_with_the_plan(stage: Stage) -> None:
    """A wait for it would never end."""
    with pytest.raises(msgspec.ValidationError, match=r"wait.events\[0\].name"):
        await created(stage, {"name": "w", "wait": {"events": [{"name": "order paid"}]}})
    twice = [{"name": "paid", "key": "a"}, {"name": "paid", "key": "b"}]
    with pytest.raises(PlanRefused, match="give each its own"):
        await created(stage, {"name": "w", "wait": {"events": twice, "mode": "all"}})


# --- callbacks


async def test_a_callback_ends_the_wait_once(stage: Stage) -> None:
    """Its address is known before the wait begins, and is not stored."""
    execution = await created(
        stage, call("a", args={"to": "${w.callback_url}"}), {"name": "w", "wait": {"callback": True}, "needs": ["a"]}
    )
    await tell(stage, execution, "callback", step="w", data={"early": True})
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.started[0].intent.args == {"to": f"callback://{execution}/w"}
    assert await output(stage, execution, "w") == {"early": True}


@pytest.mark.parametrize(
    ("answer", "end"), [({"data": {"n": 1}}, "COMPLETED"), ({"error": "no table"}, "FAILED")], ids=["done", "failed"]
)
async def test_a_tool_that_takes_over_calls_back(stage: Stage, answer: dict[str, Any], end: str) -> None:
    """Its answer is what the callback says."""

    async def later(_: Start, __: float) -> Outcome:
        return TookOver()

    stage.tools.acts["a"] = later
    execution = await created(stage, call("a", deadline_ms=HOUR))
    assert await go(stage, execution) == "SUSPENDED callback"
    await tell(stage, execution, "callback", step="a", **answer)
    assert await go(stage, execution) == end


async def test_a_callback_that_is_quicker_than_the_answer_is_kept(stage: Stage) -> None:
    """For the step it is for."""
    execution = await created(stage, call("a", deadline_ms=HOUR))

    async def overtaken(_: Start, __: float) -> Outcome:
        await stage.store.signal(execution, tenant=TENANT, sid="c", kind="callback", payload={"step": "a", "data": {"n": 1}})
        return TookOver()

    stage.tools.acts["a"] = overtaken
    assert await go(stage, execution) == "COMPLETED"
    assert await output(stage, execution, "a") == {"n": 1}


async def test_a_tool_that_never_calls_back_is_in_doubt(stage: Stage) -> None:
    """It is idempotent: its effect is undone by key, since no attempt is left."""

    async def later(_: Start, __: float) -> Outcome:
        return TookOver()

    stage.tools.acts["a"] = later
    execution = await created(stage, call("a", deadline_ms=HOUR, retry={"attempts": 1}))
    await go(stage, execution)
    stage.hand.forward(HOUR)
    stage.tools.acts.clear()
    assert await go(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["a", "undo a"]


# --- people


async def asked(stage: Stage) -> tuple[str, str]:
    """An execution that waits for approval, and the hash of what is to be approved."""
    execution = await created(stage, call("a"), call("b", args={"of": "${a.of}"}, approve={"timeout_ms": HOUR}))
    assert await go(stage, execution) == "SUSPENDED approval"
    lines = await stage.reader.history(execution, TENANT)
    return execution, next(line["detail"]["args_hash"] for line in lines if line["event"] == "step.approval_asked")


async def test_an_approved_step_runs_with_exactly_what_was_approved(stage: Stage) -> None:
    """Not with something else."""
    execution, args_hash = await asked(stage)
    await tell(stage, execution, "approve", sid="1", step="b", args_hash="another", actor="ann")
    assert await go(stage, execution) == "SUSPENDED approval"
    await tell(stage, execution, "approve", sid="2", step="b", args_hash=args_hash, actor="ann")
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.started[-1].intent.args == {"of": "a"}


async def test_arguments_are_edited_with_the_approval(stage: Stage) -> None:
    """The step runs with those of the person."""
    execution, args_hash = await asked(stage)
    await tell(stage, execution, "approve", step="b", args_hash=args_hash, args={"of": "z"}, actor="ann")
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.started[-1].intent.args == {"of": "z"}


async def test_a_rejection_and_silence_undo(stage: Stage) -> None:
    """What was done before."""
    for _ in range(2):
        execution, _hash = await asked(stage)
        if _:
            await tell(stage, execution, "reject", step="b", actor="ann", note="too dear")
        else:
            stage.hand.forward(HOUR)
        assert await go(stage, execution) == "COMPENSATED"


async def test_a_step_that_only_asks(stage: Stage) -> None:
    """Gives who said yes."""
    execution = await created(stage, {"name": "ok", "approve": {"message": "shall we?"}, "args": {"sum": 3}})
    await go(stage, execution)
    lines = await stage.reader.history(execution, TENANT)
    args_hash = next(line["detail"]["args_hash"] for line in lines if line["event"] == "step.approval_asked")
    await tell(stage, execution, "approve", step="ok", args_hash=args_hash, actor="ann")
    assert await go(stage, execution) == "COMPLETED"
    assert await output(stage, execution, "ok") == {"approved": True, "by": "ann", "note": "", "args": {"sum": 3}}


# --- conditions, joins, failures that may be


def failing(code: str = "full") -> Any:
    """A call that is refused."""

    async def act(_: Start, __: float) -> Outcome:
        return Refused(code=code, message="no")

    return act


async def test_a_condition_decides_which_way_it_goes(stage: Stage) -> None:
    """What refers to a skipped step is skipped; what only comes after it is not."""
    execution = await created(
        stage,
        call("a"),
        call("b", when="a.of == 'b'"),
        call("c", args={"x": "${b.of}"}),
        call("d", needs=["b", "c"]),
        call("e", when="not present(b.of) and skipped(c)"),
    )
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.names == ["a", "d", "e"]
    assert (await cells(stage, execution))[:5] == "dkkdd"


async def test_an_alternative_runs_if_the_first_choice_fails(stage: Stage) -> None:
    """And the plan goes on with whichever came about."""
    stage.tools.acts["seven"] = failing()
    execution = await created(
        stage,
        call("seven", may_fail=True),
        call("eight", when="failed(seven)"),
        call("tell", needs=["seven", "eight"], join="any", args={"a": "${seven.of}", "b": "${eight.of}"}),
    )
    assert await go(stage, execution) == "COMPLETED"
    assert stage.tools.started[-1].intent.args == {"a": None, "b": "eight"}


async def test_two_of_three(stage: Stage) -> None:
    """Or the join fails."""
    three = [call(name, may_fail=True) for name in "abc"]
    stage.tools.acts["a"] = failing()
    join = call("j", needs=["a", "b", "c"], join=2)
    assert await go(stage, await created(stage, *three, join)) == "COMPLETED"
    stage.tools.acts["b"] = failing()
    assert await go(stage, await created(stage, *three, join)) == "COMPENSATED"


# --- maps


async def test_a_map_calls_for_each_item_so_many_at_a_time(stage: Stage) -> None:
    """Outputs in the order of the items."""
    items = [{"n": n} for n in range(25)]
    execution = await created(
        stage,
        call("m", map={"over": items, "concurrency": 4}, args={"n": "${item.n}", "at": "${index}"}),
        call("z", args={"last": "${m.24.of}"}),
    )
    assert await go(stage, execution) == "COMPLETED"
    assert [one.intent.args for one in stage.tools.started[:25]] == [{"n": n, "at": n} for n in range(25)]
    assert stage.tools.started[3].intent.key == f"{execution}.m.3.1"
    assert stage.tools.started[-1].intent.args == {"last": "m.24"}


async def test_a_map_survives_segments(stage: Stage) -> None:
    """Each loads no more than it needs."""
    stage.interpreter.limits = msgspec.structs.replace(stage.limits, steps_per_message=7)
    execution = await created(stage, call("m", map={"over": list(range(30)), "concurrency": 3}, args={"n": "${item}"}))
    for _ in range(10):
        if await go(stage, execution) == "COMPLETED":
            break
    assert await where(stage, execution) == "COMPLETED"
    assert sorted(stage.tools.names) == sorted(f"m.{n}" for n in range(30))


async def test_items_may_fail_up_to_a_number(stage: Stage) -> None:
    """Beyond it what was done is undone, item by item."""
    stage.tools.acts["m.1"] = failing()
    over = {"over": list(range(4)), "concurrency": 1, "min_successful": 3}
    execution = await created(stage, call("m", map=over))
    assert await go(stage, execution) == "COMPLETED"
    assert [None if one is None else one["of"] for one in await output(stage, execution, "m")] == ["m.0", None, "m.2", "m.3"]
    stage.tools.acts["m.2"] = failing()
    execution = await created(stage, call("m", map=over))
    stage.tools.started.clear()
    assert await go(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["m.0", "m.1", "m.2", "undo m.0"]


async def test_a_map_over_nothing_is_done(stage: Stage) -> None:
    """With an empty list."""
    execution = await created(stage, call("m", map={"over": []}), output={"all": "${m}"})
    assert await go(stage, execution) == "COMPLETED"


# --- children


CHILD = {"steps": [call("x", args={"n": "${input.n}"})], "output": {"twice": "${x.of}"}}


@pytest.fixture
def background(stage: Stage) -> Background:
    """Carries out commands beside the segment, as a process of the engine does."""
    found, commands = Background(), Commands(stage.queue, stage.store)
    Children(stage.store).register(commands)
    stage.interpreter.sender = Sender(commands, stage.acks, found)
    return found


async def woken(stage: Stage, background: Background) -> list[str]:
    """The executions that the commands of the last segment woke."""
    await background.close()
    found = [entry.execution for entry in stage.queue.taken if entry.reason in {"created", "signal", "reopened"}]
    stage.queue.taken.clear()
    return found


async def test_a_child_runs_as_an_execution_of_its_own(stage: Stage, background: Background) -> None:
    """Its output is the step's."""
    execution = await created(stage, call("a"), {"name": "trip", "child": CHILD, "args": {"n": "${a.of}"}})
    assert await go(stage, execution) == "SUSPENDED child"
    (child,) = await woken(stage, background)
    assert await go(stage, child) == "COMPLETED"
    assert stage.tools.started[-1].intent.args == {"n": "a"}
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "COMPLETED"
    assert await output(stage, execution, "trip") == {"twice": "x"}


async def test_a_failed_child_is_a_failed_step(stage: Stage, background: Background) -> None:
    """What it did, it has undone itself."""
    execution = await created(stage, call("a"), {"name": "trip", "child": CHILD, "needs": ["a"]})
    await go(stage, execution)
    (child,) = await woken(stage, background)
    assert await go(stage, child) == "FAILED", "its input has no n"
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "COMPENSATED"


async def test_what_a_child_did_is_undone_with_its_parent(stage: Stage, background: Background) -> None:
    """In the reverse order of completion."""
    stage.tools.acts["z"] = failing()
    execution = await created(stage, {"name": "trip", "child": CHILD, "args": {"n": 1}}, call("z", needs=["trip"]))
    await go(stage, execution)
    (child,) = await woken(stage, background)
    assert await go(stage, child) == "COMPLETED"
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "SUSPENDED child"
    assert await woken(stage, background) == [child]
    assert await go(stage, child) == "COMPENSATED"
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["x", "z", "undo x"]


async def test_a_cancelled_parent_stops_its_child_first(stage: Stage, background: Background) -> None:
    """Then it ends itself."""
    execution = await created(stage, {"name": "trip", "child": CHILD, "args": {"n": 1}})
    await go(stage, execution)
    (child,) = await woken(stage, background)
    await tell(stage, execution, "cancel")
    assert await go(stage, execution) == "SUSPENDED child"
    assert await woken(stage, background) == [child]
    assert await go(stage, child) == "CANCELLED"
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "CANCELLED"


async def test_a_child_that_was_stopped_before_it_was_created_never_is(stage: Stage, background: Background) -> None:
    """Its creation comes later than its end."""
    execution = await created(stage, {"name": "trip", "child": CHILD, "args": {"n": 1}})
    kept = stage.interpreter.sender
    stage.interpreter.sender = Sender(stage.queue, stage.acks)  # takes the command, and carries nothing out
    await go(stage, execution)
    (late,) = [entry for entry in stage.queue.taken if entry.kind == "create_child"]
    stage.interpreter.sender = kept
    stage.queue.taken.clear()
    await tell(stage, execution, "cancel")
    assert await go(stage, execution) == "SUSPENDED child"
    assert await woken(stage, background) == [execution]
    assert await go(stage, execution) == "CANCELLED"
    assert await kept.send(late, "a late creation")
    assert await stage.store.peek(late.to, tenant=TENANT) is None


# --- the whole


async def test_a_pause_lets_what_runs_end_and_nothing_begin(stage: Stage) -> None:
    """Resumed, it goes on where it was."""
    execution = await created(stage, call("a"), call("b", needs=["a"]))

    async def meanwhile(_: Start, __: float) -> Outcome:
        await stage.store.signal(execution, tenant=TENANT, sid="p", kind="pause", payload={"actor": "ann"})
        return Done(output={})

    stage.tools.acts["a"] = meanwhile
    assert await go(stage, execution) == "PAUSED"
    assert await go(stage, execution) == "PAUSED"
    assert stage.tools.names == ["a"]
    await tell(stage, execution, "resume", actor="ann")
    assert await go(stage, execution) == "COMPLETED"


# --- limits and gates


def guarded(stage: Stage) -> None:
    """Slots and gates as all processes share them."""
    gates = Gates(RedisGates(stage.redis, Policy()), stage.clock)
    stage.interpreter.guards = SharedGuards(RedisSlots(stage.redis), gates)


async def test_a_limit_is_kept_over_executions(stage: Stage) -> None:
    """The second stands in line until the first has ended; the grant wakes it."""
    guarded(stage)
    slots = SlotRelay(RedisSlots(stage.redis), stage.store, lambda _entries, _what: None)
    limited = call("a", limits=[{"key": "one", "most": 1}])
    first, second = await created(stage, limited), await created(stage, limited)
    stands: list[str] = []

    async def meanwhile(_: Start, __: float) -> Outcome:
        if not stands:
            stands.append("")
            stands[0] = await go(stage, second)
        return Done(output={})

    stage.tools.acts["a"] = meanwhile
    assert await go(stage, first) == "COMPLETED"
    assert stands == ["SUSPENDED slot"]
    for entry in [one for one in stage.queue.taken if one.kind == "slot_give"]:
        await slots.give(entry)
    assert await go(stage, second) == "COMPLETED"


async def test_a_paused_tool_is_not_called(stage: Stage) -> None:
    """And the execution waits, visibly."""
    guarded(stage)
    await RedisGates(stage.redis, Policy()).pause(tool_gate("work"), actor="ann", reason="it breaks tables")
    execution = await created(stage, call("a"))
    assert await go(stage, execution) == "SUSPENDED circuit"
    assert stage.tools.names == []
    await RedisGates(stage.redis, Policy()).resume(tool_gate("work"), actor="ann", reason="it does not")
    stage.hand.forward(PAUSED_MS)
    assert await go(stage, execution) == "COMPLETED"
