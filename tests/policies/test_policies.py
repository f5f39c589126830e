"""What each kind of policy refuses, and what it asks a person for."""

from typing import Any

import pytest

from shared.calls import calls_of, spent
from shared.machine.plan import encode
from shared.policies import misnamed, read
from shared.shaped_file import BadFile
from tests.policies.support import call, judge, plan, policies, refusals

FEW = '[[limit]]\nname = "p"\ntools = ["sen*"]\nmost_calls = 2\n'
SMALL = '[[limit]]\nname = "p"\ntools = ["reserve"]\nargs = { size = { at_most = 12 }, day = { matches = "2030-.*" } }\n'
LATE = '[[forbid]]\nname = "p"\nfirst = ["send"]\nthen = ["reserve", "ride"]\n'
SPEND = '[[spend]]\nname = "p"\nmost = 60\n'
ASK = '[[require]]\nname = "p"\nwhat = "approval"\ntools = ["reserve"]\nargs = { size = { at_least = 8 } }\nmessage = "large"\n'
SURE = '[[require]]\nname = "p"\nwhat = "confirmation"\nstanding = true\n'
CHEAP = '[[require]]\nname = "p"\nwhat = "confirmation"\ncost_over = 20\n'


def items(over: Any, **args: Any) -> dict[str, Any]:
    """A map."""
    return {"map": {"over": over}, "args": args}


@pytest.mark.parametrize(
    ("text", "steps", "places"),
    [
        pytest.param(FEW, [call("send", "a"), call("send", "b")], [], id="as many as may be"),
        pytest.param(FEW, [call("send", n) for n in "abc"], ["plan.steps[2]"], id="one too many"),
        pytest.param(FEW, [call("send", **items([1, 2, 3]))], ["plan.steps[0]"], id="items count"),
        pytest.param(FEW, [call("look"), call("send", **items("${look.x}"))], ["plan.steps[1].map.over"], id="items not known"),
        pytest.param(
            FEW,
            [call("send", "a"), {"name": "c", "child": {"steps": [call("send", "b"), call("send", "d")]}}],
            ["plan.steps[1].child.steps[1]"],
            id="children count",
        ),
        pytest.param(
            FEW,
            [call("send", "a"), call("send", "b"), call("ride", undo={"tool": "send", "args": {}})],
            ["plan.steps[2]"],
            id="undos count",
        ),
        pytest.param(SMALL, [call("reserve", args={"size": 12, "day": "2030-01-01"})], [], id="within bounds"),
        pytest.param(SMALL, [call("reserve", args={})], [], id="what is left out"),
        pytest.param(SMALL, [call("reserve", args={"size": 13})], ["plan.steps[0].args.size"], id="too large"),
        pytest.param(SMALL, [call("reserve", args={"size": "13"})], ["plan.steps[0].args.size"], id="no number"),
        pytest.param(SMALL, [call("reserve", args={"size": None})], ["plan.steps[0].args.size"], id="null is not left out"),
        pytest.param(SMALL, [call("reserve", args={"size": True})], ["plan.steps[0].args.size"], id="true is no number"),
        pytest.param(SMALL, [call("reserve", args={"day": "2030-x\n"})], ["plan.steps[0].args.day"], id="the whole text"),
        pytest.param(
            SMALL, [call("look"), call("reserve", args={"size": "${look.n}"})], ["plan.steps[1].args.size"], id="a reference"
        ),
        pytest.param(SMALL, [call("reserve", **items([3, 4], size="${item}"))], [], id="items within bounds"),
        pytest.param(
            SMALL, [call("reserve", **items([3, {"n": 13}], size="${item}"))], ["plan.steps[0].args.size"], id="an item is not"
        ),
        pytest.param(
            SMALL,
            [call("look"), call("reserve", **items(["${look.n}"], size="${item}"))],
            ["plan.steps[1].args.size"],
            id="a reference in an item",
        ),
        pytest.param(
            SMALL,
            [call("ride", undo={"tool": "reserve", "args": {"size": 40}})],
            ["plan.steps[0].undo.args.size"],
            id="an undo's arguments",
        ),
        pytest.param(LATE, [call("reserve"), call("send", needs=["reserve"])], [], id="in order"),
        pytest.param(LATE, [call("reserve"), call("send")], ["plan.steps[1]"], id="beside may be before"),
        pytest.param(LATE, [call("send"), call("reserve", needs=["send"])], ["plan.steps[0]"], id="before"),
        pytest.param(
            LATE,
            [call("reserve"), call("ride"), call("send", needs=["reserve", "ride"], join="any")],
            ["plan.steps[2]"],
            id="a join does not wait for all",
        ),
        pytest.param(
            LATE,
            [call("reserve"), {"name": "c", "needs": ["reserve"], "child": {"steps": [call("send")]}}],
            [],
            id="a child after it",
        ),
        pytest.param(
            LATE,
            [call("send"), {"name": "c", "child": {"steps": [call("reserve")]}}],
            ["plan.steps[0]"],
            id="a child beside it",
        ),
        pytest.param(
            LATE,
            [{"name": "c", "child": {"steps": [call("look"), call("reserve"), call("send", needs=["reserve"])]}}],
            [],
            id="within a child",
        ),
        pytest.param(
            LATE, [call("send"), call("look", undo={"tool": "ride", "args": {}})], ["plan.steps[0]"], id="an undo comes later"
        ),
        pytest.param(LATE, [call("reserve", undo={"tool": "send", "args": {}})], [], id="an undo comes after"),
        pytest.param(SPEND, [call("reserve", "a"), call("reserve", "b")], [], id="as much as may be spent"),
        pytest.param(SPEND, [call("reserve", n) for n in "abc"], ["plan.steps"], id="too much"),
        pytest.param(SPEND, [call("send", n) for n in "abc"], ["plan.steps"], id="attempts cost"),
        pytest.param(SPEND, [call("send", n, retry={"attempts": 1}) for n in "abc"], [], id="fewer attempts cost less"),
        pytest.param(SPEND, [call("look"), call("ride", **items("${look.x}"))], [], id="what costs nothing"),
        pytest.param(SPEND, [call("look"), call("send", **items("${look.x}"))], ["plan.steps[1].map.over"], id="nobody knows"),
        pytest.param(ASK, [call("reserve", **items([9], size="${item}"))], ["plan.steps[0].map"], id="a map has no approval"),
        pytest.param(
            ASK,
            [call("ride", undo={"tool": "reserve", "args": {"size": 9}})],
            ["plan.steps[0].undo.tool"],
            id="an undo has no approval",
        ),
    ],
)
def test_what_is_refused_and_where(text: str, steps: list[dict[str, Any]], places: list[str]) -> None:
    """Each with the policy's name."""
    assert refusals(text, *steps) == places


