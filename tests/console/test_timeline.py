"""What a history says of each step's time: the console's own module, in the browser, on histories as the engine writes them."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.console.browsing import Tab

T0 = 1_795_391_160_000
READ = """async (told) => {
  const at = new URL("console/execution/timeline.js", document.baseURI).href;
  const { timeline, tookOf } = await import(at);
  const found = timeline(told);
  const texts = (marks) => marks.map(({ text }) => text);
  const since = (at) => (at === null ? null : at - told.t0);
  const segment = ({ kind, from, to, failed }) => [kind + (failed ? "!" : ""), since(from), since(to)];
  const short = ({ name, status, child, items, marks, attempts, segments, ...row }) => ({
    name, status, child, items, marks: texts(marks), took: tookOf({ segments, ...row }, 0), segments: segments.map(segment),
    attempts: attempts.map(({ number, outcome, code }) => [number, outcome, code]),
  });
  const item = short(found.item("all", 1));
  return { end: found.end, forward: found.forward.map(short), undo: found.undo.map(short), item, marks: texts(found.marks) };
}"""
TICKS = """async ([from, to, most]) => {
  const { ticks } = await import(new URL("console/execution/timeline.js", document.baseURI).href);
  return ticks(0, from, to, most);
}"""


def step(name: str, status: str = "DONE", **more: Any) -> dict[str, Any]:
    """A step as the API shows it."""
    return {"name": name, "tool": "do_work", "status": status, **more}


def line(ms: int, event: str, about: str = "", attempt: int = 0, **detail: Any) -> dict[str, Any]:
    """A line of the history, so many ms after the beginning."""
    return {"id": f"{T0 + ms}-0", "event": event, "step": about, "attempt": attempt, "detail": detail}


async def read(tab: Tab, steps: list[dict[str, Any]], *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The timeline, times as ms since the beginning; open segments have None."""
    execution = {"id": "exe_00_x", "createdAt": T0, "endedAt": None} | more.pop("execution", {})
    await tab.go("/open")
    await expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
    told = {"execution": execution, "steps": steps, "history": [line(0, "execution.created"), *lines], "t0": T0, **more}
    found: dict[str, Any] = await tab.page.evaluate(READ, told)
    return found


async def test_a_step_stands_in_line_from_when_its_needs_were_done(tab: Tab) -> None:
    """And runs for as long as its call took, however late that was stored."""
    found = await read(
        tab,
        [step("a"), step("b", needs=["a"])],
        line(50, "step.intended", "a", 1, key="k"),
        line(150, "step.done", "a", 1, took_ms=80),
        line(190, "step.intended", "b", 1),
        line(200, "step.done", "b", 1, took_ms=10),
        line(200, "execution.ended", status="COMPLETED"),
    )
    assert found["forward"][0]["segments"] == [["queue", 0, 50], ["run", 50, 130]]
    assert found["forward"][1]["segments"] == [["queue", 150, 190], ["run", 190, 200]]
    assert found["forward"][0]["took"] == 80
    assert found["end"] == T0 + 200


async def test_a_join_is_in_line_from_the_need_that_was_enough(tab: Tab) -> None:
    """Any of two: the first."""
    found = await read(
        tab,
        [step("a"), step("b"), step("c", needs=["a", "b"])],
        line(0, "step.intended", "a", 1),
        line(0, "step.intended", "b", 1),
        line(10, "step.done", "a", 1, took_ms=10),
        line(30, "step.intended", "c", 1),
        plan={"steps": [{"name": "c", "join": 1}]},
    )
    assert found["forward"][2]["segments"] == [["queue", 10, 30], ["run", 30, None]]


async def test_a_back_off_ends_when_it_said_and_then_it_stands_in_line(tab: Tab) -> None:
    """Each attempt is listed with what it came to."""
    found = await read(
        tab,
        [step("a")],
        line(0, "step.intended", "a", 1),
        line(10, "step.retried", "a", 1, code="busy", message="come back", wait_ms=500),
        line(700, "step.intended", "a", 2),
        line(720, "step.done", "a", 2, took_ms=20),
    )
    (row,) = found["forward"]
    assert row["segments"] == [["run!", 0, 10], ["backoff", 10, 510], ["queue", 510, 700], ["run", 700, 720]]
    assert row["attempts"] == [[1, "failed", "busy"], [2, "done", ""]]
    assert row["took"] == 720


