"""The undo lane: which effects, in which order, from when on, and what it came to."""

from typing import Any

import pytest

from shared.machine.decide import decide
from shared.machine.decision import End, Leave, Load, Suspend, Wait, apply
from shared.machine.events import NotSent, Refused, Unanswered
from shared.machine.plan import UNDO_RETRY, Blueprint
from shared.machine.state import Execution
from shared.machine.status import Cause, Cell, Phase, Reason, Status
from tests.machine.support import (
    DONE,
    NOW,
    answered,
    blueprint,
    cancel,
    events,
    execution,
    fault,
    header,
    intent,
    put,
    starts,
    ticked,
    woke,
)

NO = Refused(code="too_late", message="it has shipped")
BUSY = Refused(code="busy", message="later", retryable=True)


def undoing(plan: Blueprint, cells: str, **parts: Any) -> Execution:
    """An execution whose undo lane is open."""
    head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.FAILED)
    return execution(plan, cells, **({"head": head} | parts))


def undo_all(x: Execution) -> list[str]:
    """Undo one after the other; the steps in the order in which it was done."""
    decision = decide(x, ticked(started=1))
    undone = []
    while names := starts(decision):
        undone += names
        apply(x, decision.kept)
        apply(x, decision.next.changes)  # type: ignore[union-attr] # StartSteps has changes
        decision = decide(x, answered({next(iter(x.running)): DONE}))
    assert isinstance(decision.next, End)
    return undone


@pytest.mark.parametrize(
    ("cell", "doubt", "tool", "undone"),
    [
        pytest.param("d", False, "idem", True, id="done is undone"),
        pytest.param("u", True, "unsafe_keyed", True, id="unknown is undone by key"),
        pytest.param("s", True, "probe", True, id="settling is undone by key"),
        pytest.param("b", True, "idem", True, id="a doubtful back-off is undone by key"),
        pytest.param("b", False, "idem", False, id="a back-off without doubt never happened"),
        pytest.param("f", False, "idem", False, id="failed never happened"),
        pytest.param("r", False, "idem", False, id="ready never happened"),
        pytest.param(".", False, "idem", False, id="idle never happened"),
        pytest.param("d", False, "pure", False, id="a pure step has no effect"),
    ],
)
def test_exactly_what_may_exist_is_undone(cell: str, doubt: bool, tool: str, undone: bool) -> None:  # noqa: FBT001 - a row of the table
    """Beside a step that was done for certain."""
    x = execution(blueprint("z idem", f"a {tool}"), "d" + cell, faults={1: fault(retry_at_ms=NOW, doubt=doubt)})
    x.order = {0: NOW, 1: NOW}
    decision = decide(x, woke(0, cancel()))
    assert (put(decision, 3) is not None) is undone


def test_an_effect_that_cannot_be_undone_stands_and_is_listed() -> None:
    """The rest is undone all the same, and the end says that not all was."""
    x = execution(blueprint("a idem_stands", "b idem"), "dd")
    decision = decide(x, woke(0, cancel()))
    assert put(decision, 2) is Cell.LEFT
    assert "undo.left" in events(decision)
    assert starts(decision) == ["-b"]
    apply(x, decision.kept)
    apply(x, decision.next.changes)  # type: ignore[union-attr] # it starts one
    following = decide(x, answered({3: DONE})).next
    assert isinstance(following, End)
    assert following.status is Status.COMPENSATION_FAILED


