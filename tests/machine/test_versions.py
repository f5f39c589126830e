"""Another version of a plan: what stays, what is marked, what is refused, and what a person must be asked about."""

from typing import Any

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine.accept import Limits, PlanRefused, accept
from shared.machine.plan import Approval, Blueprint, Contract, Cost, Effect, Plan, PlanDraft, Sleep, StepDraft, Undo
from shared.machine.versions import differences, extended, follows, gone
from tests.machine.support import TOOLS, contract

PRICED = contract(Effect.IDEMPOTENT, Undo.TOMBSTONE)
KNOWN = TOOLS | {
    "cheap": msgspec.structs.replace(PRICED, cost=Cost(amount=5)),
    "dear": msgspec.structs.replace(PRICED, cost=Cost(amount=9)),
}
LIMITS = Limits(steps=10, argument_bytes=1_000, step_ms=8_000, consent=True)


def call(name: str, tool: str = "idem", *needs: str, **args: Any) -> StepDraft:
    """A call."""
    return StepDraft(name=name, tool=tool, args=args, needs=needs)


def plan(*steps: StepDraft, output: Any = None) -> Plan:
    """An accepted plan, as it is read from its bytes."""
    draft = PlanDraft(steps=steps, output=output)
    return read(accept(draft, contracts=KNOWN, check_args=lambda *_: iter(()), limits=LIMITS))


def read(found: Plan) -> Plan:
    """As whoever loads it sees it."""
    return Blueprint(plans.encode(found)).plan


TABLE = plan(call("find", "pure"), call("table", "idem", "find", time="19:00", party_size=2), call("ride", "idem", "table"))


def after(cells: str, *steps: StepDraft, before: Plan = TABLE, **other: Any) -> Plan:
    """The next version of a plan as it stands."""
    known: dict[str, Any] = {"contracts": KNOWN, "check_args": lambda *_: iter(()), "limits": LIMITS}
    return read(extended(before, cells.encode(), PlanDraft(steps=steps), **(known | other)))


def refused(cells: str, *steps: StepDraft, **other: Any) -> list[tuple[str, str]]:
    """What is wrong with one."""
    with pytest.raises(PlanRefused) as caught:
        after(cells, *steps, **other)
    return [(problem.at, problem.message) for problem in caught.value.problems]


NEW = (call("table2", "idem", "find", time="19:00", party_size=2), call("ride2", "idem", "table2"))


def test_old_steps_keep_their_numbers_and_what_did_not_happen_is_marked() -> None:
    """New ones stand behind them, with their needs spelled out."""
    found = after("df.", *NEW)
    assert [(step.name, step.replaced) for step in found.steps] == [
        ("find", False), ("table", True), ("ride", True), ("table2", False), ("ride2", False),
    ]  # fmt: skip
    assert found.steps[0] == TABLE.steps[0]
    assert found.steps[3].needs == ("find",)
    assert follows(TABLE, b"df.", found)


def test_the_mark_is_in_the_hash_and_plans_without_one_keep_theirs() -> None:
    """Nothing is written of steps that nobody replaced."""
    assert b"replaced" not in plans.encode(TABLE)
    assert plans.hash_of(plans.encode(after("df.", *NEW))) != plans.hash_of(plans.encode(TABLE))


def test_what_was_replaced_never_runs_again_in_a_restart() -> None:
    """It is skipped from the beginning."""
    assert Blueprint(plans.encode(after("df.", *NEW))).plan.first_cells() == "rkk.." + "." * 5


def test_a_failure_that_the_plan_bears_is_not_replaced() -> None:
    """Nor what its condition skipped."""
    found = plan(StepDraft(name="a", tool="idem", may_fail=True), call("b", "idem"), call("c", "idem"))
    assert gone(found, b"fkf") == {2}


