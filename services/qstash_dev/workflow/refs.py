"""What ties a message to a workflow run: read from publish headers, inherited from the run's first message. Pure.

The SDKs say less with every step than with the first message: retries, failure callback, flow control, labels and the user's
own headers are the run's, and this server adds them to what a step does not say itself.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import CallType, Message, RunRef
from shared.errors import BadRequest

RUN_ID = re.compile(r"[\x21-\x7e]{1,256}")
"""Printable and without spaces: it is part of key names and of list entries."""

VERSION_HEADER = "Upstash-Workflow-Sdk-Version"
DEFAULT_RETRIES = 3
"""An SDK leaves the header out when it would say this, so a step that says nothing takes the run's."""

_CALLS = {call.value.lower(): call for call in CallType if call is not CallType.WAIT}


def run_of(single: Mapping[str, str], url: str) -> RunRef | None:
    """The run that these options (names in lower case) name; None for a plain message."""
    run_id = single.get("upstash-workflow-runid")
    if run_id is None:
        if "upstash-workflow-init" in single:
            raise BadRequest("Upstash-Workflow-Init needs Upstash-Workflow-RunId")
        return None
    if not RUN_ID.fullmatch(run_id):
        raise BadRequest(f"invalid Upstash-Workflow-RunId {run_id!r}")
    call = single.get("upstash-workflow-calltype", CallType.STEP)
    if call.lower() not in _CALLS:
        raise BadRequest(f"invalid Upstash-Workflow-CallType {call!r}")
    return RunRef(
        run_id=run_id,
        url=single.get("upstash-workflow-url", url),
        call=_CALLS[call.lower()],
        init=single.get("upstash-workflow-init", "").lower() == "true",
        invoke=single.get("upstash-workflow-invoke", "").lower() == "true",
    )


def run_facts(message: Message) -> dict[str, Any]:
    """What a callback, a log entry or a dead letter says about the run of its message."""
    run = message.run
    if run is None:
        return {}
    created = {"workflowCreatedAt": run.created_at_ms} if run.created_at_ms else {}
    return {"workflowRunId": run.run_id, "workflowUrl": run.url, **created}


def told_apart(message: Message, created_at_ms: int, url: str) -> Message:
    """The message with what only the run knows."""
    assert message.run  # noqa: S101 - callers have looked
    run = msgspec.structs.replace(message.run, created_at_ms=created_at_ms, url=message.run.url or url)
    return msgspec.structs.replace(message, run=run)


def delivered(message: Message) -> Pairs:
    """The headers of a delivery to the workflow's endpoint; forwarded ones of these names are from an earlier hop."""
    assert message.run  # noqa: S101
    own = {
        "Upstash-Workflow-RunId": message.run.run_id,
        "Upstash-Workflow-Url": message.run.url,
        "Upstash-Workflow-Init": "false",
        "Upstash-Workflow-CreatedAt": str(message.run.created_at_ms),
    }
    taken = {name.lower() for name in own}
    return [*((name, value) for name, value in message.header if name.lower() not in taken), *own.items()]


def inherit(message: Message, first: Message) -> Message:
    """A step of the run with what only the run's first message said."""
    assert message.run  # noqa: S101
    if message.run.call is CallType.TO_CALLBACK:
        return _inherit_by_callback(message, first)
    said = {name.lower() for name, _ in message.header}
    missing = [(name, value) for name, value in first.header if name.lower() not in said]
    flow = message if message.flow_key else first
    return msgspec.structs.replace(
        message,
        header=[*message.header, *missing],
        max_retries=first.max_retries if message.max_retries == DEFAULT_RETRIES else message.max_retries,
        retry_delay=message.retry_delay or first.retry_delay,
        failure_callback=message.failure_callback or first.failure_callback,
        failure_callback_header=message.failure_callback_header or first.failure_callback_header,
        labels=message.labels or first.labels,
        **{name: getattr(flow, name) for name in FLOW_FIELDS},
    )


FLOW_FIELDS = tuple(name for name in Message.__struct_fields__ if name in {"flow_key", "parallelism", "rate", "period_s"})


def _inherit_by_callback(message: Message, first: Message) -> Message:
    """A call goes to somebody else: its callback is what comes back to the run, with the run's settings."""
    config = [("Upstash-Retries", str(first.max_retries))]
    config += [("Upstash-Retry-Delay", first.retry_delay)] if first.retry_delay else []
    own = {"Content-Type", VERSION_HEADER}  # a callback has its own body, and is no list of steps
    config += [(f"Upstash-Forward-{name}", value) for name, value in first.header if name not in own]
    if first.failure_callback:
        prefix = "Upstash-Failure-Callback-"
        config.append(("Upstash-Failure-Callback", first.failure_callback))
        config += [(prefix + name.removeprefix("Upstash-"), value) for name, value in first.failure_callback_header]
    said = {name.lower() for name, _ in message.callback_header}
    missing = [(name, value) for name, value in config if name.lower() not in said]
    return msgspec.structs.replace(
        message, callback_header=[*message.callback_header, *missing], labels=message.labels or first.labels
    )
