"""What the scheduler does otherwise with a message of a workflow run: what is sent, and what its outcome means for the run.

A step is delivered as the list of all steps up to it. A call to somebody else (`toCallback`) goes out as it is, and its failure
is a result like any other: the callback brings it to the run. Nothing of a run that is over is delivered any more.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from services.qstash_dev.headers import grouped
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import CallType, RunRef, State
from services.qstash_dev.store import Claimed, Finish, Store
from services.qstash_dev.workflow import refs
from services.qstash_dev.workflow.invoking import follow
from services.qstash_dev.workflow.model import Entry, Run, RunState, entry
from services.qstash_dev.workflow.store import After, RunStore

STEPS = frozenset((CallType.STEP, CallType.WAIT))
FORGIVEN = frozenset((CallType.TO_CALLBACK, CallType.FAILURE))
"""Their failure is told to the run, and is no dead letter."""


class Prepared(NamedTuple):
    """A claimed message as it goes on the wire, and as its callbacks speak of it."""

    request: Claimed
    source: Claimed
    buried: bool = True
    """Whether its failure is a dead letter."""
    run: Run | None = None


class Runs:
    """Workflow runs for the scheduler."""

    def __init__(self, core: Store) -> None:
        self.store = RunStore(core)
        self._core = core
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, run: str) -> asyncio.Lock:
        """Whoever appends to this run now: a batch's steps are its in the order of the batch."""
        return self._turns.setdefault(run, asyncio.Lock())

    async def prepare(self, keys: Keys, claimed: Claimed, now_ms: int) -> Prepared | None:
        """What to send; None when the run is over, and the message is cancelled then. A plain message goes as it is."""
        ref = claimed.message.run
        if ref is None:
            return Prepared(claimed, claimed)
        if ref.call is CallType.WAIT:
            await self._time_out(keys, claimed, ref, now_ms)
        run = await self.store.run(keys, ref.run_id, steps=ref.call in STEPS)
        if run is None or not (run.going or (ref.call is CallType.FAILURE and run.state is RunState.FAILED)):
            await self._core.cancel(keys, [claimed.message.message_id], now_ms)
            return None
        return _prepared(claimed, ref, run)

    async def record(self, keys: Keys, sent: Prepared, finish: Finish, now_ms: int) -> Finish:
        """Record the attempt and what follows for the run; the outcome, with every message that it caused."""
        assert sent.run  # noqa: S101 - the scheduler asks for messages of runs only
        ref = sent.source.message.run
        assert ref  # noqa: S101
        if ref.call is CallType.FAILURE and finish.verdict in {State.DELIVERED, State.FAILED}:
            after = After(run_id=ref.run_id, does="callback", facts=_callback_facts(finish))
        elif finish.verdict is State.FAILED and ref.call is not CallType.TO_CALLBACK:
            after = await self._failed(keys, sent.run, finish)
        else:
            after = After(run_id=ref.run_id)
        await self.store.record(keys, finish, after, now_ms)
        caused = [*finish.caused, after.follow.publish] if after.follow else finish.caused
        return msgspec.structs.replace(finish, caused=caused)

    async def _failed(self, keys: Keys, run: Run, finish: Finish) -> After:
        caused = [one.message for one in finish.caused]
        failure = next((one for one in caused if one.run and one.run.call is CallType.FAILURE), None)
        answer = finish.answer
        facts = {
            "failStatus": answer.status,
            "failHeaders": answer.header,
            "failResponse": answer.body.decode(errors="replace"),
            "messageId": finish.message_id,
            "url": failure.url if failure else "",
        }
        return After(
            run_id=run.record.run_id,
            does="fail",
            dlq_id=finish.dlq_id,
            facts=facts,
            failure=failure.message_id if failure else "",
            follow=await follow(self.store, keys, run, {"body": facts["failResponse"], "isFailed": True}),
        )

    async def _time_out(self, keys: Keys, claimed: Claimed, ref: RunRef, now_ms: int) -> None:
        message_id = claimed.message.message_id
        step = entry(message_id, now_ms, CallType.STEP, claimed.body)
        await self.store.timed_out(keys, ref.run_id, ref.event, step, claimed.body)


def _prepared(claimed: Claimed, ref: RunRef, run: Run) -> Prepared:
    message = refs.told_apart(claimed.message, run.created_at_ms, run.record.url)
    source = Claimed(message, claimed.body, claimed.retried)
    if ref.call is CallType.TO_CALLBACK:
        return Prepared(source, source, buried=False, run=run)
    sent = msgspec.structs.replace(message, header=refs.delivered(message))
    if ref.call in STEPS:  # callbacks show the run's first body: "InitialBody", and the failure function reads it as such
        body = listed(_until(run.steps, message.message_id))
        request, source = Claimed(sent, body, claimed.retried), Claimed(message, run.steps[0].body, claimed.retried)
    else:
        request = Claimed(sent, claimed.body, claimed.retried)
    return Prepared(request, source, buried=ref.call not in FORGIVEN, run=run)


def listed(steps: Sequence[Entry]) -> bytes:
    """Steps as they are delivered: a JSON list, none of it encoded again."""
    return b"[" + b",".join(one.wire for one in steps) + b"]"


def _until(steps: list[Entry], message_id: str) -> list[Entry]:
    """The steps up to this message, in the order in which they came: parallel steps tell their place by it."""
    place = next((i for i, one in enumerate(steps) if one.message_id == message_id), len(steps) - 1)
    return [one for one in steps[: place + 1] if one.call is CallType.STEP]


def _callback_facts(finish: Finish) -> dict[str, Any]:
    answer = finish.answer
    return {
        "state": "CALLBACK_SUCCESS" if finish.verdict is State.DELIVERED else "CALLBACK_FAIL",
        "responseStatus": answer.status,
        "responseBody": answer.body.decode(errors="replace"),
        "responseHeaders": answer.header or grouped([]),
    }
