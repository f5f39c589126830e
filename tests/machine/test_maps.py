"""A step that is called once for each item of a list."""

from typing import Any

import pytest

from shared.machine.decision import Leave
from shared.machine.events import Accepted, Done, NotSent, Outcome, Refused, Unanswered
from tests.machine.play import Play, call
from tests.machine.support import DONE

NO = Refused(code="no", message="no")
LOST = Unanswered(message="?")
ONCE = {"attempts": 1}


def spread(items: Any, tool: str = "idem", **more: Any) -> dict[str, Any]:
    """A map with one call at a time, unless it says otherwise."""
    each = {"over": items, "concurrency": more.pop("concurrency", 1)}
    if "min_successful" in more:
        each["min_successful"] = more.pop("min_successful")
    return call("m", tool, map=each, args={"n": "${item}", "at": "${index}"}) | more


@pytest.mark.parametrize("concurrency", [1, 3, 10, 100])
@pytest.mark.parametrize("parallel", [1, 2, 50])
def test_no_more_run_at_once_than_the_map_and_the_room_allow(concurrency: int, parallel: int) -> None:
    """Whichever is less; and every item is called once, in order."""
    play = Play(spread(list(range(25)), concurrency=concurrency))
    play.room["parallel"] = parallel
    play.wake()
    while play.running:
        assert len(play.running) <= min(concurrency, parallel)
        play.answer({play.running[-1]: Done(output=play.running[-1])})
    assert play.stands == "COMPLETED"
    assert sorted(start.intent.args["n"] for start in play.started) == list(range(25))
    assert play.output("m") == [f"m.{n}" for n in range(25)], "outputs in the order of the items, not of the answers"


def test_a_map_over_nothing_is_done_at_once() -> None:
    """With an empty list, and without cells of its own."""
    play = Play(spread([]), call("z", args={"all": "${m}"}))
    assert play.wake() == "EXECUTING"
    assert play.started[0].intent.args == {"all": []}
    assert len(play.cells) == 4


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (5, "bad_reference"),
        ("abc", "bad_reference"),
        ({"a": 1}, "bad_reference"),
        (None, "bad_reference"),
        ([0] * 10_001, "too_many_items"),
    ],
)
def test_what_is_no_list_or_too_long_fails_the_step(given: Any, code: str) -> None:
    """Before any item is called."""
    play = Play(call("a"), spread("${a.list}"))
    play.wake()
    play.answer({"a": Done(output={"list": given})})
    assert play.code("m") == code
    assert play.running == ["-a"]


@pytest.mark.parametrize(
    ("least", "failing", "end"),
    [(None, 0, "COMPLETED"), (None, 1, "COMPENSATED"), (3, 1, "COMPLETED"), (3, 2, "COMPENSATED"), (0, 4, "COMPLETED"),
     (9, 0, "COMPLETED"), (9, 1, "COMPENSATED")],
)  # fmt: skip
def test_so_many_items_must_be_done(least: int | None, failing: int, end: str) -> None:
    """All of them where nothing is said, or more is asked for than there are. Failed ones give null."""
    play = Play(call("a"), spread("${a.list}") | {"map": {"over": "${a.list}", "concurrency": 1, "min_successful": least}})
    play.wake()
    play.answer({"a": Done(output={"list": [1, 2, 3, 4]})})
    for number in range(4):
        if f"m.{number}" in play.running:
            play.answer({f"m.{number}": NO if number < failing else DONE})
    play.finish()
    assert play.stands == end
    if end == "COMPLETED":
        assert play.output("m") == [None] * failing + [DONE.output] * (4 - failing)


def test_when_too_many_have_failed_no_other_begins_and_what_runs_is_waited_for() -> None:
    """Then what was done is undone, the last one first."""
    play = Play(spread(list(range(10)), concurrency=3))
    play.wake()
    play.answer({"m.0": DONE})
    play.answer({"m.1": DONE})
    assert play.running == ["m.2", "m.3", "m.4"]
    play.answer({"m.2": NO})
    assert play.running == ["m.3", "m.4"], "nothing new"
    play.answer({"m.4": DONE})
    play.answer({"m.3": NO})
    undone = []
    while play.running:
        undone += play.running
        play.answer({play.running[0]: DONE})
    assert undone == ["-m.4", "-m.1", "-m.0"]
    assert play.stands == "COMPENSATED"


