"""Plans that nobody runs before a person has said yes to exactly that plan."""

from typing import Any

import pytest

from shared.machine.decision import End, Suspend
from shared.machine.state import Notes
from shared.machine.status import Status
from tests.machine.play import Play, call
from tests.machine.support import DONE, NOW

HOUR = 3_600_000


def waiting(**notes: Any) -> Play:
    """An execution whose plan waits for a yes."""
    play = Play(call("a"), call("b"), notes=Notes(unconfirmed=True, **notes), status=Status.AWAITING_CONFIRMATION)
    assert play.wake() == "AWAITING_CONFIRMATION"
    assert play.started == []
    return play


def yes(play: Play, **more: Any) -> str:
    """Somebody confirms the plan."""
    return play.tell("confirm", **({"plan_hash": play.record.header.plan, "actor": "ann"} | more)).wake()


def test_it_begins_with_the_yes() -> None:
    """And says who gave it, and to what."""
    play = waiting()
    assert yes(play) == "EXECUTING"
    (line,) = play.lines("plan.confirmed")
    assert line.detail == {"by": "ann", "plan_hash": play.record.header.plan}
    assert play.answer({"a": DONE, "b": DONE}) == "COMPLETED"


@pytest.mark.parametrize("plan_hash", ["another", "", None])
def test_a_yes_to_another_plan_starts_nothing(plan_hash: str | None) -> None:
    """The person may have seen an older one."""
    play = waiting()
    assert yes(play, plan_hash=plan_hash) == "AWAITING_CONFIRMATION"
    assert play.lines("signal.moot")
    assert play.started == []


def test_a_no_ends_it_before_anything_was_done() -> None:
    """REJECTED, with who said so."""
    play = waiting()
    assert play.tell("reject", actor="ann", note="too late").wake() == "REJECTED"
    assert isinstance(play.next, End)
    (line,) = play.lines("plan.rejected")
    assert line.detail == {"by": "ann", "message": "too late"}


def test_it_can_be_cancelled() -> None:
    """Nothing is to be undone."""
    assert waiting().tell("cancel").wake() == "CANCELLED"


def test_it_rests_for_a_day_or_until_its_deadline() -> None:
    """Then it is looked at; the deadline ends it."""
    play = waiting()
    assert isinstance(play.next, Suspend)
    assert (play.next.wake_at_ms, play.next.timed) == (NOW + 24 * HOUR, False)
    hurried = Play(call("a"), notes=Notes(unconfirmed=True), status=Status.AWAITING_CONFIRMATION, deadline_ms=NOW + HOUR)
    assert hurried.wake() == "AWAITING_CONFIRMATION"
    assert isinstance(hurried.next, Suspend)
    assert hurried.next.wake_at_ms == NOW + HOUR
    assert hurried.wake(HOUR) == "TIMED_OUT"


def test_a_pause_leads_back_to_the_question() -> None:
    """Resuming is no confirming."""
    play = waiting()
    assert play.tell("pause").wake() == "PAUSED"
    assert play.tell("resume").wake() == "AWAITING_CONFIRMATION"
    assert yes(play) == "EXECUTING"


def test_a_second_answer_comes_too_late() -> None:
    """A running plan is neither confirmed again nor rejected; steps are."""
    play = waiting()
    yes(play)
    assert play.tell("confirm", plan_hash=play.record.header.plan).tell("reject").answer({"a": DONE}) == "EXECUTING"
    assert play.answer({"b": DONE}) == "COMPLETED"
    assert len(play.lines("signal.moot")) == 2
