"""Records as JSON for people. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared import tracing
from shared.api import executions, operating
from shared.errors import BadRequest
from shared.planner import Profile, Question, Source
from shared.redisdb.reader import StepView, View
from shared.tools.registry import Registry


def moment(text: str | int | None) -> str | None:
    """Unix ms as ISO 8601 in UTC; None for nothing."""
    ms = int(text or 0)
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds") if ms else None


def row(header: Mapping[str, str]) -> executions.Row:
    """One execution in a list."""
    return executions.Row(**_row(header))


def _row(header: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": header["id"],
        "status": header["status"],
        "reason": header.get("reason") or None,
        "cause": header.get("cause") or None,
        "text": header.get("text") or None,
        "user_id": header.get("user"),
        "created_at": moment(header.get("created_ms")),
        "updated_at": moment(header.get("updated_ms")),
        "ended_at": moment(header.get("ended_ms")),
    }


def execution(view: View) -> executions.Execution:
    """One execution with its steps."""
    fields, notes = view.fields, view.notes
    return executions.Execution(
        **_row(fields),
        phase=fields["phase"],
        segment=int(fields["segment"]),
        version=int(fields["ver"]),
        trace_id=tracing.trace_id(fields.get("trace", "")) or None,
        last_message_id=fields.get("message"),
        wakes_at=moment(fields.get("wake_ms")) if fields["status"] == "SUSPENDED" else None,
        deadline=moment(fields.get("deadline_ms")),
        plan=_plan(view),
        output=view.output,
        questions=_questions(view),
        undo=msgspec.convert(view.undo, executions.Undone) if view.undo else None,
        paused_by=notes.paused or None,
        parent=notes.parent.execution if notes.parent else None,
        input=notes.input,
        origin=view.origin,
        steps=steps(view.steps, view.id),
        total_steps=view.total_steps,
        done_steps=view.done_steps,
        next_steps=view.next_step,
    )


def _plan(view: View) -> executions.PlanIdentity:
    """Which version of its plan runs; and of one that waits for a yes, what a person must know before."""
    fields, replan = view.fields, view.notes.replan
    return executions.PlanIdentity(
        hash=fields["plan"],
        summary=fields.get("summary") or None,
        sources=_sources.decode(fields["sources"]) if fields.get("sources") else (),
        version=replan.made + 1 if replan else 1,
        differences=replan.asks if replan and view.notes.unconfirmed else (),
    )


def _questions(view: View) -> tuple[Question, ...] | None:
    """What a model asked in place of a plan."""
    asked = view.output.get("questions") if view.fields["status"] == "REJECTED" and isinstance(view.output, dict) else None
    return None if asked is None else msgspec.convert(asked, tuple[Question, ...])


def _step(step: StepView, execution: str) -> executions.Step:
    large = step.large_output
    path = f"/api/executions/{execution}/steps/{quote(step.name, safe='')}" if large or step.items else ""
    return executions.Step(
        name=step.name,
        tool=step.tool,
        status=step.status,
        needs=step.needs,
        input=step.input,
        output=step.output,
        attempts=step.attempts,
        key=step.key,
        error=msgspec.convert(step.error, executions.StepFault) if step.error else None,
        undo=msgspec.convert(step.undo, executions.StepUndo) if step.undo else None,
        hold=executions.Hold(**held(step.hold)) if step.hold else None,
        items={**step.items, "path": f"{path}/items"} if step.items else None,
        child=executions.Child(id=step.child, path=f"/api/executions/{step.child}") if step.child else None,
        large_output=executions.LargeOutput(bytes=large.bytes, sha256=large.sha256, path=f"{path}/output") if large else None,
        started_at=moment(step.started_ms),
        ended_at=moment(step.ended_ms),
        retry_at=moment(step.retry_at_ms),
        replaced=step.replaced,
    )


def held(hold: Mapping[str, Any]) -> dict[str, Any]:
    """What a step waits for, or was granted: the fields of `executions.Hold`, of an `executions.Approval` too."""
    shown = {_HOLD.get(name, name): value for name, value in hold.items() if not name.endswith("_ms")}
    moments = {"since": "since_ms", "until": "until_ms", "remind_at": "remind_ms"}
    return shown | {name: moment(hold.get(of)) for name, of in moments.items()}


_HOLD: Final = {"argsHash": "args_hash"}
_sources = msgspec.json.Decoder(tuple[Source, ...])


def steps(found: Iterable[StepView], execution: str) -> tuple[executions.Step, ...]:
    """Steps, or items of one, for a reader."""
    return tuple(_step(one, execution) for one in found)


def tools(registry: Registry) -> tuple[operating.Tool, ...]:
    """Every tool for a reader."""
    found = {name: registry.get(name) for name in sorted(registry.contracts())}
    return tuple(
        operating.Tool(
            name=name,
            summary=tool.summary,
            contract=tool.contract,
            args=msgspec.json.schema(tool.args),
            versions=tuple(registry.versions(name)),
        )
        for name, tool in found.items()
        if tool is not None
    )


def check_profile(profile: Profile) -> None:
    """BadRequest for a time zone that does not exist."""
    try:
        ZoneInfo(profile.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(f"$.timezone: {profile.timezone[:60]!r} is no time zone; write one like Europe/Berlin") from error