class TestOrder:
    """Reverse completion order; what needed a step goes before it."""

    def test_the_last_to_complete_is_the_first_undone(self) -> None:
        """Whatever the plan's order."""
        x = undoing(blueprint("a idem", "b idem", "c idem"), "dddrrr", order={0: 20, 1: 30, 2: 10})
        assert undo_all(x) == ["-b", "-a", "-c"]

    def test_within_one_millisecond_what_needed_a_step_goes_before_it(self) -> None:
        """Quick tools complete in the same millisecond, and the plan's order says nothing."""
        x = undoing(blueprint("a idem b", "b idem c", "c idem"), "dddrrr", order={0: 10, 1: 10, 2: 10})
        assert undo_all(x) == ["-a", "-b", "-c"]

    def test_also_across_a_pure_step(self) -> None:
        """Which is not undone itself."""
        x = undoing(blueprint("a idem b", "b pure c", "c idem"), "dddr.r", order={0: 10, 2: 10})
        assert undo_all(x) == ["-a", "-c"]

    def test_what_may_still_come_counts_as_later_than_all(self) -> None:
        """It has no completion time."""
        faults = {0: fault(retry_at_ms=NOW, doubt=True)}
        x = undoing(blueprint("a idem", "b idem"), "bdrr", order={1: 10}, faults=faults)
        assert undo_all(x) == ["-a", "-b"]

    def test_the_order_is_asked_for_once(self) -> None:
        """In a lane just opened, and again by a new owner in the middle of it."""
        x = execution(blueprint("a idem", "b idem", "c pure"), "ddd")
        decision = decide(x, woke(0, cancel()))
        assert decision.next == Load(order=(0, 1))
        apply(x, decision.kept)
        x.order = {}
        assert starts(decide(x, ticked())) == ["-b"]
        again = undoing(blueprint("a idem", "b idem", "c idem"), "dddrrd")
        assert decide(again, woke()).next == Load(order=(0, 1))

    def test_for_the_last_one_nothing_is_asked(self) -> None:
        """One has no order."""
        assert starts(decide(undoing(blueprint("a idem", "b idem"), "ddrd"), woke())) == ["-a"]

    def test_a_dead_owners_undo_is_made_again_at_its_turn(self) -> None:
        """By the same key, before the others."""
        x = undoing(blueprint("a idem", "b idem"), "ddri")
        decision = decide(x, woke())
        assert (put(decision, 3), decision.next) == (Cell.BACKOFF, Load(order=(0, 1)))
        apply(x, decision.kept)
        x.order = {0: 10, 1: 20}
        assert starts(decide(x, ticked())) == ["-b"]

    def test_one_at_a_time_however_much_room_there_is(self) -> None:
        """The next one waits for the answer."""
        x = undoing(blueprint("a idem", "b idem"), "ddri", order={0: 1, 1: 2})
        assert decide(x, ticked(started=1, parallel=8)).next == Wait()


class TestFromWhenOn:
    """A request of the forward lane must not land behind its undo."""

    def test_a_tombstone_is_safe_at_any_time(self) -> None:
        """It refuses what lands later."""
        x = undoing(blueprint("a idem"), "br", faults={0: fault(retry_at_ms=NOW, doubt=True)})
        assert starts(decide(x, woke())) == ["-a"]

    @pytest.mark.parametrize("cell", ["u", "s"], ids=["unknown", "settling"])
    def test_without_one_it_waits_for_the_settle_time(self, cell: str) -> None:
        """Suspended with that reason, in the undo phase."""
        x = undoing(blueprint("a probe"), f"{cell}r", intents={0: intent(settle_at_ms=NOW + 9_000)})
        following = decide(x, woke()).next
        assert isinstance(following, Suspend)
        assert (following.reason, following.wake_at_ms, following.timed) == (Reason.SETTLING, NOW + 9_000, True)
        assert starts(decide(x, ticked(9_000, checkpoint_ms=NOW + 20_000, cutoff_ms=NOW + 20_500))) == ["-a"]

    def test_a_short_rest_of_it_is_sat_out(self) -> None:
        """Like a short back-off."""
        x = undoing(blueprint("a probe"), "sr", intents={0: intent(settle_at_ms=NOW + 900)})
        assert decide(x, woke()).next == Wait(until_ms=NOW + 900)

    def test_an_answered_probeable_call_has_nothing_on_its_way(self) -> None:
        """It was never sent twice without having settled."""
        assert starts(decide(undoing(blueprint("a probe"), "dr"), woke())) == ["-a"]

    def test_an_answered_idempotent_call_may_have_an_earlier_one_on_its_way(self) -> None:
        """It was perhaps sent again in doubt; without a tombstone the late one would land behind the undo."""
        x = undoing(blueprint("a idem_settled"), "dr")
        assert decide(x, woke()).next == Load(order=(0,))
        x.order = {0: NOW - 6_000}
        following = decide(x, ticked()).next
        assert isinstance(following, Suspend)
        assert (following.reason, following.wake_at_ms) == (Reason.SETTLING, NOW + 9_000)
        x.order = {0: NOW - 15_000}
        x.lane = None
        assert starts(decide(x, ticked())) == ["-a"]

    def test_a_settling_step_does_not_give_its_name_to_an_undos_back_off(self) -> None:
        """The reason is that of what is waited for."""
        faults = {0: fault(retry_at_ms=NOW + 1, doubt=True), 3: fault(retry_at_ms=NOW + 9_000)}
        x = undoing(blueprint("a probe", "b idem"), "sdrb", faults=faults, order={1: 2**63})
        following = decide(x, woke()).next
        assert isinstance(following, Suspend)
        assert (following.reason, following.wake_at_ms) == (Reason.BACKOFF, NOW + 9_000)


