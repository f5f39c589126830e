"""signal.lua: ACCEPTED 0, DUPLICATE 1, TERMINAL 2, ABSENT 3, FULL 4."""

from typing import Any

from shared.redisdb import keys
from shared.redisdb.store import INBOX_LIMIT
from tests.support.executions import EXE, PP, created, ended, leased, signalled
from tests.support.stores import Twice, everything


async def send(store: Twice, sid: str = "one", *, tenant: str = "acme") -> None:
    """One signal, sent twice."""
    await store.signal(EXE, tenant=tenant, sid=sid, kind="event", payload={"of": sid})


async def test_accepted_then_duplicate(store: Twice) -> None:
    """In the inbox once, told once, one wake-up."""
    await created(store)
    await send(store)
    assert store.last.codes == (0, 1)
    assert store.last.reply[1]
    found = await everything(store.redis)
    assert set(found[keys.inbox(EXE)]) == {b"1", b"id:one"}
    assert (found[keys.record(EXE)][b"inbox"], found[keys.record(EXE)][b"epoch"]) == (b"1", b"1")
    assert len(found[keys.outbox_entries(PP)]) == 2


async def test_under_a_live_lease_no_message_is_made(store: Twice) -> None:
    """Neither entry nor epoch nor due time: the holder finds it."""
    await created(store)
    await leased(store)
    before = await everything(store.redis)
    await send(store)
    assert (store.last.codes, store.last.reply) == ((0, 1), [0, b""])
    after = await everything(store.redis)
    assert {name for name in after if after[name] != before.get(name)} == {
        keys.record(EXE), keys.inbox(EXE), keys.history(EXE)
    }  # fmt: skip
    assert after[keys.record(EXE)][b"epoch"] == b"0"


async def test_terminal(store: Twice) -> None:
    """It says in which status, and writes nothing."""
    await created(store)
    await ended(store)
    before = await everything(store.redis)
    await send(store)
    assert (store.last.codes, store.last.reply) == ((2, 2), [2, b"COMPLETED"])
    assert await everything(store.redis) == before


async def test_absent_and_another_tenants_are_the_same(store: Twice) -> None:
    """Nothing is written for either."""
    await send(store)
    assert store.last.codes == (3, 3)
    assert await everything(store.redis) == {}
    await created(store)
    await send(store, tenant="globex")
    assert store.last.codes == (3, 3)
    assert keys.inbox(EXE) not in await everything(store.redis)


async def test_full(store: Twice) -> None:
    """The last place is taken; the next is refused, and a duplicate is still one."""
    await created(store)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "inbox", INBOX_LIMIT - 1)
    await send(store, "last")
    assert store.last.codes == (0, 1)
    await send(store, "too many")
    assert store.last.codes == (4, 4)
    await send(store, "last")
    assert store.last.codes == (1, 1)


async def test_a_signal_is_found_at_its_position(store: Twice) -> None:
    """And a position that is missing (a failover) is passed over."""
    await created(store)
    await signalled(store, "one")
    await signalled(store, "two")
    redis: Any = store.redis
    await redis.hdel(keys.inbox(EXE), "1")
    assert [one.position for one in (await leased(store)).signals] == [2]
