"""Gates: a circuit opens after too many failures, one call at a time finds out whether it may close; people pause."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.gate_ports import Failures, Gate, Standing, circuit, tenant_gate, tool_gate
from shared.memory_gates import MemoryGates
from shared.redisdb.gates import RedisGates
from tests.support.drawn import drawn
from tests.support.executions import NOW
from tests.support.gatekeeping import POLICY, TOOL, ClockedGates, Reports
from tests.support.meetings import pass_time
from tests.support.stores import TwiceGates


@pytest.fixture(params=["memory", "redis", "redis, every command sent twice"])
def gates(request: pytest.FixtureRequest) -> ClockedGates:
    """Nothing is closed; the clock stands at NOW."""
    if request.param == "memory":
        return MemoryGates(POLICY, now_ms=NOW)
    adapter = RedisGates if request.param == "redis" else TwiceGates
    return adapter(request.getfixturevalue("redis"), POLICY, now_ms=NOW)


async def test_failures_in_a_row_open_a_circuit(gates: ClockedGates) -> None:
    """Of this tool; while it is open nothing that began before changes it."""
    reports = Reports(gates)
    assert await reports.bad(2) is None
    found = await reports.bad()
    assert found == Gate(since_ms=NOW, until_ms=NOW + 10_000, times=1, reason="3 calls in a row failed")
    assert await gates.closed() == {circuit(TOOL): found}
    pass_time(gates, 5_000)
    assert await reports.bad() == found
    await gates.succeeded(TOOL)
    assert await gates.closed() == {circuit(TOOL): found}


async def test_a_good_call_ends_the_row(gates: ClockedGates) -> None:
    """Told by itself, or with the next failure."""
    reports = Reports(gates)
    await reports.bad(2)
    await gates.succeeded(TOOL)
    await reports.bad(2)
    await reports.bad(2, successes=1)
    assert await reports.bad() is None
    assert await reports.bad() is not None


async def test_a_share_of_failures_opens_a_circuit(gates: ClockedGates) -> None:
    """Of enough calls, within the window."""
    reports = Reports(gates)
    assert await reports.bad(4, successes=1) is None
    found = await reports.bad(successes=1)
    assert found is not None
    assert found.reason == "5 of 10 calls failed"


async def test_what_was_long_ago_does_not_count(gates: ClockedGates) -> None:
    """Neither for the row nor for the share."""
    reports = Reports(gates)
    await reports.bad(2)
    pass_time(gates, POLICY.window_ms)
    assert await reports.bad(2) is None
    await gates.succeeded(TOOL)
    await reports.bad(2, successes=1)
    pass_time(gates, POLICY.window_ms - 1)
    assert await reports.bad(2, successes=1) is not None


async def test_one_call_at_a_time_probes(gates: ClockedGates) -> None:
    """When the circuit's time has come, and another when the first is given up."""
    await Reports(gates).bad(3)
    assert await gates.probe(TOOL, token="a") == NOW + 10_000
    pass_time(gates, 10_000)
    assert await gates.probe(TOOL, token="a") == 0
    assert await gates.probe(TOOL, token="b") == NOW + 15_000
    assert (await gates.closed())[circuit(TOOL)].probe == "a"
    pass_time(gates, 5_000)
    assert await gates.probe(TOOL, token="b") == 0
    assert await gates.probe(TOOL, token="a") == NOW + 20_000


async def test_a_good_probe_closes_it(gates: ClockedGates) -> None:
    """With a clean record."""
    reports = Reports(gates)
    await reports.bad(3)
    pass_time(gates, 10_000)
    await gates.probe(TOOL, token="a")
    await gates.succeeded(TOOL)
    assert await gates.closed() == {}
    assert await gates.probe(TOOL, token="b") == 0
    assert await reports.bad(2) is None


async def test_a_bad_probe_opens_it_for_longer(gates: ClockedGates) -> None:
    """Twice as long each time, up to a limit; it remembers since when."""
    reports = Reports(gates)
    await reports.bad(3)
    ends = []
    for _ in range(3):
        pass_time(gates, 40_000)
        await gates.probe(TOOL, token="a")
        found = await reports.bad()
        assert found is not None
        assert found.since_ms == NOW
        ends.append(found.until_ms - (gates.now_ms or 0))
    assert ends == [20_000, 35_000, 35_000]


async def test_a_person_pauses_and_resumes(gates: ClockedGates) -> None:
    """What is paused stays so; the same word again is none; all of it is on record."""
    first = await gates.pause(tool_gate(TOOL), actor="ann", reason="partner is down")
    assert first == Gate(since_ms=NOW, actor="ann", reason="partner is down")
    pass_time(gates, 10)
    assert await gates.pause(tool_gate(TOOL), actor="ann", reason="partner is down") == first
    second = await gates.pause(tool_gate(TOOL), actor="bob", reason="still")
    assert second == Gate(since_ms=NOW, actor="bob", reason="still")
    await gates.pause(tenant_gate("acme"), actor="bob", reason="")
    assert await gates.closed() == {tool_gate(TOOL): second, tenant_gate("acme"): Gate(since_ms=NOW + 10, actor="bob")}
    assert await gates.resume(tool_gate(TOOL), circuit(TOOL), actor="ann", reason="back") >= 0
    assert await gates.resume(tool_gate(TOOL), circuit(TOOL), actor="ann", reason="back") == 0
    assert list(await gates.closed()) == [tenant_gate("acme")]
    lines = await gates.audit(limit=9)
    assert [(line["what"], line["gate"], line["actor"], line["reason"]) for line in lines] == [
        ("resumed", tool_gate(TOOL), "ann", "back"),
        ("paused", tenant_gate("acme"), "bob", ""),
        ("paused", tool_gate(TOOL), "bob", "still"),
        ("paused", tool_gate(TOOL), "ann", "partner is down"),
    ]
    assert [line["at_ms"] for line in lines] == [NOW + 10, NOW + 10, NOW + 10, NOW]
    assert list(await gates.audit(limit=1)) == list(lines)[:1]


