"""Store, what parents need of their children: to look at one, to forbid one, to open one again."""

import pytest

from shared.errors import Conflict
from shared.machine.state import Notes, Parent
from shared.machine.status import Status
from tests.support.executions import EXE, NOTHING, Clocked, birth, created, ends, execution_id, leased

PARENT = Parent(execution=execution_id(7), step="trip")


async def test_a_look_shows_header_version_cells_and_notes(store: Clocked) -> None:
    """As they stand, to its tenant."""
    await created(store, notes=Notes(parent=PARENT, input={"n": 1}))
    lease = await leased(store)
    seen = await store.peek(EXE, tenant="acme")
    assert seen is not None
    assert (seen.status, seen.ver, seen.cells) == (Status.EXECUTING, lease.ver, b"r.....")
    assert seen.notes == lease.notes == Notes(parent=PARENT, input={"n": 1})
    assert await store.peek(EXE, tenant="other") is None
    assert await store.peek(execution_id(99), tenant="acme") is None


async def test_what_was_forbidden_is_never_created(store: Clocked) -> None:
    """Its creation may come later than its end."""
    assert await store.forbid(EXE)
    assert await store.forbid(EXE)
    with pytest.raises(Conflict):
        await store.create(birth())
    assert await store.peek(EXE, tenant="acme") is None


async def test_what_exists_cannot_be_forbidden(store: Clocked) -> None:
    """Running or over: it must be told to stop, or has."""
    await created(store)
    assert not await store.forbid(EXE)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=ends(lease))
    assert not await store.forbid(EXE)
