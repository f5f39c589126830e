"""What an execution waits for, and when nothing would ever move it."""

from typing import Any

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine.plan import Approval, Blueprint
from shared.machine.state import Hold, Notes, Signal
from shared.machine.status import TERMINAL, Cause, Reason, Status
from shared.ports import Entry, Letter, Refusal
from shared.redisdb.snapshots import Snapshot
from shared.why import MOST, OVERDUE_MS, broken, why
from tests.machine.support import NOW, blueprint, fault
from tests.operating.support import PLAN, snapshot

LATER = NOW + 60_000
AT = "1970-01-01T00:17:40+00:00"
HOLDS = {
    "sleep": (Hold(kind=Reason.SLEEP, since_ms=NOW, until_ms=LATER), "time", f"a lets time pass, until {AT}."),
    "approval": (
        Hold(kind=Reason.APPROVAL, since_ms=NOW, args={"q": 1}, args_hash="h"),
        "person",
        "a needs somebody's approval.",
    ),
    "event": (
        Hold(kind=Reason.EVENT, since_ms=NOW, events=(("paid", "o7"), ("sent", ""))),
        "event",
        "a waits for the event paid/o7 or sent.",
    ),
    "callback": (
        Hold(kind=Reason.CALLBACK, since_ms=NOW, until_ms=LATER),
        "partner",
        f"a waits to be called back, until {AT}.",
    ),
    "child": (
        Hold(kind=Reason.CHILD, since_ms=NOW, child="exe_1"),
        "child",
        "a is the execution exe_1, which must end first.",
    ),
    "slot": (Hold(kind=Reason.SLOT, since_ms=NOW), "limit", "a stands in line for a slot of tool/pure."),
}


@pytest.mark.parametrize("kind", HOLDS)
def test_a_wait_names_who_ends_it_and_when(kind: str) -> None:
    """One sentence, and the same as data."""
    hold, owner, text = HOLDS[kind]
    told = why(snapshot(**_holding(hold)))
    assert (told.text, told.broken) == (text, "")
    [wait] = told.waits
    assert (wait.kind, wait.owner, wait.step, wait.until_ms) == (kind, owner, "a", hold.until_ms)


def _holding(hold: Hold) -> dict[str, Any]:
    found = snapshot(cells="w..")
    found.execution.holds[0] = hold
    return {"execution": found.execution}


def test_what_is_asked_of_a_person_is_said_with_it() -> None:
    """The plan's own words, the arguments and their hash."""
    asked = Blueprint(_with_approval(PLAN))
    found = snapshot(cells="w..", plan=asked)
    found.execution.holds[0] = HOLDS["approval"][0]
    [wait] = why(found).waits
    assert wait.text == "a needs somebody's approval (pay 5?)"
    assert wait.detail == {"args": {"q": 1}, "argsHash": "h"}


def _with_approval(plan: Blueprint) -> bytes:
    first, *others = plan.plan.steps
    steps = (msgspec.structs.replace(first, approve=Approval(message="pay 5?")), *others)
    return plans.encode(msgspec.structs.replace(plan.plan, steps=steps))


def test_a_back_off_says_the_error_and_the_time() -> None:
    """And which attempt comes next."""
    found = snapshot(cells="db.", x={"faults": {1: fault(2, retry_at_ms=LATER)}})
    told = why(found)
    assert told.text == f"b failed (c: m) and is tried again at {AT}, for the 3. time."
    assert told.waits[0].until_ms == LATER


def test_the_undo_lane_speaks_of_undos() -> None:
    """Not of the step."""
    found = snapshot(Status.SUSPENDED, "ddd.b.", x={"faults": {4: fault(1, retry_at_ms=LATER)}})
    assert why(found).text.startswith("the undo of b failed (c: m)")


def test_an_unknown_effect_asks_for_a_person() -> None:
    """Nobody else can say."""
    [wait] = why(snapshot(cells="du.", timed=False)).waits
    assert (wait.kind, wait.owner) == ("unknown effect", "person")


def test_a_closed_tool_is_named_with_what_is_said_of_it() -> None:
    """Only where something is ready to call it."""
    told = why(snapshot(cells="dr."), {"idem": "acme has paused it", "other": "no"})
    assert told.text == "b must not call idem: acme has paused it."


