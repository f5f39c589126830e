"""Waits and notifications. A waiting run has one message that is due at the deadline; a notification makes it due at once."""

import base64
from typing import Any

import msgspec

from services.qstash_dev import durations, publish
from services.qstash_dev.deps import Deps
from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import CallType, Publish
from services.qstash_dev.scheduler import Offer
from services.qstash_dev.users import User
from services.qstash_dev.workflow.invoking import pairs
from services.qstash_dev.workflow.model import Entry, Waiter, entry
from services.qstash_dev.workflow.runs import going, of_run, over, store_of
from shared.errors import BadRequest, Unavailable

LOOKS = 20
"""How often to look again when others notify and wait for the same event in the same moment."""


class WaitRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /v2/wait/{eventId}`."""

    url: str
    step: dict[str, Any]
    timeout: str | int = "7d"
    timeout_url: str = ""
    timeout_body: str | None = None
    timeout_headers: dict[str, list[str]] = {}


async def wait(parts: Deps, caller: User, event: str, asked: WaitRequest, said: Pairs, ip: str) -> dict[str, Any]:
    """Lets a run wait; goes on at once where the notification came before. RunOver for a run that is over."""
    store, now_ms = store_of(parts), parts.now_ms()
    given = pairs(asked.timeout_headers) or said
    made = publish.parse(asked.timeout_url or asked.url, given, b"", publish.Caller(parts.new_id(), now_ms, ip))
    if made.message.run is None:
        raise BadRequest("a wait needs the headers of its workflow run (Upstash-Workflow-RunId)")
    run_id, message_id = made.message.run.run_id, made.message.message_id
    for _ in range(LOOKS):
        run = going(await store.run(caller.keys, run_id, steps=False), run_id)
        data = run.fields.get(f"n:{event}")
        wanted = of_run(_waiting(made, event, asked, data, now_ms), run)
        due_s = wanted.message.not_before_ms // 1_000
        waiter = _waiter(run_id, message_id, due_s, asked)
        early = entry(message_id, now_ms, CallType.STEP, wanted.body) if data is not None else None
        stored = await store.wait(caller.keys, event, waiter, wanted, now_ms, early)
        if stored == "":
            raise over(run_id)
        if stored:
            parts.scheduler.offer(Offer(caller, wanted))
            return {"messageId": message_id, "workflowRunId": run_id, "workflowCreatedAt": run.created_at_ms}
    raise Unavailable(f"too many waits and notifications of {event} at once: try again")


def _waiting(made: Publish, event: str, asked: WaitRequest, data: bytes | None, now_ms: int) -> Publish:
    """The message that ends the wait: with what came before, or with a time-out."""
    assert made.message.run  # noqa: S101 - checked by the caller
    try:
        wait_ms = durations.parse_ms(str(asked.timeout)) if data is None else 0
    except ValueError as error:
        raise BadRequest(f"invalid timeout: {error}") from error
    if wait_ms > publish.MAX_DELAY_MS:
        raise BadRequest("quota maxDelay exceeded")
    run = msgspec.structs.replace(made.message.run, call=CallType.WAIT, event=event)
    message = msgspec.structs.replace(made.message, run=run, not_before_ms=now_ms + wait_ms)
    body = _step(asked.step, event, data, timed_out=data is None)
    return msgspec.structs.replace(made, message=message, body=body)


def _waiter(run_id: str, message_id: str, deadline_s: int, asked: WaitRequest) -> Waiter:
    return Waiter(
        run_id=run_id,
        message_id=message_id,
        deadline_s=deadline_s,
        header=asked.timeout_headers,
        step=asked.step,
        url=asked.url,
        timeout_url=asked.timeout_url,
        timeout_body=asked.timeout_body or "",
        timeout_header=asked.timeout_headers,
    )


def _step(step: dict[str, Any], event: str, data: bytes | None, *, timed_out: bool) -> bytes:
    out = {"out": base64.b64encode(data).decode()} if data else {}
    return msgspec.json.encode({**step, "waitEventId": event, "waitTimeout": timed_out, **out})


async def notify(parts: Deps, caller: User, event: str, data: bytes, run_id: str = "") -> list[dict[str, Any]]:
    """Wakes who waits for the event. For one run that does not wait yet, the data is kept until it does."""
    store = store_of(parts)
    for _ in range(LOOKS):
        found = [one for one in await store.waiters(caller.keys, event) if not run_id or one.run_id == run_id]
        wakes = [_wake(one, event, data, parts.now_ms()) for one in found]
        woken = await store.notify(caller.keys, event, run_id, data, wakes, parts.now_ms())
        if woken is not None:
            parts.scheduler.look()
            runs = await store.runs(caller.keys, [one.run_id for one in found], steps=False)
            created = {run.record.run_id: run.created_at_ms for run in runs}
            return [_answer(one, created.get(one.run_id, 0)) for one in found if one.message_id in woken]
    raise Unavailable(f"too many waits and notifications of {event} at once: try again")


def _wake(waiter: Waiter, event: str, data: bytes, now_ms: int) -> tuple[Waiter, Entry, bytes]:
    body = _step(waiter.step, event, data, timed_out=False)
    return waiter, entry(waiter.message_id, now_ms, CallType.STEP, body), body


def _answer(waiter: Waiter, created_at_ms: int) -> dict[str, Any]:
    return {
        "waiter": shown(waiter),
        "messageId": waiter.message_id,
        "error": "",
        "workflowRunId": waiter.run_id,
        "workflowCreatedAt": created_at_ms,
    }


def shown(waiter: Waiter) -> dict[str, Any]:
    """A waiter as clients see it."""
    found = {"url": waiter.url, "deadline": waiter.deadline_s, "headers": waiter.header}
    optional = {"timeoutUrl": waiter.timeout_url, "timeoutBody": waiter.timeout_body, "timeoutHeaders": waiter.timeout_header}
    return {**found, **{name: value for name, value in optional.items() if value}, "workflowRunId": waiter.run_id}