WAITS = {
    "a sleep": [line(5, "step.sleeping", "a", until_ms=T0 + 90)],
    "an event": [line(5, "step.waiting", "a", events=["answered"], until_ms=0)],
    "a slot": [line(5, "step.queued", "a")],
    "a child": [line(5, "step.child_asked", "a", child="exe_01_y")],
    "an approval": [line(5, "step.approval_asked", "a")],
    "a late request": [line(0, "step.intended", "a", 1), line(5, "step.settling", "a", 1, until_ms=T0 + 90)],
    "a call back": [line(0, "step.intended", "a", 1), line(5, "step.accepted", "a", 1, until_ms=T0 + 90)],
    "a person's word": [line(0, "step.intended", "a", 1), line(5, "step.unknown", "a", 1, message="?")],
}


@pytest.mark.parametrize("what", sorted(WAITS))
async def test_what_waits_goes_on_waiting(tab: Tab, what: str) -> None:
    """For whatever it is; the segment is open."""
    found = await read(tab, [step("a", "WAITING")], *WAITS[what])
    assert found["forward"][0]["segments"][-1] == ["wait", 5, None]


async def test_an_approval_ends_a_wait_and_is_marked(tab: Tab) -> None:
    """By whom, and then it stands in line."""
    found = await read(
        tab,
        [step("a")],
        line(5, "step.approval_asked", "a"),
        line(900, "step.approved", "a", by="acme/ann"),
        line(920, "step.intended", "a", 1),
        line(930, "step.done", "a", 1, took_ms=9),
    )
    (row,) = found["forward"]
    assert row["segments"] == [["queue", 0, 5], ["wait", 5, 900], ["queue", 900, 920], ["run", 920, 929]]
    assert row["marks"] == ["approved by acme/ann"]


async def test_the_undo_lane_is_in_the_order_of_undoing(tab: Tab) -> None:
    """The last that was done comes first; what cannot be taken back is there without time."""
    found = await read(
        tab,
        [
            step("a", undo={"status": "DONE"}),
            step("b", undo={"status": "DONE"}),
            step("c", undo={"status": "LEFT"}),
            step("d", "SKIPPED", needs=["a"]),
        ],
        line(0, "step.intended", "a", 1),
        line(10, "step.done", "a", 1, took_ms=10),
        line(10, "step.waiting", "d", events=["e"]),
        line(40, "execution.stopped", cause="cancelled"),
        line(40, "undo.left", "c", was="DONE"),
        line(40, "execution.compensating", steps=3),
        line(50, "undo.intended", "b", 1, key="k.undo"),
        line(60, "undo.done", "b", 1, took_ms=10),
        line(65, "undo.intended", "a", 1),
        line(70, "undo.failed", "a", 1, code="gone", message="it is gone"),
        line(70, "execution.ended", status="COMPENSATION_FAILED"),
    )
    assert [row["name"] for row in found["undo"]] == ["c", "b", "a"]
    assert found["undo"][0]["segments"] == []
    assert found["undo"][1]["segments"] == [["queue", 40, 50], ["run", 50, 60]]
    assert found["undo"][2]["segments"] == [["queue", 60, 65], ["run!", 65, 70]]
    assert found["forward"][3]["segments"] == [["wait", 10, 40]]
    assert found["marks"] == ["stopped: cancelled", "ended: COMPENSATION_FAILED"]


async def test_a_map_runs_from_its_spreading_and_its_items_stand_in_line_for_it(tab: Tab) -> None:
    """Items are rows of their own, read only when they are asked for."""
    found = await read(
        tab,
        [step("all", items={"total": 2})],
        line(5, "step.spread", "all", items=2),
        line(5, "step.intended", "all.0", 1),
        line(50, "step.done", "all.0", 1, took_ms=45),
        line(55, "step.intended", "all.1", 1),
        line(90, "step.done", "all.1", 1, took_ms=35),
        line(90, "step.done", "all", 1, items=2),
    )
    (row,) = found["forward"]
    assert (row["segments"], row["items"]) == ([["queue", 0, 5], ["run", 5, 90]], 2)
    assert found["item"]["segments"] == [["queue", 5, 55], ["run", 55, 90]]


