"""What a plan with every kind of step is refused for: each problem with its place and its remedy."""

from typing import Any

import msgspec
import pytest

from shared.machine.accept import Limits, PlanRefused, accept
from shared.machine.plan import Blueprint, Plan, PlanDraft, encode
from tests.machine.play import call
from tests.machine.support import TOOLS

LIMITS = Limits(steps=100, argument_bytes=20_000, step_ms=8_000)
CHILD = {"steps": [{"name": "x", "tool": "idem", "args": {"n": "${input.n}"}}]}


def accepted(*steps: dict[str, Any], limits: Limits = LIMITS, **plan: Any) -> Plan:
    """The plan that runs."""
    draft = msgspec.convert({"steps": list(steps)} | plan, PlanDraft)
    return accept(draft, contracts=TOOLS, check_args=lambda *_: iter(()), limits=limits)


def refused(*steps: dict[str, Any], limits: Limits = LIMITS, **plan: Any) -> list[tuple[str, str]]:
    """What is wrong with it, and where."""
    with pytest.raises(PlanRefused) as caught:
        accepted(*steps, limits=limits, **plan)
    return [(problem.at, problem.message) for problem in caught.value.problems]


def one(**step: Any) -> tuple[dict[str, Any], ...]:
    """A plan of one step called a."""
    return ({"name": "a"} | step,)


A, B = call("a"), call("b")
NAP = {"sleep": {"ms": 1}}
EVENT = {"wait": {"events": [{"name": "e"}]}}

_WRONG = [
    ("nothing to do", one(), ".tool", "a step needs a tool"),
    ("two things to do", one(tool="idem", **NAP), "", "does one thing, and this one has tool and sleep"),
    ("an approved wait", one(approve={}, **EVENT), ".approve", "put the wait into a step of its own"),
    ("an approved child", one(approve={}, child=CHILD), ".approve", "put the child into a step of its own"),
    ("a map without a call", one(map={"over": []}, **NAP), ".map", "a map calls a tool"),
    ("an approved map", one(tool="idem", map={"over": []}, approve={}), ".map", "approved by a step before it"),
    ("a map over a number", one(tool="idem", map={"over": 5}), ".map.over", "a list, or a reference to one"),
    ("a map over text", one(tool="idem", map={"over": "abc"}), ".map.over", "a list, or a reference to one"),
    ("a map that is too long", one(tool="idem", map={"over": [0] * 10_001}), ".map.over", "over 10000 at most"),
    ("a map that can never be done", one(tool="idem", map={"over": [1], "min_successful": 2}), ".map.min_successful", "2 of 1"),
    ("a map over its own items", one(tool="idem", map={"over": "${item.x}"}), ".map.over", "in the arguments of a map only"),
    ("an item outside of a map", one(tool="idem", args={"n": "${index}"}), ".args.n", "in the arguments of a map only"),
    ("an item in a key", one(wait={"events": [{"name": "e", "key": "${item}"}]}), ".wait.events[0].key", "of a map only"),
    ("an item in a condition", one(tool="idem", map={"over": [1]}, when="item > 1"), ".when", "no step 'item'"),
    ("neither ms nor until", one(sleep={}), ".sleep", "give either ms or until"),
    ("both ms and until", one(sleep={"ms": 1, "until": 5}), ".sleep", "give either ms or until"),
    ("a time without its offset", one(sleep={"until": "2026-05-01T19:00"}), ".sleep.until", "with its offset"),
    ("a time that is none", one(sleep={"until": "tomorrow"}), ".sleep.until", "with its offset"),
    ("a wait for nothing", one(wait={}), ".wait", "for events or for a callback"),
    ("a wait for both", one(wait={"events": [{"name": "e"}], "callback": True}), ".wait", "for events or for a callback"),
    ("all of the same name", one(wait={"events": [{"name": "e"}] * 2, "mode": "all"}), ".wait.events", "give each its own"),
    ("a bare undo", one(tool="idem", undo={}), ".undo", "give either a tool, or leave: true"),
    ("an undo that is left", one(tool="idem", undo={"tool": "idem", "leave": True}), ".undo", "a tool, or leave: true"),
    ("an undo by no tool", one(tool="idem", undo={"tool": "none"}), ".undo.tool", "there is no tool 'none'"),
    ("an undo of a sleep", one(undo={"leave": True}, **NAP), ".undo", "there is nothing to undo"),
    ("an undo of a child by a tool", one(child=CHILD, undo={"tool": "idem"}), ".undo", "a child undoes itself"),
    ("an undo that refers to nobody", one(tool="idem", undo={"tool": "idem", "args": {"x": "${z}"}}), ".undo.args.x", "'z'"),
    ("a retried sleep", one(retry={"attempts": 2}, **NAP), ".retry", "it is about calls"),
    ("a wait with a deadline", one(deadline_ms=5, **EVENT), ".deadline_ms", "give wait.timeout_ms"),
    ("a child with a deadline", one(deadline_ms=5, child=CHILD), ".deadline_ms", "give child.timeout_ms"),
    ("a question with a time-out", one(approve={}, timeout_ms=5), ".timeout_ms", "give approve.timeout_ms"),
    ("a limited wait", one(limits=[{"key": "k", "most": 1}], **EVENT), ".limits", "it is about calls"),
    ("a limit without a key", one(tool="idem", limits=[{"most": 1}]), ".limits[0].key", "the key that the limit"),
    ("arguments of a sleep", one(args={"x": 1}, **NAP), ".args", "nothing takes them"),
    ("a condition that is none", one(tool="idem", when="1 +"), ".when", "no part of a condition"),
    ("a condition on nobody", one(tool="idem", when="done(z)"), ".when", "no step 'z' to ask about"),
    ("a condition on an input", one(tool="idem", when="input.x"), ".when", "no step 'input' to ask about"),
    ("an input", one(tool="idem", args={"x": "${input.n}"}), ".args.x", "only the plan of a child has an ${input}"),
    ("a time-out beyond an invocation", one(tool="idem", timeout_ms=9_000), ".timeout_ms", "more than one invocation can give"),
    ("large arguments", one(tool="idem", args={"x": "y" * 20_000}), ".args", "MAX_ARGUMENT_BYTES is 20000"),
    ("a large list", one(tool="idem", map={"over": ["y" * 20_000]}), ".map.over", "MAX_ARGUMENT_BYTES is 20000"),
    ("large arguments of an undo", one(tool="idem", undo={"tool": "idem", "args": {"x": "y" * 20_000}}), ".undo.args", "20000"),
    ("a name that means something else", ({"name": "item", "tool": "idem"},), ".name", "stands for something else"),
    ("a message that refers to nobody", one(tool="idem", approve={"message": "${z.n}?"}), ".approve.message", "no step 'z'"),
    ("a message of no form", one(approve={"message": "${secret:KEY}"}), ".approve.message", "not of the form"),
    ("a message that is not closed", one(approve={"message": "${a.n"}), ".approve.message", "write $${ for a literal ${"),
    ("an item in a message", one(tool="idem", approve={"message": "${item}"}), ".approve.message", "of a map only"),
    ("an input in a message", one(approve={"message": "${input.n}"}), ".approve.message", "only the plan of a child"),
    ("an address in a message", one(tool="idem", approve={"message": "${a.callback_url}"}), ".approve.message", "is a secret"),
    ("a crowded message", (*one(approve={"message": "${b}" * 21}), call("b")), ".approve.message", "20 at most"),
    ("a large message", one(approve={"message": "y" * 20_000}), ".approve.message", "MAX_ARGUMENT_BYTES is 20000"),
    ("a join of nothing", one(tool="idem", join="any"), ".join", "it joins needs, and has none"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "at", "message"), [pytest.param(*row[1:], id=row[0]) for row in _WRONG])
