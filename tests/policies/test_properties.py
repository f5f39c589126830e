"""For any plan and any policies: however a plan that was let through runs, no policy is broken."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from shared.machine.plan import Cost, Plan, Step
from shared.policies import Bound, Forbid, Limit, Policies, Require, Spend
from tests.policies.support import TOOLS, plan

Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]
NAMES = ("a", "b", "c", "d")
GLOBS = st.sampled_from(["*", "send", "reserve", "r*", "look", "ride"]).map(lambda one: (one,))
SIZES = st.one_of(st.integers(0, 6), st.just("${a.n}"), st.just("many"))
ARGS = st.dictionaries(st.just("size"), SIZES, max_size=1)


class Made(NamedTuple):
    """A call of a run: all of its attempts."""

    tool: str
    args: dict[str, Any]
    step: Step
    attempts: int
    undo: bool


@st.composite
def steps_of(draw: st.DrawFn, names: tuple[str, ...] = NAMES, depth: int = 1) -> list[dict[str, Any]]:
    """A few steps in any order of needs, with joins, maps, children and undos."""
    found: list[dict[str, Any]] = []
    for number, name in enumerate(names[: draw(st.integers(1, len(names)))]):
        needs = draw(st.lists(st.sampled_from(names[:number]), unique=True, max_size=2)) if number else []
        step: dict[str, Any] = {"name": name, "needs": needs}
        if len(needs) > 1 and draw(st.booleans()):
            step["join"] = "any"
        if depth and draw(st.integers(0, 3)) == 0:
            found.append(step | {"child": {"steps": draw(steps_of(names, 0))}})
            continue
        step |= {"tool": draw(st.sampled_from(sorted(TOOLS))), "args": draw(ARGS)}
        if draw(st.integers(0, 3)) == 0:
            over = draw(st.one_of(st.lists(st.integers(0, 6), max_size=3), st.just("${a.list}")))
            step |= {"map": {"over": over}, "args": draw(st.sampled_from([{}, {"size": "${item}"}, {"size": 3}]))}
        elif draw(st.booleans()):
            step["approve"] = {"message": "mine"}
        if draw(st.integers(0, 3)) == 0:
            step["undo"] = {"tool": draw(st.sampled_from(sorted(TOOLS))), "args": draw(ARGS)}
        found.append(step)
    for step in found:
        text = msgspec.json.encode([step.get("args"), step.get("map")]).decode()
        if "${a." in text and step["name"] == "a":  # nothing refers to itself
            step.update(args={}, map={"over": []} if "map" in step else None)
        elif "join" in step and "a" not in step["needs"] and "${a." in text:
            step["needs"] = [*step["needs"], "a"]
    return found


BOUNDS = st.integers(0, 6).map(lambda most: {"size": Bound(at_most=most)})
POLICIES = st.builds(
    Policies,
    limit=st.lists(
        st.builds(Limit, name=st.just("l"), tools=GLOBS, most_calls=st.one_of(st.none(), st.integers(0, 4)), args=BOUNDS),
        max_size=1,
    ).map(tuple),
    forbid=st.lists(st.builds(Forbid, name=st.just("f"), first=GLOBS, then=GLOBS), max_size=1).map(tuple),
    spend=st.lists(st.builds(Spend, name=st.just("s"), most=st.integers(0, 120), tools=GLOBS), max_size=1).map(tuple),
    require=st.lists(
        st.builds(Require, name=st.just("r"), what=st.just("approval"), tools=GLOBS, args=st.one_of(st.just({}), BOUNDS)),
        max_size=1,
    ).map(tuple),
)


def run(found: Plan, draw: Draw) -> list[Made]:
    """One way in which it may run, when every reference finds what is drawn: steps in an order that needs and joins allow."""
    made: list[Made] = []
    undos: list[Made] = []
    _walk([((), found)], draw, made, undos)
    return made + list(draw(st.permutations(undos)))


def _walk(plans: list[tuple[tuple[str, ...], Plan]], draw: Draw, made: list[Made], undos: list[Made]) -> None:
    """Plans beside each other, a step at a time; a child's step is over when its own plan is."""
    over: set[tuple[str, ...]] = set()
    begun: set[tuple[str, ...]] = set()
    while True:
        for path, one in plans:
            if path and path not in over and all((*path, step.name) in over for step in one.steps):
                over.add(path)
        free = [
            (path, step)
            for path, one in plans
            for step in one.steps
            if (*path, step.name) not in begun and _ready(step, path, over)
        ]
        if not free:
            return
        path, step = draw(st.sampled_from(free))
        begun.add((*path, step.name))
        if step.child:
            plans.append(((*path, step.name), step.child))
            continue
        over.add((*path, step.name))
        _call(step, draw, made, undos)


