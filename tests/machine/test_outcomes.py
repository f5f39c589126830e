"""What the end of a call means, by the effect class of its tool; and what a dead owner's call means."""

from typing import NamedTuple

import msgspec
import pytest

from shared.machine.decide import decide
from shared.machine.decision import StartSteps, Suspend, Wait
from shared.machine.events import NotSent, Outcome, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.retry import delay_ms
from shared.machine.status import Cause, Cell
from tests.machine.support import (
    DONE,
    NOW,
    RETRY,
    SETTLE_MS,
    answered,
    blueprint,
    events,
    execution,
    fault,
    intent,
    put,
    starts,
    woke,
)

NO = Refused(code="sold_out", message="none left")
BUSY = Refused(code="busy", message="later", retryable=True)
NEVER = Refused(code=NEVER_HAPPENED, message="not seen")
SILENCE = Unanswered(message="no answer within 3 s")
UNSENT = NotSent(message="connection refused")
SETTLED_AT = NOW + 11_000 + SETTLE_MS


class Row(NamedTuple):
    """A call of `tool` ended so: the cell goes there, and what is left behind is doubt, a stop of the plan, or both."""

    rule: str
    tool: str
    outcome: Outcome
    cell: Cell
    left: str = ""
    attempt: int = 1
    doubt: int = 0
    """Whether an earlier attempt left doubt."""
    asked: int = 0
    """Which probe of the attempt it is; 0 = it is the call itself."""