def test_whoever_paused_it_is_named() -> None:
    """Before what it would do otherwise."""
    found = snapshot(Status.PAUSED, "dr.")
    found.execution.grow(Notes(paused="acme/anna"))
    assert why(found).text == "acme/anna has paused it, and somebody must resume it."


def entry(reason: str, **more: Any) -> Entry:
    """Of the outbox."""
    return Entry(id="e", execution="exe_00_t", segment=1, reason=reason, **more)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            snapshot(Status.EXECUTING, "di.", lease_until_ms=NOW + 4_000),
            "an invocation has it for 4.0 s at most; b is being called.",
        ),
        (snapshot(Status.PLANNED, "...", message="msg_1"), "its next message is with QStash (msg_1)."),
        (
            snapshot(Status.EXECUTING, "d..", outbox=(entry("next"),)),
            "QStash has not taken its message yet (next); the relay tries again, and the watchdog calls directly.",
        ),
        (
            snapshot(Status.SUSPENDED, "d..", outbox=(entry("subscribe", kind="subscribe", to="k"),)),
            "subscribe for k is not carried out yet.",
        ),
        (
            snapshot(Status.PAUSED, "d..", unseen=(Signal(position=1, kind="resume"),)),
            "what arrived is taken up next (resume).",
        ),
        (snapshot(Status.COMPLETED, "ddd", due_ms=None), "it is over: COMPLETED; it waits for nothing"),
        (
            snapshot(Status.COMPENSATED, "dd.", head={"cause": "cancelled"}, due_ms=None),
            "it is over: COMPENSATED, because it was stopped (cancelled); it waits for nothing",
        ),
    ],
    ids=["call", "queue", "outbox", "command", "inbox", "over", "stopped"],
)  # fmt: skip
def test_the_execution_as_a_whole(found: Snapshot, text: str) -> None:
    """One sentence each."""
    told = why(found)
    assert (told.text, told.broken) == (text, "")


FAULTS = {"faults": {1: fault(1), 3: fault(9)}}


@pytest.mark.parametrize(
    ("status", "cells", "cause", "text"),
    [
        (Status.FAILED, "df.", Cause.FAILED, "FAILED, because b failed (c: m)"),
        (Status.COMPENSATED, "df.d..", Cause.FAILED, "COMPENSATED, because b failed (c: m)"),
        (Status.FAILED, "k..", Cause.FAILED, "FAILED, because it was stopped (failed)"),
        (Status.TIMED_OUT, "df.", Cause.TIMED_OUT, "TIMED_OUT, because it was stopped (timed out)"),
        (Status.COMPENSATION_FAILED, "df.f..", Cause.FAILED, "because b failed (c: m); the undo of a failed (c: m)"),
        (Status.COMPENSATION_FAILED, "du.", Cause.CANCELLED, "(cancelled); not everything could be undone"),
    ],
    ids=["a failure", "a failure that was undone", "no step", "its time", "an undo that failed, too", "an effect in doubt"],
)
def test_what_is_over_names_what_stopped_it(status: Status, cells: str, cause: Cause, text: str) -> None:
    """The step, its code and what was said; for what others stopped, that."""
    found = snapshot(status, cells, head={"cause": cause}, x=FAULTS, due_ms=None)
    assert f"{text}; it waits for nothing" in why(found).text


def test_of_failures_the_first_ones_are_named() -> None:
    """Not what may fail, nor what another version replaced; of a long story its beginning."""
    plan = blueprint(*(f"s{n} idem" for n in range(7))).plan
    marks: list[dict[str, Any]] = [{"may_fail": True}, {"replaced": True}, *([{}] * 5)]
    steps = tuple(msgspec.structs.replace(step, **mark) for step, mark in zip(plan.steps, marks, strict=True))
    whole = Blueprint(plans.encode(msgspec.structs.replace(plan, steps=steps)))
    faults = {n: msgspec.structs.replace(fault(1), at_ms=NOW - n, code=f"c{n}") for n in range(7)}
    told = why(snapshot(Status.FAILED, "f" * 7, plan=whole, head={"cause": Cause.FAILED}, x={"faults": faults}))
    assert "because s6 failed (c6: m), s5 failed (c5: m), s4 failed (c4: m), and 2 more;" in told.text


BOTH = Refusal(queue="QStash is away: QStash answered 503", channel="Ably is not reachable (ConnectError)", at_ms=NOW - 1_000)