def test_a_refusal_names_place_policy_and_remedy() -> None:
    """In words."""
    (problem,) = judge(SMALL, call("reserve", args={"size": 13})).problems
    assert problem.message == "policy p: 13 is not allowed; it must be at most 12"
    (problem,) = judge(LATE, call("reserve"), call("send")).problems
    assert problem.message == (
        "policy p: send may not come before reserve, and send may come before reserve; "
        "let it need reserve, or leave one of them out"
    )


def test_a_policy_of_another_tenant_says_nothing() -> None:
    """`tenants` are patterns."""
    text = SPEND + 'tenants = ["acme", "b*"]\n'
    steps = [call("reserve", name) for name in "abc"]
    assert refusals(text, *steps) == ["plan.steps"]
    assert refusals(text, *steps, tenant="bob") == ["plan.steps"]
    assert refusals(text, *steps, tenant="other") == []


def test_an_approval_is_added_and_names_the_policy() -> None:
    """Whatever the planner says; a smaller party goes without."""
    found = judge(ASK, call("reserve", "a", args={"size": 8}), call("reserve", "b", args={"size": 7}))
    first, second = found.plan.steps
    assert first.approve is not None
    assert first.approve.message == "policy p: asks for this approval (large)"
    assert second.approve is None
    assert [(mark.policy, mark.kind, mark.at) for mark in found.marks] == [("p", "approval", "plan.steps[0]")]


def test_what_is_not_known_yet_is_approved() -> None:
    """A person sees the value."""
    found = judge(ASK, call("look"), call("reserve", args={"size": "${look.n}"}))
    assert found.plan.steps[1].approve is not None


def test_an_approval_of_the_callers_own_stays_and_is_told_of_the_policy() -> None:
    """With its times; judged again it is what it was, and so is the plan's hash."""
    own = {"message": "Really?", "timeout_ms": 60_000}
    found = judge(ASK, call("reserve", args={"size": 9}, approve=own))
    approve = found.plan.steps[0].approve
    assert approve is not None
    assert (approve.message, approve.timeout_ms) == ("Really?; policy p: asks for this approval (large)", 60_000)
    assert encode(policies(ASK).judge(found.plan, "acme").plan) == encode(found.plan)


def test_a_policys_words_hold_no_references() -> None:
    """Beside a message that is resolved they are shown as they stand."""
    text = ASK.replace('"large"', '"as ${look.n} says"')
    steps = call("look"), call("reserve", args={"size": 9}, approve={"message": "${look.n}?"})
    first = judge(text, *steps)
    approve = first.plan.steps[1].approve
    assert approve is not None
    assert approve.message == "${look.n}?; policy p: asks for this approval (as $${look.n} says)"
    assert encode(policies(text).judge(first.plan, "acme").plan) == encode(first.plan)
    alone = judge(text, call("reserve", args={"size": 9})).plan.steps[0]
    assert alone.approve is not None
    assert (alone.approve.message, alone.message_refs) == ("policy p: asks for this approval (as ${look.n} says)", False)


