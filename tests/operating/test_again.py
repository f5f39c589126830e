"""Restarts and forks: what is given, what runs once more, and that what stands is said."""

import msgspec
import pytest

from shared.again import GIVEN_BYTES, MOST_GIVEN, check, forked, kept, standing
from shared.api.bodies import Again, Fork
from shared.errors import Conflict, Unprocessable
from shared.machine import plan as plans
from shared.machine.decision import End, StartSteps, apply
from shared.machine.events import Done, Refused
from shared.machine.plan import Blueprint
from shared.machine.state import Execution, Hold
from shared.machine.status import Phase, Reason, Status
from tests.machine.support import NOW, answered, blueprint, execution, header, outcome_of, starts, woke
from tests.operating.support import snapshot

PLAN = blueprint("a idem", "b idem a -", "c pure a", "d idem b,c ${b.n}", "e pure")


def ended(cells: str, plan: Blueprint = PLAN) -> Execution:
    """An execution that is over."""
    return execution(plan, cells, head=header(Status.COMPLETED))


def born(x: Execution, step: str) -> Execution:
    """The fork, as its first segment finds it."""
    new = forked(x, step, x.results, NOW)
    results = {cell: result.output for cell, result in new.given.items()}
    return execution(Blueprint(new.plan), new.cells, head=header(Status.PLANNED), results=results)


@pytest.mark.parametrize(
    ("step", "cells", "given"),
    [
        ("a", "ddddd", ["e"]),
        ("b", "ddddd", ["a", "c", "e"]),
        ("d", "ddddd", ["a", "b", "c", "e"]),
        ("d", "ddk.f", ["a", "b", "c"]),
        ("b", "ddr..", ["a"]),
    ],
)
def test_what_is_settled_and_not_behind_the_step_is_given(step: str, cells: str, given: list[str]) -> None:
    """All else runs."""
    x = ended(cells)
    assert [x.name_of(cell) for cell in kept(x, step)] == given


def test_what_was_given_up_waiting_is_not_given() -> None:
    """It had not come about."""
    x = ended("ddkdd")
    x.holds[2] = Hold(kind=Reason.SLEEP, since_ms=1)
    assert [x.name_of(cell) for cell in kept(x, "d")] == ["a", "b", "e"]


def test_a_fork_runs_the_step_with_the_outputs_of_what_came_before() -> None:
    """And nothing of what came before."""
    x = born(ended("ddddd"), "d")
    decision, _ = outcome_of(x, woke())
    assert starts(decision) == ["d"]
    assert isinstance(decision.next, StartSteps)
    assert decision.next.starts[0].intent.args == {"value": 1}
    apply(x, decision.kept)
    apply(x, decision.next.changes)
    decision, _ = outcome_of(x, answered({3: Done(output=1)}))
    assert isinstance(decision.next, End)
    assert decision.next.status is Status.COMPLETED


def test_a_fork_that_fails_undoes_nothing_of_the_old_execution() -> None:
    """The given effects are none of its own."""
    x = born(ended("ddddd"), "d")
    decision, _ = outcome_of(x, woke())
    assert isinstance(decision.next, StartSteps)
    apply(x, decision.kept)
    apply(x, decision.next.changes)
    decision, _ = outcome_of(x, answered({3: Refused(code="no", message="no")}))
    assert isinstance(decision.next, End)
    assert decision.next.status is Status.FAILED


def test_a_fork_from_the_first_step_is_a_restart_beside_what_else_was_done() -> None:
    """Independent branches are given."""
    assert starts(outcome_of(born(ended("ddddd"), "a"), woke())[0]) == ["a"]


def test_a_step_that_is_none_is_named() -> None:
    """With its place."""
    with pytest.raises(Unprocessable, match=r"\$\.step: there is no step 'zz'"):
        kept(ended("ddddd"), "zz")


@pytest.mark.parametrize(
    ("outputs", "says"),
    [({0: 1}, "the output of b is gone"), ({0: 1, 1: "x" * 70_000, 2: 1, 4: 1}, "the output of b is larger")],
)
def test_what_cannot_be_copied_is_said(outputs: dict[int, object], says: str) -> None:
    """And that a restart can be had."""
    with pytest.raises(Conflict, match=says):
        forked(ended("ddddd"), "d", outputs, NOW)


def test_a_fork_copies_only_so_much() -> None:
    """It is one command to the store."""
    plan = blueprint(*(f"s{n}" for n in range(MOST_GIVEN + 2)))
    x = ended("d" * plan.size, plan)
    with pytest.raises(Conflict, match=f"more than {MOST_GIVEN} results or {GIVEN_BYTES} bytes"):
        forked(x, "s0", x.results, NOW)


@pytest.mark.parametrize(
    ("status", "cells", "stands"),
    [
        (Status.COMPLETED, "ddddd", ["a", "b", "d"]),
        (Status.COMPENSATED, "dd...dd...", []),
        (Status.COMPENSATION_FAILED, "du...dl...", ["b"]),
        (Status.FAILED, "..d.f", []),
    ],
)
def test_what_stands_must_be_accepted(status: Status, cells: str, stands: list[str]) -> None:
    """Pure steps leave nothing, and what was undone does not stand."""
    found = snapshot(status, cells, plan=PLAN, head={"phase": Phase.UNDO})
    assert standing(found.execution) == stands
    assert check(found, Again(accept_effects=True)) == stands
    if stands:
        with pytest.raises(Conflict) as caught:
            check(found, Fork(step="d"))
        assert caught.value.details["standing"] == stands


def test_what_runs_is_not_repeated() -> None:
    """It may still act."""
    with pytest.raises(Conflict, match="SUSPENDED and may still act"):
        check(snapshot(Status.SUSPENDED, "d....", plan=PLAN), Again(accept_effects=True))


def test_another_version_is_not_repeated() -> None:
    """Whoever asks must have seen it."""
    with pytest.raises(Conflict, match="moved on"):
        check(snapshot(Status.COMPLETED, "ddddd", plan=PLAN), Again(accept_effects=True, version=4))


def replanned(cells: str) -> Execution:
    """After `b` failed, `b2` and `c2` took its place and `c`'s; their cells, and all others."""
    steps = ("a idem", "b idem a", "c idem b", "b2 idem a", "c2 idem b2")
    plan = blueprint(*steps).plan
    marked = tuple(msgspec.structs.replace(step, replaced=step.name in {"b", "c"}) for step in plan.steps)
    return ended(cells, Blueprint(plans.encode(msgspec.structs.replace(plan, steps=marked))))


def test_what_a_version_replaced_runs_in_no_fork() -> None:
    """Neither what failed nor what had not begun, wherever the fork begins."""
    for step in ("a", "b2", "c2"):
        fork = born(replanned("dfkdf"), step)
        assert {chr(fork.cells[1]), chr(fork.cells[2])} == {"k"}
    fork = born(replanned("dfkdf"), "c2")
    assert starts(outcome_of(fork, woke())[0]) == ["c2"]
    with pytest.raises(Unprocessable, match="no step 'b'"):
        kept(replanned("dfkdf"), "b")