def test_a_map_that_may_fail_lets_the_plan_go_on_when_all_that_was_called_has_ended() -> None:
    """Not earlier: what comes instead must not begin while items may still happen."""
    play = Play(spread(list(range(6)), concurrency=3, may_fail=True, retry={"attempts": 2}), call("z", when="failed(m)"))
    play.wake()
    play.answer({"m.0": Refused(code="busy", message="later", retryable=True)})
    assert play.cell("m.0") == "BACKOFF"
    play.answer({"m.1": NO})
    assert play.cell("m.0") == "SKIPPED", "it did not happen, and is not tried again"
    assert play.running == ["m.2"]
    assert play.cell("m") == "WAITING"
    play.answer({"m.2": DONE})
    assert play.code("m") == "items_failed"
    assert play.running == ["z"]
    assert play.answer({"z": DONE}) == "COMPLETED"


def test_a_map_that_may_fail_waits_for_the_items_in_doubt() -> None:
    """They are called with the same key until it is known."""
    play = Play(spread([0, 1], concurrency=2, may_fail=True))
    play.wake()
    play.answer({"m.0": LOST})
    play.answer({"m.1": NO})
    assert (play.cell("m"), play.cell("m.0")) == ("WAITING", "BACKOFF")
    play.tick(1_000)
    assert play.running == ["m.0"]
    assert play.answer({"m.0": DONE}) == "COMPLETED"
    assert play.cell("m") == "FAILED"


def test_an_item_that_nobody_can_say_anything_of_holds_up_no_other() -> None:
    """A person speaks in the end; only then is the map done."""
    play = Play(spread([0, 1, 2], "unsafe"))
    play.wake()
    play.answer({"m.0": LOST})
    assert play.running == ["m.1"]
    play.answer({"m.1": DONE})
    assert play.answer({"m.2": DONE}) == "SUSPENDED unknown effect"
    play.tell("settle", step="m.0", happened=True, output={"by": "hand"})
    assert play.wake() == "COMPLETED"
    assert play.output("m") == [{"by": "hand"}, DONE.output, DONE.output]


@pytest.mark.parametrize(("least", "stands"), [(1, "SUSPENDED unknown effect"), (2, "COMPENSATING")])
def test_an_item_given_up_in_doubt_stops_the_plan_only_if_the_map_needs_it(least: int, stands: str) -> None:
    """Else a person says whether it happened; the others go on."""
    play = Play(spread([0, 1], min_successful=least, retry=ONCE, concurrency=2))
    play.wake()
    play.answer({"m.0": LOST})
    assert play.answer({"m.1": DONE}) == stands
    if least == 1:
        play.wake(60_000)
        assert play.tell("settle", step="m.0", happened=False).wake() == "COMPLETED"
        assert play.output("m") == [None, DONE.output]
    else:
        assert play.running == ["-m.0"], "what may exist counts as later than all"


@pytest.mark.parametrize("ended", [Accepted(), NotSent(message="away"), LOST])
def test_items_wait_and_are_tried_again_like_any_call(ended: Outcome) -> None:
    """And hold their place meanwhile."""
    play = Play(spread([0, 1]))
    play.wake()
    play.answer({"m.0": ended})
    assert "m.1" not in play.running
    if isinstance(ended, Accepted):
        play.tell("callback", step="m.0", data=DONE.output).wake()
    else:
        play.tick(1_000)
        play.answer({"m.0": DONE})
    assert play.running == ["m.1"]
    assert play.answer({"m.1": DONE}) == "COMPLETED"


def test_a_map_goes_on_in_the_next_segment_where_it_was() -> None:
    """And asks for the results of its items only when they are put together."""
    play = Play(call("a"), spread("${a.list}"))
    play.per_message = 1
    play.wake()
    play.answer({"a": Done(output={"list": [5, 6, 7]})})
    assert isinstance(play.next, Leave)
    assert play.next.need == (0,), "the list"
    for number in range(3):
        play.wake()
        assert play.running == [f"m.{number}"]
        play.answer({f"m.{number}": Done(output=number)})
    assert play.stands == "COMPLETED"
    assert play.output("m") == [0, 1, 2]


