"""Store, planning: words without a plan, and the commit that gives them one."""

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine.decision import Changes, Line
from shared.machine.plan import NO_PLAN, Contract, Effect, Plan, Retry, Step
from shared.machine.state import Adopted, Asking, Header, Notes, Result
from shared.machine.status import Cell, Status
from shared.ports import Birth, Committed, Created, Flags, Going, Lease, Lost, No, NoLease, Words
from tests.support.executions import ALLOWANCE, EXE, NOTHING, NOW, PP, Clocked, ask, created, later, leased, signalled, standing

WORDS = Words(text="dinner for two", user="ann", timezone="Europe/Berlin", at_ms=NOW)
STEP = Step(name="a", tool="look", args={}, needs=(), retry=Retry(), timeout_ms=1_000)
CONTRACTS = {"look": Contract(version="1", effect=Effect.PURE)}
PLAN = plans.encode(Plan(steps=(STEP,), contracts=CONTRACTS))
FOUND = Adopted(plan=PLAN, hash=plans.hash_of(PLAN), cells="r.", fields={"summary": "Look.", "sources": "[]"})


async def worded(store: Clocked, **other: object) -> Lease:
    """An execution that has words only, and its first lease."""
    header = Header(id=EXE, tenant="acme", plan="", status=Status.RECEIVED, trace="trace")
    facts = {"fields": {"user": "ann", "text": WORDS.text, "summary": ""}, "request_hash": "r", **other}
    made = await store.create(Birth(header=header, plan=NO_PLAN, cells="", words=WORDS, **facts))  # type: ignore[arg-type] # what a test says
    assert isinstance(made, Created)
    return await leased(store)


def adopting(lease: Lease, *, confirm: bool = False, **other: object) -> Going:
    """Go on with the plan."""
    status = Status.AWAITING_CONFIRMATION if confirm else Status.PLANNED
    changes = Changes(
        header=standing(lease, status), notes=Notes(unconfirmed=confirm), history=[Line(event="planning.planned")]
    )
    rest = {"kind": "suspend", "due_in_ms": 60_000} if confirm else {"kind": "leave", "message": True, "reason": "planned"}
    return Going(changes=changes, adopted=FOUND, **{**rest, **other})  # type: ignore[arg-type] # what a test says


async def test_words_come_with_the_first_lease(store: Clocked) -> None:
    """There is a lease and a message, no cell, and no plan's hash."""
    lease = await worded(store)
    assert (lease.header.status, lease.header.plan, lease.cells) == (Status.RECEIVED, "", b"")
    assert await store.load_words(EXE) == WORDS
    assert await store.load_plan(EXE) == NO_PLAN


async def test_what_was_accepted_with_a_plan_has_no_words(store: Clocked) -> None:
    """Nor has what does not exist."""
    await created(store)
    assert await store.load_words(EXE) is None
    assert await store.load_words(f"exe_{PP}_{'f' * 32}") is None


async def test_the_plan_takes_the_place_of_none(store: Clocked) -> None:
    """Bytes, hash, cells, summary and deadline in one commit, with the message of the first step."""
    lease = await worded(store)
    going = adopting(lease, deadline_ms=NOW + 60_000)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)
    assert isinstance(answer, Committed)
    assert answer.entry is not None
    assert (answer.entry.segment, answer.entry.reason) == (1, "planned")
    assert await store.load_plan(EXE) == PLAN
    after = await leased(store, owner="b" * 32)
    assert (after.header.plan, after.header.status, after.cells) == (FOUND.hash, Status.PLANNED, b"r.")
    assert after.header.deadline_ms == NOW + 60_000


async def test_a_plan_to_be_confirmed_rests(store: Clocked) -> None:
    """No message, and nobody gets it before a person has spoken."""
    lease = await worded(store, notes=Notes(unconfirmed=True))
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=adopting(lease, confirm=True))
    assert isinstance(answer, Committed)
    assert answer.entry is None
    refused = await ask(store)
    assert isinstance(refused, NoLease)
    assert refused.why is No.PAUSED


