"""Conditions, joins, failures that the plan bears: which way it goes."""

from itertools import product
from typing import Any

import pytest

from shared.machine.events import Refused, Unanswered
from tests.machine.play import Play, call
from tests.machine.support import DONE

NO = Refused(code="no", message="no")


def answered(play: Play, fates: dict[str, Any]) -> str:
    """Calls end as it is written, everything else well."""
    play.wake()
    while play.running:
        name = play.running[0]
        play.answer({name: fates.get(name, DONE)})
    return play.stands


@pytest.mark.parametrize("join", [1, 2, 3])
@pytest.mark.parametrize("fates", list(product([True, False], repeat=3)))
def test_so_many_of_its_needs_must_be_done(join: int, fates: tuple[bool, ...]) -> None:
    """It begins with the one that makes it enough, and fails when enough can never be."""
    three = [call(name, may_fail=True) for name in "abc"]
    play = Play(*three, call("j", needs=["a", "b", "c"], join=join))
    stands = answered(play, {name: DONE if fate else NO for name, fate in zip("abc", fates, strict=True)})
    if sum(fates) >= join:
        assert stands == "COMPLETED"
        assert play.cell("j") == "DONE"
    else:
        assert play.code("j") == "join_unmet"
        assert stands == ("COMPENSATED" if any(fates) else "FAILED")


def test_a_join_begins_before_its_other_needs_have_ended() -> None:
    """They go on, and the plan is complete when they are."""
    play = Play(call("a"), call("b"), call("j", needs=["a", "b"], join="any", args={"a": "${a.n}", "b": "${b.n}"}))
    play.wake()
    play.answer({"b": DONE})
    assert play.running == ["a", "j"]
    assert play.started[-1].intent.args == {"a": None, "b": 1}
    play.answer({"j": DONE})
    assert play.answer({"a": DONE}) == "COMPLETED"
    assert len(play.started) == 3, "once"


def test_a_skipped_need_is_no_done_one() -> None:
    """And a join over nothing but skipped ones fails."""
    play = Play(call("a", when="false"), call("b", when="false"), call("j", needs=["a", "b"], join="any"))
    assert answered(play, {}) == "FAILED"
    assert play.code("j") == "join_unmet"


def test_a_step_is_skipped_with_what_it_refers_to_and_not_with_what_it_only_comes_after() -> None:
    """All the way down."""
    play = Play(
        call("a", when="false"),
        call("b", args={"x": "${a.n}"}),
        call("c", args={"x": "${b.n}"}),
        call("d", needs=["c"]),
        call("e", when="c.n == null", args={"x": "${d.n}"}),
    )
    assert answered(play, {}) == "COMPLETED"
    assert [play.cell(name) for name in "abcde"] == ["SKIPPED", "SKIPPED", "SKIPPED", "DONE", "DONE"]


def test_a_thousand_steps_are_skipped_in_a_row() -> None:
    """Without a stack that grows with them."""
    row = [call(f"s{n}", args={"x": f"${{s{n - 1}.n}}"}) for n in range(1, 1_000)]
    play = Play(call("s0", when="false"), *row)
    assert play.wake() == "COMPLETED"
    assert play.cells[:1_000] == "k" * 1_000


@pytest.mark.parametrize(
    ("fate", "when", "runs"),
    [
        (DONE, "done(a)", True), (DONE, "failed(a)", False), (NO, "failed(a)", True), (NO, "done(a)", False),
        (NO, "skipped(a)", False), (DONE, "a.n == 1", True), (NO, "a.n == 1", False), (NO, "not present(a.n)", True),
        (NO, "a.n == null", True),
    ],
)  # fmt: skip
def test_a_condition_waits_for_the_steps_it_asks_about(fate: Any, when: str, runs: bool) -> None:  # noqa: FBT001 - a row
    """And then decides."""
    play = Play(call("a", may_fail=True), call("b", when=when))
    assert answered(play, {"a": fate}) == "COMPLETED"
    assert play.cell("b") == ("DONE" if runs else "SKIPPED")