async def test_a_person_may_close_a_circuit(gates: ClockedGates) -> None:
    """Its failures are forgotten."""
    reports = Reports(gates)
    await reports.bad(3)
    await gates.resume(tool_gate(TOOL), circuit(TOOL), actor="ann", reason="")
    assert await gates.closed() == {}
    assert await reports.bad(2) is None
    await gates.resume(circuit(TOOL), actor="ann", reason="")
    assert await reports.bad(2) is None


async def test_what_counts_against_a_tool_is_told(gates: ClockedGates) -> None:
    """With what is closed, at one moment; what was long ago does not count, and what was not asked about is not told."""
    reports = Reports(gates)
    await gates.pause(tool_gate(TOOL), actor="ann", reason="")
    assert await gates.standing([TOOL]) == Standing(
        now_ms=NOW, closed={tool_gate(TOOL): Gate(since_ms=NOW, actor="ann")}, failures={TOOL: Failures()}
    )
    await reports.bad(2, successes=2)
    found = await gates.standing(["do_work", TOOL])
    assert found.failures == {"do_work": Failures(), TOOL: Failures(row=1, calls=6, bad=2)}
    pass_time(gates, POLICY.window_ms - 1)
    await reports.bad()
    pass_time(gates, 1)
    found = await gates.standing([TOOL])
    assert (found.now_ms, found.failures[TOOL]) == (NOW + POLICY.window_ms, Failures(row=2))
    pass_time(gates, POLICY.window_ms)
    assert (await gates.standing([TOOL])).failures[TOOL] == Failures()
    assert (await gates.standing([])).failures == {}


async def test_a_circuit_that_opened_and_closed_by_itself_is_on_record(gates: ClockedGates) -> None:
    """Once for each time, however many probes failed in between; what people do is on another record."""
    reports = Reports(gates)
    await reports.bad(3)
    for _ in range(2):
        pass_time(gates, 40_000)
        await gates.probe(TOOL, token="a")
        await reports.bad()
    pass_time(gates, 40_000)
    await gates.probe(TOOL, token="b")
    await gates.succeeded(TOOL)
    found = await gates.trips(limit=9)
    assert list(found) == [
        {"at_ms": NOW + 120_000, "what": "closed", "gate": circuit(TOOL), "reason": "a call went well"},
        {"at_ms": NOW, "what": "opened", "gate": circuit(TOOL), "reason": "3 calls in a row failed"},
    ]
    assert list(await gates.trips(limit=1)) == list(found)[:1]
    assert list(await gates.audit(limit=9)) == []


class Move(NamedTuple):
    """One command, or time that passes."""

    what: str
    number: int
    name: str
    ms: int


MOVES = st.builds(
    Move,
    what=st.sampled_from(["bad", "bad", "bad", "bad", "good", "probe", "time", "pause", "resume"]),
    number=st.integers(0, 60),
    name=st.sampled_from([tool_gate(TOOL), tenant_gate("acme"), circuit(TOOL)]),
    ms=st.sampled_from([1, 4_999, 5_000, 10_000, POLICY.window_ms]),
)


async def _made(one: ClockedGates, move: Move) -> Any:
    """The move's answer."""
    match move.what:
        case "bad":
            return await one.failed(TOOL, report=f"report {move.number:02}", successes=max(0, move.number - 57))
        case "good":
            return await one.succeeded(TOOL)
        case "probe":
            return await one.probe(TOOL, token=f"{move.number % 3}")
        case "pause" if move.name != circuit(TOOL):
            return await one.pause(move.name, actor="ann", reason=f"{move.number % 2}")
        case "resume":
            return await one.resume(move.name, actor="ann", reason="")
        case _:
            return pass_time(one, move.ms)


@drawn(150)
@given(moves=st.lists(MOVES, min_size=5, max_size=60))
async def test_both_do_the_same(redis: Redis, moves: list[Move]) -> None:
    """The same answers, the same gates, the same record."""
    await redis.flushall()
    ours, theirs = MemoryGates(POLICY, now_ms=NOW), RedisGates(redis, POLICY, now_ms=NOW)
    for move in moves:
        assert await _made(ours, move) == await _made(theirs, move), move
        assert await ours.closed() == await theirs.closed(), move
        assert await ours.standing([TOOL]) == await theirs.standing([TOOL]), move
    assert await ours.trips(limit=99) == await theirs.trips(limit=99)
    assert await ours.audit(limit=99) == await theirs.audit(limit=99)
