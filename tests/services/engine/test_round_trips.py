"""What a segment costs: n sequential steps are n + 2 script calls, what ends together shares a commit, idleness is free."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.interpret import Interpreter
from shared.invocation import Answer
from shared.machine import plan as plans
from shared.machine.events import Done, Outcome
from shared.machine.plan import Effect, Plan
from shared.ports import Birth, Committed, Created
from shared.relay import Sender
from shared.settings_load import load
from shared.tools.registry import Call, Registry, Runner
from shared.watchdog import Watchdog
from tests.services.engine.support import ONCE, Stage, chain, really, staged, step
from tests.support.executions import NONE, NOTHING, leased, leaves
from tests.support.executions import done as finished
from tests.support.waiting import eventually


async def note(call: Call, *, text: str = "x") -> dict[str, Any]:
    """A tool in this process."""
    return {"text": text, "key": call.key}


def with_registry(stage: Stage) -> tuple[Interpreter, Registry]:
    """An interpreter over a real registry of one tool, in this process."""
    registry = Registry()
    registry.add(note, effect=Effect.IDEMPOTENT, timeout_ms=2_000, retry=ONCE)
    interpreter = Interpreter(
        store=stage.store,
        sender=Sender(stage.queue, stage.acks),
        tools=Runner(registry),
        clock=stage.clock,
        limits=stage.limits,
    )
    return interpreter, registry


@pytest.mark.parametrize("count", [1, 2, 8, 40])
async def test_a_segment_of_n_steps_makes_n_plus_2_script_calls(redis: Redis, count: int) -> None:
    """One to acquire and load, one for the first intents, one a step; no entry is written, so none is acknowledged."""
    stage = really(redis)
    stage.interpreter, registry = with_registry(stage)
    execution = await stage.create(chain(count, tool="note"), contracts=registry.contracts())

    assert await stage.run(execution) == Answer(status=200, result="COMPLETED")
    assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": count}


async def test_arguments_from_earlier_outputs_cost_no_further_call(redis: Redis) -> None:
    """What this segment produced is at hand."""
    stage = really(redis)
    stage.interpreter, registry = with_registry(stage)
    steps = [step("first", tool="note", args={"text": "hello"})]
    steps += [step(f"s{n}", "first", tool="note", args={"text": "${first.text} " + str(n)}) for n in range(1)]
    execution = await stage.create(steps, contracts=registry.contracts())

    assert (await stage.run(execution)).result == "COMPLETED"
    assert sum(stage.store.calls.values()) == 2 + 2
    output = (await stage.reader.view(execution, "acme")).steps[1].output
    assert output["text"] == "hello 0"


async def test_a_segment_that_leaves_acknowledges_once(redis: Redis) -> None:
    """n + 2 with the leave as the last commit, and one acknowledgement for the message that it published."""
    stage = staged(redis, steps_per_message=3)
    execution = await stage.create(chain(7))

    assert await stage.run(execution) == Answer(status=200, result="checkpointed")
    assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": 3, "relay_ack": 1}
    assert await stage.outbox() == []


async def test_segments_that_leave_together_are_acknowledged_together(redis: Redis) -> None:
    """Forty executions of one partition: the acknowledgements of a process are coalesced."""
    stage = staged(redis, steps_per_message=1)
    executions = [await stage.create(chain(2), partition="0a") for _ in range(40)]
    stage.store.calls.clear()

    answers = await asyncio.gather(*(stage.run(execution) for execution in executions))

    assert {answer.result for answer in answers} == {"checkpointed"}
    assert stage.store.calls["relay_ack"] <= 8
    assert await stage.outbox() == []


async def test_what_ends_in_one_turn_of_the_loop_shares_a_commit(redis: Redis) -> None:
    """A fan-out of eight instant steps and its join: three commits, not nine."""
    stage = really(redis)
    stage.interpreter, registry = with_registry(stage)
    names = [f"f{number}" for number in range(8)]
    steps = [*(step(name, tool="note") for name in names), step("join", *names, tool="note")]
    execution = await stage.create(steps, contracts=registry.contracts())

    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.store.calls["begin"] == 1
    assert stage.store.calls["commit"] <= 3
    assert await stage.done_steps(execution) == 9


async def test_answers_that_come_one_after_the_other_are_stored_one_after_the_other(redis: Redis) -> None:
    """A result is not kept back for the sake of its siblings: a crash would lose it."""
    stage = really(redis)
    gates = {name: asyncio.Event() for name in ("a", "b")}

    async def gated(start: Any, _: float) -> Outcome:
        await gates[start.step].wait()
        return Done(output=None)

    stage.tools.otherwise = gated
    execution = await stage.create([step("a"), step("b")])
    running = asyncio.create_task(stage.run(execution))
    await eventually(lambda: len(stage.tools.started) == 2, describe="both calls are under way")
    gates["b"].set()
    await eventually(lambda: stage.done_steps(execution), describe="the first answer is stored")
    assert not running.done()
    gates["a"].set()

    assert (await running).result == "COMPLETED"
    assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": 2}


async def test_an_idle_execution_costs_nothing(stage: Stage) -> None:
    """A sweep over two hundred sleeping executions calls no script for any of them."""
    for _ in range(200):
        await stage.create(chain(1))
    settings = load({"INTENTION_MODE": "local"})
    watchdog = Watchdog(stage.store, stage.relay, stage.acks, None, rate=settings.sweep_rate)
    stage.store.calls.clear()

    assert await watchdog.sweep() == 0
    assert dict(stage.store.calls) == {}


async def test_a_commit_sent_twice_is_stored_once_and_answered_alike(stage: Stage) -> None:
    """The client re-sends after a lost reply: same owner, same version, same answer, one line in the history."""
    execution = await stage.create(chain(2))
    lease = await leased(stage.store, execution)
    kept = finished(0)

    first = await stage.store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=NONE)
    again = await stage.store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=NONE)

    assert first == again == Committed(ver=lease.ver + 1)
    assert (await stage.events(execution)).count("step.done step 0") == 1

    left = await stage.store.commit(lease, ver=lease.ver + 1, seen=0, kept=NOTHING, going=leaves())
    assert await stage.store.commit(lease, ver=lease.ver + 1, seen=0, kept=NOTHING, going=leaves()) == left
    assert len(await stage.outbox()) == 1


async def test_a_duplicate_delivery_costs_one_call(stage: Stage) -> None:
    """Terminal, stale: acquire says so, and nothing is loaded."""
    execution = await stage.create(chain(1))
    await stage.run(execution)
    stage.store.calls.clear()

    assert (await stage.run(execution, segment=0)).result == "terminal"
    assert dict(stage.store.calls) == {"acquire": 1}


async def test_creating_is_one_call(stage: Stage) -> None:
    """Record, plan, cells, due time, message and index in one script."""
    data = plans.encode(Plan(steps=tuple(chain(3)), contracts=stage.contracts))
    birth = Birth(header=stage.header_of(data), plan=data, cells=plans.decode(data).first_cells(), fields={}, request_hash="r")

    assert isinstance(await stage.store.create(birth), Created)
    assert dict(stage.store.calls) == {"create": 1}