def test_a_failure_that_the_plan_bears_leaves_nothing_to_undo() -> None:
    """A later one undoes what is done, and only that."""
    play = Play(call("a", may_fail=True), call("b", needs=["a"]), call("c", needs=["b"]))
    assert answered(play, {"a": NO, "c": NO}) == "COMPENSATED"
    assert [start.step for start in play.started if start.undo] == ["b"]


def test_what_is_borne_and_may_have_happened_is_a_persons_to_say() -> None:
    """The alternative does not begin before that: both might come about."""
    play = Play(call("seven", may_fail=True, retry={"attempts": 1}), call("eight", when="failed(seven)"))
    play.wake()
    assert play.answer({"seven": Unanswered(message="?")}) == "SUSPENDED unknown effect"
    play.wake(60_000)
    assert play.tell("settle", step="seven", happened=False, actor="ann").wake() == "EXECUTING"
    assert play.running == ["eight"]


def test_a_doubtful_effect_that_is_borne_is_undone_with_the_rest() -> None:
    """By its key."""
    play = Play(call("a", may_fail=True, retry={"attempts": 1}), call("b"))
    play.wake()
    play.answer({"a": Unanswered(message="?")})
    play.answer({"b": NO})
    assert play.running == ["-a"]
    assert play.answer({"-a": DONE}) == "COMPENSATED"


def test_an_effect_that_the_plan_wants_to_stand_is_left_and_nobody_is_called_for_it() -> None:
    """Without that consent the end is COMPENSATION_FAILED: an operator has something to do."""
    for undo, end in (({"leave": True}, "COMPENSATED"), (None, "COMPENSATION_FAILED")):
        play = Play(call("a", "unsafe", undo=undo), call("b", needs=["a"]))
        play.wake()
        play.answer({"a": DONE})
        assert play.answer({"b": NO}) == end
        assert play.cell("-a") == "LEFT"
        assert len(play.lines("undo.left")) == 1


@pytest.mark.parametrize(
    ("retry", "outcome", "again"),
    [
        ({}, Refused(code="busy", message="m", retryable=True), True),
        ({}, Refused(code="full", message="m"), False),
        ({"retry_on": ["full"]}, Refused(code="full", message="m"), True),
        ({"never_on": ["busy"]}, Refused(code="busy", message="m", retryable=True), False),
        ({"retry_on": ["x"], "never_on": ["x"]}, Refused(code="x", message="m", retryable=True), False),
        ({"attempts": 1}, Refused(code="busy", message="m", retryable=True), False),
    ],
)
def test_the_step_knows_better_than_the_tool_what_to_try_again(retry: dict[str, Any], outcome: Refused, again: bool) -> None:  # noqa: FBT001 - a row of the table
    """`never_on` beats `retry_on`, and both beat the tool."""
    play = Play(call("a", retry=retry))
    play.wake()
    play.answer({"a": outcome})
    assert play.cell("a") == ("BACKOFF" if again else "FAILED")


def test_the_deadline_of_a_step_counts_from_its_first_attempt() -> None:
    """A back-off that would end behind it is not begun; the fault says what had been wrong."""
    busy = Refused(code="busy", message="later", retryable=True)
    play = Play(call("a", deadline_ms=2_500, retry={"attempts": 9, "base_ms": 1_000, "factor": 2.0}))
    play.wake()
    play.answer({"a": busy}, 100)
    assert play.cell("a") == "BACKOFF"
    play.tick(1_000)
    play.answer({"a": busy}, 100)
    assert play.code("a") == "deadline"
    assert "later" in play.record.faults[0].message


def test_a_step_that_may_fail_and_has_no_arguments_lets_the_plan_go_on() -> None:
    """It fails without a call: nobody would come back for what waits for it."""
    play = Play(call("a"), call("b", args={"x": "${a.nothing}"}, may_fail=True), call("c", when="failed(b)"))
    play.wake()
    play.answer({"a": DONE})
    assert play.code("b") == "bad_reference"
    assert play.running == ["c"]
    play = Play(call("a"), call("b", args={"x": "${a.nothing}"}, may_fail=True))
    play.wake()
    assert play.answer({"a": DONE}) == "COMPLETED"
