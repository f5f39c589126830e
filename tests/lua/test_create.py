"""create.lua: CREATED 0, EXISTS 1, CONFLICT 2, BURIED 3."""

from typing import Any

import pytest

from shared.errors import Conflict
from shared.machine.status import Status
from shared.ports import REST_MS
from shared.redisdb import keys
from tests.support.executions import EXE, NOW, PP, birth, created, execution_id
from tests.support.stores import Recording, Twice, everything


async def test_created_twice_by_one_call_is_created(store: Twice) -> None:
    """A lost reply is no reason to call it a repetition: the same entry again."""
    await created(store)
    assert store.last.codes == (0, 0)
    assert store.last.again == store.last.reply


async def test_created_twice_by_one_call_with_a_key_is_created(store: Twice) -> None:
    """Nor with an Idempotency-Key, which the first of the two stored."""
    await created(store, key="key")
    assert store.last.codes == (0, 0)
    assert store.last.again == store.last.reply


async def test_a_call_repeated_after_its_message_was_sent_exists(store: Twice) -> None:
    """The entry is gone by then; the execution is there."""
    entry = await created(store)
    first = store.last
    await store.relay_ack([(entry, "msg")])
    assert await store._run("create", first.keys, first.args) == [1, EXE.encode()]
    assert store.last.codes == (1, 1)


async def test_another_call_for_the_same_id_exists(store: Twice) -> None:
    """It names the execution and writes nothing."""
    await created(store)
    before = await everything(store.redis)
    await store.create(birth(cells="dddddd"))
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_a_known_key_exists(store: Twice) -> None:
    """It names what the key made."""
    await created(store, key="key")
    await store.create(birth(execution_id(2), key="key"))
    assert (store.last.codes, store.last.reply[1]) == ((1, 1), EXE.encode())


async def test_a_known_key_of_another_request_conflicts(store: Twice) -> None:
    """Nothing is stored."""
    await created(store, key="key")
    before = await everything(store.redis)
    await store.create(birth(execution_id(2), key="key", request="another"))
    assert store.last.codes == (2, 2)
    assert await everything(store.redis) == before


async def test_a_buried_one_is_not_created(store: Twice) -> None:
    """It was cancelled before it was created: the tombstone alone stays."""
    await store.redis.hset(keys.record(EXE), "buried", "1")
    with pytest.raises(Conflict, match="cancelled before it was created"):
        await store.create(birth())
    assert store.last.codes == (3, 3)
    assert await everything(store.redis) == {keys.record(EXE): {b"buried": b"1"}}


async def test_a_key_has_no_time_to_live_and_the_record_names_it(once: Recording) -> None:
    """An execution may outlive every time that could have been set; purge finds the key by the record."""
    await created(once, key="key")
    name = keys.idempotency(PP, "acme", "key")
    assert await once.redis.pttl(name) == -1
    assert await once.redis.hget(keys.record(EXE), "idem") == name.encode()


async def test_what_a_new_execution_consists_of(store: Twice) -> None:
    """Record, cells, plan, first line, due time, outbox entry, a place in the tenant's list and tally; no inbox, no key."""
    await created(store)
    found = await everything(store.redis)
    assert set(found) == {
        keys.record(EXE), keys.cells(EXE), keys.plan(EXE), keys.history(EXE), keys.due(PP), keys.outbox_times(PP),
        keys.outbox_entries(PP), keys.listing(PP, "acme"), keys.tally(PP, "acme"),
    }  # fmt: skip
    assert found[keys.listing(PP, "acme")] == [(EXE[-32:].encode(), 0.0)]
    assert found[keys.history(EXE)] == [{b"l": b'{"event":"execution.created"}'}]
    assert (found[keys.record(EXE)][b"text"], found[keys.record(EXE)][b"ver"]) == (b"book a table", b"0")


async def test_one_that_must_be_confirmed_gets_no_message(store: Twice) -> None:
    """It is looked at once a day, or at its deadline; asked twice it exists."""
    await store.create(birth(status=Status.AWAITING_CONFIRMATION))
    assert (store.last.codes, store.last.reply) == ((0, 1), [0, b""])
    redis: Any = store.redis
    assert await redis.exists(keys.outbox_entries(PP)) == 0
    assert await redis.zscore(keys.due(PP), EXE) == NOW + REST_MS
    await store.create(birth(execution_id(2), status=Status.AWAITING_CONFIRMATION, timeout_ms=60_000))
    assert await redis.zscore(keys.due(PP), execution_id(2)) == NOW + 60_000