class TestHowItGoes:
    """An undo is a call too, with more patience."""

    def test_all_taken_back_is_compensated(self) -> None:
        """With the cause."""
        following = decide(undoing(blueprint("a idem"), "di"), answered({1: DONE})).next
        assert isinstance(following, End)
        assert (following.status, following.cause) == (Status.COMPENSATED, Cause.FAILED)

    def test_its_key_is_the_effects_with_undo_behind(self) -> None:
        """So that the tool finds the effect, and the undo is idempotent itself."""
        following = decide(undoing(blueprint("a idem"), "dr"), woke()).next
        assert following.starts[0].intent.key == "exe_00_t.a.1.undo"  # type: ignore[union-attr] # it starts one
        assert following.starts[0].intent.args == {}  # type: ignore[union-attr] # as above

    @pytest.mark.parametrize("outcome", [BUSY, NotSent(message=""), Unanswered(message="")], ids=lambda o: type(o).__name__)
    def test_it_is_tried_again_whatever_the_effect_class(self, outcome: Any) -> None:
        """By its key it is idempotent, also for an unsafe tool."""
        for tool in ("idem", "probe", "unsafe_keyed"):
            decision = decide(undoing(blueprint(f"a {tool}"), "di"), answered({1: outcome}))
            assert put(decision, 1) is Cell.BACKOFF

    def test_it_is_tried_ten_times(self) -> None:
        """Then it has failed, and a person must look."""
        x = undoing(blueprint("a idem"), "di", intents={1: intent(UNDO_RETRY.attempts)})
        decision = decide(x, answered({1: Unanswered(message="")}))
        assert put(decision, 1) is Cell.FAILED
        assert isinstance(decision.next, End)
        assert decision.next.status is Status.COMPENSATION_FAILED

    def test_one_that_fails_does_not_keep_the_others_from_being_undone(self) -> None:
        """As much as possible is taken back."""
        x = undoing(blueprint("a idem", "b idem"), "ddri", order={0: 1, 1: 2})
        decision = decide(x, answered({3: NO}))
        assert (put(decision, 3), starts(decision)) == (Cell.FAILED, ["-a"])

    def test_one_in_back_off_is_waited_for(self) -> None:
        """The order is kept."""
        x = undoing(blueprint("a idem", "b idem"), "ddrb", faults={3: fault(retry_at_ms=NOW + 9_000)}, order={0: 1, 1: 2})
        following = decide(x, woke()).next
        assert isinstance(following, Suspend)
        assert (following.reason, following.wake_at_ms) == (Reason.BACKOFF, NOW + 9_000)

    def test_the_lane_is_checkpointed_like_the_other(self) -> None:
        """At the limit of a message, and at the checkpoint."""
        x = undoing(blueprint("a idem", "b idem"), "ddri", order={0: 1, 1: 2})
        for fields in ({"starts_left": 0}, {"checkpoint_ms": NOW}):
            following = decide(x, answered({3: DONE}, **fields)).next
            assert isinstance(following, Leave)
            assert (following.next_step, following.need) == ("a", ())
