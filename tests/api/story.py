"""Everything that the client can do, once, against running services. Its test plays it, and examples are recorded of it."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from shared import signing
from shared.api.executions import Begun, Execution, Exported, NotCancelled
from shared.client import Client, StillRunning
from shared.machine.status import Reason, Status
from shared.planner import Profile
from shared.qstash import FAILED_PATH
from shared.search import Filter
from shared.settings import DEV_CURRENT_KEY
from tests.system.harness import System, until

WORK: dict[str, Any] = {"tool": "do_work", "args": {"label": "x"}}
MAP = {"name": "each", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": ["a", "b"]}}
ASKED = {"name": "pay", **WORK, "approve": {"message": "sure?"}}
WAITS = {"name": "paid", "wait": {"events": [{"name": "payment.settled", "key": "order-17"}]}}
NEVER = {"name": "never", "wait": {"events": [{"name": "never"}]}}
"""What a plan may hold."""


async def begin(client: Client, *steps: dict[str, Any], **more: Any) -> str:
    """An execution of these steps."""
    begun = await client.execute(plan={"steps": list(steps)}, **more)
    assert isinstance(begun, Begun)
    return begun.execution_id


async def all_of(found: AsyncIterator[Any]) -> list[Any]:
    """A sequence, whole."""
    return [one async for one in found]


async def reached(client: Client, execution: str, status: str, reason: str | None = None) -> None:
    """Wait until it stands so."""

    async def stands() -> bool:
        found = await client.executions.get(execution)
        return found.status == status and (reason is None or found.reason == reason)

    await until(stands, within=20, describe=f"{execution} is {status}")


async def tell(client: Client, system: System) -> None:
    """All chapters."""
    await beginning(client)
    await looking(client)
    await people(client)
    await acting(client, system)
    await again(client)
    await events(client)
    await following(client)
    await schedules(client)
    await gates(client)
    await letters(client, system)
    await chat(client)


async def beginning(client: Client) -> None:
    """Words, plans, and words that repeat."""
    await client.put_profile("ann", Profile(name="Ann", timezone="Europe/Berlin"))
    assert (await client.profile("ann")).name == "Ann"
    assert (await client.plan(intent="Book a table for 2 at 7pm", user_id="ann")).price.messages > 0
    first = await client.execute(intent="Book a table for 2 at 7pm", user_id="ann", idempotency_key="table-1")
    second = await client.execute(intent="Book a table for 2 at 7pm", user_id="ann", idempotency_key="table-1")
    assert isinstance(first, Begun)
    assert isinstance(second, Begun)
    assert (first.execution_id, second.repeated) == (second.execution_id, True)
    assert (await client.executions.wait(first.execution_id, timeout_s=20)).status == "COMPLETED"
    repeated = await client.execute(intent="every Friday at 6pm book a table for 2 at 8pm", user_id="ann")
    assert not isinstance(repeated, Begun)
    assert repeated.next_at


async def looking(client: Client) -> None:
    """Lists, one, its steps, its items, its history, why."""
    execution = await begin(client, MAP, {"name": "last", **WORK, "needs": ["each"]})
    ended = await client.executions.wait(execution, timeout_s=20)
    assert (ended.status, ended.done_steps) == ("COMPLETED", 2)
    assert [step.name for step in await all_of(client.executions.steps(execution))] == ["each", "last"]
    assert [item.name for item in await all_of(client.executions.items(execution, "each"))] == ["each.0", "each.1"]
    assert (await client.executions.output(execution, "last"))["label"] == "x"
    assert "execution.ended" in {line.event for line in await all_of(client.executions.history(execution))}
    assert (await client.executions.why(execution)).status == "COMPLETED"
    assert [step.name for step in (await client.executions.plan(execution)).steps] == ["each", "last"]
    assert not (await client.executions.logs(execution, "last")).truncated
    whole = b"".join(await all_of(client.executions.export(execution)))
    assert msgspec.json.decode(whole, type=Exported).id == execution
    told = await all_of(client.executions.events(execution))
    assert [one.event for one in told if one.event] == ["end"]
    assert (await client.overview()).executions.total >= 1
    assert execution in [row.id for row in await all_of(client.executions.list(status=["COMPLETED"]))]
    assert (await client.quota()).level == "normal"
    assert "do_work" in [tool.name for tool in await client.tools()]
    assert (await client.healthy()).status == "ok"
    assert (await client.ready()).status == "ready"
    assert (await client.openapi())["openapi"] == "3.1.0"
    assert (await client.progress_token(execution)).token


async def people(client: Client) -> None:
    """What people are asked."""
    execution = await begin(client, ASKED)
    await reached(client, execution, "SUSPENDED", "approval")
    [open_one] = [one for one in await all_of(client.approvals()) if one.execution_id == execution]
    assert (await client.executions.approve(execution, "pay", str(open_one.args_hash), note="checked")).action == "approve"
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"
    execution = await begin(client, ASKED)
    await reached(client, execution, "SUSPENDED", "approval")
    await client.executions.reject(execution, step="pay", note="too dear")
    assert (await client.executions.wait(execution, timeout_s=20)).ended_at
    execution = await begin(client, {"name": "a", **WORK}, confirm=True)
    found = await client.executions.get(execution)
    assert found.status == "AWAITING_CONFIRMATION"
    await client.executions.confirm(execution, found.plan.hash)
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"


async def acting(client: Client, system: System) -> None:
    """What a person does to one that runs, or has failed."""
    execution = await begin(client, ASKED)
    await reached(client, execution, "SUSPENDED", "approval")
    await client.executions.pause(execution)
    await reached(client, execution, "PAUSED")
    await client.executions.resume(execution)
    await reached(client, execution, "SUSPENDED", "approval")
    await client.executions.skip(execution, "pay", output={"id": "by telephone"})
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"
    failed = await failing(client, system)
    await client.executions.retry(failed.id, step="a", version=failed.version)
    await reached(client, failed.id, "COMPLETED")
    failed = await failing(client, system)
    await client.executions.edit(failed.id, "a", {"label": "y"}, version=failed.version)
    await reached(client, failed.id, "COMPLETED")
    await system.knobs(fail_after_next=1)
    lost = {"tool": "post_unregistered_letter", "args": {"to": "Ann", "text": "hello"}}
    execution = await begin(client, {"name": "letter", **lost, "undo": {"leave": True}})
    await reached(client, execution, "SUSPENDED", "unknown effect")
    await client.executions.settle(execution, "letter", happened=True, output={"receipt": "r-1"})
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"
    execution = await begin(client, WAITS)
    await reached(client, execution, "SUSPENDED", "event")
    with pytest.raises(StillRunning) as told:
        await client.executions.wait(execution, timeout_s=0.05)
    assert told.value.execution.id == execution
    await client.executions.cancel(execution, reason="not needed")
    assert (await client.executions.wait(execution, timeout_s=20)).status == "CANCELLED"
    assert isinstance(await client.executions.cancel(execution), NotCancelled)


async def failing(client: Client, system: System) -> Execution:
    """An execution whose step the town refused."""
    await system.knobs(fail_next=1, fail_status=422)
    found = await client.executions.wait(await begin(client, {"name": "a", **WORK, "retry": {"attempts": 1}}), timeout_s=20)
    assert found.status == "FAILED"
    return found


async def again(client: Client) -> None:
    """Restart, fork, compensate, many at once."""
    execution = await begin(client, {"name": "a", **WORK}, {"name": "b", **WORK, "needs": ["a"]})
    await client.executions.wait(execution, timeout_s=20)
    told = await client.executions.restart(execution, accept_effects=True, idempotency_key="again-1")
    assert told.from_ == execution
    forked = await client.executions.fork(execution, "b", accept_effects=True)
    assert (await client.executions.wait(forked.execution_id, timeout_s=20)).status == "COMPLETED"
    version = (await client.executions.get(execution)).version
    await client.executions.compensate(execution, version=version)
    await reached(client, execution, "COMPENSATED")
    waiting = await begin(client, WAITS)
    await reached(client, waiting, "SUSPENDED", "event")
    chosen = Filter(status=(Status.SUSPENDED,), reason=(Reason.EVENT,))
    counted = await client.executions.count(chosen)
    assert (counted.count, counted.next) == (1, None)
    assert [page.done async for page in client.executions.bulk_all("cancel", chosen, dry_run=True)] == [1]
    chosen = Filter(ids=(waiting,))
    assert (await client.executions.bulk("cancel", chosen, dry_run=True)).results[0].result == "would"
    assert (await client.executions.bulk("cancel", chosen, having={"reason": "cleared"})).done == 1


async def events(client: Client) -> None:
    """For whoever waits, and for one."""
    execution = await begin(client, WAITS)
    await reached(client, execution, "SUSPENDED", "event")
    told = await client.publish("payment.settled", key="order-17", data={"amount": 42}, event_id="payment-17")
    assert told.id == "payment-17"
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"
    execution = await begin(client, {"name": "told", "wait": {"events": [{"name": "told"}]}})
    assert (await client.executions.tell(execution, "told", data=1, event_id="t-1")).result == "accepted"
    assert (await client.executions.tell(execution, "told", data=1, event_id="t-1")).result != "accepted"
    assert (await client.executions.wait(execution, timeout_s=20)).status == "COMPLETED"


async def following(client: Client) -> None:
    """What happens to the tenant's executions."""
    feed = client.feed()
    first = asyncio.ensure_future(anext(feed))  # it tells of what happens once it is there

    async def told() -> bool:
        await begin(client, {"name": "a", **WORK})
        return first.done()

    await until(told, within=20, describe="the feed tells of an execution")
    assert first.result().data["executionId"].startswith("exe_")
    await feed.aclose()