async def test_no_plan_is_stored_over_a_cancel(store: Clocked) -> None:
    """The kept part is; the plan is dropped with the continuation."""
    lease = await worded(store)
    await signalled(store)
    kept = Changes(notes=Notes(asking=Asking(calls=1, heard=1, tokens=70)), history=[Line(event="planning.answered")])
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=adopting(lease))
    assert isinstance(answer, Flags)
    assert await store.load_plan(EXE) == NO_PLAN
    later(store, 60_000)
    after = await leased(store, owner="b" * 32)
    assert (after.header.plan, after.cells, after.notes.asking.tokens) == ("", b"", 70)


async def test_a_plan_of_somebody_who_lost_the_lease_is_not_stored(store: Clocked) -> None:
    """The next owner plans again."""
    lease = await worded(store)
    assert await store.commit(lease, ver=lease.ver + 1, seen=0, kept=NOTHING, going=adopting(lease)) == Lost()
    assert await store.load_plan(EXE) == NO_PLAN


@pytest.mark.parametrize("counted", [True, False])
async def test_the_undo_lane_of_the_plan_keeps_its_part_of_the_messages(store: Clocked, *, counted: bool) -> None:
    """Where somebody counts."""
    lease = await worded(store, allowance=ALLOWANCE if counted else None)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=adopting(lease, floor=7 if counted else 0))
    account = await store.account(EXE)
    assert (account.floor if account else None) == (7 if counted else None)


async def test_purging_takes_the_plan_along(store: Clocked) -> None:
    """And the words: they are in the record."""
    lease = await worded(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=adopting(lease))
    last = await leased(store, owner="b" * 32)
    going = Going(kind="end", changes=Changes(header=standing(last, Status.CANCELLED)))
    await store.commit(last, ver=last.ver, seen=0, kept=NOTHING, going=going)
    later(store, 30 * 86_400_000)
    assert await store.purge(EXE)
    assert await store.load_plan(EXE) is None
    assert await store.load_words(EXE) is None


LATER = plans.encode(
    Plan(steps=(msgspec.structs.replace(STEP, replaced=True), msgspec.structs.replace(STEP, name="b")), contracts=CONTRACTS)
)
NEXT = Adopted(plan=LATER, hash=plans.hash_of(LATER), cells="fr..", fields={"summary": "Look elsewhere."})


async def planned(store: Clocked) -> Lease:
    """It has a plan, whose step has failed, and its next lease."""
    lease = await worded(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=adopting(lease, deadline_ms=NOW + 60_000))
    return await leased(store, owner="b" * 32)


async def test_the_next_version_takes_the_place_of_the_plan(store: Clocked) -> None:
    """Bytes, hash and more cells; what was stored of the old steps, the words and the deadline are as they were."""
    lease = await planned(store)
    done = Result(output={"n": 1}, attempt=1, started_ms=NOW, ended_ms=NOW)
    kept = Changes(results={0: done}, cells={0: Cell.DONE})
    going = Going(kind="leave", message=True, reason="planned", adopted=NEXT, deadline_ms=NOW + 60_000)
    going = msgspec.structs.replace(going, changes=Changes(header=standing(lease, Status.EXECUTING)))
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=going)
    assert isinstance(answer, Committed)
    assert (await store.load_plan(EXE), await store.load_words(EXE)) == (LATER, WORDS)
    after = await leased(store, owner="c" * 32)
    assert (after.header.plan, after.header.deadline_ms, after.cells) == (NEXT.hash, NOW + 60_000, b"fr..")
    assert await store.load_results(EXE, [0]) == {0: {"n": 1}}


async def test_the_same_version_sent_twice_is_stored_once(store: Clocked) -> None:
    """The second is told the first answer, with the same message."""
    lease = await planned(store)
    going = Going(kind="leave", message=True, reason="planned", adopted=NEXT)
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)
    again = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)
    assert again == first
    assert await store.load_plan(EXE) == LATER


async def test_no_version_is_stored_over_a_cancel(store: Clocked) -> None:
    """The plan that runs stays the one that is undone."""
    lease = await planned(store)
    await signalled(store)
    going = Going(kind="leave", message=True, reason="planned", adopted=NEXT)
    assert isinstance(await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going), Flags)
    assert await store.load_plan(EXE) == PLAN