async def test_what_is_reopened_stands_in_line_again(tab: Tab) -> None:
    """The time between its end and a person's word is nobody's."""
    found = await read(
        tab,
        [step("a", "READY")],
        line(0, "step.intended", "a", 1),
        line(10, "step.failed", "a", 1, code="no", message="no"),
        line(10, "execution.ended", status="FAILED"),
        line(5_000, "execution.reopened", by="ann", action="retry"),
        line(5_000, "step.put_back", "a"),
    )
    assert found["end"] is None
    assert found["forward"][0]["segments"] == [["run!", 0, 10], ["queue", 5_000, None]]


async def test_a_call_of_a_dead_process_is_a_failed_attempt(tab: Tab) -> None:
    """And the next one follows."""
    found = await read(
        tab,
        [step("a")],
        line(0, "step.intended", "a", 1),
        line(4_000, "step.orphaned", "a", 1),
        line(4_010, "step.intended", "a", 2),
        line(4_020, "step.done", "a", 2, took_ms=10),
    )
    (row,) = found["forward"]
    assert row["segments"] == [["run!", 0, 4_000], ["queue", 4_000, 4_010], ["run", 4_010, 4_020]]
    assert [outcome for _, outcome, _ in row["attempts"]] == ["lost", "done"]


async def test_lines_that_are_newer_than_the_steps_win(tab: Tab) -> None:
    """Steps are read a moment after the line that says that something happened: what has ended does not run again."""
    found = await read(
        tab,
        [
            step("a", "INTENDED", startedAt=T0),
            step("b", "IDLE", needs=["a"]),
            step("c", "WAITING", hold={"kind": "event", "since": T0}),
        ],
        line(0, "step.intended", "a", 1),
        line(0, "step.waiting", "c", events=["e"]),
        line(50, "step.done", "a", 1, took_ms=50),
        line(50, "step.intended", "b", 1),
        line(50, "step.done", "c", 1),
        execution={"updatedAt": T0},
    )
    assert [row["status"] for row in found["forward"]] == ["DONE", "INTENDED", "DONE"]
    assert [row["segments"] for row in found["forward"]] == [[["run", 0, 50]], [["run", 50, None]], [["wait", 0, 50]]]


async def test_steps_say_what_no_line_has_told(tab: Tab) -> None:
    """It waits again since it was reopened; it is next."""
    found = await read(
        tab,
        [step("a", "WAITING", hold={"kind": "event", "since": T0 + 500}), step("b", "READY")],
        line(10, "step.waiting", "a", events=["e"]),
        line(20, "execution.stopped", cause="failed"),
        line(20, "execution.ended", status="FAILED"),
        line(500, "execution.reopened", by="ann", action="retry"),
    )
    assert found["forward"][0]["segments"] == [["queue", 0, 10], ["wait", 10, 20], ["wait", 500, None]]
    assert found["forward"][1]["segments"] == [["queue", 0, None]]


async def test_an_unknown_line_is_passed_over(tab: Tab) -> None:
    """A newer engine's file is still shown."""
    found = await read(tab, [step("a")], line(3, "step.dreamt", "a"), line(4, "moon.rose"))
    assert found["forward"][0]["segments"] == []


async def test_ticks_are_round_and_few(tab: Tab) -> None:
    """From milliseconds to weeks."""
    await tab.go("/open")
    await expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
    assert await tab.page.evaluate(TICKS, [0, 1_000, 5]) == [0, 200, 400, 600, 800, 1_000]
    assert await tab.page.evaluate(TICKS, [1_234, 1_290, 4]) == [1_240, 1_260, 1_280]
    for length in (7, 700, 70_000, 7_000_000, 700_000_000, 70_000_000_000):
        assert 2 <= len(await tab.page.evaluate(TICKS, [0, length, 8])) <= 9
