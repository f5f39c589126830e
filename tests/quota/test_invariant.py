"""Whatever happens in whatever order: what QStash counts never passes a limit, and nobody who was accepted is left behind."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.quota import DAY_MS, TAIL_MS
from tests.quota.world import World, settings_with

ACTS = (
    "take",
    "take",
    "run",
    "run",
    "run",
    "retry",
    "retry",
    "callback",
    "signal",
    "resend",
    "sweep",
    "settle",
    "time",
    "time",
)
TIMES = (1, 1_000, 12_000, TAIL_MS, 400_000, DAY_MS // 4, DAY_MS)


async def act(world: World, data: st.DataObject, number: int) -> None:
    """One thing happens."""
    pick = data.draw(st.sampled_from(ACTS))
    some = world.open()
    match pick:
        case "take":
            lost = data.draw(st.integers(0, 5)) == 0
            await world.take(steps=data.draw(st.integers(1, 40)), undoable=data.draw(st.integers(0, 20)), lost=lost)
        case "run" if some:
            await world.run(data.draw(st.sampled_from(some)), data.draw(st.sampled_from(["leave", "leave", "sleep", "end"])))
        case "retry" if world.messages:
            await world.retry(data.draw(st.sampled_from(world.messages)))
        case "callback" if world.messages:
            await world.call_back(data.draw(st.sampled_from(world.messages)))
        case "signal" if some:
            await world.signal(data.draw(st.sampled_from(some)), str(number))
        case "settle" if world.executions:
            await world.keeper.settle(data.draw(st.sampled_from(world.executions)))
        case "resend":
            await world.resend()
        case "sweep":
            await world.keeper.sweep()
        case "time":
            world.pass_time(data.draw(st.sampled_from(TIMES)))


async def finish(world: World) -> None:
    """Time passes, and everybody who is woken does the last of his work."""
    for _ in range(40):
        world.pass_time(DAY_MS // 4)
        await world.keeper.sweep()
        await world.resend()
        for execution in world.open():
            await world.run(execution, "end")
        await world.check_ledger()
        if not world.open():
            return


@pytest.mark.parametrize("direct", [True, False], ids=["direct calls", "no direct calls"])
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_what_qstash_counts_never_passes_a_limit_and_nobody_is_stranded(*, direct: bool, data: st.DataObject) -> None:
    """Requests, crashes before the create, retries, callbacks, signals, sleeps over midnight, sweeps: each at any time."""
    per_message = data.draw(st.sampled_from([0, 1, 3]))
    world = World(settings_with(steps_per_message=per_message), direct=direct)
    for number in range(data.draw(st.integers(5, 80))):
        await act(world, data, number)
        await world.check_ledger()
    await finish(world)
    assert world.open() == []
    world.pass_time(DAY_MS)  # a message that was to end a sleep may still be under way
    await world.keeper.sweep()
    book = await world.ledger.book("local", 0)
    assert (book.reserved, book.running, book.waiting) == (0, 0, 0)


async def test_three_times_overload_refuses_two_thirds_and_ends_the_rest() -> None:
    """Every accepted one ends, though each needs far more messages than it was given at first."""
    world = World(settings_with(quota_concurrent=0))
    for _ in range(30):
        await world.take(steps=1, undoable=0, lost=False)
        await world.check_ledger()
    assert (len(world.executions), world.refused) == (6, 24)
    for _ in range(30):
        for execution in world.open():
            await world.run(execution, "leave")
            await world.check_ledger()
    for execution in world.open():
        await world.run(execution, "end")
    assert world.open() == []
    assert sum(world.days.values()) <= 60


async def test_an_admission_without_an_execution_is_given_back_and_never_used() -> None:
    """Ingress died between the two; what it might still send finds a tombstone."""
    world = World(settings_with())
    await world.take(steps=1, undoable=0, lost=True)
    assert (await world.ledger.book("local", 0)).reserved > 0
    world.pass_time(TAIL_MS)
    await world.keeper.sweep()
    assert (await world.ledger.book("local", 0)).reserved == 0
