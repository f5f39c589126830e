"""discard.lua: how many letters were there."""

from tests.support.executions import buried, created, letter
from tests.support.stores import Twice, everything


async def test_what_is_discarded_is_gone_once(store: Twice) -> None:
    """Sent again there is nothing left to take; the others and the execution do not change."""
    await created(store)
    before = await everything(store.redis)
    await buried(store, letter(), in_ms=60_000)
    await buried(store, letter(segment=1), in_ms=60_000)
    assert await store.discard("acme", [letter().id, letter(segment=7).id]) == 1
    assert (store.last.reply, store.last.again) == (1, 0)
    assert [one.segment for one in (await store.letters("acme", limit=9)).letters] == [1]
    assert await store.discard("acme", [letter(segment=1).id]) == 1
    after = await everything(store.redis)
    assert [name for name in after if ":dl" in name] == []
    assert after.keys() == before.keys()


async def test_what_is_no_letter_is_not_there(store: Twice) -> None:
    """No script runs for it."""
    assert await store.discard("acme", ["dlq_zz_1", "", "x"]) == 0
    assert store.log == []
