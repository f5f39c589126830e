"""The verdicts themselves: a tale where all is well has no complaint, and each way to break it has its own."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.system.load import KINDS, STOPPED, UNDONE, WELL, drawn
from tests.system.trouble import drawn as troubles
from tests.system.verdicts import Recovery, Story, complaints, recoveries

EXE = "exe_01_" + "a" * 32


def line(ms: int, event: str, step: str = "", **detail: Any) -> dict[str, Any]:
    """A line of a history."""
    return {"id": f"{ms}-0", "event": event, "step": step, "detail": detail}


def tale() -> dict[str, Any]:
    """A job that was done, a letter that was done, and the end; in parts that a test may spoil."""
    lines = [
        line(0, "execution.created"),
        line(10, "segment.started", cause="created", fence=1, segment=0),
        line(20, "step.intended", "a", key=f"{EXE}.a.1"),
        line(30, "step.done", "a", took_ms=10),
        line(40, "segment.started", cause="continued", fence=2, segment=1),
        line(50, "step.intended", "b", key=f"{EXE}.b.1"),
        line(60, "step.done", "b", took_ms=10),
        line(60, "execution.ended", status="COMPLETED"),
    ]
    rows = [{"key": f"{EXE}.{step}.1", "times_applied": 1, "standing": 1} for step in "ab"]
    steps = [{"name": step, "tool": "do_work"} for step in "ab"]
    return {"found": {"id": EXE, "status": "COMPLETED", "steps": steps}, "lines": lines, "rows": rows}


def told(parts: dict[str, Any], ends: frozenset[str] = WELL) -> list[str]:
    """The complaints about it."""
    return list(complaints(Story(**parts), ends))


def test_of_a_tale_where_all_is_well_nothing_is_complained() -> None:
    """The same in a tale that was taken back, and then both rows are undone."""
    assert told(tale()) == []
    back = tale()
    back["found"]["status"] = back["lines"][-1]["detail"]["status"] = "COMPENSATED"
    back["lines"][-1:-1] = [line(70, "undo.done", "b"), line(80, "undo.done", "a")]
    for row in back["rows"]:
        row["standing"] = 0
    assert told(back, UNDONE) == []


SPOILED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "was applied 2 times": lambda tale: tale["rows"][0].update(times_applied=2),
    "no intent of it": lambda tale: tale["rows"].append({"key": f"{EXE}.c.1", "times_applied": 1, "standing": 1}),
    "does not say that it is done": lambda tale: tale["lines"].pop(3),
    "the town has never seen": lambda tale: tale["rows"].pop(),
    "its effect was taken back": lambda tale: tale["rows"][0].update(standing=0),
    "is told 2 times": lambda tale: tale["lines"].insert(4, tale["lines"][3]),
    "the fences do not rise": lambda tale: tale["lines"][4]["detail"].update(fence=1),
    "done without an intent": lambda tale: tale["lines"].pop(2),
    "its history does not say so": lambda tale: tale["lines"].pop(),
    "ends in another status": lambda tale: tale["lines"][-1]["detail"].update(status="CANCELLED"),
    "after its end it went on": lambda tale: tale["lines"].append(line(90, "step.intended", "a", key=f"{EXE}.a.1")),
    "it is EXECUTING": lambda tale: tale["found"].update(status="EXECUTING"),
}


@pytest.mark.parametrize("complaint", SPOILED)
def test_each_way_to_break_it_is_complained_of(complaint: str) -> None:
    """By what is wrong."""
    spoiled = tale()
    SPOILED[complaint](spoiled)
    assert any(complaint in one for one in told(spoiled)), told(spoiled)


def test_what_still_stands_of_a_saga_that_was_taken_back_is_complained_of() -> None:
    """Its status says that nothing does."""
    back = tale()
    back["found"]["status"] = back["lines"][-1]["detail"]["status"] = "COMPENSATED"
    assert [one for one in told(back, UNDONE) if "was not taken back" in one]


def test_a_reopened_execution_may_go_on_behind_its_end() -> None:
    """A parent takes back a child that had completed."""
    again = tale()
    again["lines"] += [
        line(70, "execution.reopened"), line(80, "segment.started", cause="reopened", fence=3, segment=2),
        line(90, "execution.ended", status="CANCELLED"),
    ]  # fmt: skip
    again["found"]["status"] = "CANCELLED"
    again["rows"] = [row | {"standing": 0} for row in again["rows"]]
    assert told(again, STOPPED) == []


def test_a_delay_of_recovery_begins_with_the_last_sign_of_life_or_the_end_of_a_sleep() -> None:
    """And is no delay where the segment was started by its own message."""
    lines = [
        line(0, "execution.created"),
        line(2_100, "segment.started", cause="overdue", fence=1, segment=0),
        line(2_200, "execution.suspended", reason="sleep", wake_at_ms=5_000),
        line(5_050, "segment.started", cause="sleep", fence=2, segment=1),
        line(5_100, "execution.suspended", reason="sleep", wake_at_ms=9_000),
        line(9_700, "segment.started", cause="resumed", fence=3, segment=2),
        line(12_000, "segment.started", cause="sleep", fence=4, segment=2),
    ]
    assert list(recoveries(EXE, lines)) == [
        Recovery(EXE, "overdue", 2_100), Recovery(EXE, "resumed", 700), Recovery(EXE, "delivered again", 2_300)
    ]  # fmt: skip


def test_a_seed_draws_the_same_load_and_the_same_troubles_again() -> None:
    """And another seed others; every kind of trouble is among the first ones, and every kind of saga."""
    assert troubles(7, 60, every_s=1) == troubles(7, 60, every_s=1) != troubles(8, 60, every_s=1)
    assert {one.kind for one in troubles(7, 20, every_s=1)} == {"killed", "frozen", "line", "qstash", "ably", "town", "keys"}
    first = [drawn(7, number) for number in range(len(KINDS))]
    assert first == [drawn(7, number) for number in range(len(KINDS))]
    assert [saga.kind for saga in first] == list(KINDS)
