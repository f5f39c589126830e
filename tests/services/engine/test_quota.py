"""The quota at the services' edges: who is refused and told what, and what an invocation does when messages are scarce."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.background import Background
from shared.interpret import Interpreter
from shared.machine import plan as plans
from shared.machine.plan import Plan
from shared.ports import Birth, Created, Entry
from shared.qstash import item
from shared.quota import Allowance, Demand, Limits
from shared.quota_keeper import Keeper, limits_of
from shared.redisdb.quota import RedisLedger
from shared.relay import Sender
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import TENANT, Stage, chain, configured, taking
from tests.services.engine.test_dead_letters import die
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

AUTH = {"Authorization": f"Bearer {KEY}"}
PLAN = {"plan": {"steps": [{"name": "a", "tool": "do_work", "args": {"label": "x"}}]}}
ENTRY = Entry(id="exe_0a_1-0-x", execution="exe_0a_1", segment=0, reason="created")


@pytest.fixture
async def small(redis: Redis, valkey: Valkey) -> AsyncIterator[Site]:  # noqa: ARG001 - it empties the store
    """The services with twenty messages a day."""
    async with AsyncExitStack() as stack:
        yield Site(configured(**variables(valkey), QUOTA_DAY="20", QUOTA_MONTH="0"), stack)


async def quota(site: Site, **headers: str) -> Any:
    """`GET /api/quota` of the tenant."""
    return (await site.call("ingress", "GET", "/api/quota", headers=headers or AUTH)).json()


async def execute(site: Site, **more: Any) -> Any:
    """A request of the tenant."""
    return await site.call("ingress", "POST", "/api/execute", headers=AUTH, json=PLAN | more)


# at the edge


async def test_what_does_not_fit_is_refused_with_the_time_to_come_again_and_stores_nothing(small: Site) -> None:
    """429, the limit, what it needed, and how the tenant stands."""
    taken = 0
    while (answer := await execute(small)).status_code == 202:
        taken += 1
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["limit"]) == (429, "quota_exhausted", "day")
    assert answer.headers["Retry-After"] == str(error["details"]["retryAfter"])
    assert error["details"]["quota"] == {key: value for key, value in (await quota(small)).items() if key != "tenant"}
    listed = (await small.call("ingress", "GET", "/api/executions", headers=AUTH)).json()["executions"]
    assert len(listed) == taken >= 1
    assert (await quota(small))["day"]["reserved"] <= 18


async def test_tenants_do_not_spend_each_others(small: Site) -> None:
    """One is full, and the other has all."""
    while (await execute(small)).status_code == 202:
        pass
    other = await quota(small, Authorization="Bearer key-of-other-0123456789")
    assert (other["tenant"], other["day"]["left"]) == ("other", 20)


async def test_work_of_low_priority_waits_first(redis: Redis, valkey: Valkey) -> None:
    """Between 15 and 10 percent, only the rest is taken."""
    await redis.flushall()
    async with AsyncExitStack() as stack:
        site = Site(configured(**variables(valkey), QUOTA_DAY="100"), stack)
        await RedisLedger(redis).admit("acme", "exe_0a_" + "1" * 32, 80, Limits())
        assert (await execute(site, priority="low")).status_code == 429
        assert (await execute(site)).status_code == 202


async def test_a_scheduled_run_that_does_not_fit_is_seen_as_failed(small: Site) -> None:
    """It is not put off for ever: the schedule says why."""
    while (await execute(small)).status_code == 202:
        pass
    made = (await small.call("ingress", "POST", "/api/schedules", headers=AUTH, json=PLAN | {"cron": "0 8 * * *"})).json()
    await small.call("ingress", "POST", made["links"]["run"], headers=AUTH)
    now = (await small.call("ingress", "GET", made["links"]["self"], headers=AUTH)).json()
    assert (now["failures"], now["lastError"]["code"]) == (1, "quota_exhausted")


async def test_a_dead_message_costs_its_retries_and_its_callback(site: Site) -> None:
    """Reported twice, it is counted once."""
    execution = await site.execution()
    for _ in range(2):
        await die(site, execution)

    async def spent() -> bool:
        return bool((await quota(site))["day"]["spent"] == 1 + 3 + 1)

    await eventually(spent, describe="message, three retries, callback")


def test_a_message_asks_qstash_for_no_more_than_was_paid() -> None:
    """Retries, and a callback with one retry of its own; or neither."""
    settings = configured()

    def asked(cost: int | None) -> tuple[Any, ...]:
        headers = item(Entry(**{**_fields(ENTRY), "cost": cost}), settings, 0).headers
        names = ("Upstash-Retries", "Upstash-Failure-Callback", "Upstash-Failure-Callback-Retries")
        return tuple(name in headers and (headers[name] if "Retries" in name else True) for name in names)

    assert asked(None) == ("3", True, False)
    assert asked(6) == ("3", True, "1")
    assert asked(1) == ("0", False, False)


def _fields(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def test_a_setting_replaces_its_part_of_the_profile() -> None:
    """Zero is no limit."""
    found = limits_of(configured(QUOTA_PROFILE="free", QUOTA_CONCURRENT="7", QUOTA_DAY="0", QUOTA_UTC_OFFSET_MINUTES="-60"))
    assert found == Limits(day=0, month=0, concurrent=7, offset_ms=-3_600_000)


# in an invocation


def counting(stage: Stage, *, direct: bool = True, **variables: str) -> Keeper:
    """Let the stage's interpreter count, and ask this keeper."""
    settings = configured(**variables)
    keeper = Keeper(ledger=RedisLedger(stage.redis), store=stage.store, settings=settings, background=Background())
    stage.interpreter = Interpreter(
        store=stage.store,
        sender=Sender(stage.queue, stage.acks),
        tools=stage.tools,
        clock=stage.clock,
        limits=stage.limits,
        quota=keeper,
        direct=direct,
    )
    return keeper


