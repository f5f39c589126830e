"""A decision costs no more than what it changes: counted, not timed, on plans of thousands of steps."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.machine.decide import decide
from shared.machine.decision import Changes, Decision, StartSteps, apply
from shared.machine.events import Event
from shared.machine.plan import Blueprint
from shared.machine.state import Execution, Hold, Notes, Region
from shared.machine.status import Cause, Cell, Phase, Reason, Status
from tests.machine.play import compiled
from tests.machine.support import DONE, NOW, answered, blueprint, execution, header, starts, ticked, woke

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


def watched(
    plan: Blueprint, cells: str = "", *, holds: dict[int, Hold] | None = None, notes: Notes | None = None, **parts: Any
) -> Watched:
    """A working copy under observation, with counting indexes."""
    plain = execution(plan, cells, results={}, **parts)
    x = Watched(
        header=plain.header,
        blueprint=plan,
        cells=bytes(plain.cells),
        intents=plain.intents,
        faults=plain.faults,
        results={},
        holds=holds,
        notes=notes,
    )
    x.order = plain.order
    for name in ("running", "backoff", "settling", "undoing", "waiting", "spread"):
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


ITEMS = 10_000


@pytest.fixture(scope="module")
def each() -> Blueprint:
    """A map over ten thousand items, written out in the plan."""
    return compiled(
        {"name": "m", "tool": "idem", "map": {"over": list(range(ITEMS)), "concurrency": 8}, "args": {"n": "${item}"}}
    )


def spread_out(each: Blueprint, done: int) -> Watched:
    """A map in the middle of its life: so many items are done and eight run."""
    cells = "d" * done + "i" * 8 + "." * (ITEMS - done - 8)
    return watched(
        each,
        "w." + cells.ljust(2 * ITEMS, "."),
        holds={0: Hold(kind=Reason.MAP, since_ms=NOW)},
        notes=Notes(maps=(Region(0, 2, ITEMS),)),
    )


@pytest.mark.parametrize("done", [1, ITEMS // 2, ITEMS - 20])
def test_an_item_of_ten_thousand_costs_the_same_anywhere(each: Blueprint, done: int) -> None:
    """Store its result, let the next one begin: nobody searches for it, and nobody makes the list again."""
    x = spread_out(each, done)
    decision = decide(x, answered({2 + done: DONE}))
    assert starts(decision) == [f"m.{done + 8}"]
    assert size(decision) <= 8
    assert looked(lambda: decide(x, answered({2 + done: DONE}))) < 80
    assert looked(lambda: follow(x, decision)) < 20


def test_ten_thousand_items_in_one_segment_cost_ten_thousand_times_an_item(each: Blueprint) -> None:
    """From the spreading to the list of their outputs."""
    total, started = run_out(watched(each, "o."), woke())
    assert len(started) == ITEMS
    assert total < 60 * ITEMS


@pytest.fixture(scope="module")
def sleepers() -> Blueprint:
    """Five thousand that sleep, and a chain of calls beside them."""
    naps = [{"name": f"n{n}", "sleep": {"ms": 3_600_000 + n}} for n in range(WIDE)]
    return compiled({"name": "a", "tool": "idem"}, {"name": "b", "tool": "idem", "needs": ["a"]}, *naps)


def test_thousands_that_wait_cost_the_steps_beside_them_nothing(sleepers: Blueprint) -> None:
    """Their alarms are asked for the next one, and not looked at one by one."""
    holds = {2 + n: Hold(kind=Reason.SLEEP, since_ms=NOW, until_ms=NOW + 3_600_000 + n) for n in range(WIDE)}
    x = watched(sleepers, "i." + "w" * WIDE, holds=holds)
    decision = decide(x, answered({0: DONE}))
    assert starts(decision) == ["b"]
    assert looked(lambda: decide(x, answered({0: DONE}))) < 60


def test_of_thousands_that_wait_only_those_whose_time_has_come_are_looked_at(sleepers: Blueprint) -> None:
    """Three of five thousand."""
    holds = {2 + n: Hold(kind=Reason.SLEEP, since_ms=0, until_ms=NOW + 10_000 * (n // 3)) for n in range(WIDE)}
    x = watched(sleepers, "dd" + "w" * WIDE, holds=holds)
    decision = decide(x, woke())
    assert sorted(decision.kept.cells) == [2, 3, 4]
    assert looked(lambda: decide(x, woke())) < 60


@pytest.mark.parametrize("done", [10, WIDE // 2 - 20])
def test_a_join_of_so_many_counts_on(done: int) -> None:
    """Its needs are counted once a segment; each that is done adds one."""
    many = [{"name": f"m{n}", "tool": "idem"} for n in range(WIDE)]
    join = {"name": "j", "tool": "idem", "needs": [one["name"] for one in many], "join": WIDE // 2}
    x = watched(compiled(*many, join), "d" * done + "i" * 8 + "r" * (WIDE - done - 8) + ".")
    follow(x, decide(x, answered({done: DONE})))
    assert looked(lambda: decide(x, answered({done + 1: DONE}))) < 60
    assert x.met == {WIDE: done + 1}
    loaded = watched(x.blueprint, x.cells.decode(), intents=x.intents)
    assert decide(loaded, answered({done + 1: DONE})) == decide(x, answered({done + 1: DONE}))
