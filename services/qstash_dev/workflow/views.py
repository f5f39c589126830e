"""A run as the SDK's logs show it: steps in groups, what comes next, its failure function. Pure."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import msgspec

from services.qstash_dev.headers import grouped
from services.qstash_dev.model import CallType
from services.qstash_dev.workflow.model import Entry, Run, RunState

NEXT = {"CREATED": "STEP_PROGRESS", "ACTIVE": "STEP_PROGRESS", "RETRY": "STEP_RETRY"}


def run(one: Run, progress: Mapping[str, tuple[str, int]], dead: str) -> dict[str, Any]:
    """The log of a run. `progress` says how its messages stand, `dead` which dead letter its failure left, if it is there."""
    first = one.record.first
    shown: dict[str, Any] = {
        "workflowRunId": one.record.run_id,
        "workflowUrl": one.record.url,
        "workflowState": one.state,
        "workflowRunCreatedAt": one.created_at_ms,
        "steps": [*_groups(one.steps), *_next(one, progress)],
    }
    if not one.going:
        shown["workflowRunCompletedAt"] = int(one.fields["done"])
    invoker = one.record.invoker
    if invoker:
        facts = {"workflowRunId": invoker.run_id, "workflowUrl": invoker.url, "workflowRunCreatedAt": invoker.created_at_ms}
        shown["invoker"] = facts
    labels = {"label": first.labels[0], "labels": first.labels} if first.labels else {}
    optional = {"workflowRunResponse": one.text("response"), "dlqId": dead, "failureFunction": failure_function(one)}
    return {**shown, **labels, **{name: value for name, value in optional.items() if value}}


def failure_function(one: Run) -> dict[str, Any]:
    """The failure function's fate; empty where there is none."""
    message_id = one.text("failure")
    if not message_id:
        return {}
    failed = one.facts("failed")
    facts = {name: failed[name] for name in ("url", "failStatus", "failHeaders", "failResponse")}
    return {"messageId": message_id, **facts, "dlqId": one.text("dlq"), **callback_info(one)}


def callback_info(one: Run) -> dict[str, Any]:
    """`failureCallbackInfo` of a dead letter; empty where there is no failure callback."""
    if not one.text("failure"):
        return {}
    return one.facts("callback") or {"state": "CALLBACK_INPROGRESS"}


def _groups(steps: list[Entry]) -> list[dict[str, Any]]:
    """Results in the order they came; those of one parallel stretch in one group. Plans are no results."""
    shown = [_step(one, number) for number, one in enumerate(steps) if one.call is CallType.STEP]
    results = [one for number, one in enumerate(shown) if number == 0 or one["stepId"] > 0]
    groups: list[dict[str, Any]] = []
    for parallel, members in groupby(results, key=lambda one: one["concurrent"] > 1):
        found = list(members)
        if parallel:
            groups.append({"type": "parallel", "steps": found})
        else:
            groups += [{"type": "sequential", "steps": [one]} for one in found]
    return groups


def _step(one: Entry, number: int) -> dict[str, Any]:
    known: dict[str, Any] = {"state": "STEP_SUCCESS", "messageId": one.message_id, "createdAt": one.at_ms}
    known |= {"callType": one.call, "retries": 0, "headers": grouped([])}
    if number == 0:
        init = {"stepId": 0, "stepName": "init", "stepType": "Initial", "concurrent": 1}
        return {**init, "out": one.body.decode(errors="replace"), **known}
    try:
        said = msgspec.json.decode(one.body)
    except msgspec.DecodeError:
        said = {}
    step = {"stepId": 0, "stepName": "", "stepType": "Run", "concurrent": 1}
    return {**step, **(said if isinstance(said, dict) else {}), **known}


def _next(one: Run, progress: Mapping[str, tuple[str, int]]) -> list[dict[str, Any]]:
    """What is on its way, or what the run failed with."""
    if one.state is RunState.FAILED:
        failed = one.facts("failed")
        error = {"status": failed.get("failStatus", 0), "body": failed.get("failResponse", ""), "time": int(one.fields["done"])}
        error |= {"headers": failed.get("failHeaders", {}), "error": ""}
        step = {"messageId": failed.get("messageId", ""), "state": "STEP_FAILED", "retries": 0, "errors": [error]}
        return [{"type": "next", "steps": [step]}]
    steps = [
        {"messageId": message_id, "state": NEXT[state], "retries": retries}
        for message_id, (state, retries) in progress.items()
        if state in NEXT and one.going
    ]
    return [{"type": "next", "steps": steps}] if steps else []


def awaited(one: Run) -> list[str]:
    """The messages of a run that may still be on their way: those of its steps, and those that wait for an event."""
    waits = [name.removeprefix("w:") for name in one.fields if name.startswith("w:")]
    return [entry.message_id for entry in one.steps] + waits
