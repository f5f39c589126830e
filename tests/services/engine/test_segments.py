"""One invocation on the real store, with simulated tools and the clock in the test's hands: where it stops, what it leaves."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from shared.errors import IntentionError, Unavailable
from shared.estimates import Estimates
from shared.forecast import Usual
from shared.invocation import Answer
from shared.machine.decision import Start
from shared.machine.events import Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.plan import Retry
from shared.ports import Accepted, Going, Lease
from shared.redisdb import keys
from tests.services.engine.support import TENANT, Meddle, Stage, chain, instantly, really, staged, step, taking
from tests.support.executions import LEASE_MS, NOW
from tests.support.waiting import eventually

PATIENT = Retry(attempts=3, base_ms=8_000, cap_ms=8_000)


def at(name: str, kind: str, act: Callable[[], Awaitable[object]]) -> Meddle:
    """Something that happens once, at the first commit of this name and continuation."""
    done = False

    async def meddle(called: str, going: Going) -> None:
        nonlocal done
        if not done and (called, going.kind) == (name, kind):
            done = True
            await act()

    return meddle


async def take_over(stage: Stage, execution: str) -> None:
    """Our lease ends, and another executor has the execution."""
    stage.hand.forward(LEASE_MS + 1)
    taken = await stage.store.acquire(execution, owner="b" * 32, lease_ms=LEASE_MS, segment=-1, cause="test")
    assert isinstance(taken, Lease)


async def signalled(stage: Stage, execution: str, kind: str = "cancel") -> None:
    """A signal comes in."""
    answer = await stage.store.signal(execution, tenant=TENANT, sid=kind, kind=kind, payload={})
    assert isinstance(answer, Accepted)
    assert answer.entry is None, "a live holder finds it"


async def status_of(stage: Stage, execution: str) -> str:
    """Where the execution stands."""
    return (await stage.header(execution))["status"]


# the room of an invocation


async def test_nothing_starts_after_the_checkpoint(stage: Stage) -> None:
    """Steps of 1.9 s: at 7.6 s the segment leaves, with a message, and the next one goes on."""
    stage.tools.otherwise = taking(stage.hand, 1_900)
    execution = await stage.create(chain(6))

    with capture_logs() as logs:
        assert await stage.run(execution, segment=0) == Answer(status=200, result="checkpointed")
    assert stage.tools.names == ["s0", "s1", "s2", "s3"]
    saved = next(line for line in logs if line["event"] == "checkpoint.saved")
    assert saved["message"] == "Checkpoint saved [segment 0, next step: s4]"
    assert [(entry.segment, entry.reason, entry.not_before_ms) for entry in stage.queue.taken] == [(1, "continued", 0)]

    assert await stage.run(execution, segment=1) == Answer(status=200, result="COMPLETED")
    assert stage.tools.names[4:] == ["s4", "s5"]


async def test_a_step_starts_only_if_it_usually_ends_before_the_cut_off(stage: Stage) -> None:
    """At 6.3 s a step of 2 s does not fit any more: the checkpoint comes before its time."""
    stage.tools.otherwise = taking(stage.hand, 1_575)
    execution = await stage.create(chain(6))

    assert (await stage.run(execution)).result == "checkpointed"
    assert stage.tools.names == ["s0", "s1", "s2", "s3"]


async def test_the_first_step_of_a_segment_starts_however_long_it_usually_takes(stage: Stage) -> None:
    """Else a slow tool would be checkpointed for ever, one message each time."""
    stage.interpreter.estimates.p99["work"] = 9_000
    execution = await stage.create(chain(1, timeout_ms=8_000))

    assert (await stage.run(execution)).result == "COMPLETED"


async def test_a_call_has_until_the_cut_off_at_most(stage: Stage) -> None:
    """A step of 5 s that begins at 6 s is given what is left of the 8 s."""
    stage.tools.acts["s0"] = taking(stage.hand, 6_000)
    stage.interpreter.estimates.p99["work"] = 1_000
    execution = await stage.create(chain(2, timeout_ms=5_000))
    await stage.run(execution)

    assert stage.tools.names == ["s0", "s1"]
    assert stage.tools.deadlines == [5.0, 2.0]


async def test_time_in_a_queue_before_us_is_time_of_the_invocation(stage: Stage) -> None:
    """It waited 6.5 s: the first step may still start, with 1.5 s; the second may not."""
    execution = await stage.create(chain(2))

    assert (await stage.run(execution, late_ms=6_500)).result == "checkpointed"
    assert stage.tools.names == ["s0"]
    assert stage.tools.deadlines == [1.5]


async def test_a_segment_that_came_too_late_to_start_anything_asks_for_no_message_at_once(stage: Stage) -> None:
    """It waits a second: two such segments must not call each other for ever."""
    execution = await stage.create(chain(1))

    assert (await stage.run(execution, late_ms=8_000)).result == "suspended"
    assert stage.tools.names == []
    assert [entry.not_before_ms for entry in stage.queue.taken] == [NOW + 1_000]
    stage.hand.forward(1_000)
    assert (await stage.run(execution, segment=1)).result == "COMPLETED"


async def test_a_continuation_is_held_back_for_as_long_as_was_set(redis: Redis) -> None:
    """CONTINUE_DELAY_MS."""
    stage = staged(redis, steps_per_message=1, continue_delay_ms=1_500)
    execution = await stage.create(chain(2))
    await stage.run(execution)

    assert [entry.not_before_ms for entry in stage.queue.taken] == [NOW + 1_500]


def test_what_a_tool_usually_takes_is_known_after_twenty_calls() -> None:
    """And only its last hundred count."""
    estimates = Estimates()
    for _ in range(19):
        estimates.add("work", 100)
    assert estimates.p99 == {}
    estimates.add("work", 900)
    assert estimates.p99 == {"work": 900}
    for _ in range(100):
        estimates.add("work", 50)
    assert estimates.p99 == {"work": 50}


def test_only_what_was_called_since_is_told_to_others() -> None:
    """Else an executor that no longer calls a tool would tell its old news over another's new."""
    estimates = Estimates()
    for took_ms in (*range(1, 20), 400):
        estimates.add("work", took_ms)
    estimates.add("rest", 7)
    assert estimates.usual(NOW) == {
        "work": Usual(typical_ms=11, p95_ms=400, p99_ms=400, calls=20, at_ms=NOW),
        "rest": Usual(typical_ms=7, p95_ms=7, calls=1, at_ms=NOW),
    }
    estimates.add("rest", 9)
    assert estimates.usual(NOW + 1) == {"rest": Usual(typical_ms=9, p95_ms=9, calls=2, at_ms=NOW + 1)}
    assert estimates.usual(NOW + 2) == {}