@pytest.mark.parametrize(
    ("steps", "at", "words"),
    [
        ((call("find", "pure"),), "plan.steps[0].name", "step of the plan already"),
        ((call("ride", "idem"),), "plan.steps[0].name", "step of the plan already"),
        ((call("x", "rm_rf"),), "plan.steps[0].tool", "there is no tool"),
        ((call("x", "idem", "table"),), "plan.steps[0].needs", "there is no step 'table'"),
        ((call("x", "idem", value="${ride.n}"),), "plan.steps[0].args.value", "no step 'ride'"),
        ((call("x", "unsafe"), call("y", "idem")), "plan.steps[0].undo", "y may still fail"),
        (tuple(call(f"x{n}") for n in range(9)), "plan.steps", "12 steps"),
    ],
)
def test_what_no_version_may_be_is_named_by_its_place_in_the_answer(steps: Any, at: str, words: str) -> None:
    """What is done is not done again, what failed is not referred to, and the whole keeps the order of effects."""
    problems = refused("df.", *steps)
    assert [place for place, message in problems if words in message] == [at], problems


def test_a_done_effect_that_stands_is_looked_at_as_part_of_the_whole() -> None:
    """No new step may fail behind it, unless the plan consents."""
    free = msgspec.structs.replace(LIMITS, consent=False)
    draft = PlanDraft(steps=(call("a", "unsafe"), call("b", "idem", "a")))
    before = read(accept(draft, contracts=KNOWN, check_args=lambda *_: iter(()), limits=free))
    ((at, message),) = refused("df", call("c"), before=before)
    assert (at, "c may still fail" in message) == ("the plan so far[0].undo", True)


def test_a_tool_that_has_changed_since_is_not_used_again() -> None:
    """A plan has one contract for a tool, and keeps it."""
    changed = KNOWN | {"idem": msgspec.structs.replace(KNOWN["idem"], version="2")}
    problems = refused("df.", *NEW, contracts=changed)
    assert "has changed since" in problems[0][1]
    assert follows(TABLE, b"df.", after("df.", call("x", "idem_settled", "find"), contracts=changed))


def test_an_output_that_speaks_of_what_was_replaced_is_left_out() -> None:
    """And kept otherwise."""
    steps = (call("a"), call("b", "idem", "a"))
    assert after("df", call("c"), before=plan(*steps, output="${b.n}")).output is None
    assert after("df", call("c"), before=plan(*steps, output="${a.n}")).output == "${a.n}"


def _with(found: Plan, number: int, **changed: Any) -> Plan:
    steps = list(found.steps)
    steps[number] = msgspec.structs.replace(steps[number], **changed)
    return msgspec.structs.replace(found, steps=tuple(steps))


def _pinned(found: Plan, **changed: Any) -> Plan:
    contracts: dict[str, Contract] = dict(found.contracts)
    contracts["idem"] = msgspec.structs.replace(contracts["idem"], **changed)
    return msgspec.structs.replace(found, contracts=contracts)


FAIR = after("df.", *NEW)


@pytest.mark.parametrize(
    "other",
    [
        _with(FAIR, 0, args={"value": 1}),
        _with(FAIR, 0, replaced=True),
        _with(FAIR, 1, replaced=False),
        _with(FAIR, 3, name="find"),
        _with(FAIR, 3, replaced=True),
        _with(FAIR, 4, needs=("ride",)),
        _pinned(FAIR, undo=Undo.NONE),
        msgspec.structs.replace(FAIR, steps=FAIR.steps[1:]),
        msgspec.structs.replace(FAIR, steps=FAIR.steps[:3]),
    ],
    ids=["done changed", "done again", "failed again", "name", "mark", "need", "contract", "moved", "nothing new"],
)
def test_what_is_no_next_version_does_not_follow(other: Plan) -> None:
    """Whoever made it: a result, a key and an undo would not be those of the step that they are stored for."""
    assert not follows(TABLE, b"df.", other)


def test_a_version_that_was_made_before_something_happened_does_not_follow() -> None:
    """Somebody gave the step's output meanwhile."""
    assert not follows(TABLE, b"dfd", FAIR)


# --- what a person is asked about


