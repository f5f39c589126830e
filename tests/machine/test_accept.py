"""From a draft to an accepted plan: every problem at once, each with its place."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine.accept import Limits, PlanRefused, Problem, accept
from shared.machine.plan import Blueprint, Plan, PlanDraft, Retry, StepDraft
from tests.machine.support import RETRY, TOOLS, blueprint, draft

LIMITS = Limits(steps=12_000, argument_bytes=1_000, step_ms=8_000)


def no_wishes(_tool: str, _args: Mapping[str, Any], _place: str) -> Iterator[Problem]:
    """These tools take anything."""
    return iter(())


def accepted(plan: PlanDraft, limits: Limits = LIMITS) -> Plan:
    """The plan that runs."""
    return accept(plan, contracts=TOOLS, check_args=no_wishes, limits=limits)


def refused(plan: PlanDraft, limits: Limits = LIMITS) -> list[tuple[str, str]]:
    """What is wrong with it, and where."""
    with pytest.raises(PlanRefused) as caught:
        accepted(plan, limits)
    return [(problem.at, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("steps", "at", "message"),
    [
        pytest.param((), "plan.steps", "a plan needs at least one step", id="an empty plan"),
        pytest.param(("a nothing",), "plan.steps[0].tool", "there is no tool 'nothing'", id="an unknown tool"),
        pytest.param(("a idem", "a idem"), "plan.steps[1].name", "'a' is the name of an earlier step too", id="a name twice"),
        pytest.param(("a idem b",), "plan.steps[0].needs", "there is no step 'b'", id="an unknown need"),
        pytest.param(("a idem - ${b.x}",), "plan.steps[0].args.value", "no step 'b' to refer to", id="an unknown reference"),
        pytest.param(("a idem - ${b",), "plan.steps[0].args.value", "a reference is opened with ${", id="a broken reference"),
        pytest.param(("a idem a",), "plan.steps", "wait for each other: a -> a", id="a step that needs itself"),
        pytest.param(("a idem - ${a.x}",), "plan.steps", "wait for each other: a -> a", id="a reference to itself"),
        pytest.param(("a idem b", "b idem c", "c idem a"), "plan.steps", "wait for each other: a -> b -> c -> a", id="a ring"),
        pytest.param(("a idem b", "b idem - ${a.x}"), "plan.steps", "each other: a -> b -> a", id="a ring by reference"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(steps: tuple[str, ...], at: str, message: str) -> None:
    """One problem each."""
    ((found_at, found),) = refused(draft(*steps))
    assert found_at == at
    assert message in found


@pytest.mark.parametrize("name", ["", "1", "a.b", "x" * 65])
def test_a_bad_name_is_refused(name: str) -> None:
    """It could not be referred to."""
    ((at, _),) = refused(PlanDraft(steps=(StepDraft(name=name, tool="idem"),)))
    assert at == "plan.steps[0].name"


def test_all_problems_come_at_once_up_to_twenty() -> None:
    """Nobody mends a plan one refusal at a time."""
    found = refused(draft("a nothing", "a idem x", "b idem - ${y}"))
    assert [at for at, _ in found] == [
        "plan.steps[1].name",
        "plan.steps[1].needs",
        "plan.steps[2].args.value",
        "plan.steps[0].tool",
    ]
    assert len(refused(draft(*(f"s{n} nothing" for n in range(50))))) == 20


def test_what_the_tool_says_of_its_arguments_is_a_problem_too() -> None:
    """The check is passed in: the machine knows no tools."""

    def wish(tool: str, args: Mapping[str, Any], place: str) -> Iterator[Problem]:
        yield Problem(f"{place}.x", f"{tool} with {len(args)}")

    with pytest.raises(PlanRefused, match=r"plan\.steps\[0\]\.args\.x: idem with 0"):
        accept(draft("a idem"), contracts=TOOLS, check_args=wish, limits=LIMITS)


class TestLimits:
    """A plan is data from outside."""

    def test_steps(self) -> None:
        """Counted before anything else is looked at."""
        few = Limits(steps=2, argument_bytes=1_000, step_ms=8_000)
        assert len(accepted(draft("a idem", "b idem"), few).steps) == 2
        assert refused(draft("a idem", "b idem", "c idem"), few) == [("plan.steps", "3 steps, but MAX_PLAN_STEPS is 2")]

    def test_argument_bytes(self) -> None:
        """As JSON: a thousand bytes with quotes, name and braces."""

        def plan(length: int) -> PlanDraft:
            return PlanDraft(steps=(StepDraft(name="a", tool="idem", args={"x": "y" * (length - 8)}),))

        assert len(accepted(plan(1_000)).steps) == 1
        assert refused(plan(1_001)) == [("plan.steps[0].args", "1001 bytes, but MAX_ARGUMENT_BYTES is 1000")]

    def test_depth(self) -> None:
        """An answer, and no exhausted stack."""
        deep: Any = msgspec.json.decode(b"[" * 480 + b"]" * 480)
        plan = PlanDraft(steps=(StepDraft(name="a", tool="idem", args={"x": deep}),))
        ((at, message),) = refused(plan)
        assert at.startswith("plan.steps[0].args.x[0]")
        assert message == "nested more than 64 levels deep"

    def test_a_steps_time(self) -> None:
        """A caller may not ask for more than an invocation has; a tool that says more gets what there is."""
        step = StepDraft(name="a", tool="idem", timeout_ms=9_000)
        ((at, _),) = refused(PlanDraft(steps=(step,)))
        assert at == "plan.steps[0].timeout_ms"
        short = Limits(steps=5, argument_bytes=1_000, step_ms=2_000)
        assert accepted(draft("a slow"), short).steps[0].timeout_ms == 2_000

    @pytest.mark.parametrize(
        "text",
        [
            '{"steps":[{"name":"a","tool":"t","retry":{"base_ms":1e400}}]}',
            '{"steps":[{"name":"a","tool":"t","retry":{"base_ms":' + "9" * 400 + "}}]}",
            '{"steps":[{"name":"a","tool":"t","retry":{"attempts":101}}]}',
            '{"steps":[{"name":"a","tool":"t","retry":{"factor":0.5}}]}',
            '{"steps":[],"timeout_ms":0}',
            '{"steps":[],"timeout_ms":40000000000}',
            '{"steps":[{"name":"a","tool":"t","why":"x"}]}',
        ],
    )
    def test_numbers_that_no_saga_needs_are_not_even_read(self, text: str) -> None:
        """A back-off that overflows would break the saga in its middle, at every wake-up again."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=PlanDraft)