# outcomes


async def test_a_call_that_is_cut_off_is_unanswered_and_never_failed(stage: Stage) -> None:
    """An unsafe tool: whether it happened is not known, and the execution waits for a person."""
    stage.tools.otherwise = taking(stage.hand, 2_000, Unanswered(message="no answer within 2.0 s"))
    execution = await stage.create([step("a", tool="risk")])

    assert (await stage.run(execution)).result == "suspended"
    header = await stage.header(execution)
    assert (header["status"], header["reason"]) == ("SUSPENDED", "unknown effect")
    assert (await stage.reader.view(execution, TENANT)).steps[0].status == "UNKNOWN"
    assert stage.queue.taken == [], "time alone does not end this wait"


async def test_a_call_is_not_sent_when_the_process_stood_still_past_its_time(stage: Stage) -> None:
    """Between the commit of the intent and the call. Not sent is safe to try again, even for an unsafe tool."""
    execution = await stage.create([step("a", tool="risk", retry=PATIENT)])

    async def stand_still() -> None:
        stage.hand.forward(LEASE_MS + 1)

    stage.store.after = at("begin", "intents", stand_still)
    assert (await stage.run(execution)).result == "suspended"

    assert stage.tools.names == []
    assert "step.retried a" in await stage.events(execution)
    stage.hand.forward(10_000)
    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.tools.names == ["a"]


