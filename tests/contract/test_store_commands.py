"""Store, commands: what a commit decides for another partition is in the outbox with it, or not at all."""

import msgspec
import pytest

from shared.commands import Commands, SignalTo
from shared.machine.decision import Changes, Command
from shared.ports import MESSAGE, Birth, Committed, Entry, Flags, Going, Lease, Queue, Receipt
from tests.support.executions import (
    EXE,
    PP,
    Clocked,
    birth,
    created,
    execution_id,
    later,
    leased,
    leaves,
    signalled,
)

TO = execution_id(7)
TELL = Command(
    id="child:1", kind="signal", to=TO, payload=msgspec.to_builtins(SignalTo(tenant="acme", kind="child", payload={"list": []}))
)
MORE = Command(id="child:2", kind="signal", to=TO)


class Nowhere(Queue):
    """QStash, unreachable."""

    async def publish(self, entry: Entry) -> Receipt:
        """Never."""
        return Receipt(error=f"no way for {entry.id}")


async def outbox(store: Clocked) -> dict[str, Entry]:
    """Every command in the outbox, by id, once its relay time has come."""
    later(store, 60_000)
    return {entry.id: entry for entry in await store.relay_claim(PP, limit=10, claim_ms=1) if entry.kind != MESSAGE}


def told(entry: Entry) -> tuple[str, str, object]:
    """What a command says."""
    return entry.kind, entry.to, entry.payload


async def held(store: Clocked) -> Lease:
    """A leased execution."""
    await created(store)
    return await leased(store)


async def test_a_commits_commands_are_in_the_outbox_and_are_named_to_the_caller(store: Clocked) -> None:
    """Those of both parts; the payload as it was."""
    lease = await held(store)
    going = leaves(changes=Changes(commands=[MORE]))
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(commands=[TELL]), going=going)
    assert isinstance(answer, Committed)
    assert [entry.id for entry in answer.commands] == [f"{EXE}~child:1", f"{EXE}~child:2"]
    found = await outbox(store)
    assert told(found[f"{EXE}~child:1"]) == ("signal", TO, TELL.payload)
    assert found == {entry.id: entry for entry in answer.commands}


async def test_a_dropped_continuation_drops_its_commands_too(store: Clocked) -> None:
    """And keeps those of the kept part, although nothing else is in it."""
    lease = await held(store)
    await signalled(store)
    going = Going(kind="intents", changes=Changes(commands=[MORE]))
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(commands=[TELL]), going=going)
    assert isinstance(answer, Flags)
    assert [entry.id for entry in answer.commands] == [f"{EXE}~child:1"]
    assert list(await outbox(store)) == [f"{EXE}~child:1"]


async def test_the_same_command_decided_twice_is_one_entry(store: Clocked) -> None:
    """Its id says that it is the same."""
    lease = await held(store)
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(commands=[TELL]), going=Going(kind="none"))
    assert isinstance(first, Committed)
    await store.commit(lease, ver=first.ver, seen=0, kept=Changes(commands=[TELL]), going=Going(kind="none"))
    assert len(await outbox(store)) == 1


async def test_a_birth_brings_its_commands(store: Clocked) -> None:
    """In the same script: there is no execution without them."""
    newborn: Birth = msgspec.structs.replace(birth(), commands=(TELL,))
    await store.create(newborn)
    assert list(await outbox(store)) == [f"{EXE}~child:1"]


async def test_an_acknowledged_command_leaves_no_message_id(store: Clocked) -> None:
    """`message` is QStash's."""
    lease = await held(store)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(commands=[TELL]), going=Going(kind="none"))
    assert isinstance(answer, Committed)
    await store.relay_ack([(answer.commands[0], "")])
    assert await outbox(store) == {}


async def test_a_signal_command_reaches_the_other_executions_inbox_once(store: Clocked) -> None:
    """Carried out as often as the relay likes."""
    lease = await held(store)
    await created(store, TO)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(commands=[TELL]), going=Going(kind="none"))
    assert isinstance(answer, Committed)
    commands = Commands(Nowhere(), store)
    for _ in range(2):
        assert (await commands.publish(answer.commands[0])).ok
    other = await leased(store, TO)
    assert [(one.kind, one.payload) for one in other.signals] == [("child", {"list": []})]


@pytest.mark.parametrize("kind", ["of a newer release", MESSAGE])
async def test_what_nobody_carries_out_stays_refused(store: Clocked, kind: str) -> None:
    """So the outbox keeps it."""
    entry = Entry(id="x", execution=EXE, segment=0, reason="", kind=kind)
    assert not (await Commands(Nowhere(), store).publish(entry)).ok


async def test_a_command_about_what_is_over_is_done_with(store: Clocked) -> None:
    """Nobody waits for it; a relay must not try for ever."""
    payload = msgspec.to_builtins(SignalTo(tenant="acme", kind="child"))
    entry = Entry(id="x", execution=EXE, segment=0, reason="", kind="signal", to=execution_id(99), payload=payload)
    assert (await Commands(Nowhere(), store).publish(entry)).ok