def test_a_step_that_cannot_be_is_refused_with_its_place(steps: Any, at: str, message: str) -> None:
    """And with what to do instead."""
    found = refused(*steps)
    assert any(place == f"plan.steps[0]{at}" and message in said for place, said in found), found


@pytest.mark.parametrize(
    ("join", "needs", "message"),
    [(3, ["a", "b"], "it joins 3 of 2 needs"), (2, ["a", "a"], "it joins 2 of 1 needs")],
    ids=["more than there are", "one need twice"],
)
def test_a_join_counts_needs_that_are_there(join: int, needs: list[str], message: str) -> None:
    """Each once."""
    assert ("plan.steps[2].join", message) in refused(A, B, call("j", needs=needs, join=join))


@pytest.mark.parametrize(
    "more",
    [{"args": {"x": "${c.n}"}}, {"when": "c.n > 1"}, {"approve": {"message": "${c.n}?"}}],
    ids=["by its arguments", "by its condition", "by what it asks"],
)
def test_a_join_names_everything_that_it_leans_on(more: dict[str, Any]) -> None:
    """What it refers to would be counted among its needs, and might be null although it is still to come."""
    steps = [A, B, call("c"), call("j", needs=["a", "b"], join="any", **more)]
    ((_, message),) = refused(*steps)
    assert "'c' is not among the needs that this step joins" in message
    assert accepted(*steps[:3], steps[3] | {"needs": ["a", "b", "c"]}).steps


@pytest.mark.parametrize("output", ["${z.n}", {"x": "${item}"}, "${input.x}", "${a", "y" * 20_001])
def test_the_output_is_looked_at_too(output: Any) -> None:
    """It is made when everything is done: too late for a mistake."""
    assert all(place.startswith("plan.output") for place, _ in refused(A, output=output))


