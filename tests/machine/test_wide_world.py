"""Whole runs of plans with every kind of step, with people, events, callbacks and children in them, and faults."""

import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from shared.machine.accept import PlanRefused
from shared.machine.plan import Blueprint
from shared.machine.status import TERMINAL, Reason
from tests.machine.play import compiled
from tests.machine.support import TOOLS
from tests.machine.wide_world import ANSWERS, ENDS, TAKEN_OVER, UNDONE, People, WideRun, check_wide, same_bytes
from tests.machine.world import FATES, Faults, Setting

NAMES = "abcdef"
_TOOLS = st.sampled_from([name for name in TOOLS if name != "slow"])
_KINDS = st.sampled_from(["call"] * 6 + ["map"] * 2 + ["sleep", "event", "callback", "ask", "approved", "child"])
CHILD = {"steps": [{"name": "x", "tool": "idem"}], "output": {"n": 1}}
_UNDOS = st.sampled_from([None] * 6 + [{"leave": True}, {"tool": "idem", "args": {}}])
_RETRIES = st.sampled_from([None, None, {"attempts": 1}, {"attempts": 2}])


@st.composite
def _action(draw: st.DrawFn) -> dict[str, Any]:
    """What one step does."""
    match draw(_KINDS):
        case "call":
            return _called(draw)
        case "approved":
            return _called(draw) | {"approve": {"timeout_ms": 60_000} if draw(st.booleans()) else {}}
        case "map":
            over: Any = [0] * draw(st.integers(0, 4))
            least = draw(st.sampled_from([None, None, 0, 1, 2]))
            each = {"over": over, "concurrency": draw(st.integers(1, 3)), "min_successful": least}
            if least is not None and least > len(over):
                each["min_successful"] = len(over)
            return _called(draw) | {"map": each, "args": {"at": "${index}"}}
        case "sleep":
            return {"sleep": {"ms": draw(st.sampled_from([1, 900, 30_000]))}}
        case "event":
            names = draw(st.lists(st.sampled_from(["e0", "e1"]), min_size=1, max_size=2, unique=True))
            wait = {"events": [{"name": name, "key": draw(st.sampled_from(["", "k"]))} for name in names]}
            return {"wait": wait | {"mode": draw(st.sampled_from(["any", "all"]))} | _ending(draw)}
        case "callback":
            return {"wait": {"callback": True} | _ending(draw)}
        case "ask":
            return {"approve": {"remind_ms": 40_000} if draw(st.booleans()) else {}}
        case _:
            return {"child": CHILD}


def _called(draw: st.DrawFn) -> dict[str, Any]:
    more = {"undo": draw(_UNDOS), "retry": draw(_RETRIES), "deadline_ms": draw(st.sampled_from([None] * 4 + [20_000]))}
    return {"tool": draw(_TOOLS)} | {key: value for key, value in more.items() if value is not None}


def _ending(draw: st.DrawFn) -> dict[str, Any]:
    return draw(st.sampled_from([{}, {"timeout_ms": 50_000}, {"timeout_ms": 50_000, "on_timeout": "continue"}]))


@st.composite
def plans(draw: st.DrawFn) -> Blueprint:
    """Up to six steps of any kind, with needs, joins, conditions, references and failures that are borne."""
    count = draw(st.integers(1, 6))
    order = draw(st.permutations(NAMES[:count]))
    steps = []
    for number, name in enumerate(order):
        earlier = list(order[:number])
        step: dict[str, Any] = {"name": name, "may_fail": draw(st.integers(0, 3)) == 0} | draw(_action())
        needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        step["needs"] = needs
        if needs and draw(st.integers(0, 3)) == 0:
            step["join"] = draw(st.sampled_from(["any", *range(1, len(needs) + 1)]))
        if needs and draw(st.integers(0, 3)) == 0:
            about = draw(st.sampled_from(needs))
            step["when"] = draw(
                st.sampled_from([f"done({about})", f"failed({about})", f"present({about}.n)", f"{about}.n == 0"])
            )
        if needs and "tool" in step and draw(st.integers(0, 3)) == 0:
            path = draw(st.sampled_from(["", "", ".n"]))
            step["args"] = {"v": f"${{{needs[0]}{path}}}"}
        steps.append(step)
    try:
        return compiled(*sorted(steps, key=lambda step: str(step["name"])))
    except PlanRefused as refused:
        assume("cannot be" in str(refused) or "wait for each other" in str(refused))
        raise