def test_a_crash_while_items_run_calls_them_again_under_their_keys() -> None:
    """The keys name step and item."""
    play = Play(spread([0, 1, 2], concurrency=2))
    play.wake()
    play.wake()
    assert [start.intent.key for start in play.started] == [f"exe_00_t.m.{n}.1" for n in (0, 1, 0, 1)]


def test_the_undo_of_an_item_by_another_tool_knows_the_item_and_what_it_gave() -> None:
    """`${m}` is that item's output, in an undo that is the item's."""
    undo = {"tool": "idem", "args": {"id": "${m.id}", "item": "${item}", "at": "${index}"}}
    play = Play(spread([5, 6], undo=undo), call("z", needs=["m"]))
    play.wake()
    play.answer({"m.0": Done(output={"id": "x0"})})
    play.answer({"m.1": Done(output={"id": "x1"})})
    play.answer({"z": NO})
    play.wake()
    play.answer({"-m.1": DONE})
    assert play.answer({"-m.0": DONE}) == "COMPENSATED"
    sent = {start.intent.key: start.intent.args for start in play.started if start.intent.key.endswith(".undo")}
    assert sent == {
        "exe_00_t.m.1.1.undo": {"id": "x1", "item": 6, "at": 1},
        "exe_00_t.m.0.1.undo": {"id": "x0", "item": 5, "at": 0},
    }


def test_two_maps_run_beside_each_other() -> None:
    """Each within its own bound, each with its own cells."""
    other = call("k", map={"over": [1, 2, 3], "concurrency": 2})
    play = Play(spread([1, 2]), other)
    play.wake()
    assert play.running == ["m.0", "k.0", "k.1"]
    while play.running:
        play.answer({play.running[0]: Done(output=play.running[0])})
    assert play.output("k") == ["k.0", "k.1", "k.2"]
    assert play.output("m") == ["m.0", "m.1"]


def test_a_cancel_in_the_middle_undoes_the_items_that_are_done() -> None:
    """And no other."""
    play = Play(spread([0, 1, 2, 3]))
    play.wake()
    play.answer({"m.0": DONE})
    play.tell("cancel").answer({"m.1": DONE})
    assert play.running == ["-m.1"]
    play.answer({"-m.1": DONE})
    assert play.answer({"-m.0": DONE}) == "COMPENSATED"
    assert [play.cell(f"m.{n}") for n in range(4)] == ["DONE", "DONE", "IDLE", "IDLE"]


def test_undos_that_cannot_be_made_fail_in_portions() -> None:
    """However many there are: a decision has an end."""
    undo = {"tool": "idem", "args": {"id": "${m.nothing}"}}
    play = Play(spread([0] * 250, undo=undo, concurrency=100), call("z", needs=["m"]))
    play.wake()
    while play.running != ["z"]:
        play.answer({play.running[0]: DONE})
    play.answer({"z": NO})
    for _ in range(3):
        if isinstance(play.next, Leave):
            play.wake()
    assert play.stands == "COMPENSATION_FAILED"
    assert {play.cell(f"-m.{n}") for n in range(250)} == {"FAILED"}


def test_an_item_that_comes_back_from_a_persons_word_waits_for_its_place() -> None:
    """It had left it to another while nobody knew of it."""
    play = Play(spread([0, 1, 2], "unsafe"))
    play.wake()
    play.answer({"m.0": LOST})
    play.answer({"m.1": LOST})
    assert play.running == ["m.2"]
    play.answer({"m.2": DONE})
    play.wake(60_000)
    for name in ("m.0", "m.1"):
        play.tell("settle", step=name, happened=False, actor="ann")
    play.wake()
    assert play.running == ["m.0"]
    play.answer({"m.0": DONE})
    assert play.running == ["m.1"]
    assert play.answer({"m.1": DONE}) == "COMPLETED"
