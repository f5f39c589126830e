"""Store, creating: durable once, once for an id, once for an Idempotency-Key."""

from typing import Any

import pytest

from shared.machine.decision import Line
from shared.machine.state import Result
from shared.machine.status import Status
from shared.ports import Created, Exists, Heard, KeyConflict, Lease, No, NoLease
from shared.redisdb import keys
from tests.support.executions import (
    DEAD,
    EXE,
    NOW,
    PP,
    RETENTION_MS,
    Clocked,
    ask,
    birth,
    created,
    ended,
    execution_id,
    later,
    leased,
    letter,
    signalled,
)

KEY = "order 17"


async def test_a_new_execution_can_be_run(store: Clocked) -> None:
    """What was created comes back with the first lease: header, cells, nothing else yet."""
    await created(store, cells="rr....", timeout_ms=60_000)
    lease = await leased(store)
    assert (lease.header.status, lease.header.tenant, lease.header.trace) == (Status.EXECUTING, "acme", "trace")
    assert (lease.header.segment, lease.header.created_ms, lease.header.deadline_ms) == (0, NOW, NOW + 60_000)
    assert lease.cells == b"rr...."
    assert (lease.intents, lease.faults, lease.results, lease.signals, lease.seen) == ({}, {}, {}, (), 0)
    assert await store.load_plan(EXE) == b"the plan"


async def test_an_execution_without_a_timeout_has_no_deadline(store: Clocked) -> None:
    """0 means never."""
    await created(store)
    assert (await leased(store)).header.deadline_ms == 0


async def test_its_first_message_is_in_the_outbox(store: Clocked) -> None:
    """Whoever created it sends the message; the relay does it after two seconds if that failed."""
    entry = await created(store)
    assert (entry.execution, entry.segment, entry.reason, entry.trace, entry.not_before_ms) == (EXE, 0, "created", "trace", 0)
    assert entry.id.startswith(f"{EXE}-0-")
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == []
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == [entry]


async def test_it_is_due_from_the_start(store: Clocked) -> None:
    """The watchdog has it even if every message is lost."""
    await created(store)
    assert await store.overdue(PP, limit=9) == []
    later(store, 2_000)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_the_same_id_again_exists_and_changes_nothing(store: Clocked) -> None:
    """An id is made once."""
    await created(store)
    lease = await leased(store)
    assert await store.create(birth(cells="dddddd", status=Status.COMPLETED)) == Exists(execution=EXE)
    assert (await leased(store)).header == lease.header


async def test_a_repeated_idempotency_key_names_the_first_execution(store: Clocked) -> None:
    """The same request under the same key makes nothing."""
    await created(store, key=KEY)
    again = await store.create(birth(execution_id(2), key=KEY))
    assert again == Exists(execution=EXE)
    assert await store.load_plan(execution_id(2)) is None


async def test_an_idempotency_key_refuses_another_request(store: Clocked) -> None:
    """A key stands for one request."""
    await created(store, key=KEY)
    assert await store.create(birth(execution_id(2), key=KEY, request="another")) == KeyConflict()
    assert await store.load_plan(execution_id(2)) is None


@pytest.mark.parametrize("other", [{"key": "order 18"}, {"tenant": "globex"}, {"key": ""}], ids=["key", "tenant", "no key"])
async def test_an_idempotency_key_is_one_tenants_one_key(store: Clocked, other: dict[str, Any]) -> None:
    """Another key, another tenant's same key, or no key make another execution."""
    await created(store, key=KEY)
    assert isinstance(await store.create(birth(execution_id(2), **({"key": KEY} | other))), Created)


async def test_a_key_tells_what_it_made(store: Clocked) -> None:
    """Asked before anything is planned: execution and request hash, or None."""
    execution = execution_id(partition=keys.spread(f"acme/{KEY}"))
    assert await store.made_by("acme", KEY) is None
    await created(store, execution, key=KEY)
    assert await store.made_by("acme", KEY) == (execution, "request")
    assert await store.made_by("globex", KEY) is None


async def test_a_key_is_remembered_while_its_execution_runs_and_until_it_is_purged(store: Clocked) -> None:
    """However long that takes: an execution that outlives the retention time is not made a second time."""
    execution = execution_id(partition=keys.spread(f"acme/{KEY}"))
    other = execution_id(2, partition=keys.partition_of(execution))
    await created(store, execution, key=KEY)
    later(store, 3 * RETENTION_MS)
    assert await store.create(birth(other, key=KEY)) == Exists(execution=execution)
    await ended(store, execution)
    later(store, RETENTION_MS - 1)
    assert await store.create(birth(other, key=KEY)) == Exists(execution=execution)

    later(store, 1)
    assert await store.purge(execution)
    assert await store.made_by("acme", KEY) is None
    assert isinstance(await store.create(birth(other, key=KEY)), Created)
    assert await store.made_by("acme", KEY) == (other, "request")


@pytest.mark.parametrize("name", ["", "exe_0a_", "exe_40_" + "0" * 32, "exe_+a_" + "0" * 32, "exe_0A_" + "0" * 32, "x" * 39])
async def test_what_is_no_id_is_refused(store: Clocked, name: str) -> None:
    """A made-up id cannot name a key of another shape."""
    with pytest.raises(ValueError, match="is no execution id"):
        await store.hint(name)
    with pytest.raises(ValueError, match="is no execution id"):
        await store.load_plan(name)


async def test_an_execution_may_begin_with_results_that_are_given(store: Clocked) -> None:
    """A fork: what came before is known, with when it was there; the history says so behind the creation."""
    given = {0: Result(output={"n": 1}, attempt=1, started_ms=NOW, ended_ms=NOW + 5)}
    await created(store, cells="dr....", given=given, lines=(Line(event="execution.forked"),))
    assert await store.load_results(EXE, [0, 1]) == {0: {"n": 1}}
    assert await store.load_order(EXE, [0]) == {0: NOW + 5}
    assert (await leased(store)).cells == b"dr...."


async def test_one_that_must_be_confirmed_waits_for_a_word(store: Clocked) -> None:
    """It has no message, and whoever asks for it is told that it rests; a signal wakes it."""
    made = await store.create(birth(status=Status.AWAITING_CONFIRMATION))
    assert made == Created(entry=None)
    later(store, 10_000)
    assert await store.overdue(PP, limit=9) == []
    assert (await store.hint(EXE)).heard is Heard.WAITING
    await store.bury(letter(), in_ms=0, line=DEAD)
    assert await ask(store) == NoLease(why=No.PAUSED)
    assert await store.overdue(PP, limit=9) == []
    assert await signalled(store) is not None
    assert (await leased(store)).header.status is Status.AWAITING_CONFIRMATION


async def test_the_deadline_of_one_that_nobody_confirms_is_kept(store: Clocked) -> None:
    """It becomes due with it, and then somebody gets the lease to end it."""
    await store.create(birth(status=Status.AWAITING_CONFIRMATION, timeout_ms=60_000))
    assert (await store.hint(EXE)).heard is Heard.WAITING
    await store.bury(letter(), in_ms=0, line=DEAD)
    assert await ask(store) == NoLease(why=No.PAUSED)
    later(store, 59_999)
    assert await store.overdue(PP, limit=9) == []
    later(store, 1)
    assert await store.overdue(PP, limit=9) == [EXE]
    assert isinstance(await ask(store), Lease)
