"""Executions as lines and grids for people. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared.cli.grids import Column, Grid, Part, listed
from shared.cli.lists import dated
from shared.cli.moments import between
from shared.numbers import counted

OUTCOMES: Final = {
    "COMPLETED": 0,
    "FAILED": 10,
    "CANCELLED": 11,
    "TIMED_OUT": 12,
    "COMPENSATED": 13,
    "COMPENSATION_FAILED": 14,
    "REJECTED": 15,
}
"""Exit codes with --wait."""
STILL_RUNNING: Final = 20
MARKS: Final = {
    "DONE": "done",
    "FAILED": "FAILED",
    "SKIPPED": "skipped",
    "WAITING": "waits",
    "INTENDED": "called",
    "BACKOFF": "back-off",
    "SETTLING": "settling",
    "UNKNOWN": "UNKNOWN",
    "IDLE": "-",
}


def outcome(status: str) -> int:
    """The exit code of an execution that was waited for."""
    return OUTCOMES.get(status, STILL_RUNNING)


def status_of(found: dict[str, Any]) -> str:
    """`SUSPENDED (approval)`."""
    return f"{found['status']} ({found['reason']})" if found.get("reason") else str(found["status"])


def rows(found: list[dict[str, Any]]) -> Iterator[Part]:
    """Executions in a list."""
    yield from listed(
        found,
        (Column("ID", "id"), "id"),
        (Column("STATUS", "state"), "status"),
        (Column("WAITS FOR", drop=1), "reason"),
        (Column("CREATED", "moment"), "createdAt"),
        (Column("ENDED", "moment", drop=3), "endedAt"),
        (Column("USER", "text", drop=2), "userId"),
        (Column("WHAT", "text"), lambda one: one["text"] or "(a plan)"),
    )


def plan(found: dict[str, Any]) -> Iterator[Part]:
    """A plan with its price."""
    price = found["price"]
    yield f"{found['summary']}  [{found['hash']}]"
    columns = (Column("STEP"), Column("DOES"), Column("AFTER", drop=1), Column("UNDO", drop=2), Column("WITH", "note"))
    yield Grid(columns, [_planned(step) for step in found["steps"]], indent=2)
    yield f"  messages: {price['messages']} if nothing goes wrong; {price['reservedMessages']} are reserved"
    yield f"  time: about {price['durationMs'] / 1000:.1f} s" + (
        f", and what these take: {', '.join(one['step'] for one in price['awaits'])}" if price["awaits"] else ""
    )
    if price["worstCost"] != 0:
        worst = "nobody can say how much at worst" if price["worstCost"] is None else f"{price['worstCost']} at worst"
        yield f"  cost: {price['cost']} if nothing goes wrong; {worst}"
    yield from (f"  {one['message']}" for one in found["policies"])
    if found["cannotBeUndone"]:
        yield f"  cannot be undone: {', '.join(found['cannotBeUndone'])}"
    yield from (f"  not known: {what}" for what in price["guessed"])


def _planned(step: dict[str, Any]) -> tuple[str, ...]:
    args = " ".join(f"{name}={compact(value)}" for name, value in step["args"].items())
    return step["name"], step.get("tool") or step["does"], ", ".join(step["needs"]), step.get("undo") or "", args


def execution(found: dict[str, Any]) -> Iterator[Part]:
    """One execution with its steps."""
    yield f"{found['id']}  {status_of(found)}  version {found['version']}"
    if found.get("text"):
        yield f"  {found['text']}"
    yield from dated(("created", found["createdAt"]), ("ended", found["endedAt"]), ("wakes", found["wakesAt"]))
    if found.get("cause"):
        yield f"  stopped: {found['cause']}"
    if found.get("pausedBy"):
        yield f"  paused by {found['pausedBy']}"
    if origin := found.get("origin"):
        yield f"  {origin['kind']} of {origin['from']} by {origin['by']}"
    yield steps(found["steps"])
    if found["nextSteps"] is not None:
        yield f"  ... {counted(found['totalSteps'] - found['nextSteps'], 'more step')}: intention export {found['id']}"
    if undo := found.get("undo"):
        told = [f"{kind}: {', '.join(undo[kind])}" for kind in ("done", "failed", "left", "unknown", "open") if undo[kind]]
        yield f"  undo  {'; '.join(told)}"
    if found.get("output") is not None:
        yield f"  output  {compact(found['output'])}"


def steps(found: list[dict[str, Any]]) -> Grid:
    """Steps, each with what is to be said of it."""
    columns = (
        Column("STATUS", "state"), Column("STEP"), Column("TOOL", drop=2), Column("TOOK", "number", drop=3),
        Column("TRIES", "number", drop=1), Column("NOTE", "note", drop=0),
    )  # fmt: skip
    return Grid(columns, [_step(step) for step in found], indent=2)


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    mark = MARKS.get(step["status"], step["status"].lower())
    took = between(step["startedAt"], step["endedAt"])
    tries = str(step["attempts"]) if step.get("attempts") else ""
    return mark, step["name"], step["tool"], took, tries, "; ".join(_beside(step))


def _beside(step: dict[str, Any]) -> Iterator[str]:
    hold, error, undo = step.get("hold"), step.get("error"), step.get("undo")
    if hold and step["status"] == "WAITING":
        yield f"for {hold['kind']}" + (f" until {hold['until']}" if hold.get("until") else "")
    if error:
        yield f"{error['code']}: {error['message']}"
    if items := step.get("items"):
        yield f"{items.get('DONE', 0)} of {items['total']} items"
    if undo:
        yield f"undo {undo['status'].lower()}" + (f" by {undo['by']}" if undo.get("by") else "")


def compact(value: Any) -> str:
    """JSON on one line."""
    return msgspec.json.encode(value).decode()


def why(found: dict[str, Any]) -> Iterator[Part]:
    """What an execution waits for."""
    yield f"{found['id']}  {status_of(found)}"
    yield f"  {found['why']}"
    for one in found["waits"][3:]:
        yield f"  also: {one['text']} [{one['owner']}]"
    if found["dueAt"]:
        yield f"  the watchdog looks at it by {found['dueAt']}"
    if found["lastMessageId"]:
        yield f"  last message: {found['lastMessageId']}"


def approvals(found: list[dict[str, Any]]) -> Iterator[Part]:
    """Open approvals."""
    yield from listed(
        found,
        (Column("ID", "id"), "executionId"),
        (Column("STEP"), "step"),
        (Column("UNTIL", "moment", drop=1), "until"),
        (Column("ASKS", "text", drop=2), "message"),
        (Column("WITH", "note"), lambda one: compact(one["args"])),
    )


def acted(found: dict[str, Any]) -> str:
    """What an action came to; with the status where that says why it came to nothing."""
    if "will" not in found and "result" in found and "status" in found:
        return f"{found['id']}: {found['result']} ({found['status']})"
    return f"{found['id']}: {found.get('will') or found.get('result') or 'accepted'}"


def bulk(found: dict[str, Any]) -> Iterator[Part]:
    """What one action upon many came to."""
    columns = (Column("RESULT", "state"), Column("ID", "id"), Column("", "note"))
    told = [(one["result"], one["id"], one.get("will") or one.get("message") or "") for one in found["results"]]
    if told:
        yield Grid(columns, told)
    verb = "would be done" if found["dryRun"] else "done"
    yield f"{found['done']} {verb}, {found['refused']} refused" + (
        f"; more with --before {found['next']}" if found["next"] else ""
    )


def plan_to_sign(found: dict[str, Any]) -> Iterator[str]:
    """The plan that waits for a yes; of a next version also what it does differently."""
    for step in found["steps"]:
        rests = " (replaced)" if step.get("replaced") else " (done)" if step["status"] == "DONE" else ""
        yield f"  {step['name']}: {step.get('tool') or 'waits'}{rests}"
    for one in found["plan"].get("differences", []):
        yield f"  differs in {one['step'] or 'the plan'}: {one['field']} was {one['before']}, is {one['after']}"


def logs(found: dict[str, Any]) -> Iterator[str]:
    """What a step has logged."""
    for line in found["lines"]:
        at = datetime.fromtimestamp(line["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
        facts = "".join(f"  {name}={msgspec.json.encode(value).decode()}" for name, value in line["fields"].items())
        lane = "undo, " if line.get("undo") else ""
        yield f"{at}  {lane}attempt {line['attempt']}  {line['level']:<7} {line['message']}{facts}"
    if found["truncated"]:
        yield "there was more than is kept"
    elif not found["lines"]:
        yield "nothing was logged"
