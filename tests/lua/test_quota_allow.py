"""quota_allow.lua: OK 0, TERMINAL 1, ABSENT 2."""

from shared.machine.decision import Changes
from shared.machine.status import Reason, Status
from shared.ports import Going, Lease
from tests.support.executions import ALLOWANCE, EXE, NOTHING, NOW, PP, ask, created, ended, leased, standing
from tests.support.stores import Twice, everything


async def allowed(store: Twice) -> int:
    """What its messages may cost altogether."""
    found = await store.account(EXE)
    assert found is not None
    return found.allow


async def test_it_rises_and_never_falls(store: Twice) -> None:
    """An answer that comes late takes nothing back."""
    await created(store, allowance=ALLOWANCE)
    await store.allow(EXE, 20, wake=False)
    await store.allow(EXE, 15, wake=False)
    assert store.last.codes == (0, 0)
    assert await allowed(store) == 20
    assert await store.overdue(PP, limit=9) == []


async def test_who_waits_for_it_goes_on_at_once(store: Twice) -> None:
    """Suspended for the quota: due now, and its wait is over."""
    await created(store, allowance=ALLOWANCE)
    lease = await leased(store)
    header = standing(lease, Status.SUSPENDED, reason=Reason.QUOTA)
    going = Going(kind="suspend", changes=Changes(header=header), due_in_ms=60_000, wake_ms=NOW + 60_000)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)
    assert not isinstance(await ask(store), Lease)
    await store.allow(EXE, 20, wake=True)
    assert await store.overdue(PP, limit=9) == [EXE]
    assert isinstance(await ask(store), Lease)


async def test_one_that_is_over_gets_nothing(store: Twice) -> None:
    """Its rest went back to its tenant."""
    await created(store, allowance=ALLOWANCE)
    await ended(store)
    before = await everything(store.redis)
    await store.allow(EXE, 20, wake=True)
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_nobody_gets_nothing(store: Twice) -> None:
    """No execution, or none that is counted."""
    await store.allow(EXE, 20, wake=True)
    assert store.last.codes == (2, 2)
    await created(store)
    await store.allow(EXE, 20, wake=True)
    assert store.last.codes == (2, 2)


async def test_a_reopened_one_asks_before_it_sends(store: Twice) -> None:
    """What it had left when it ended is somebody else's by now."""
    await created(store, allowance=ALLOWANCE)
    lease = await ended(store, status=Status.FAILED)
    changes = Changes(header=standing(lease, Status.EXECUTING))
    origins = frozenset({Status.FAILED})
    answer = await store.reopen(EXE, tenant="acme", ver=lease.ver + 1, origins=origins, changes=changes)
    assert getattr(answer, "entry").cost == 0  # noqa: B009 - the answer is one of two types
    assert await allowed(store) == 6
