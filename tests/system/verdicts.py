"""What must be true of an execution when all is over: record, history and town say the same, and nothing happened twice.

Pure: what ingress and the town answered comes in, complaints come out; no complaint is the verdict that all is well.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

Line = Mapping[str, Any]
Row = Mapping[str, Any]

DONE_AND_STAYS: Final = frozenset({"COMPLETED"})
TAKEN_BACK: Final = frozenset({"COMPENSATED", "CANCELLED", "TIMED_OUT", "FAILED", "REJECTED"})
TERMINAL: Final = DONE_AND_STAYS | TAKEN_BACK | {"COMPENSATION_FAILED"}
AFTERWARDS: Final = frozenset({"message.dead", "signal.received", "signal.late", "call.late"})
"""What may still be told of an execution that is over."""
TIMED: Final = frozenset({"sleep", "back-off", "settling", "circuit"})
"""Waits that only time ends."""
RESCUES: Final = frozenset({"overdue", "resumed"})
"""Causes of segments that no message of the execution's own started: the watchdog found it, or a hint came."""
WITHOUT_EFFECT: Final = frozenset({"find_table"})


class Story(NamedTuple):
    """One execution: as ingress shows it, its whole history, and the rows that the town has under its keys."""

    found: Mapping[str, Any]
    lines: Sequence[Line]
    rows: Sequence[Row]


class Recovery(NamedTuple):
    """How long an execution stood still until something other than its message moved it on."""

    execution: str
    cause: str
    ms: int


def complaints(story: Story, ends: frozenset[str]) -> Iterator[str]:
    """What is wrong; `ends`: the statuses in which it may be."""
    status = story.found["status"]
    if status not in ends:
        yield f"it is {status}, not {' or '.join(sorted(ends))}"
    yield from _of_the_town(story)
    yield from of_the_history(story.lines)
    if status in TERMINAL:
        yield from _of_its_end(story)


def of_the_history(lines: Sequence[Line]) -> Iterator[str]:
    """Every step and every undo is done once, what has an effect after its intent, and each holder came after the last one."""
    for event in ("step.done", "undo.done"):
        for step, times in Counter(line["step"] for line in lines if line["event"] == event).items():
            if times > 1:
                yield f"{event} of {step} is told {times} times"
    fences = [line["detail"]["fence"] for line in lines if line["event"] == "segment.started"]
    if fences != sorted(set(fences)):
        yield f"the fences do not rise: {fences}"
    intended: set[str] = set()
    for line in lines:
        if line["event"] == "step.intended":
            intended.add(line["step"])
        elif line["event"] == "step.done" and "took_ms" in line.get("detail", {}) and line["step"] not in intended:
            yield f"{line['step']} was done without an intent"


def _of_the_town(story: Story) -> Iterator[str]:
    """Nothing twice, nothing that no intent names, nothing left out, nothing left standing."""
    keys = keys_of(story.lines)
    status, done = story.found["status"], done_steps(story.lines)
    applied = {row["key"]: row for row in story.rows if row["times_applied"]}
    for key, row in applied.items():
        if row["times_applied"] > 1:
            yield f"{key} was applied {row['times_applied']} times"
        if key not in keys:
            yield f"{key} stands in the town, and no intent of it in the history"
        if status in TAKEN_BACK and row["standing"]:
            yield f"{key} was not taken back, and it is {status}"
        if status in DONE_AND_STAYS and row["standing"] and keys.get(key) not in done:
            yield f"{key} stands in the town, and the history does not say that it is done"
    pure = {step["name"] for step in story.found["steps"] if step["tool"] in WITHOUT_EFFECT}
    latest = {step: key for key, step in keys.items()}
    for step in done - pure:
        if step in latest and latest[step] not in applied:
            yield f"{step} is done, and the town has never seen {latest[step]}"
        elif step in latest and status in DONE_AND_STAYS and not applied[latest[step]]["standing"]:
            yield f"{step} is done, and its effect was taken back"


def _of_its_end(story: Story) -> Iterator[str]:
    ends = [place for place, line in enumerate(story.lines) if line["event"] == "execution.ended"]
    if not ends:
        yield "it is over, and its history does not say so"
        return
    if story.lines[ends[-1]]["detail"]["status"] != story.found["status"]:
        yield "its history ends in another status"
    reopened = [place for place, line in enumerate(story.lines) if line["event"] == "execution.reopened"]
    behind: set[str] = set()
    for end in ends:
        until = next((place for place in reopened if place > end), len(story.lines))
        behind |= {line["event"] for line in story.lines[end + 1 : until]} - AFTERWARDS
    if behind:
        yield f"after its end it went on: {', '.join(sorted(behind))}"


def keys_of(lines: Sequence[Line]) -> dict[str, str]:
    """Effect key -> step, of every intent."""
    return {line["detail"]["key"]: line["step"] for line in lines if line["event"] == "step.intended"}


def done_steps(lines: Sequence[Line]) -> set[str]:
    """What the history calls done."""
    return {line["step"] for line in lines if line["event"] == "step.done"}


def children_of(lines: Sequence[Line]) -> set[str]:
    """The executions that it started."""
    return {line["detail"]["child"] for line in lines if line["event"] == "step.child_asked"}


def recoveries(execution: str, lines: Sequence[Line]) -> Iterator[Recovery]:
    """The delays: from its last sign of life, or the end of a wait for a time, to the segment that took it up again.

    Taken up again: a segment that a hint or the watchdog started, or one that is started for another time.
    """
    last_ms, started = 0, set[int]()
    for line in lines:
        at_ms = int(line["id"].partition("-")[0])
        if line["event"] == "segment.started":
            cause, segment = line["detail"]["cause"], line["detail"]["segment"]
            if cause in RESCUES or segment in started:
                yield Recovery(execution, cause if cause in RESCUES else "delivered again", max(0, at_ms - last_ms))
            started.add(segment)
        last_ms = at_ms
        if line["event"] == "execution.suspended":
            last_ms = max(at_ms, _timed(line))


def _timed(line: Line) -> int:
    """When a wait for a time is over; 0 for a wait for somebody."""
    detail = line["detail"]
    return int(detail.get("wake_at_ms") or 0) if detail.get("reason") in TIMED else 0