def _ready(step: Step, path: tuple[str, ...], over: set[tuple[str, ...]]) -> bool:
    done = sum((*path, need) in over for need in step.needs)
    return done >= (step.join or len(step.needs))


def _call(step: Step, draw: Draw, made: list[Made], undos: list[Made]) -> None:
    over: Any = step.map.over if step.map else [None]
    for item in draw(st.lists(st.integers(0, 6), max_size=4)) if isinstance(over, str) else over:
        made.append(
            Made(step.tool, _resolved(step.args, item, draw), step, draw(st.integers(1, step.retry.attempts)), undo=False)
        )
        if step.undo and draw(st.booleans()):
            undos.append(Made(step.undo.tool, _resolved(step.undo.args, item, draw), step, draw(st.integers(1, 10)), undo=True))


def _resolved(args: dict[str, Any], item: Any, draw: Draw) -> dict[str, Any]:
    values = {"${a.n}": st.integers(0, 9), "${item}": st.just(item)}
    return {name: draw(values[value]) if value in values else value for name, value in args.items()}


def _named(globs: tuple[str, ...], tool: str) -> bool:
    return any(re.fullmatch(glob.replace("*", ".*"), tool) for glob in globs)


def _price(one: Made) -> int:
    cost = TOOLS[one.tool].cost
    return cost.amount * (one.attempts if cost.failed else 1) if isinstance(cost, Cost) else 0


def broken(rules: Policies, ran: list[Made]) -> list[str]:
    """The policies that a run broke."""
    found: list[str] = []
    for limit in rules.limit:
        own = [one for one in ran if _named(limit.tools, one.tool)]
        bound = limit.args["size"].at_most
        assert bound is not None
        found += ["calls"] if limit.most_calls is not None and len(own) > limit.most_calls else []
        sizes = [one.args["size"] for one in own if "size" in one.args]
        found += ["bound"] if any(not isinstance(size, int) or size > bound for size in sizes) else []
    for forbid in rules.forbid:
        firsts = [at for at, one in enumerate(ran) if _named(forbid.first, one.tool)]
        thens = [at for at, one in enumerate(ran) if _named(forbid.then, one.tool)]
        found += ["sequence"] if firsts and thens and firsts[0] < thens[-1] else []
    for spend in rules.spend:
        found += ["spend"] if sum(_price(one) for one in ran if _named(spend.tools, one.tool)) > spend.most else []
    for require in rules.require:
        found += ["approval"] if any(_unasked(require, one) for one in ran) else []
    return found


def _unasked(rule: Require, one: Made) -> bool:
    """A call that it is about, and nobody was asked with its name."""
    if not _named(rule.tools, one.tool):
        return False
    if rule.args:
        size, bound = one.args.get("size"), rule.args["size"].at_most
        assert bound is not None
        if not isinstance(size, int) or size > bound:
            return False
    return one.undo or one.step.approve is None or "policy r" not in one.step.approve.message


@settings(max_examples=800)
@given(steps_of(), POLICIES, st.data())
def test_no_plan_that_is_let_through_breaks_a_policy(steps: list[dict[str, Any]], rules: Policies, data: st.DataObject) -> None:
    """In no order, with no items, values, attempts and undos."""
    verdict = rules.judge(plan(*(_plain(step) for step in steps)), "acme")
    event(f"let through: {not verdict.problems}")
    if not verdict.problems:
        assert broken(rules, run(verdict.plan, data.draw)) == []


@settings(max_examples=300)
@given(steps_of(), POLICIES)
def test_a_verdict_is_one_of_two(steps: list[dict[str, Any]], rules: Policies) -> None:
    """Refused with places that there are, or let through, and then it is let through again as it is."""
    made = plan(*(_plain(step) for step in steps))
    verdict = rules.judge(made, "acme")
    assert all(problem.at.startswith("plan.steps") for problem in verdict.problems)
    if verdict.problems:
        assert verdict.plan == made
    else:
        assert rules.judge(verdict.plan, "acme").plan == verdict.plan


def _plain(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if value is not None}
