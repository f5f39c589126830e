"""Whole runs with faults chosen by hypothesis: whatever goes wrong, the promises hold and the run comes to rest."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.machine.plan import Blueprint
from shared.machine.status import TERMINAL, Reason, Status
from tests.machine.support import TOOLS, blueprint
from tests.machine.world import FATES, Faults, Run, Setting, check

NAMES = "abcdef"
# All but "slow": its declared maximum is the whole of an invocation.
_TOOLS = st.sampled_from([name for name in TOOLS if name != "slow"])


@st.composite
def plans(draw: st.DrawFn) -> Blueprint:
    """Up to six steps, each needing some that come before it in an order which is not the order they are written in."""
    count = draw(st.integers(1, 6))
    order = draw(st.permutations(NAMES[:count]))
    lines = []
    for number, name in enumerate(order):
        needs = draw(st.lists(st.sampled_from(order[:number]), unique=True, max_size=3)) if number else []
        ref = f"${{{needs[0]}.{'nothing' if draw(st.integers(0, 15)) == 15 else 'n'}}}" if needs else ""
        lines.append(f"{name} {draw(_TOOLS)} {','.join(needs) or '-'} {ref}")
    return blueprint(*sorted(lines))


_TOOK_MS = st.sampled_from([0, 1, 20, 400, 2_900, 5_000])
_MOMENTS = st.frozensets(st.integers(1, 60), max_size=4)
_FAULTS = st.builds(
    Faults,
    fates=st.lists(st.tuples(st.sampled_from(FATES), _TOOK_MS), max_size=12).map(tuple),
    crashes=_MOMENTS,
    cancels=st.frozensets(st.integers(1, 60), max_size=2),
    late=st.frozensets(st.integers(0, 6), max_size=3),
    deadline_ms=st.sampled_from([0, 0, 0, 1, 2_000, 40_000]),
    rest=st.tuples(st.sampled_from(["ok"] * 8 + [*FATES]), st.sampled_from([0, 20])),
)
_SETTINGS = st.builds(
    Setting,
    parallel=st.sampled_from([1, 2, 8]),
    steps_per_message=st.sampled_from([0, 0, 1, 2]),
    stalled_limit=st.sampled_from([0, 0, 1, 5]),
)
_EXAMPLES = settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


# Runs that once went wrong; hypothesis may take long to meet them again.
_MET = [
    pytest.param(
        ("a idem", "b idem", "c idem"),
        Faults(fates=(("busy", 1), ("ok", 2_900))),
        Setting(steps_per_message=2),
        Status.COMPLETED,
        id="a back-off that is over while a call runs and nothing more may start",
    ),
    pytest.param(
        ("a idem b", "b idem", "c idem a"),
        Faults(fates=(("ok", 0), ("ok", 0), ("refused", 0))),
        Setting(),
        Status.COMPENSATED,
        id="a step and what it needed complete in one millisecond",
    ),
    pytest.param(
        ("a idem_settled", "b idem a"),
        Faults(fates=(("very late", 20), ("ok", 20), ("refused", 20))),
        Setting(),
        Status.COMPENSATED,
        id="the request without an answer lands behind the one with it",
    ),
    pytest.param(
        ("a probe",),
        Faults(crashes=frozenset({2}), rest=("lost", 20)),
        Setting(stalled_limit=5),
        Status.SUSPENDED,
        id="a dead owner's call, and then nobody ever answers",
    ),
    pytest.param(
        ("a probe",),
        Faults(fates=(("lost", 1), ("ok", 1)) * 3, rest=("lost", 1)),
        Setting(),
        Status.FAILED,
        id="never an answer to the call, and always one to the probe: never happened",
    ),
    pytest.param(
        ("a idem", "b idem"),
        Faults(late=frozenset(range(100))),
        Setting(stalled_limit=5),
        Status.SUSPENDED,
        id="every segment comes too late",
    ),
]


@pytest.mark.parametrize(("plan", "faults", "setting", "status"), _MET)
def test_what_once_went_wrong(plan: tuple[str, ...], faults: Faults, setting: Setting, status: Status) -> None:
    """It ends as it should."""
    run = Run(blueprint(*plan), faults, setting).go()
    check(run)
    assert run.record.header.status is status


@_EXAMPLES
@given(plan=plans(), faults=_FAULTS, setting=_SETTINGS)
def test_whatever_goes_wrong_the_promises_hold_and_the_run_comes_to_rest(
    plan: Blueprint, faults: Faults, setting: Setting
) -> None:
    """Terminal, or waiting for a person, with the world as the status says. The run itself checks each single decision."""
    run = Run(plan, faults, setting).go()
    check(run)
    head = run.record.header
    if head.status not in TERMINAL:
        assert head.status is Status.SUSPENDED
        assert run.stop in {Reason.UNKNOWN_EFFECT, Reason.UNDELIVERABLE}
        assert run.stop is not Reason.UNKNOWN_EFFECT or b"u" in bytes(run.record.cells)


@_EXAMPLES
@given(
    plan=plans(),
    setting=_SETTINGS,
    crashes=st.frozensets(st.integers(1, 60), max_size=2),
    late=st.frozensets(st.integers(0, 6), max_size=3),
)
def test_crashes_alone_never_fail_a_saga(
    plan: Blueprint, setting: Setting, crashes: frozenset[int], late: frozenset[int]
) -> None:
    """There is one way to end, while the attempts outnumber the crashes; only an unsafe step may need a person."""
    run = Run(plan, Faults(crashes=crashes, late=late), setting).go()
    check(run)
    if run.record.header.status is Status.SUSPENDED:
        stopped = {step.tool for step, where in zip(plan.plan.steps, run.record.cells, strict=False) if where == ord("u")}
        assert run.stop is Reason.UNDELIVERABLE or stopped <= {"unsafe", "unsafe_keyed"}
    elif run.record.header.status is not Status.COMPLETED:
        assert "bad_reference" in {fault.code for fault in run.record.faults.values()}


@_EXAMPLES
@given(plan=plans(), faults=_FAULTS, cancel=st.integers(1, 40))
def test_a_cancelled_saga_is_undone_or_had_ended_before(plan: Blueprint, faults: Faults, cancel: int) -> None:
    """Also one that had stopped for a person: cancelling is a way out of every wait."""
    run = Run(plan, faults._replace(cancels=frozenset({cancel, 10_000})), Setting()).go()
    check(run)
    if run.record.inbox and run.record.seen:
        assert run.record.header.status in TERMINAL - {Status.COMPLETED}
        assert run.record.header.cause


@pytest.mark.parametrize("status", sorted(TERMINAL - {Status.REJECTED}))
def test_the_runs_of_this_file_reach_every_end(status: Status) -> None:
    """The faults are strong enough to lead everywhere; otherwise the properties above say little."""
    ends = {
        Status.COMPLETED: Faults(),
        Status.FAILED: Faults(fates=(("refused", 1),)),
        Status.CANCELLED: Faults(cancels=frozenset({1})),
        Status.TIMED_OUT: Faults(deadline_ms=1, late=frozenset({0})),
        Status.COMPENSATED: Faults(fates=(("ok", 1), ("refused", 1))),
        Status.COMPENSATION_FAILED: Faults(fates=(("ok", 1), ("refused", 1), ("refused", 1))),
    }
    run = Run(blueprint("a idem", "b idem a"), ends[status], Setting()).go()
    check(run)
    assert run.record.header.status is status


def test_a_run_is_one_function_of_its_faults() -> None:
    """Twice the same faults, twice the same history: nothing in the machine reads a clock or a dice."""
    faults = Faults(fates=(("late", 400), ("busy", 1)), crashes=frozenset({7, 12}))
    plan = blueprint("a idem", "b probe a", "c idem_settled a", "d idem b,c")
    ends = Counter(str(Run(plan, faults, Setting(parallel=2)).go().record.results) for _ in range(3))
    assert len(ends) == 1
