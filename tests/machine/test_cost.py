"""A decision costs no more than what it changes: counted, not timed, on plans of thousands of steps."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.machine.decide import decide
from shared.machine.decision import Changes, Decision, StartSteps, apply
from shared.machine.events import Event
from shared.machine.plan import Blueprint
from shared.machine.state import Execution
from shared.machine.status import Cause, Cell, Phase, Status
from tests.machine.support import DONE, answered, blueprint, execution, header, starts, ticked, woke

CHAIN = 10_000
WIDE = 5_000


class Counted(dict[int, Any]):
    """An index that counts how many of its entries are looked at one by one."""

    looked = 0

    def __iter__(self) -> Iterator[int]:
        for key in super().__iter__():
            Counted.looked += 1
            yield key


class Watched(Execution):
    """A working copy that counts the cells that are asked for."""

    __slots__ = ()
    asked = 0

    def cell(self, cell: int) -> Cell:
        """Counted."""
        Watched.asked += 1
        return super().cell(cell)


@pytest.fixture(scope="module")
def chain() -> Blueprint:
    """One after the other."""
    return blueprint("s0 idem", *(f"s{n} idem s{n - 1}" for n in range(1, CHAIN)))


@pytest.fixture(scope="module")
def fan() -> Blueprint:
    """One, then five thousand, then one that needs them all."""
    middle = [f"m{n} idem first" for n in range(WIDE)]
    return blueprint("first idem", *middle, f"last idem {','.join(f'm{n}' for n in range(WIDE))}")


def watched(plan: Blueprint, cells: str = "", **parts: Any) -> Watched:
    """A working copy under observation, with counting indexes."""
    plain = execution(plan, cells, results={}, **parts)
    x = Watched(
        header=plain.header, blueprint=plan, cells=bytes(plain.cells), intents=plain.intents, faults=plain.faults, results={}
    )
    x.order = plain.order
    for name in ("running", "backoff", "settling", "undoing", "waiting"):
        setattr(x, name, Counted(getattr(x, name)))
    return x


def looked(act: Callable[[], Any]) -> int:
    """How many cells and index entries something looks at."""
    Watched.asked = Counted.looked = 0
    act()
    return Watched.asked + Counted.looked


def size(decision: Decision) -> int:
    """How much is to be stored."""
    going = decision.next.changes if isinstance(decision.next, StartSteps) else Changes()
    parts = (decision.kept, going)
    return sum(len(c.cells) + len(c.intents) + len(c.faults) + len(c.results) + len(c.history) for c in parts)


def follow(x: Execution, decision: Decision) -> None:
    """Store what was decided."""
    apply(x, decision.kept)
    if isinstance(decision.next, StartSteps):
        apply(x, decision.next.changes)


@pytest.mark.parametrize("at", [1, CHAIN // 2, CHAIN - 3])
def test_a_step_of_a_chain_of_ten_thousand_costs_the_same_anywhere(chain: Blueprint, at: int) -> None:
    """Store a result, start the next: two cells, an intent, a result, two lines of history."""
    x = watched(chain, "d" * at + "i" + "." * (CHAIN - at - 1))
    event = answered({at: DONE})
    decision = decide(x, event)
    assert starts(decision) == [f"s{at + 1}"]
    assert size(decision) == 7
    assert looked(lambda: decide(x, event)) < 10
    assert looked(lambda: follow(x, decision)) < 10


def test_the_first_of_a_fan_makes_five_thousand_ready_and_starts_eight(fan: Blueprint) -> None:
    """That is the change; it is looked at a few times and no more."""
    x = watched(fan, "i" + "." * (WIDE + 1))
    decision = decide(x, answered({0: DONE}))
    assert len(starts(decision)) == 8
    assert len(decision.kept.cells) == WIDE + 1
    assert looked(lambda: decide(x, answered({0: DONE}))) < 3 * WIDE


def test_in_the_middle_of_a_fan_what_waits_is_not_looked_at(fan: Blueprint) -> None:
    """Thousands are ready, and one ends: one more starts."""
    x = watched(fan, "d" + "d" * 2_000 + "i" * 8 + "r" * (WIDE - 2_008) + ".")
    decision = decide(x, answered({2_001: DONE}))
    assert starts(decision) == ["m2008"]
    assert size(decision) == 6
    assert looked(lambda: decide(x, answered({2_001: DONE}))) < 60


def test_the_needs_of_a_wide_join_are_counted_once_a_segment(fan: Blueprint) -> None:
    """Then each result counts down."""
    x = watched(fan, "d" * (WIDE - 3) + "i" * 4 + ".")
    for cell in range(WIDE - 3, WIDE):
        follow(x, decide(x, answered({cell: DONE})))
        assert x.unmet == {WIDE + 1: WIDE - cell}
    assert starts(decide(x, answered({WIDE: DONE}))) == ["last"]


def run_out(x: Execution, event: Event) -> tuple[int, list[str]]:
    """Let every call end well; how much was looked at, and what was started."""
    started: list[str] = []

    def go() -> None:
        decision = decide(x, event)
        while isinstance(decision.next, StartSteps):
            started.extend(starts(decision))
            follow(x, decision)
            decision = decide(x, answered({next(iter(x.running)): DONE}))

    return looked(go), started


def test_ten_thousand_steps_in_one_segment_cost_ten_thousand_times_a_step(chain: Blueprint) -> None:
    """From the first to the end."""
    total, started = run_out(watched(chain), woke())
    assert len(started) == CHAIN
    assert total < 12 * CHAIN


def test_undoing_ten_thousand_costs_ten_thousand_times_an_undo(chain: Blueprint) -> None:
    """The lane is sorted once, and not searched for each."""
    head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.CANCELLED)
    x = watched(chain, "d" * CHAIN + "r" * CHAIN, head=head, order={n: n for n in range(CHAIN)})
    total, started = run_out(x, ticked(started=1))
    assert started == [f"-s{n}" for n in reversed(range(CHAIN))]
    assert total < 20 * CHAIN


def test_a_new_owner_in_the_middle_of_undoing_looks_at_two_to_ask_for_the_order(chain: Blueprint) -> None:
    """Whether there is an order to ask for; then all of them are named."""
    head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.CANCELLED)
    x = watched(chain, "d" * CHAIN + "r" * CHAIN, head=head)
    assert looked(lambda: decide(x, woke())) < CHAIN + 50