def test_a_child_is_held_against_the_same_rules() -> None:
    """Its problems have their place in the whole."""
    inner = {"steps": [call("x", "nothing", args={"n": "${input.n}"}), call("x")]}
    found = dict(refused(A, {"name": "c", "child": inner}))
    assert set(found) == {"plan.steps[1].child.steps[0].tool", "plan.steps[1].child.steps[1].name"}


def test_all_steps_of_all_plans_are_counted() -> None:
    """A limit is a limit."""
    small = Limits(steps=2, argument_bytes=1_000, step_ms=8_000)
    assert accepted(A, B, limits=small).steps
    ((_, message),) = refused(A, {"name": "c", "child": CHILD}, limits=small)
    assert message == "3 steps, but MAX_PLAN_STEPS is 2"


def test_plans_stand_in_plans_four_levels_deep_at_most() -> None:
    """Deeper is a mistake, or an attack."""

    def nested(levels: int) -> dict[str, Any]:
        return {"name": "c", "child": {"steps": [nested(levels - 1)]}} if levels else call("x")

    assert accepted(nested(4)).steps
    ((place, message),) = refused(nested(5))
    assert place == "plan" + ".steps[0].child" * 5
    assert "4 levels deep at most" in message


def test_an_address_is_no_need_and_an_output_of_that_name_is_one() -> None:
    """The address of a wait is known before it; a tool may give something that is called so."""
    wait = {"name": "w", "wait": {"callback": True}, "needs": ["a"]}
    plan = accepted(call("a", args={"x": "${w.callback_url}", "y": "${a.callback_url}"}), wait, B)
    assert plan.steps[0].needs == ()
    other = accepted(call("b", args={"x": "${a.callback_url}"}), A)
    assert other.steps[0].needs == ("a",)
    assert Blueprint(encode(other)).refs == ((1,), ())


_STRICT = Limits(steps=100, argument_bytes=20_000, step_ms=8_000, consent=True)
_UNSAFE, _AGREED = call("u", "unsafe"), call("u", "unsafe", undo={"leave": True})


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        pytest.param([_UNSAFE, call("b", needs=["u"])], "b", id="before a call"),
        pytest.param([_UNSAFE, B], "b", id="beside a call"),
        pytest.param([_UNSAFE, call("p", "pure", needs=["u"])], "p", id="before a call without an effect"),
        pytest.param([_UNSAFE, {"name": "q", "approve": {}, "needs": ["u"]}], "q", id="before a question"),
        pytest.param([_UNSAFE, {"name": "w", "wait": {"callback": True, "timeout_ms": 5}}], "w", id="before a wait"),
        pytest.param([_UNSAFE | {"map": {"over": [1, 2]}}], "another of its items", id="one item before another"),
        pytest.param([{"name": "c", "child": {"steps": [_UNSAFE]}}, B], "b", id="in a child, before a call of the parent"),
    ],
)
def test_what_cannot_be_undone_comes_last_or_with_consent(steps: list[dict[str, Any]], named: str) -> None:
    """The problem says what may still fail, and what to do."""
    ((place, message),) = refused(*steps, limits=_STRICT)
    assert place == "plan.steps[0].undo"
    assert f"{named} may still fail after it" in message
    assert '"undo": {"leave": true}' in message
    agreed = [steps[0] | {"undo": {"leave": True}}, *steps[1:]]
    assert accepted(*agreed, limits=_STRICT).steps
    assert accepted(*steps).steps, "where it is not asked for"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([A, call("u", "unsafe", needs=["a"])], id="it comes last"),
        pytest.param([_UNSAFE, {"name": "nap", "sleep": {"ms": 5}, "needs": ["u"]}], id="only time passes after it"),
        pytest.param([_UNSAFE, call("b", needs=["u"], may_fail=True)], id="what comes may fail"),
        pytest.param([_UNSAFE, {"name": "w", "wait": {"callback": True}}], id="a wait without an end"),
        pytest.param([call("u", "unsafe", undo={"tool": "idem"}), B], id="another tool undoes it"),
        pytest.param([call("u", "unsafe_keyed"), B], id="it can be undone"),
        pytest.param([call("p", "pure"), B], id="it does nothing"),
        pytest.param([call("u", "unsafe", map={"over": [1, 2], "min_successful": 0})], id="items that may all fail"),
    ],
)
def test_consent_is_asked_for_only_where_something_would_be_left(steps: list[dict[str, Any]]) -> None:
    """Nobody must say yes to nothing."""
    assert accepted(*steps, limits=_STRICT).steps


def test_the_inner_plan_is_looked_at_by_itself_too() -> None:
    """Its own failure leaves its own effects."""
    found = refused({"name": "c", "child": {"steps": [_UNSAFE, B]}}, limits=_STRICT)
    assert [place for place, _ in found] == ["plan.steps[0].child.steps[0].undo"]
    assert accepted({"name": "c", "child": {"steps": [_AGREED, B]}}, limits=_STRICT).steps
