"""Who may start next, without a clock or a socket: limits that hold in every order of events, and no head of a line."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.qstash_dev.lanes import Entry, Lanes
from services.qstash_dev.model import Lane


def entry(name: str, origin: str = "o", key: str = "", limit: int = 0, created_ms: int = 0) -> Entry:
    """A due message."""
    return Entry("u", name, Lane(origin, key, limit, created_ms))


def names(taken: list[Entry]) -> list[str]:
    """Their ids."""
    return [one.message_id for one in taken]


def test_a_lane_keeps_its_order_and_lanes_take_turns() -> None:
    """A long lane does not push a short one to its end."""
    lanes = Lanes(in_flight=4)
    for n in range(5):
        lanes.add(entry(f"a{n}", "a"))
    lanes.add(entry("b0", "b"))
    assert names(lanes.take()) == ["a0", "b0", "a1", "a2"]


def test_a_full_origin_is_stepped_over() -> None:
    """And comes back when one of its deliveries is done."""
    lanes = Lanes(in_flight=10, per_origin=1)
    first = entry("a0", "a")
    for one in (first, entry("a1", "a"), entry("b0", "b")):
        lanes.add(one)
    assert names(lanes.take()) == ["a0", "b0"]
    assert lanes.take() == []
    lanes.done(first)
    assert names(lanes.take()) == ["a1"]


def test_what_is_given_back_is_first_again() -> None:
    """In its old order."""
    lanes = Lanes(in_flight=2)
    for n in range(3):
        lanes.add(entry(f"m{n}"))
    taken = lanes.take()
    for one in reversed(taken):
        lanes.done(one)
        lanes.add(one, front=True)
    assert names(lanes.take()) == ["m0", "m1"]


messages = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "k", "l"]), st.integers(1, 3), st.booleans()), max_size=60
)


@settings(max_examples=200, deadline=None)
@given(messages, st.randoms(use_true_random=False))
def test_no_order_of_events_breaks_a_limit_or_forgets_a_message(
    plan: list[tuple[str, str, int, bool]],
    chance: random.Random,
) -> None:
    """Adds, takes and completions interleaved at random; in the end everything went out once and nothing is kept."""
    lanes = Lanes(in_flight=5, per_origin=3)
    flying: list[Entry] = []
    gone: list[str] = []

    def step() -> None:
        for one in lanes.take():
            flying.append(one)
            gone.append(one.message_id)
        assert len(flying) <= 5
        assert all(count <= 3 for count in Counter(one.lane.origin for one in flying).values())
        assert lanes.in_flight("u") == len(flying)

    for n, (origin, key, limit, finish) in enumerate(plan):
        lanes.add(entry(str(n), origin, key, limit, n))
        step()
        if finish and flying:
            lanes.done(flying.pop(chance.randrange(len(flying))))
    step()
    while flying:
        lanes.done(flying.pop(chance.randrange(len(flying))))
        step()
    assert sorted(gone, key=int) == [str(n) for n in range(len(plan))]
    assert not lanes._rows
    assert not lanes._origins