async def begun(stage: Stage, steps: int, allowance: Allowance) -> str:
    """An execution with an allowance, whose first message is with QStash."""
    data = plans.encode(Plan(steps=tuple(chain(steps)), contracts=dict(stage.contracts)))
    cells = plans.decode(data).first_cells()
    birth = Birth(header=stage.header_of(data), plan=data, cells=cells, fields={}, request_hash="r", allowance=allowance)
    made = await stage.store.create(birth)
    assert isinstance(made, Created)
    assert made.entry is not None
    await stage.store.relay_ack([(made.entry, "msg_first")])
    return birth.header.id


async def test_a_delivery_after_the_first_is_counted_before_anything_else(stage: Stage) -> None:
    """Also when there is nothing left to do."""
    keeper = counting(stage)
    execution = await begun(stage, 1, Allowance(units=10, floor=2, tail=5))
    for _ in range(2):
        await stage.run(execution, retried=2, message="msg_first")
    found = await stage.store.account(execution)
    assert found is not None
    assert (found.used, found.held, found.over) == (1 + 2, 5 - 2, True)
    assert keeper.limits.day == 10_000


async def test_a_segment_that_could_not_pay_the_next_message_asks_for_more(stage: Stage) -> None:
    """And then pays it."""
    stage.limits = stage.interpreter.limits = _one_step(stage)
    keeper = counting(stage)
    execution = await begun(stage, 3, Allowance(units=3, floor=2, tail=0))
    await keeper.adopt(TENANT, execution, Demand(steps=1))
    await stage.run(execution)
    assert [entry.cost for entry in stage.queue.taken] == [1]
    found = await stage.store.account(execution)
    assert found is not None
    assert found.allow > 3


async def test_where_the_ledger_refuses_the_next_message_is_a_direct_call(stage: Stage) -> None:
    """It costs nothing."""
    stage.tools.otherwise = taking(stage.hand, 3_000)
    counting(stage, QUOTA_DAY="2")
    execution = await begun(stage, 5, Allowance(units=3, floor=2, tail=0))
    await stage.run(execution)
    assert [entry.cost for entry in stage.queue.taken] == [0]


async def test_where_direct_calls_are_off_it_suspends_for_the_quota(stage: Stage) -> None:
    """Visibly, and no message is sent."""
    stage.tools.otherwise = taking(stage.hand, 3_000)
    counting(stage, direct=False, QUOTA_DAY="2")
    execution = await begun(stage, 5, Allowance(units=3, floor=2, tail=0))
    await stage.run(execution)
    header = await stage.header(execution)
    assert (header["status"], header["reason"]) == ("SUSPENDED", "quota")
    assert stage.queue.taken == []


async def test_a_child_is_accepted_work_and_never_refused(stage: Stage) -> None:
    """Past the line of new work it still gets what is there; when nothing is, its first message is a direct call."""
    keeper, ledger = counting(stage, QUOTA_DAY="100", QUOTA_CONCURRENT="1"), RedisLedger(stage.redis)
    await ledger.admit(TENANT, "exe_0a_" + "1" * 32, 91, Limits())
    first = await keeper.adopt(TENANT, "exe_0a_" + "2" * 32, Demand(steps=1))
    assert first is not None
    assert first.units > 0
    await ledger.top_up(TENANT, "exe_0a_" + "1" * 32, ver=1, used=0, want=100 - first.units, limits=Limits())
    assert (await keeper.report(TENANT))["day"]["left"] == 0
    second = await keeper.adopt(TENANT, "exe_0a_" + "3" * 32, Demand(steps=1))
    assert second is not None
    await begun(stage, 1, second)
    assert second.units == 0
    book = await ledger.book(TENANT, 0)
    assert (book.reserved, book.waiting > 0, book.running) == (100, True, 3)


async def test_scarce_messages_carry_as_many_steps_as_fit(stage: Stage) -> None:
    """STEPS_PER_MESSAGE is for better days."""
    stage.limits = stage.interpreter.limits = _one_step(stage)
    keeper = counting(stage, QUOTA_DAY="100")
    await RedisLedger(stage.redis).admit(TENANT, "exe_0a_" + "1" * 32, 80, Limits())
    await keeper.report(TENANT)
    execution = await begun(stage, 3, Allowance(units=9, floor=2, tail=0))
    await stage.run(execution)
    assert (await stage.header(execution))["status"] == "COMPLETED"


def _one_step(stage: Stage) -> Any:
    return msgspec.structs.replace(stage.limits, steps_per_message=1)