ROWS = [
    Row("done is done", "unsafe", DONE, Cell.DONE),
    Row("a refusal fails the step", "idem", NO, Cell.FAILED, "stop"),
    Row("a refusal of an unsafe tool fails the step: it says that nothing happened", "unsafe", NO, Cell.FAILED, "stop"),
    Row("busy is tried again", "idem", BUSY, Cell.BACKOFF),
    Row("busy is tried again even if unsafe: nothing happened", "unsafe", BUSY, Cell.BACKOFF),
    Row("busy at the last attempt fails the step", "idem", BUSY, Cell.FAILED, "stop", attempt=3),
    Row("not sent is tried again", "idem", UNSENT, Cell.BACKOFF),
    Row("not sent is tried again even if unsafe", "unsafe", UNSENT, Cell.BACKOFF),
    Row("not sent at the last attempt fails the step", "probe", UNSENT, Cell.FAILED, "stop", attempt=3),
    Row("silence of a pure tool is tried again without doubt", "pure", SILENCE, Cell.BACKOFF),
    Row("silence of an idempotent tool is tried again in doubt", "idem", SILENCE, Cell.BACKOFF, "doubt"),
    Row("silence of a probeable tool settles first", "probe", SILENCE, Cell.SETTLING, "doubt"),
    Row("silence of an unsafe tool is for a person", "unsafe", SILENCE, Cell.UNKNOWN, "doubt"),
    Row("silence of a pure tool at the last attempt fails the step", "pure", SILENCE, Cell.FAILED, "stop", attempt=3),
    Row("silence at the last attempt is unknown, not failed", "idem", SILENCE, Cell.UNKNOWN, "doubt stop", attempt=3),
    Row("doubt outlives a later refusal", "idem", NO, Cell.UNKNOWN, "doubt stop", attempt=2, doubt=1),
    Row("doubt outlives a later busy", "idem", BUSY, Cell.BACKOFF, "doubt", attempt=2, doubt=1),
    Row("doubt outlives a later request that was not sent", "idem", UNSENT, Cell.BACKOFF, "doubt", attempt=2, doubt=1),
    Row("doubt outlives the last attempt", "idem", UNSENT, Cell.UNKNOWN, "doubt stop", attempt=3, doubt=1),
    Row("doubt ends with an answer", "idem", DONE, Cell.DONE, attempt=2, doubt=1),
    Row("a probe that says yes is the step's result", "probe", DONE, Cell.DONE, doubt=1, asked=1),
    Row("a probe that says never clears the doubt", "probe", NEVER, Cell.BACKOFF, attempt=2, doubt=1, asked=1),
    Row("a probe that says never of the last attempt fails the step", "probe", NEVER, Cell.FAILED, "stop", 3, 1, 1),
    Row("a probe that is not answered is asked again", "probe", SILENCE, Cell.SETTLING, "doubt", doubt=1, asked=1),
    Row("a probe that never tells is for a person", "probe", SILENCE, Cell.UNKNOWN, "doubt", 1, 1, 3),
    Row("a probe that was not sent is asked again", "probe", UNSENT, Cell.SETTLING, "doubt", 3, 1, 1),
    Row("a probe that is busy is asked again", "probe", BUSY, Cell.SETTLING, "doubt", 3, 1, 2),
    Row("a probe that stays busy cannot tell", "probe", BUSY, Cell.UNKNOWN, "doubt", 1, 1, 3),
    Row("a probe that is refused cannot tell", "probe", NO, Cell.UNKNOWN, "doubt", doubt=1, asked=1),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_how_a_call_ended(row: Row) -> None:
    """A second, long step runs beside it, so that little else is decided."""
    told = intent(row.attempt, doubt=row.doubt > 0, probe=row.asked > 0, asked=row.asked)
    decision = decide(execution(blueprint(f"a {row.tool}", "z slow"), "ii", intents={0: told}), answered({0: row.outcome}))
    fault_left = decision.kept.faults.get(0)
    doubt = "doubt" if fault_left and fault_left.doubt else ""
    stop = "stop" if decision.kept.header and decision.kept.header.cause is Cause.FAILED else ""
    assert (put(decision, 0), f"{doubt} {stop}".strip()) == (row.cell, row.left)
    assert isinstance(decision.next, Wait) or starts(decision) == ["a"]


ORPHANS = [
    ("a pure call is made again at once", "pure", False, Cell.BACKOFF, "a"),
    ("an idempotent call is made again at once, with the same key", "idem", False, Cell.BACKOFF, "a"),
    ("a probeable call settles first", "probe", False, Cell.SETTLING, ""),
    ("an unsafe call is for a person", "unsafe", False, Cell.UNKNOWN, ""),
    ("a probe is asked again at once: what it asks about had settled", "probe", True, Cell.SETTLING, "a?"),
]


@pytest.mark.parametrize(("rule", "tool", "probe", "cell", "started"), ORPHANS, ids=[row[0] for row in ORPHANS])
def test_what_a_dead_owner_left(rule: str, tool: str, probe: bool, cell: Cell, started: str) -> None:  # noqa: ARG001, FBT001 - a row of the table
    """Its request may have landed, may land, or was never sent."""
    settle_at_ms = NOW - 1 if probe else SETTLED_AT
    x = execution(blueprint(f"a {tool}"), "i", intents={0: intent(probe=probe, settle_at_ms=settle_at_ms, doubt=probe)})
    decision = decide(x, woke())
    assert (put(decision, 0), " ".join(starts(decision))) == (cell, started)
    assert decision.kept.faults[0].doubt is (tool != "pure")
    assert "step.orphaned" in events(decision)


def test_an_unknown_step_holds_up_only_what_needs_it() -> None:
    """Other branches go on; then the execution waits for a person."""
    plan = blueprint("a unsafe", "b idem a", "c idem")
    decision = decide(execution(plan, "i.r"), woke())
    assert starts(decision) == ["c"]


def test_settling_is_waited_out_and_then_asked_about() -> None:
    """The wake-up is the moment from which the request has happened or never will."""
    x = execution(blueprint("a probe"), "i")
    decision = decide(x, answered({0: SILENCE}))
    assert isinstance(decision.next, Suspend)
    assert (decision.next.wake_at_ms, decision.next.timed) == (SETTLED_AT, True)
    settled = execution(blueprint("a probe"), "s", faults={0: fault(retry_at_ms=NOW - 5, doubt=True)})
    assert starts(decide(settled, woke())) == ["a?"]


def test_several_that_have_settled_are_asked_in_the_order_in_which_they_settled() -> None:
    """And before anything new starts."""
    faults = {
        0: fault(retry_at_ms=NOW - 5, doubt=True),
        1: fault(retry_at_ms=NOW - 9, doubt=True),
        2: fault(retry_at_ms=NOW + 9),
    }
    x = execution(blueprint("a probe", "b probe", "c probe", "d idem"), "sssr", faults=faults)
    assert starts(decide(x, woke(parallel=3))) == ["b?", "a?", "d"]


def test_a_probe_has_nothing_that_could_land() -> None:
    """The settle time stays that of the request it asks about: undoing waits for no probe."""
    x = execution(blueprint("a probe"), "s", intents={0: intent(settle_at_ms=NOW - 7)}, faults={0: fault(retry_at_ms=NOW - 7)})
    decision = decide(x, woke())
    assert starts(decision) == ["a?"]
    assert decision.next.starts[0].intent.settle_at_ms == NOW - 7  # type: ignore[union-attr] # the line above says so


def test_a_probe_is_no_attempt() -> None:
    """It has the number of the attempt it asks about, and a count of its own."""
    x = execution(blueprint("a probe"), "s", faults={0: fault(2, retry_at_ms=NOW, doubt=True)})
    following = decide(x, woke()).next
    assert isinstance(following, StartSteps)
    assert (following.starts[0].intent.attempt, following.starts[0].intent.asked) == (2, 1)


def test_probes_are_counted_over_segments() -> None:
    """In the stored fault; the next attempt begins anew."""
    told = intent(2, probe=True, asked=2, doubt=True)
    decision = decide(execution(blueprint("a probe"), "i", intents={0: told}), answered({0: BUSY}))
    assert (decision.kept.faults[0].attempt, decision.kept.faults[0].asked) == (2, 2)
    again = execution(blueprint("a probe"), "s", faults={0: msgspec.structs.replace(decision.kept.faults[0], retry_at_ms=NOW)})
    following = decide(again, woke()).next
    assert isinstance(following, StartSteps)
    assert (following.starts[0].intent.attempt, following.starts[0].intent.asked) == (2, 3)


def test_many_reports_of_one_turn_are_one_decision() -> None:
    """One fails, one is done, one is retried: all three are kept."""
    x = execution(blueprint("a idem", "b idem", "c idem"), "iii")
    decision = decide(x, answered({0: DONE, 1: NO, 2: BUSY}))
    assert [put(decision, cell) for cell in range(3)] == [Cell.DONE, Cell.FAILED, Cell.BACKOFF]
    assert starts(decision) == ["-a"]


class TestRetryDelays:
    """Half to all of base·factor^(n-1), always the same for the same attempt."""

    def delay(self, attempt: int, retry_after_ms: int | None = None) -> int:
        """Of cell 0."""
        return delay_ms(RETRY, execution="exe_00_t", cell=0, attempt=attempt, retry_after_ms=retry_after_ms)

    @pytest.mark.parametrize(("attempt", "full"), [(1, 500), (2, 1_500), (3, 4_500), (8, 60_000), (100, 60_000)])
    def test_they_grow_by_the_factor_up_to_the_cap(self, attempt: int, full: int) -> None:
        """With jitter below."""
        assert full // 2 <= self.delay(attempt) <= full

    def test_the_same_attempt_always_waits_the_same_time(self) -> None:
        """So that a record decides the same, whoever reads it."""
        assert self.delay(1) == self.delay(1)
        assert len({self.delay(8), *(delay_ms(RETRY, execution=f"e{n}", cell=0, attempt=8) for n in range(20))}) > 15

    def test_retry_after_is_a_minimum_up_to_an_hour(self) -> None:
        """The other side knows better; but it may not park a saga for ever."""
        assert self.delay(1, 10_000) == 10_000
        assert self.delay(1, 1) >= 250
        assert self.delay(1, 10**12) == 3_600_000