def asked(*steps: StepDraft, cells: str = "df.", before: Plan = TABLE) -> list[tuple[str, str, Any, Any]]:
    """The differences."""
    found = after(cells, *steps, before=before)
    return [(one.step, one.field, one.before, one.after) for one in differences(before, found)]


def test_the_same_steps_elsewhere_need_nobody() -> None:
    """Other arguments than a time, a size or a price are the planner's."""
    other = call("table2", "idem", "find", time="19:00", party_size=2, restaurant="elsewhere")
    assert asked(other, NEW[1]) == []


def test_another_time_size_or_price_is_shown_before_and_after() -> None:
    """A reference counts as another value: nobody knows yet what it will be."""
    other = call("table2", "idem", "find", time="20:00", party_size="${find.n}", max_price=9)
    assert asked(other, NEW[1]) == [
        ("table2", "max_price", None, 9),
        ("table2", "party_size", 2, "${find.n}"),
        ("table2", "time", "19:00", "20:00"),
    ]


def test_another_recipient_is_shown() -> None:
    """Above all one that a partner's answer would name."""
    before = plan(call("find", "pure"), call("tell", "idem", "find", to="+1555", text="x"))
    other = call("tell2", "idem", "find", to="${find.note}", text="y")
    assert asked(other, cells="df", before=before) == [("tell2", "to", "+1555", "${find.note}")]


def test_names_are_read_as_people_write_them() -> None:
    """Also within an argument; a name that only holds such a word's letters is another."""
    before = plan(call("a", partySize=2, slot={"startTime": "19:00", "room": 4}, runtime=1), call("b"))
    other = call("a2", partySize=3, slot={"startTime": "20:00", "room": 5}, runtime=2)
    assert asked(other, call("b2"), cells="f.", before=before) == [
        ("a2", "partySize", 2, 3),
        ("a2", "slot.startTime", "19:00", "20:00"),
    ]


def test_what_is_added_or_left_out_is_shown() -> None:
    """A look is free, in both directions."""
    assert asked(*NEW, call("more", "idem")) == [("more", "step", None, "idem")]
    assert asked(NEW[0]) == [("ride", "step", "idem", None)]
    assert asked(*NEW, call("look", "pure")) == []


def test_a_dearer_plan_is_shown() -> None:
    """Of what is new against what it replaces; the same tool costs the same."""
    before = plan(call("a", "cheap"), call("b", "idem"))
    assert ("", "cost", 5, 9) in asked(call("a2", "dear"), call("b2"), cells="f.", before=before)
    assert asked(call("a2", "cheap"), call("b2"), cells="f.", before=before) == []


def test_what_people_thought_of_is_not_dropped_silently() -> None:
    """An approval, a condition; a further approval asks somebody anyway."""
    steps = (call("a"), StepDraft(name="b", tool="idem", approve=Approval(message="sure?"), when="done(a)"))
    before = plan(*steps)
    assert [row[:2] for row in asked(call("b2"), cells="df", before=before)] == [("b2", "when"), ("b2", "approve")]
    kept = StepDraft(name="b2", tool="idem", approve=Approval(message="sure?"), when="done(a)")
    assert asked(kept, cells="df", before=before) == []
    more = StepDraft(name="ride2", tool="idem", needs=("table2",), approve=Approval())
    assert asked(NEW[0], more) == []


def test_another_pause_is_another_time() -> None:
    """And so is one more."""
    before = plan(StepDraft(name="nap", sleep=Sleep(ms=5)), call("b", "idem", "nap"))
    longer = StepDraft(name="nap2", sleep=Sleep(ms=9))
    same = StepDraft(name="nap2", sleep=Sleep(ms=5))
    assert [row[:2] for row in asked(longer, call("b2"), cells=".f", before=before)] == [("nap2", "sleep")]
    assert asked(same, call("b2"), cells=".f", before=before) == []


def test_long_values_are_shown_in_part() -> None:
    """They are noted, and notes are loaded whole."""
    other = call("table2", "idem", "find", time="x" * 900, party_size=2)
    (row,) = asked(other, NEW[1])
    assert len(row[3]) < 300
