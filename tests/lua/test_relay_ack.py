"""relay_ack.lua: entries leave the outbox; the answer counts how many were still there."""

from shared.redisdb import keys
from tests.support.executions import EXE, PP, created, ended, execution_id, later
from tests.support.stores import Recording, Twice, everything


async def test_the_second_time_there_is_nothing_to_remove(store: Twice) -> None:
    """Entry and time are gone with the first; the record keeps the message's id."""
    entry = await created(store)
    await store.relay_ack([(entry, "msg_1")])
    assert (store.last.reply, store.last.again) == (1, 0)
    found = await everything(store.redis)
    assert keys.outbox_entries(PP) not in found
    assert keys.outbox_times(PP) not in found
    assert found[keys.record(EXE)][b"message"] == b"msg_1"


async def test_a_partition_is_one_call(once: Recording) -> None:
    """However many entries."""
    sent = [(await created(once, execution_id(number)), f"msg_{number}") for number in range(3)]
    sent.append((await created(once, execution_id(partition="3f")), "msg_9"))
    await once.relay_ack(sent)
    assert [call.reply for call in once.log if call.name == "relay_ack"] == [3, 1]


async def test_a_purged_record_does_not_come_back(store: Twice) -> None:
    """The message's id alone would be a record without an end."""
    entry = await created(store)
    await ended(store)
    later(store, 30 * 86_400_000)
    assert await store.purge(EXE)
    await store.relay_ack([(entry, "msg_1")])
    assert await everything(store.redis) == {}
