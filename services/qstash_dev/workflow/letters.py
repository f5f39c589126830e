"""Dead letters of workflow runs: shown with their run, resumed, restarted, their failure function called again.

Resumed and restarted runs are new ones. A resumed one has the steps so far and goes on with the message that failed.
"""

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from services.qstash_dev import ids, publish, views
from services.qstash_dev.deps import Deps
from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import Message, Publish
from services.qstash_dev.outcome import callback_body
from services.qstash_dev.scheduler import Offer
from services.qstash_dev.store import Claimed, DeadLetter
from services.qstash_dev.users import User
from services.qstash_dev.workflow import refs
from services.qstash_dev.workflow.model import Entry, Run, entry
from services.qstash_dev.workflow.runs import store_of
from services.qstash_dev.workflow.views import callback_info
from shared.errors import NotFound


def new_run_id() -> str:
    """An id as the SDK makes them."""
    return "wfr_" + "".join(random.choices(ids.BASE58, k=21))


async def shown(parts: Deps, caller: User, letters: Sequence[DeadLetter], states: frozenset[str]) -> list[dict[str, Any]]:
    """Dead letters with what only their runs know; with `states`, those whose failure function stands so."""
    named = [one.message.run.run_id for one in letters if one.message.run]
    runs = {run.record.run_id: run for run in await store_of(parts).runs(caller.keys, named, steps=False)}
    found = []
    for one in letters:
        run = runs.get(one.message.run.run_id) if one.message.run else None
        facts = _facts(run, one.dlq_id)
        if not states or facts.get("failureCallbackInfo", {}).get("state") in states:
            found.append(views.dead_letter(one) | facts)
    return found


def _facts(run: Run | None, dlq_id: str) -> dict[str, Any]:
    if run is None or run.text("dlq") != dlq_id:
        return {}
    info = callback_info(run)
    return {"workflowCreatedAt": run.created_at_ms, **({"failureCallbackInfo": info} if info else {})}


async def again(parts: Deps, caller: User, letter: DeadLetter, overrides: Pairs, *, resume: bool) -> dict[str, Any]:
    """A new run: with the steps so far, or from its beginning. The dead letter is gone then."""
    run, run_id, now_ms = await _run(parts, caller, letter), new_run_id(), parts.now_ms()
    first = _rebuilt(parts, run.record.first, run_id, overrides, b"")
    if resume:
        wanted = _rebuilt(parts, letter.message, run_id, overrides, letter.body)
        steps = _renamed(run.steps, letter.message.message_id, wanted.message.message_id)
    else:
        wanted = msgspec.structs.replace(first, body=run.steps[0].body)
        steps = [entry(wanted.message.message_id, now_ms, run.steps[0].call, wanted.body)]
    wanted = msgspec.structs.replace(wanted, message=refs.told_apart(wanted.message, now_ms, run.record.url))
    record = msgspec.structs.replace(run.record, run_id=run_id, first=first.message, invoker=None)
    started = await store_of(parts).start(caller.keys, record, steps, wanted, now_ms, dlq_id=letter.dlq_id)
    if started is None:
        raise missing(letter.dlq_id)
    parts.scheduler.offer(Offer(caller, wanted))
    return {"workflowRunId": run_id, "workflowCreatedAt": str(started.created_at_ms)}


def _renamed(steps: list[Entry], old: str, new: str) -> list[Entry]:
    return [entry(new, one.at_ms, one.call, one.body) if one.message_id == old else one for one in steps]


def _rebuilt(parts: Deps, message: Message, run_id: str, overrides: Pairs, body: bytes) -> Publish:
    """The message for another run: the old run's id goes out of its own facts and those of its callbacks."""
    assert message.run  # noqa: S101 - callers have looked
    old, replaced = message.run.run_id, {name.lower() for name, _ in overrides}
    given = [
        (name, run_id if value == old else value) for name, value in publish.headers_of(message) if name.lower() not in replaced
    ]
    given += [("Upstash-Workflow-RunId", run_id), ("Upstash-Workflow-Url", message.run.url)]
    given += [("Upstash-Workflow-CallType", message.run.call if message.run.call != "wait" else "step"), *overrides]
    return publish.parse(message.url, given, body, publish.Caller(parts.new_id(), parts.now_ms(), message.caller_ip))


async def call_back(parts: Deps, caller: User, letter: DeadLetter) -> dict[str, Any]:
    """Calls the failure function of a failed run once more."""
    run, message = await _run(parts, caller, letter), letter.message
    if not message.failure_callback:
        raise NotFound(f"dlq message {letter.dlq_id} has no failure callback")
    told = refs.told_apart(message, run.created_at_ms, run.record.url)
    body = callback_body(Claimed(told, run.steps[0].body, message.max_retries), letter.answer) | {"dlqId": letter.dlq_id}
    wanted = publish.parse(
        message.failure_callback,
        [("Content-Type", "application/json"), *message.failure_callback_header],
        msgspec.json.encode(body),
        publish.Caller(parts.new_id(), parts.now_ms(), message.caller_ip, message.max_retries),
    )
    if not await store_of(parts).callback(caller.keys, run.record.run_id, wanted, parts.now_ms()):
        raise missing(letter.dlq_id)
    parts.scheduler.offer(Offer(caller, wanted))
    return {"workflowRunId": run.record.run_id, "workflowCreatedAt": str(run.created_at_ms)}


async def call_off(parts: Deps, caller: User, letter: DeadLetter) -> dict[str, Any]:
    """Cancels the failure function's call that is on its way."""
    run = await _run(parts, caller, letter)
    await store_of(parts).callback(caller.keys, run.record.run_id, None, parts.now_ms())
    return {"workflowRunId": run.record.run_id, "workflowCreatedAt": str(run.created_at_ms)}


async def _run(parts: Deps, caller: User, letter: DeadLetter) -> Run:
    run = await store_of(parts).run(caller.keys, letter.message.run.run_id) if letter.message.run else None
    if run is None:
        raise NotFound(f"dlq message {letter.dlq_id} belongs to no workflow run that is still known")
    return run


def missing(dlq_id: str) -> NotFound:
    """404 for a dead letter."""
    return NotFound(f"dlq message {dlq_id} not found")
