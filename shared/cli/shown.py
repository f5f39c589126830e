"""Executions as lines for a terminal. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import json

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
_MARKS: Final = {
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


def row(found: dict[str, Any]) -> str:
    """One execution in a list."""
    return f"{found['id']}  {(found['createdAt'] or '')[:19]:<19}  {status_of(found):<28}  {found.get('text') or ''}"[:160]


def plan(found: dict[str, Any]) -> Iterator[str]:
    """A plan with its price."""
    price = found["price"]
    yield f"{found['summary']}  [{found['hash']}]"
    for step in found["steps"]:
        what = step.get("tool") or step["does"]
        undo = f"; undo: {step['undo']}" if "undo" in step else ""
        after = f" after {', '.join(step['needs'])}" if step["needs"] else ""
        yield f"  {step['name']}: {what}{after}{undo}"
        yield from (f"      {name} = {value}"[:160] for name, value in step["args"].items())
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


def execution(found: dict[str, Any]) -> Iterator[str]:
    """One execution with its steps."""
    yield f"{found['id']}  {status_of(found)}  version {found['version']}"
    if found.get("text"):
        yield f"  {found['text']}"
    if found.get("cause"):
        yield f"  stopped: {found['cause']}"
    if found.get("pausedBy"):
        yield f"  paused by {found['pausedBy']}"
    if origin := found.get("origin"):
        yield f"  {origin['kind']} of {origin['from']} by {origin['by']}"
    for step in found["steps"]:
        yield from _step(step)
    if found["nextSteps"] is not None:
        yield f"  ... {found['totalSteps'] - found['nextSteps']} more steps"
    if undo := found.get("undo"):
        told = [f"{kind}: {', '.join(undo[kind])}" for kind in ("done", "failed", "left", "unknown", "open") if undo[kind]]
        yield f"  undo  {'; '.join(told)}"
    if found.get("output") is not None:
        yield f"  output  {found['output']}"


def _step(step: dict[str, Any]) -> Iterator[str]:
    mark = _MARKS.get(step["status"], step["status"].lower())
    yield f"  {mark:<9} {step['name']:<20} {step['tool']}".rstrip() + _beside(step)


def _beside(step: dict[str, Any]) -> str:
    hold, error, undo = step.get("hold"), step.get("error"), step.get("undo")
    told = ""
    if hold and step["status"] == "WAITING":
        told += f"  for {hold['kind']}" + (f" until {hold['until']}" if hold.get("until") else "")
    if error:
        told += f"  {error['code']}: {error['message'][:80]}"
    if undo:
        told += f"  undo {undo['status'].lower()}" + (f" by {undo['by']}" if undo.get("by") else "")
    return told


def why(found: dict[str, Any]) -> Iterator[str]:
    """What an execution waits for."""
    yield f"{found['id']}  {status_of(found)}"
    yield f"  {found['why']}"
    for one in found["waits"][3:]:
        yield f"  also: {one['text']} [{one['owner']}]"
    if found["dueAt"]:
        yield f"  the watchdog looks at it by {found['dueAt']}"
    if found["lastMessageId"]:
        yield f"  last message: {found['lastMessageId']}"


def logs(found: dict[str, Any]) -> Iterator[str]:
    """What a step has logged."""
    for line in found["lines"]:
        at = datetime.fromtimestamp(line["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
        facts = "".join(f"  {name}={json.encode(value).decode()}" for name, value in line["fields"].items())
        lane = "undo, " if line.get("undo") else ""
        yield f"{at}  {lane}attempt {line['attempt']}  {line['level']:<7} {line['message']}{facts}"
    if found["truncated"]:
        yield "there was more than is kept"
    elif not found["lines"]:
        yield "nothing was logged"


def approval(found: dict[str, Any]) -> str:
    """One open approval."""
    until = f"  until {found['until']}" if found.get("until") else ""
    message = f"  {found['message']}" if found.get("message") else ""
    return f"{found['executionId']}  {found['step']}{message}  {found['args']}{until}"


def acted(found: dict[str, Any]) -> str:
    """What an action came to."""
    return f"{found['id']}: {found.get('will') or found.get('result') or 'accepted'}"


def bulk(found: dict[str, Any]) -> Iterator[str]:
    """What one action upon many came to."""
    for one in found["results"]:
        yield f"{one['result']:<8} {one['id']}  {one.get('will') or one.get('message')}"
    verb = "would be done" if found["dryRun"] else "done"
    yield f"{found['done']} {verb}, {found['refused']} refused" + (
        "; more with --before " + found["next"] if found["next"] else ""
    )


def tools(found: list[dict[str, Any]]) -> Iterator[str]:
    """What steps can call: a line each, with the first line of what it says of itself."""
    if not found:
        yield "none"
        return
    width = max(len(tool["name"]) for tool in found)
    for tool in found:
        contract, versions = tool["contract"], tool["versions"]
        version = f"{versions[0]} (+{len(versions) - 1})" if versions[1:] else versions[0]
        undo = "" if contract["undo"] == "none" else ", undo"
        first = tool["summary"].partition("\n")[0]
        yield f"{tool['name']:<{width}}  {version:<8}  {contract['effect'] + undo:<16}  {first}"[:160]