def test_an_approval_is_added_in_a_child_too() -> None:
    """At its place."""
    found = judge(ASK, {"name": "c", "child": {"steps": [call("reserve", args={"size": 9})]}})
    child = found.plan.steps[0].child
    assert child is not None
    assert child.steps[0].approve is not None
    assert found.marks[0].at == "plan.steps[0].child.steps[0]"


def test_a_confirmation_of_the_plan_is_asked_for() -> None:
    """For what cannot be undone, by consent or not; or for what costs more."""
    assert judge(SURE, call("reserve")).confirmations == []
    assert len(judge(SURE, call("send")).confirmations) == 1
    assert len(judge(SURE, call("reserve", undo={"leave": True})).confirmations) == 1
    assert judge(SURE, call("send", undo={"tool": "look", "args": {}})).confirmations == []
    assert len(judge(CHEAP, call("send"), call("ride")).confirmations) == 1  # three attempts of 8
    assert judge(CHEAP, call("send", retry={"attempts": 2})).confirmations == []


def test_without_policies_a_plan_is_what_it_was() -> None:
    """To the byte."""
    before = plan(call("send"), call("reserve"))
    assert encode(policies("").judge(before, "acme").plan) == encode(before)


def test_a_cost_is_pinned_where_there_is_one_and_else_changes_no_hash() -> None:
    """So that plans of before are what they were."""
    assert b'"cost"' not in encode(plan(call("look")))
    assert b'"cost":{"amount":30}' in encode(plan(call("reserve")))


def test_what_a_plan_costs() -> None:
    """Expected once each; at worst with attempts that cost, and with undos that are calls."""
    steps = [call("reserve"), call("send", **items([1, 2])), call("ride", undo={"tool": "send", "args": {}})]
    found = spent([*calls_of(plan(*steps))])
    assert (found.expected, found.worst) == (30 + 16, 30 + 2 * 3 * 8 + 10 * 8)
    unknown = spent([*calls_of(plan(call("look"), call("send", **items("${look.x}"))))])
    assert (unknown.expected, unknown.worst) == (8, None)


def test_a_long_plan_is_judged_quickly_enough_to_be_judged_at_all() -> None:
    """Two thousand steps in a row, half of them before the others: the pairs are not counted one by one."""
    steps: list[dict[str, Any]] = [call("reserve", "s0")]
    for number in range(1, 2_000):
        tool = "reserve" if number < 1_000 else "send"
        steps.append(call(tool, f"s{number}", needs=[f"s{number - 1}"]))
    assert refusals(LATE, *steps) == []
    assert refusals(LATE, *steps[:-1], call("send", "s1999")) == ["plan.steps[1999]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[limit]", "it is no TOML"),
        ("[[limits]]\nname='p'", "limits"),
        ("[[limit]]\nname='p'\ntools=[]\nmost_calls=1", "limit[0].tools"),
        ("[[limit]]\nname='p'\ntools=['a']", "limit[0] (p): it limits nothing"),
        ("[[limit]]\nname='p'\ntools=['a']\nargs={x={}}", "limit[0] (p).args.x: give at_least"),
        ("[[limit]]\nname='p'\ntools=['a']\nargs={x={most=1}}", "most"),
        ("[[limit]]\nname='p'\ntools=['a']\nargs={x={at_least=2, at_most=1}}", "nothing is at least 2 and at most 1"),
        ("[[limit]]\nname='p'\ntools=['a']\nargs={x={matches='('}}", "limit[0] (p).args.x.matches"),
        ("[[spend]]\nname='p'\nmost=-1", "spend[0].most"),
        ("[[spend]]\nname='P q'\nmost=1", "spend[0].name"),
        ("[[spend]]\nname='p'\nmost=1\n[[forbid]]\nname='p'\nfirst=['a']\nthen=['b']", "the name of another policy"),
        ("[[require]]\nname='p'\nwhat='prayer'", "require[0].what"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(text: str, said: str) -> None:
    """And what to write."""
    with pytest.raises(BadFile) as refused:
        read(text, is_json=False)
    assert said in str(refused.value)


def test_a_name_that_no_tool_has_is_found() -> None:
    """A limit of a misspelt tool limits nothing."""
    takes = {"reserve": ["size"], "send": ["to"]}
    assert [*misnamed(policies(SMALL), takes)] == ["limit[0] (p).args: none of its tools takes 'day'; they take: size"]
    (found,) = misnamed(policies(LATE), takes)
    assert found == "forbid[0] (p).then: no tool is called 'ride'; there are: reserve, send"
    assert [*misnamed(policies(FEW), takes)] == []
