"""Steps that are called back: waits for a callback, and tools that take a call over."""

from typing import Any

import pytest

from shared.machine.events import Accepted, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect
from tests.machine.play import Play, call
from tests.machine.support import DONE, LEASE_MS, SETTLE_MS, TOOLS

HOUR = 3_600_000
WAIT = {"name": "w", "wait": {"callback": True, "timeout_ms": HOUR}}
TOOK = Accepted()


def test_a_callback_is_the_output_of_the_wait() -> None:
    """Whatever it says; an error too, for a wait judges nothing."""
    play = Play(WAIT)
    assert play.wake() == "SUSPENDED callback"
    assert play.tell("callback", step="w", data={"n": 1}).wake() == "COMPLETED"
    assert play.output("w") == {"n": 1}


def test_a_second_callback_is_moot_and_told() -> None:
    """The step has ended."""
    play = Play(WAIT, call("a", needs=["w"]))
    play.wake()
    play.tell("callback", step="w", data=1).tell("callback", step="w", data=2).wake()
    assert play.output("w") == 1
    (line,) = play.lines("signal.moot")
    assert "has ended already" in line.detail["message"]


def test_nobody_calls_and_the_wait_fails_at_its_time() -> None:
    """Not before; the message is of the step."""
    play = Play(WAIT)
    play.wake()
    assert play.wake(HOUR - 10_000) == "SUSPENDED callback"
    assert play.wake(10_000) == "FAILED"
    assert play.code("w") == "wait_timeout"


def test_a_callback_that_comes_with_the_end_of_its_time_wins() -> None:
    """What arrived is not thrown away."""
    play = Play(WAIT)
    play.wake()
    assert play.tell("callback", step="w", data=1).wake(2 * HOUR) == "COMPLETED"


@pytest.mark.parametrize("tool", ["pure", "idem", "probe", "unsafe"])
@pytest.mark.parametrize(
    ("answer", "end"), [({"data": {"n": 1}}, "COMPLETED"), ({"error": "full"}, "FAILED")], ids=["done", "failed"]
)
def test_a_tool_that_took_over_says_how_it_ended(tool: str, answer: dict[str, Any], end: str) -> None:
    """Of any effect class: the callback is its answer."""
    play = Play(call("a", tool))
    play.wake()
    assert play.answer({"a": TOOK}) == "SUSPENDED callback"
    assert play.tell("callback", step="a", **answer).wake() == end


@pytest.mark.parametrize(
    ("tool", "stands", "cell"),
    [("pure", "EXECUTING", "BACKOFF"), ("idem", "EXECUTING", "BACKOFF"), ("probe", "EXECUTING", "INTENDED"),
     ("unsafe", "SUSPENDED unknown effect", "UNKNOWN")],
)  # fmt: skip
def test_a_tool_that_never_calls_back_is_judged_by_its_effect(tool: str, stands: str, cell: str) -> None:
    """As if its answer had been lost: again with the same key, ask, or a person."""
    play = Play(call("a", tool, deadline_ms=HOUR + 60_000))
    play.wake()
    play.answer({"a": TOOK})
    assert play.wake(HOUR) == "SUSPENDED callback"
    stood = play.wake(60_000)
    if TOOLS[tool].effect in {Effect.PURE, Effect.IDEMPOTENT}:
        assert stood == "FAILED" if tool == "pure" else stood == "COMPENSATING", "its deadline has passed too"
    else:
        assert (stood, play.cell("a")) == (stands, cell)


def test_without_a_deadline_each_attempt_has_its_hour() -> None:
    """The second is not measured from the first."""
    play = Play(call("a"))
    play.wake()
    play.answer({"a": TOOK})
    assert play.wake(HOUR) == "EXECUTING", "a short back-off is sat out"
    play.tick(500)
    assert play.running == ["a"]
    assert play.answer({"a": TOOK}) == "SUSPENDED callback"
    assert play.wake(HOUR - 10_000) == "SUSPENDED callback"
    assert play.tell("callback", step="a", data=DONE.output).wake() == "COMPLETED"


def test_a_late_callback_settles_what_nobody_could_say() -> None:
    """The tool itself says it now: no person is needed."""
    play = Play(call("a", "unsafe"))
    play.wake()
    play.answer({"a": TOOK})
    assert play.wake(HOUR) == "SUSPENDED unknown effect"
    assert play.tell("callback", step="a", data={"n": 5}).wake() == "COMPLETED"
    assert play.output("a") == {"n": 5}