async def test_a_short_back_off_is_sat_out_in_the_invocation(redis: Redis) -> None:
    """Cheaper than a message: one segment, two attempts, nothing published."""
    stage = really(redis)
    answers: list[Outcome] = [Refused(code="busy", message="try later", retryable=True), NotSent(message="refused")]

    async def twice_not(start: Start, _: float) -> Outcome:
        return answers.pop(0) if answers else Done(output=start.intent.attempt)

    stage.tools.otherwise = twice_not
    execution = await stage.create([step("a", retry=Retry(attempts=3, base_ms=20))])

    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.tools.names == ["a", "a", "a"]
    assert len({start.intent.key for start in stage.tools.started}) == 1
    assert stage.queue.taken == []
    assert (await stage.reader.view(execution, TENANT)).steps[0].output == 3


async def test_a_long_back_off_is_a_delayed_message_and_whoever_comes_early_is_sent_away(stage: Stage) -> None:
    """Suspended, with the message for exactly that moment."""
    stage.tools.otherwise = taking(stage.hand, 0, Refused(code="busy", message="try later", retryable=True))
    execution = await stage.create([step("a", retry=PATIENT)])

    assert (await stage.run(execution)).result == "suspended"
    wake_ms = int((await stage.header(execution))["wake_ms"])
    assert NOW + 4_000 <= wake_ms <= NOW + 8_000
    assert [(entry.not_before_ms, entry.reason) for entry in stage.queue.taken] == [(wake_ms, "back-off")]
    assert await stage.run(execution, segment=1) == Answer(status=200, result="not_due")
    stage.tools.otherwise = instantly
    stage.hand.forward(wake_ms - NOW)
    assert (await stage.run(execution, segment=1)).result == "COMPLETED"


async def test_a_message_that_comes_a_little_early_waits_in_the_invocation(stage: Stage) -> None:
    """300 ms before its time it is slept out, and needs no other message."""
    stage.tools.otherwise = taking(stage.hand, 0, Refused(code="busy", message="try later", retryable=True))
    execution = await stage.create([step("a", retry=PATIENT)])
    await stage.run(execution)
    stage.tools.otherwise = instantly
    wake_ms = int((await stage.header(execution))["wake_ms"])
    stage.hand.forward(wake_ms - NOW - 300)
    stage.store.calls.clear()

    running = asyncio.create_task(stage.run(execution, segment=1))
    await eventually(lambda: stage.store.calls["acquire"], describe="it has asked, too early")
    stage.hand.forward(300)

    assert (await running).result == "COMPLETED"
    assert stage.store.calls["acquire"] == 2


async def test_fruitless_segments_end_with_an_operator(stage: Stage) -> None:
    """Five that died before anything came of them; the sixth does not start anything."""
    execution = await stage.create(chain(1))

    async def dies() -> None:
        raise Unavailable("the store went away")

    for _ in range(5):
        stage.store.before = at("begin", "intents", dies)
        with pytest.raises(Unavailable):
            await stage.run(execution)
        stage.hand.forward(LEASE_MS + 1)
    stage.store.before = None

    assert (await stage.run(execution)).result == "suspended"
    assert (await stage.header(execution))["reason"] == "undeliverable"
    assert stage.tools.names == []


# who owns it


async def test_who_lost_the_execution_answers_503_and_starts_nothing_more(stage: Stage) -> None:
    """Another took over while a step ran: its result is not stored, the next step is not called."""
    execution = await stage.create(chain(2))
    stage.store.before = at("commit", "intents", lambda: take_over(stage, execution))

    assert await stage.run(execution) == Answer(status=503, result="lost", retry_after_s=1)
    assert stage.tools.names == ["s0"]
    assert await stage.done_steps(execution) == 0
    assert stage.queue.taken == []


async def test_calls_under_way_are_given_up_when_the_execution_is_lost(stage: Stage) -> None:
    """Nobody would store their answers; whoever owns it settles them."""
    stopped = asyncio.Event()

    async def endless(_: Start, __: float) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    stage.tools.acts["b"] = endless
    execution = await stage.create([step("a"), step("b"), step("c", "a")])
    stage.store.before = at("commit", "intents", lambda: take_over(stage, execution))

    assert (await stage.run(execution)).status == 503
    assert stopped.is_set()
    assert stage.tools.names == ["a", "b"]


async def test_calls_under_way_are_given_up_when_the_store_goes_away(stage: Stage) -> None:
    """The error is told (503 at the edge), and no call outlives its segment."""
    stopped = asyncio.Event()

    async def endless(_: Start, __: float) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    async def away() -> None:
        raise Unavailable("Redis does not answer")

    stage.tools.acts["b"] = endless
    execution = await stage.create([step("a"), step("b"), step("c", "a")])
    stage.store.before = at("commit", "intents", away)

    with pytest.raises(Unavailable):
        await stage.run(execution)
    assert stopped.is_set()


