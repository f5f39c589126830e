"""A run's life as publishes and deletes make it: begun, grown by steps, ended."""

from typing import Any

import msgspec

from services.qstash_dev.deps import Deps
from services.qstash_dev.errors import RunOver
from services.qstash_dev.model import CallType, Publish
from services.qstash_dev.scheduler import Offer
from services.qstash_dev.users import User
from services.qstash_dev.workflow import refs
from services.qstash_dev.workflow.invoking import follow, invoked
from services.qstash_dev.workflow.model import Record, Run, RunState, entry
from services.qstash_dev.workflow.store import RunStore
from shared.errors import NotFound


def store_of(parts: Deps) -> RunStore:
    """The runs of this server."""
    return parts.scheduler.runs.store


async def accept(parts: Deps, caller: User, wanted: Publish) -> dict[str, Any]:
    """The answer to a publish with Upstash-Workflow headers: a new run, or one more step. RunOver for a run that is over."""
    assert wanted.message.run  # noqa: S101 - the caller has looked
    return await (begin if wanted.message.run.init else _grow)(parts, caller, wanted)


async def begin(parts: Deps, caller: User, wanted: Publish) -> dict[str, Any]:
    """Creates the run, or says that it is there."""
    ref, now_ms = wanted.message.run, parts.now_ms()
    assert ref  # noqa: S101
    invoker = None
    if ref.invoke:
        wanted, invoker = invoked(wanted)
    wanted = msgspec.structs.replace(wanted, message=refs.told_apart(wanted.message, now_ms, ref.url))
    record = Record(run_id=ref.run_id, url=ref.url, first=wanted.message, invoker=invoker)
    first = entry(wanted.message.message_id, now_ms, CallType.STEP, wanted.body)
    started = await store_of(parts).start(caller.keys, record, [first], wanted, now_ms)
    assert started  # noqa: S101 - None is for a dead letter that is gone, and none was named
    answer: dict[str, Any] = {"messageId": started.message_id, "url": wanted.message.url}
    answer |= {"workflowRunId": ref.run_id, "workflowCreatedAt": started.created_at_ms}
    if not started.created:
        return answer | {"deduplicated": True}
    parts.scheduler.offer(Offer(caller, wanted))
    return answer


async def _grow(parts: Deps, caller: User, wanted: Publish) -> dict[str, Any]:
    message, store = wanted.message, store_of(parts)
    assert message.run  # noqa: S101
    run_id = message.run.run_id
    async with parts.scheduler.runs.turn(caller.keys.prefix + run_id):
        wanted = of_run(wanted, going(await store.run(caller.keys, run_id, steps=False), run_id))
        step = entry(message.message_id, parts.now_ms(), message.run.call, wanted.body)
        stored = await store.append(caller.keys, run_id, step, wanted, parts.now_ms())
    if stored is None:
        raise over(run_id)
    answer: dict[str, Any] = {"messageId": stored, "url": message.url}
    if stored != message.message_id:
        return answer | {"deduplicated": True}
    parts.scheduler.offer(Offer(caller, wanted))
    return answer


def of_run(wanted: Publish, run: Run) -> Publish:
    """The message with everything that its run says."""
    message = refs.told_apart(wanted.message, run.created_at_ms, run.record.url)
    return msgspec.structs.replace(wanted, message=refs.inherit(message, run.record.first))


def over(run_id: str) -> RunOver:
    """What a publish to a run that is over hears: the SDK takes a 400 as "finished"."""
    return RunOver(f"workflow run {run_id} is not there any more: it has ended, failed, was cancelled, or never was")


def going(run: Run | None, run_id: str) -> Run:
    """The run, or RunOver."""
    if run is None or not run.going:
        raise over(run_id)
    return run


def settled(answers: list[dict[str, Any] | RunOver]) -> list[dict[str, Any]]:
    """A batch's answers. When each item was for a run that is over, the batch is refused: the SDK reads no item's error."""
    refused = [one for one in answers if isinstance(one, RunOver)]
    if refused and len(refused) == len(answers):
        raise refused[0]
    return [{"error": one.message} if isinstance(one, RunOver) else one for one in answers]


async def end(parts: Deps, caller: User, run_id: str, state: RunState, response: bytes) -> None:
    """Ends a run; the run that invoked it goes on. A second time changes nothing. NotFound for one that never was."""
    store = store_of(parts)
    run = await store.run(caller.keys, run_id, steps=False)
    if run is None:
        raise NotFound(f"workflow run {run_id} not found")
    if not run.going:
        return
    outcome: dict[str, Any] = {"body": response.decode(errors="replace")}
    if state is RunState.CANCELED:
        outcome["isCanceled"] = True
    told = await follow(store, caller.keys, run, outcome)
    await store.end(caller.keys, run_id, state, response, parts.now_ms(), told)
    if told:
        parts.scheduler.offer(Offer(caller, told.publish))