_TOOK_MS = st.sampled_from([0, 1, 20, 400, 2_900])
_MOMENTS = st.frozensets(st.integers(1, 80), max_size=3)
_FATES = st.sampled_from([*FATES, *TAKEN_OVER, "ok", "ok", "ok"])
_FAULTS = st.builds(
    Faults,
    fates=st.lists(st.tuples(_FATES, _TOOK_MS), max_size=14).map(tuple),
    crashes=_MOMENTS,
    cancels=st.frozensets(st.integers(1, 60), max_size=1),
    late=st.frozensets(st.integers(0, 6), max_size=2),
    deadline_ms=st.sampled_from([0, 0, 0, 0, 2_000, 45_000, 7_200_000]),
    rest=st.tuples(st.sampled_from(["ok"] * 10 + [*FATES, *TAKEN_OVER]), st.sampled_from([0, 20])),
)
_SETTINGS = st.builds(
    Setting,
    parallel=st.sampled_from([1, 2, 8]),
    steps_per_message=st.sampled_from([0, 0, 0, 1, 2]),
    stalled_limit=st.sampled_from([0, 0, 0, 8]),
)
_WORDS = st.sampled_from(
    ["pause", "resume", "cancel", "retry", "skip", "edit", "approve", "reject", "event", "event", "callback", "child", "resend",
     "slot", "nonsense"]
)  # fmt: skip
_PEOPLE = st.builds(
    People,
    words=st.lists(st.tuples(st.integers(1, 60), _WORDS, st.sampled_from([*NAMES, "a.0", "b.1", "?"])), max_size=5).map(tuple),
    answers=st.lists(st.sampled_from(ANSWERS), max_size=3).map(tuple),
    ends=st.lists(st.sampled_from(ENDS), max_size=3).map(tuple),
    undone=st.lists(st.sampled_from(UNDONE), max_size=3).map(tuple),
    took_ms=st.sampled_from([0, 50, 5_000, 60_000]),
)
_HUNT = int(os.environ.get("WIDE_WORLD_EXAMPLES", "0"))
"""More examples than the suite has time for, and other ones each time."""
_EXAMPLES = settings(
    max_examples=_HUNT or 300,
    deadline=None,
    derandomize=not _HUNT,
    phases=[Phase.explicit, Phase.generate] if _HUNT else list(Phase),
    suppress_health_check=[HealthCheck.too_slow],
)


@_EXAMPLES
@given(plan=plans(), faults=_FAULTS, setting=_SETTINGS, people=_PEOPLE)
def test_whatever_happens_to_whatever_plan_it_ends_and_the_promises_hold(
    plan: Blueprint, faults: Faults, setting: Setting, people: People
) -> None:
    """Each decision is checked by the run itself: the same from the stored record, legal, and never a wait for nobody."""
    note(msgspec.json.encode(plan.plan.steps).decode())
    run = WideRun(plan, faults, setting, people)
    run.go()
    check_wide(run)
    if run.record.header.status not in TERMINAL:
        assert run.stop is Reason.UNDELIVERABLE


@_EXAMPLES
@given(plan=plans(), setting=_SETTINGS, crashes=st.frozensets(st.integers(1, 80), max_size=2), people=_PEOPLE)
def test_crashes_change_nothing_about_what_comes_of_it(
    plan: Blueprint, setting: Setting, crashes: frozenset[int], people: People
) -> None:
    """Where everything else goes well, and attempts outnumber them: nobody sees in the end whether a process died."""
    assume(all(step.retry.attempts > len(crashes) for step in plan.plan.steps))
    note(msgspec.json.encode(plan.plan.steps).decode())
    quiet = People(answers=(), took_ms=people.took_ms)
    runs = [WideRun(plan, Faults(crashes=some), setting, quiet) for some in (frozenset[int](), crashes)]
    for run in runs:
        run.go()
        check_wide(run)
    ends = {run.record.header.status for run in runs if run.stop is not Reason.UNDELIVERABLE}
    timed = any(step.deadline_ms or (step.wait and step.wait.timeout_ms) or step.approve for step in plan.plan.steps)
    assert len(ends) <= 1 or timed


@pytest.mark.parametrize("parallel", [1, 8])
def test_a_wide_run_is_one_function_of_its_faults(parallel: int) -> None:
    """Twice the same, twice the same history."""
    plan = compiled(
        {"name": "a", "tool": "idem", "map": {"over": [1, 2, 3]}},
        {"name": "b", "wait": {"events": [{"name": "e0"}]}},
        {"name": "c", "child": CHILD, "needs": ["a"]},
        {"name": "d", "tool": "probe", "approve": {}, "needs": ["b", "c"]},
    )
    faults = Faults(fates=(("late", 400), ("busy", 1)), crashes=frozenset({7, 12}))
    histories = set()
    for _ in range(2):
        run = WideRun(plan, faults, Setting(parallel=parallel), People(words=((9, "pause", "a"),)))
        run.go()
        check_wide(run)
        histories.add(same_bytes((run.record.history, run.record.results)))
    assert len(histories) == 1
