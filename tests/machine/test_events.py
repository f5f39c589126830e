"""Steps that wait for events."""

from itertools import permutations
from typing import Any

import pytest

from shared.machine.decision import Suspend
from shared.machine.events import Done
from tests.machine.play import Play, call
from tests.machine.support import DONE

HOUR = 3_600_000


def waits(*events: str, name: str = "w", **more: Any) -> dict[str, Any]:
    """A step that waits: `"paid"`, or with a key `"paid/7"`."""
    named = [dict(zip(("name", "key"), event.split("/", 1), strict=False)) for event in events]
    wait = {"events": named} | {key: more.pop(key) for key in ("mode", "timeout_ms", "on_timeout") if key in more}
    return {"name": name, "wait": wait} | more


def test_an_event_without_a_time_out_is_waited_for_for_ever() -> None:
    """By a named owner: nothing wakes it but a look now and then."""
    play = Play(waits("e"))
    assert play.wake() == "SUSPENDED event"
    assert isinstance(play.next, Suspend)
    assert not play.next.timed
    assert play.wake(400 * 24 * HOUR) == "SUSPENDED event"
    assert play.tell("event", name="e", data={"n": 1}).wake() == "COMPLETED"
    assert play.output("w") == {"name": "e", "key": "", "data": {"n": 1}}


@pytest.mark.parametrize(
    "said", [{"name": "other"}, {"name": "e", "key": "k"}, {}, {"name": 5}, {"name": "(callback)", "key": "w"}]
)
def test_another_event_is_kept_and_ends_nothing(said: dict[str, Any]) -> None:
    """It may be for a step to come."""
    play = Play(waits("e"))
    play.wake()
    assert play.tell("event", **said).wake() == "SUSPENDED event"


@pytest.mark.parametrize("order", list(permutations("xyz")))
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_all_events_come_in_any_order_before_and_during_the_wait(order: tuple[str, ...], before: int) -> None:
    """Each counts once; the output has them all."""
    play = Play(call("a"), waits("x", "y", "z", mode="all", needs=["a"]))
    play.wake()
    for name in order[:before]:
        play.tell("event", name=name, data=name.upper())
    stands = play.answer({"a": DONE})
    for name in order[before:]:
        assert stands == "SUSPENDED event"
        stands = play.tell("event", name=name, data=name.upper()).wake()
    assert stands == "COMPLETED"
    assert play.output("w") == {"events": {"x": "X", "y": "Y", "z": "Z"}}
    assert not play.record.notes.early


def test_one_of_several_is_enough_where_any_is_asked_for() -> None:
    """What comes later is kept for others, and the wait asks once."""
    play = Play(waits("x", "y"), waits("y", name="v", needs=["w"]))
    play.wake()
    play.tell("event", name="x", data=1).tell("event", name="y", data=2)
    assert play.wake() == "COMPLETED"
    assert (play.output("w")["data"], play.output("v")["data"]) == (1, 2)


def test_the_same_event_twice_is_two_events() -> None:
    """Steps that wait for it take one each, the earlier one first."""
    play = Play(waits("e", name="v"), waits("e", name="w"))
    play.wake()
    play.tell("event", name="e", data=1).tell("event", name="e", data=2)
    assert play.wake() == "COMPLETED"
    assert [play.output(name)["data"] for name in "vw"] == [1, 2]


def test_early_events_of_one_name_are_taken_in_the_order_in_which_they_came() -> None:
    """One for each step."""
    play = Play(call("a"), waits("e", name="v", needs=["a"]), waits("e", name="w", needs=["v"]))
    play.wake()
    play.tell("event", name="e", data=1).tell("event", name="e", data=2)
    assert play.answer({"a": DONE}) == "COMPLETED"
    assert [play.output(name)["data"] for name in "vw"] == [1, 2]