async def test_a_duplicate_while_the_segment_runs_is_told_when_the_lease_ends(stage: Stage) -> None:
    """409, and one retry after the lease instead of a ladder inside it."""
    gate = asyncio.Event()

    async def gated(_: Start, __: float) -> Outcome:
        await gate.wait()
        return Done(output=None)

    stage.tools.otherwise = gated
    execution = await stage.create(chain(1))
    running = asyncio.create_task(stage.run(execution))
    await eventually(lambda: stage.tools.started, describe="the step runs")

    assert await stage.run(execution, segment=0) == Answer(status=409, result="held", retry_after_s=13)
    gate.set()
    assert (await running).result == "COMPLETED"
    assert stage.tools.names == ["s0"]


async def test_an_unknown_execution_is_asked_for_again_twice_and_then_never_more(stage: Stage) -> None:
    """After a failover the record may come back."""
    nobody = "exe_0a_" + "f" * 32

    answers = [await stage.run(nobody, retried=retried) for retried in range(3)]

    assert [(answer.status, answer.retry_after_s, answer.final) for answer in answers] == [
        (503, 5, False),
        (503, 5, False),
        (489, None, True),
    ]


# signals at the worst moment


async def test_a_cancellation_before_the_first_intent_means_that_nothing_is_called(stage: Stage) -> None:
    """Between the decision and the commit: the store refuses the intent."""
    execution = await stage.create(chain(2))
    stage.store.before = at("begin", "intents", lambda: signalled(stage, execution))

    assert (await stage.run(execution)).result == "CANCELLED"
    assert stage.tools.names == []


@pytest.mark.parametrize("kind", ["intents", "end"])
async def test_a_cancellation_between_a_decision_and_its_commit_keeps_the_result_and_stops(stage: Stage, kind: str) -> None:
    """The result is stored, no step starts, the execution does not end COMPLETED: what was done is undone."""
    execution = await stage.create(chain(2))
    stage.store.before = at("commit", kind, lambda: signalled(stage, execution))

    assert (await stage.run(execution)).result == "COMPENSATED"
    forward = ["s0"] if kind == "intents" else ["s0", "s1"]
    assert stage.tools.names == [*forward, *(f"undo {name}" for name in reversed(forward))]
    assert (await stage.events(execution)).count("step.done s0") == 1


async def test_a_cancellation_at_the_checkpoint_leaves_no_message_for_the_forward_lane(stage: Stage) -> None:
    """The leave is refused; what is left for the next segment is the undoing."""
    stage.tools.acts["s0"] = taking(stage.hand, 7_600)
    execution = await stage.create(chain(2))
    stage.store.before = at("commit", "leave", lambda: signalled(stage, execution))

    assert (await stage.run(execution)).result == "checkpointed"
    assert await status_of(stage, execution) == "COMPENSATING"
    assert len(stage.queue.taken) == 1
    assert (await stage.run(execution, segment=1)).result == "COMPENSATED"
    assert stage.tools.names == ["s0", "undo s0"]


async def test_an_event_that_nobody_waits_for_delays_nothing(stage: Stage) -> None:
    """The commit is refused once, decided again, and goes on; the event counts as seen."""
    execution = await stage.create(chain(2))
    stage.store.before = at("commit", "intents", lambda: signalled(stage, execution, "event"))

    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.tools.names == ["s0", "s1"]
    seen, inbox = await stage.redis.hmget(keys.record(execution), ["seen", "inbox"])
    assert seen == inbox == b"1"


# results of earlier segments


async def test_a_result_of_an_earlier_segment_is_loaded_when_a_step_wants_it(stage: Stage) -> None:
    """What the next step wants comes with the lease; what a later one wants is fetched, and nothing decided is lost by it."""
    stage.tools.acts["a"] = taking(stage.hand, 7_600)
    steps = [step("a"), step("b", "a"), step("c", "b", args={"text": "${a.of} and ${b.of}"})]
    execution = await stage.create(steps)
    await stage.run(execution)
    stage.store.calls.clear()

    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.tools.started[2].intent.args == {"text": "a and b"}
    assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": 2}
    view = await stage.reader.view(execution, TENANT)
    assert [found.output for found in view.steps] == [{"of": "a"}, {"of": "b"}, {"of": "c"}]
    assert (await stage.events(execution)).count("step.done b") == 1