async def schedules(client: Client) -> None:
    """All their life."""
    made = await client.schedules.create("0 18 * * 5", plan={"steps": [{"name": "a", **WORK}]})
    assert made.id in [one.id for one in await all_of(client.schedules.list())]
    assert (await client.schedules.pause(made.id)).status == "paused"
    assert (await client.schedules.resume(made.id)).status == "active"
    run = await client.schedules.run(made.id)
    assert run.execution_id
    await client.executions.wait(run.execution_id, timeout_s=20)
    assert (await client.schedules.get(made.id)).runs >= 1
    assert (await client.schedules.delete(made.id)).result == "deleted"


async def gates(client: Client) -> None:
    """Closed and opened again."""
    assert (await client.pause_tool("do_work", reason="repairs")).tool == "do_work"
    assert (await client.gates()).gates
    assert (await client.resume_tool("do_work")).result == "resumed"
    assert (await client.pause_tenant()).kind == "pause"
    assert (await client.resume_tenant()).result == "resumed"
    [state] = [one for one in (await client.tool_states()).tools if one.name == "do_work"]
    assert (state.paused, state.breaker.state) == (None, "closed")
    assert [one.what for one in await all_of(client.gate_record(tool="do_work"))] == ["resumed", "paused"]


async def letters(client: Client, system: System) -> None:
    """Messages that died: their executions are woken, and the letters forgotten."""
    waiting = [await begin(client, NEVER) for _ in range(3)]
    for execution in waiting:
        await reached(client, execution, "SUSPENDED", "event")
        await die(system, execution)
    first, second, _ = waiting
    [letter] = await all_of(client.letters.list(execution=first))
    assert (await client.letters.get(letter.id)).execution_id == first
    assert (await client.letters.resend(letter.id)).result
    await client.executions.cancel(first)
    await client.executions.wait(first, timeout_s=20)
    assert (await client.letters.resend(letter.id)).status == "CANCELLED"
    assert (await client.letters.discard(letter.id)).result == "discarded"
    [letter] = await all_of(client.letters.list(execution=second))
    assert (await client.letters.resend_many([letter.id])).resent == 1
    assert (await client.letters.discard_many()).discarded >= 2


async def die(system: System, execution: str) -> None:
    """What QStash says to resume when a message of ours is dead."""
    url = system.processes["resume"].url + FAILED_PATH
    source = base64.b64encode(msgspec.json.encode({"executionId": execution, "segment": 0})).decode()
    facts = {"sourceMessageId": "msg_1", "status": 500, "retried": 3, "dlqId": "1-0", "body": ""}
    body = msgspec.json.encode(facts | {"sourceBody": source})
    token = signing.sign_call(issuer="Upstash", url=url, body=body, key=DEV_CURRENT_KEY, now=time.time(), jti="jwt_1")
    answer = await system.client.post(url, content=body, headers={"Upstash-Signature": token})
    assert answer.status_code == 200, answer.text


async def chat(client: Client) -> None:
    """A message, and one whose answer is followed."""
    assert (await client.chat("help", user_id="ann")).kind == "answer"
    assert (await client.chat("Book a table for 2 at 7pm", user_id="ann", idempotency_key="c-1")).kind == "started"
    said = [one async for one in client.chat_stream("Book a table for 2 at 8pm", user_id="ann")]
    assert said[0].event == "plan"
    assert said[-1].event in {"result", "waiting", "open"}