def test_a_callback_that_overtakes_the_answer_is_kept_for_it() -> None:
    """Also over a crash in between."""
    play = Play(call("a"))
    play.wake()
    play.tell("callback", step="a", data=1)
    assert play.answer({"a": TOOK}) == "COMPLETED"
    play = Play(call("a"))
    play.wake()
    play.tell("callback", step="a", data=1).wake()
    play.tick(1_000)
    assert play.answer({"a": TOOK}) == "COMPLETED"


def test_a_callback_that_overtook_is_found_while_the_plan_is_being_stopped() -> None:
    """Otherwise the undo would wait for a call that has come already."""
    play = Play(call("a"), call("b"), call("c", needs=["b"]))
    play.wake()
    play.tell("callback", step="a", data=1)
    play.answer({"b": DONE})
    assert play.record.notes.early
    play.answer({"c": Refused(code="no", message="no")})
    play.answer({"a": TOOK})
    assert play.running == ["-a"]


@pytest.mark.parametrize(
    "step",
    [call("a", map={"over": [1]}), call("a", approve={}), call("a", needs=["nap"])],
    ids=["a map", "an approval", "not begun"],
)
def test_a_callback_for_a_step_that_took_nothing_over_is_kept_and_does_no_harm(step: dict[str, Any]) -> None:
    """Its address was known before: whoever has it may call at any time."""
    play = Play({"name": "nap", "sleep": {"ms": HOUR}}, step)
    play.wake()
    play.tell("callback", step="a", data=1).wake()
    assert [one.key for one in play.record.notes.early] == ["a"]
    assert play.record.header.status.value in {"SUSPENDED", "EXECUTING"}


def test_an_undo_cannot_be_taken_over() -> None:
    """Nothing would ever say that it has ended: it is asked again, with the same key."""
    play = Play(call("a"), call("b", needs=["a"]))
    play.wake()
    play.answer({"a": DONE})
    play.answer({"b": Refused(code="no", message="no")})
    assert play.running == ["-a"]
    play.answer({"-a": TOOK})
    assert play.cell("-a") == "BACKOFF"
    assert play.tick(1_000) == "COMPENSATING"
    assert play.answer({"-a": DONE}) == "COMPENSATED"


def test_what_a_person_approved_is_what_the_next_attempt_sends_too() -> None:
    """After a tool that took the call over and never called back."""
    play = Play(call("a", args={"n": 1}, approve={}))
    play.wake()
    play.tell("approve", step="a", args_hash=play.hold("a").args_hash, args={"n": 2}, actor="ann").wake()
    play.answer({"a": TOOK})
    play.wake(HOUR)
    play.tick(1_000)
    assert [start.intent.args for start in play.started] == [{"n": 2}, {"n": 2}]


def test_a_cancel_waits_for_the_tool_that_works_on() -> None:
    """Its effect is only then known, and undone."""
    play = Play(call("a"))
    play.wake()
    play.answer({"a": TOOK})
    assert play.tell("cancel").wake() == "SUSPENDED callback"
    assert play.tell("callback", step="a", data=1).wake() == "COMPENSATING"
    assert play.running == ["-a"]


def test_a_probe_is_asked_when_the_tool_that_took_over_is_silent() -> None:
    """It had all the time it needs to land."""
    play = Play(call("a", "probe"))
    play.wake()
    play.answer({"a": TOOK})
    play.wake(HOUR)
    assert LEASE_MS + SETTLE_MS < HOUR
    play.answer({"a": Refused(code=NEVER_HAPPENED, message="no")})
    assert play.running == ["a"]
    assert [start.intent.probe for start in play.started] == [False, True, False]
    assert play.answer({"a": Unanswered(message="?")}) == "SUSPENDED settling"


def test_no_event_passes_for_a_callback() -> None:
    """Whoever may publish events has not the address of the step."""
    play = Play(WAIT)
    play.wake()
    assert play.tell("event", name="(callback)", key="w", data="forged").wake() == "SUSPENDED callback"
    assert play.lines("signal.moot")


def test_a_call_is_repeated_with_the_address_it_had_although_it_was_called_back_meanwhile() -> None:
    """The same key with other arguments would be refused."""
    play = Play(call("a", args={"to": "${w.callback_url}"}), WAIT)
    play.wake()
    play.tell("callback", step="w", data=1)
    play.answer({"a": Unanswered(message="?")})
    play.tick(1_000)
    assert play.cell("w") == "DONE"
    first, second = play.started
    assert first.intent.args == second.intent.args == {"to": "callback://exe_00_t/w"}
