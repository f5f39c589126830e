"""What is expected of a plan, what it is given, and when a tenant has to do without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.plan import PlanDraft, Sleep, StepDraft
from shared.quota import (
    DAY_MS,
    Allowance,
    Answer,
    Book,
    Demand,
    Level,
    Limits,
    allowance,
    demand_of,
    level_of,
    lines,
    messages,
    report,
    retry_after_s,
)
from tests.machine.support import TOOLS, step
from tests.support.executions import NOW

PLANS = PlanLimits(steps=10, argument_bytes=1_000, step_ms=8_000)
HOBBY = Limits(day=10_000, month=100_000, concurrent=100)


@pytest.mark.parametrize(
    ("steps", "per_message", "expected"),
    [(1, 0, 1), (16, 0, 1), (17, 0, 2), (5, 1, 5), (5, 2, 3), (0, 0, 0)],
    ids=["one step", "as many as fit", "one more", "one a message", "two a message", "nothing to undo"],
)
def test_messages_are_expected_by_packing(steps: int, per_message: int, expected: int) -> None:
    """The last one may carry less."""
    assert messages(steps, per_message=per_message) == expected


def test_a_short_plan_is_given_two_messages_its_undoing_and_one_tail() -> None:
    """A message and a quarter, rounded up; one to undo and two to spare; three retries, and a callback with one of its own."""
    given_ = allowance(Demand(steps=3, undoable=2), per_message=0, retries=3, limits=HOBBY, level=Level.NORMAL)
    assert given_ == Allowance(units=2 + 3 + 5, floor=3, tail=5)


def test_scarce_messages_carry_more_steps_and_then_go_without_retries() -> None:
    """One level after the other."""
    plan = {"want": Demand(steps=8), "per_message": 1, "retries": 3, "limits": HOBBY}
    normal, packed, held = (allowance(**plan, level=level) for level in (Level.NORMAL, Level.PACK, Level.HOLD))  # type: ignore[arg-type]
    assert (normal.units, packed.units, held.units) == (10 + 2 + 15, 2 + 2 + 5, 2 + 2)
    assert (normal.tail, packed.tail, held.tail) == (5, 5, 0)


@given(
    steps=st.integers(1, 10_000),
    undoable=st.integers(0, 10_000),
    per_message=st.integers(0, 20),
    retries=st.integers(0, 5),
    day=st.integers(0, 10_000),
    level=st.sampled_from(Level),
)
def test_every_plan_can_be_admitted_on_a_quiet_day_and_send_its_first_message(
    steps: int, undoable: int, per_message: int, retries: int, day: int, level: Level
) -> None:
    """However long, however small the limit (twelve is the smallest that is of use)."""
    limits = Limits(day=day)
    found = allowance(
        Demand(steps=steps, undoable=undoable), per_message=per_message, retries=retries, limits=limits, level=level
    )
    assert found.units - found.floor >= 1
    assert found.units - found.floor >= 1 + found.tail or found.tail == 0 or steps == 0
    if day >= 12:
        assert found.units <= lines(limits, low=True).day


@pytest.mark.parametrize(
    ("taken", "level"),
    [(0, Level.NORMAL), (7_500, Level.NORMAL), (7_501, Level.PACK), (8_501, Level.HOLD), (9_000, Level.REFUSE)],
)
def test_levels_go_by_what_is_left_of_the_scarcest_limit(taken: int, level: Level) -> None:
    """Spent or reserved makes no difference."""
    assert level_of(Book(now_ms=NOW, day_spent=taken), HOBBY) == level
    assert level_of(Book(now_ms=NOW, reserved=taken), HOBBY) == level
    assert level_of(Book(now_ms=NOW, month_spent=10 * taken), HOBBY) == level
    assert level_of(Book(now_ms=NOW, day_spent=taken), Limits()) == Level.NORMAL


def test_low_priority_stops_before_the_rest() -> None:
    """At 15 % of the limit left, the rest at 10 %."""
    assert (lines(HOBBY, low=True).day, lines(HOBBY, low=False).day) == (8_500, 9_000)


def test_a_refused_request_is_told_when_it_may_fit() -> None:
    """At the reset, if what is spent stands in the way; soon, if it is only reserved. At NOW it is 08:00:00 UTC."""
    bounds = lines(HOBBY, low=False)
    spent, busy = Book(now_ms=NOW, day_spent=8_995), Book(now_ms=NOW, reserved=8_995)
    assert retry_after_s(Answer(full="day", book=spent), 10, bounds) == 16 * 3_600
    assert retry_after_s(Answer(full="day", book=busy), 10, bounds) == 5
    assert retry_after_s(Answer(full="concurrent", book=busy), 10, bounds) == 5
    month = Book(now_ms=NOW, month_spent=89_999)
    assert retry_after_s(Answer(full="month", book=month), 10, bounds) == 16 * 3_600 + 16 * 86_400  # the 15th of January


def test_the_report_adds_up() -> None:
    """limit = spent + reserved + left; a limit that is none is null."""
    book = Book(now_ms=NOW, day_spent=30, month_spent=300, reserved=20, running=2)
    found = report(book, Limits(day=100, concurrent=5, offset_ms=DAY_MS // 24))
    day = found["day"]
    assert day == {
        "limit": 100, "spent": 30, "reserved": 20, "left": 50,
        "keptForAccepted": 10, "resetsAt": "2027-01-15T23:00:00.000+00:00",
    }  # fmt: skip
    assert (found["month"]["limit"], found["month"]["left"], found["month"]["spent"]) == (None, None, 300)
    assert found["concurrent"] == {"limit": 5, "running": 2, "left": 3}
    assert found["level"] == "normal"


def test_what_suspends_wants_a_message_of_its_own() -> None:
    """A nap, besides the steps; what can be undone is a call whose tool says so."""
    nap = StepDraft(name="nap", sleep=Sleep(ms=1_000), needs=("a",))
    draft = PlanDraft(steps=(step("a idem"), nap, step("b pure nap")))
    plan = accept(draft, contracts=TOOLS, check_args=lambda *_: iter(()), limits=PLANS)
    assert demand_of(plan) == Demand(steps=3, undoable=1, waits=1)