class TestWhatIsAccepted:
    """All that running needs, pinned."""

    def test_references_are_needs(self) -> None:
        """Once each, written ones first."""
        plan = accepted(draft("a idem", "b idem", "c idem b ${a.x}${b.x}"))
        assert plan.steps[2].needs == ("b", "a")

    def test_the_callers_patience_goes_before_the_tools(self) -> None:
        """And the tool's holds where none is given."""
        mine = Retry(attempts=1)
        plan = accepted(PlanDraft(steps=(StepDraft(name="a", tool="idem", retry=mine), StepDraft(name="b", tool="idem"))))
        assert [step.retry for step in plan.steps] == [mine, RETRY]

    def test_the_contracts_of_its_tools_are_pinned(self) -> None:
        """Of its own, not of all: a later release changes nothing for it."""
        assert accepted(draft("a idem", "b pure")).contracts == {name: TOOLS[name] for name in ("idem", "pure")}

    def test_its_identity_is_its_bytes(self) -> None:
        """The same plan, the same hash, also read back and written again."""
        data = plans.encode(accepted(draft("a idem", "b idem a")))
        compiled = Blueprint(data)
        assert plans.encode(compiled.plan) == data
        assert compiled.hash == Blueprint(plans.encode(compiled.plan)).hash
        assert compiled.hash != blueprint("a idem", "b idem").hash

    def test_it_is_compiled_both_ways(self) -> None:
        """Needs, dependents, references and how deep each stands."""
        plan = blueprint("d idem b,c", "b idem a ${a.n}", "c pure a", "a idem")
        assert plan.needs == ((1, 2), (3,), (3,), ())
        assert plan.dependents == ((), (0,), (0,), (1, 2))
        assert plan.refs == ((), (3,), (), ())
        assert plan.rank == (2, 1, 1, 0)
        assert plan.plan.first_cells() == "...r...."


class TestLongPlans:
    """No recursion, no quadratic walk."""

    def test_a_chain_of_ten_thousand_is_accepted(self) -> None:
        """Written backwards, so that a walk from the first step goes down all of it."""
        steps = [f"s{n} idem s{n + 1}" for n in range(9_999)] + ["s9999 idem"]
        plan = blueprint(*steps)
        assert plan.rank[0] == 9_999

    def test_a_ring_of_ten_thousand_is_told_in_a_line(self) -> None:
        """Its middle is left out."""
        ((_, message),) = refused(draft(*(f"s{n} idem s{(n + 1) % 10_000}" for n in range(10_000))))
        assert "s0 -> s1 -> s2" in message
        assert "(9990 more)" in message
        assert message.endswith("s9999 -> s0")
        assert len(message) < 200

    def test_a_ring_at_the_end_of_many_ways_is_found(self) -> None:
        """Ways that lead to no ring are walked once."""
        wide = [f"w{n} idem a" for n in range(2_000)]
        ((_, message),) = refused(draft(*wide, "a idem b", "b idem c", "c idem b"))
        assert message.endswith("b -> c -> b")

    def test_a_diamond_is_no_ring(self) -> None:
        """Two ways to the same step."""
        assert len(accepted(draft("d idem b,c", "b idem a", "c idem a,b", "a idem")).steps) == 4
