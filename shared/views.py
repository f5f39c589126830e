"""Records as JSON for people. Pure."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared import tracing
from shared.errors import BadRequest
from shared.planner import Profile
from shared.redisdb.reader import StepView, View
from shared.tools.registry import Registry


def moment(text: str | int | None) -> str | None:
    """Unix ms as ISO 8601 in UTC; None for nothing."""
    ms = int(text or 0)
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds") if ms else None


def row(header: dict[str, str]) -> dict[str, Any]:
    """One execution in a list."""
    return {
        "id": header["id"],
        "status": header["status"],
        "reason": header.get("reason") or None,
        "cause": header.get("cause") or None,
        "text": header.get("text") or None,
        "userId": header.get("user"),
        "createdAt": moment(header.get("created_ms")),
        "updatedAt": moment(header.get("updated_ms")),
        "endedAt": moment(header.get("ended_ms")),
    }


def execution(view: View) -> dict[str, Any]:
    """One execution with its steps."""
    fields = view.fields
    sources = msgspec.json.decode(fields["sources"]) if fields.get("sources") else []
    return row(fields) | {
        "phase": fields["phase"],
        "segment": int(fields["segment"]),
        "version": int(fields["ver"]),
        "traceId": tracing.trace_id(fields.get("trace", "")) or None,
        "lastMessageId": fields.get("message"),
        "wakesAt": moment(fields.get("wake_ms")) if fields["status"] == "SUSPENDED" else None,
        "deadline": moment(fields.get("deadline_ms")),
        "plan": {"hash": fields["plan"], "summary": fields.get("summary") or None, "sources": sources, **_version(view)},
        "output": view.output,
        "questions": view.output.get("questions") if fields["status"] == "REJECTED" and isinstance(view.output, dict) else None,
        "undo": view.undo,
        "pausedBy": view.notes.paused or None,
        "parent": view.notes.parent.execution if view.notes.parent else None,
        "input": view.notes.input,
        "origin": view.origin,
        "steps": steps(list(view.steps), view.id),
        "totalSteps": view.total_steps,
        "doneSteps": view.done_steps,
        "nextSteps": view.next_step,
    }


def _version(view: View) -> dict[str, Any]:
    """Which version of its plan runs; and of one that waits for a yes, what a person must know before."""
    replan = view.notes.replan
    asks = replan.asks if replan and view.notes.unconfirmed else ()
    return {"version": replan.made + 1 if replan else 1, "differences": [msgspec.to_builtins(one) for one in asks]}


def _step(step: dict[str, Any], execution: str) -> dict[str, Any]:
    path = f"/api/executions/{execution}/steps/{quote(step['name'], safe='')}"
    if large := step.pop("large_output", None):
        step["largeOutput"] = large | {"path": f"{path}/output"}
    if step.get("items"):
        step["items"] |= {"path": f"{path}/items"}
    if hold := step.get("hold"):
        step["hold"] = held(hold)
    if child := step.get("child"):
        step["child"] = {"id": child, "path": f"/api/executions/{child}"}
    return timed(step, ("started_ms", "startedAt"), ("ended_ms", "endedAt"), ("retry_at_ms", "retryAt"))


def timed(shown: dict[str, Any], *names: tuple[str, str]) -> dict[str, Any]:
    """The same with moments instead of unix ms; a moment that is not there is null."""
    for name, new in names:
        shown[new] = moment(shown.pop(name, None))
    return shown


def held(hold: dict[str, Any]) -> dict[str, Any]:
    """What a step waits for, or was granted."""
    return timed(dict(hold), ("since_ms", "since"), ("until_ms", "until"), ("remind_ms", "remindAt"))


def steps(found: list[StepView], execution: str) -> list[dict[str, Any]]:
    """Steps, or items of one, for a reader."""
    return [_step(msgspec.to_builtins(one), execution) for one in found]


def tools(registry: Registry) -> list[dict[str, Any]]:
    """Every tool for a reader."""
    found = []
    for name in sorted(registry.contracts()):
        tool = registry.get(name)
        if tool is not None:
            schema = msgspec.json.schema(tool.args)
            contract = msgspec.to_builtins(tool.contract)
            shown = {"name": name, "summary": tool.summary, "contract": contract, "args": schema}
            found.append(shown | {"versions": registry.versions(name)})
    return found


def check_profile(profile: Profile) -> None:
    """BadRequest for a time zone that does not exist."""
    try:
        ZoneInfo(profile.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(f"$.timezone: {profile.timezone[:60]!r} is no time zone; write one like Europe/Berlin") from error
