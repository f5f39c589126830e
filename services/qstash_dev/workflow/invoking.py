"""`context.invoke`: a run that another run started, and waits for. Its outcome becomes a step of the other one."""

import time
from typing import Any

import msgspec

from services.qstash_dev import ids, publish
from services.qstash_dev.headers import Pairs
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import CallType, Publish
from services.qstash_dev.workflow import refs
from services.qstash_dev.workflow.model import Invoker, Run, entry
from services.qstash_dev.workflow.store import Follow, RunStore
from shared.http import decode


class _Invocation(msgspec.Struct, frozen=True, rename="camel"):
    """What the SDK publishes to start an invoked run."""

    workflow_run_id: str
    workflow_url: str
    step: dict[str, Any]
    workflow_run_created_at: float = 0
    body: str | None = None
    headers: dict[str, list[str]] = {}


_invocation = msgspec.json.Decoder(_Invocation)


def invoked(wanted: Publish) -> tuple[Publish, Invoker]:
    """The first message of an invoked run with its own body, and who waits for it."""
    asked = decode(_invocation, wanted.body)
    invoker = Invoker(
        run_id=asked.workflow_run_id,
        url=asked.workflow_url,
        created_at_ms=int(asked.workflow_run_created_at),
        header=pairs(asked.headers),
        step=asked.step,
    )
    return msgspec.structs.replace(wanted, body=(asked.body or "").encode()), invoker


def pairs(grouped: dict[str, list[str]]) -> Pairs:
    """Publish headers from their JSON form."""
    return [(name, value) for name, values in grouped.items() for value in values]


async def follow(store: RunStore, keys: Keys, run: Run, outcome: dict[str, Any]) -> Follow | None:
    """The step that tells the invoking run; None when there is none that goes on."""
    invoker = run.record.invoker
    found = await store.run(keys, invoker.run_id, steps=False) if invoker else None
    if invoker is None or found is None or not found.going:
        return None
    now_ms = int(time.time() * 1_000)
    body = msgspec.json.encode({**invoker.step, "out": msgspec.json.encode(outcome).decode()})
    given = [*invoker.header, ("Upstash-Workflow-RunId", invoker.run_id)]
    made = publish.parse(invoker.url, given, body, publish.Caller(ids.message_id(), now_ms, run.record.first.caller_ip))
    message = refs.inherit(refs.told_apart(made.message, found.created_at_ms, found.record.url), found.record.first)
    step = entry(message.message_id, now_ms, CallType.STEP, body)
    return Follow(run_id=invoker.run_id, entry=step, publish=msgspec.structs.replace(made, message=message))