async def test_a_cancellation_after_a_load_loses_nothing_either(stage: Stage) -> None:
    """Refused once with the pending result kept, decided again, undone in the order of completion."""
    stage.tools.acts["a"] = taking(stage.hand, 7_600)
    steps = [step("a"), step("b", "a"), step("c", "b", args={"text": "${a.of}"})]
    execution = await stage.create(steps)
    await stage.run(execution)
    stage.store.before = at("commit", "intents", lambda: signalled(stage, execution))

    assert (await stage.run(execution)).result == "COMPENSATED"
    assert stage.tools.names == ["a", "b", "undo b", "undo a"]
    assert (await stage.events(execution)).count("step.done b") == 1


async def test_a_record_that_lost_a_part_is_an_error_and_not_a_guess(stage: Stage) -> None:
    """A result, or the plan, that is gone."""
    stage.tools.acts["a"] = taking(stage.hand, 7_600)
    execution = await stage.create([step("a"), step("b", "a", args={"text": "${a.of}"})])
    await stage.run(execution)
    await stage.redis.hdel(keys.record(execution), "r:0")

    with pytest.raises(IntentionError) as caught:
        await stage.run(execution)
    assert caught.value.error_code == "result_missing"

    other = await stage.create([step("alone")])
    await stage.redis.delete(keys.plan(other))
    with pytest.raises(IntentionError) as caught:
        await stage.run(other)
    assert caught.value.error_code == "plan_missing"


# what is published


async def relayed(stage: Stage, execution: str) -> int:
    """What a relay sends two seconds later."""
    stage.hand.forward(2_001)
    moved = await stage.relay.run_once(keys.partition_of(execution))
    await stage.acks.close()
    return moved


@pytest.mark.parametrize("how", ["refused", "hanging"])
async def test_a_message_that_qstash_does_not_take_stays_and_is_relayed_under_its_own_id(redis: Redis, how: str) -> None:
    """The commit stands and the answer is 200; the relay sends the very entry, so that QStash would know it again."""
    stage = staged(redis, steps_per_message=1)
    execution = await stage.create(chain(2))
    stage.queue.refusing = "quota" if how == "refused" else ""
    stage.queue.hanging = how == "hanging"

    assert await stage.run(execution) == Answer(status=200, result="checkpointed")
    left = await stage.outbox()
    assert [entry.segment for entry in left] == [1]
    stage.queue.refusing, stage.queue.hanging = "", False

    assert await relayed(stage, execution) == 1
    assert [entry.id for entry in stage.queue.taken] == [entry.id for entry in left]
    assert await stage.outbox() == []
    assert (await stage.header(execution))["message"] == f"msg_{left[0].id}"


async def test_an_acknowledgement_that_fails_is_harmless(redis: Redis) -> None:
    """QStash has the message, the outbox too: it is sent once more under the same id, which QStash recognises."""
    stage = staged(redis, steps_per_message=1)
    execution = await stage.create(chain(2))
    stage.store.ack_error = Unavailable("Redis does not answer")

    with capture_logs() as logs:
        assert (await stage.run(execution)).result == "checkpointed"
    assert "outbox.ack_failed" in {line["event"] for line in logs}
    stage.store.ack_error = None

    assert await relayed(stage, execution) == 1
    assert len({entry.id for entry in stage.queue.taken}) == 1
    assert len(stage.queue.taken) == 2
    assert await stage.outbox() == []


async def test_a_failing_store_at_the_acknowledgement_does_not_stop_the_later_ones(redis: Redis) -> None:
    """Acknowledging goes on once the store is back."""
    stage = staged(redis, steps_per_message=1)
    execution = await stage.create(chain(3))
    stage.store.ack_error = Unavailable("Redis does not answer")
    await stage.run(execution)
    stage.store.ack_error = None
    await stage.run(execution)

    assert [entry.segment for entry in await stage.outbox()] == [1]