@pytest.mark.parametrize(("policy", "stands"), [("fail", "FAILED"), ("continue", "COMPLETED")])
def test_when_nothing_comes_the_step_fails_or_goes_on(policy: str, stands: str) -> None:
    """With what came until then."""
    play = Play(waits("x", "y", mode="all", timeout_ms=HOUR, on_timeout=policy))
    play.wake()
    play.tell("event", name="x", data=1).wake()
    assert play.wake(HOUR) == stands
    if stands == "COMPLETED":
        assert play.output("w") == {"timed_out": True, "events": {"x": 1}}
    else:
        assert play.code("w") == "wait_timeout"


def test_an_event_that_is_loaded_together_with_the_end_of_the_wait_wins() -> None:
    """It was accepted: it is not thrown away for a clock."""
    play = Play(waits("e", timeout_ms=HOUR))
    play.wake()
    assert play.tell("event", name="e").wake(10 * HOUR) == "COMPLETED"
    assert play.output("w")["name"] == "e"


def test_each_key_is_asked_for_and_left_again() -> None:
    """Two keys of one name are two commands."""
    play = Play(waits("e/k1", "e/k2"))
    play.wake()
    assert len(set(play.commands("subscribe"))) == 2
    play.tell("event", name="e", key="k2").wake()
    assert play.stands == "COMPLETED"
    assert len(set(play.commands("unsubscribe"))) == 2


def test_of_all_keyed_events_none_is_asked_for_for_ever() -> None:
    """Those that came are left when they come."""
    play = Play(waits("e/k1", "f/k2", mode="all"))
    play.wake()
    play.tell("event", name="e", key="k1").wake()
    assert len(play.commands("unsubscribe")) == 1
    play.tell("event", name="f", key="k2").wake()
    assert len(play.commands("unsubscribe")) == 2


def test_what_came_early_is_not_asked_for() -> None:
    """A subscription and its end in one commit might arrive the other way round."""
    play = Play(call("a"), waits("e/k", needs=["a"]))
    play.wake()
    play.tell("event", name="e", key="k", data=1)
    assert play.answer({"a": DONE}) == "COMPLETED"
    assert not play.commands("subscribe")
    play = Play(call("a"), waits("e/k", "f/k", mode="all", needs=["a"]))
    play.wake()
    play.tell("event", name="e", key="k", data=1)
    assert play.answer({"a": DONE}) == "SUSPENDED event"
    assert len(play.commands("subscribe")) == 1


@pytest.mark.parametrize(("value", "key"), [("k", "k"), (7, "7"), (1.5, "1.5")])
def test_a_key_may_be_a_text_or_a_number_of_another_step(value: Any, key: str) -> None:
    """Written as everybody writes it."""
    play = Play(call("a"), waits("e/${a.key}"))
    play.wake()
    play.answer({"a": Done(output={"key": value})})
    assert play.hold("w").events == (("e", key),)


@pytest.mark.parametrize("value", ["", None, True, {"x": 1}, [1], "x" * 3_000, "a\nb"])
def test_a_key_that_is_none_fails_the_step(value: Any) -> None:
    """An empty one would wait for what is sent to this execution only."""
    play = Play(call("a"), waits("e/${a.key}"))
    play.wake()
    play.answer({"a": Done(output={"key": value})})
    assert play.code("w") in {"bad_reference", "bad_event_key"}
    assert play.running == ["-a"]


@pytest.mark.parametrize("end", ["cancel", "skip", "pause"])
def test_a_wait_that_is_given_up_takes_its_leave(end: str) -> None:
    """But not while it is only paused."""
    play = Play(waits("e/k"))
    play.wake()
    play.tell(end, step="w").wake()
    assert len(play.commands("unsubscribe")) == (0 if end == "pause" else 1)


def test_an_event_during_a_pause_is_taken_and_the_pause_goes_on() -> None:
    """Nothing new begins."""
    play = Play(waits("e"), call("a", needs=["w"]))
    play.wake()
    play.tell("pause", actor="ann").wake()
    assert play.tell("event", name="e").wake() == "PAUSED"
    assert play.cell("w") == "DONE"
    assert not play.running
    play.tell("resume").wake()
    assert play.running == ["a"]