def test_a_message_that_waits_names_both_refusals_and_whether_anybody_calls() -> None:
    """In words and as data; the same message again and again is named once."""
    found = snapshot(Status.EXECUTING, "d..", outbox=(entry("continued"), entry("overdue")), refused=BOTH)
    told = why(found, direct=False)
    said = "its message is waiting: QStash: QStash is away: QStash answered 503; Ably: Ably is not reachable (ConnectError)"
    assert told.text == f"{said}; direct calls are off (RESUME_DIRECT)."
    assert why(found).text == f"{said}; the watchdog calls directly."
    [wait] = told.waits
    assert wait.owner == "queue"
    assert (wait.detail["qstash"], wait.detail["ably"]) == (BOTH.queue, BOTH.channel)
    assert (wait.detail["messages"], wait.detail["directCalls"]) == (2, False)
    assert wait.detail["refusedAt"] == "1970-01-01T00:16:39+00:00"


def test_a_message_whose_hint_was_taken_says_so() -> None:
    """Then it is the resume service that must look."""
    found = snapshot(Status.EXECUTING, "d..", outbox=(entry("continued"),), refused=msgspec.structs.replace(BOTH, channel=""))
    [wait] = why(found, direct=False).waits
    assert "Ably: it has been told, and nobody has looked yet" in wait.text
    assert wait.detail["ably"] is None


def test_a_refusal_of_what_has_gone_since_is_not_told() -> None:
    """The record may keep it a while longer than the outbox the message."""
    found = snapshot(Status.EXECUTING, "d..", message="msg_2", refused=BOTH)
    assert why(found).text == "its next message is with QStash (msg_2)."


def test_a_used_up_quota_is_a_limit_that_time_lifts() -> None:
    """It needs nobody."""
    told = why(snapshot(cells="dr.", head={"reason": Reason.QUOTA}, timed=False))
    assert (told.waits[0].kind, told.waits[0].owner, told.broken) == ("quota", "limit", "")


def test_a_wait_that_is_timed_is_not_told_as_a_message_that_is_late() -> None:
    """Its message waits in the outbox because it must."""
    found = snapshot(cells="d..", outbox=(entry("wake", not_before_ms=LATER),))
    assert why(found).waits == ()


def test_a_dead_letter_shows_the_last_answer() -> None:
    """As far as QStash told it."""
    letter = Letter(id="d", execution="e", kind="message", segment=2, marks=(), status=500, excerpt="boom", times=2)
    found = snapshot(cells="r..", head={"reason": Reason.UNDELIVERABLE}, letters=(letter,))
    told = why(found)
    assert [one.kind for one in told.waits] == ["undeliverable", "dead letter"]
    assert told.waits[1].text == "QStash gave up 2 message(s) of segment 2 (status 500): boom"


def test_a_long_list_is_cut_and_says_so() -> None:
    """10,000 back-offs are one answer of bounded size."""
    plan = blueprint(*(f"s{n}" for n in range(MOST + 1)))
    told = why(snapshot(cells="b" * (MOST + 1), plan=plan))
    assert (len(told.waits), told.more) == (MOST, True)
    assert told.text.endswith("and 98 more.")


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_what_nobody_would_move_is_broken(status: Status) -> None:
    """Neither a due time nor a lease; or a due time that nobody has looked at."""
    known: dict[str, Any] = {"status": status, "now_ms": NOW, "lease_until_ms": 0}
    assert "nothing will ever look" in broken(due_ms=None, **known)
    assert "no watchdog" in broken(due_ms=NOW - OVERDUE_MS - 1, **known)
    assert broken(due_ms=NOW - OVERDUE_MS, **known) == ""
    assert broken(due_ms=None, **(known | {"lease_until_ms": NOW + 1})) == ""


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_needs_nobody(status: Status) -> None:
    """It has no due time."""
    assert broken(status=status, lease_until_ms=0, due_ms=None, now_ms=NOW) == ""


def test_a_rest_that_nothing_ends_is_broken() -> None:
    """Its due time would look at it for ever."""
    told = why(snapshot(cells="d..", timed=False))
    assert told.broken == "it is suspended, and nothing in its record says what would end that"
    assert told.text.endswith(f"Broken: {told.broken}.")
