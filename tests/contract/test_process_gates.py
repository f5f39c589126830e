"""What a process knows of the gates, and what it costs: a good call of a clean tool costs no command."""

from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.gate_ports import circuit, tenant_gate, tool_gate
from shared.gates import LOOK_MS, PAUSED_MS, Gates
from shared.redisdb.connect import connect
from shared.redisdb.gates import RedisGates
from tests.support.executions import NOW
from tests.support.gatekeeping import POLICY, TOOL
from tests.support.valkey import free_port


class Counting(RedisGates):
    """Counts what goes over the wire."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, POLICY, now_ms=NOW)
        self.calls = Counter()

    async def _plain(self, call: Any) -> Any:
        self.calls["all"] += 1
        return await super()._plain(call)


class Watch:
    """A monotonic clock in the test's hands."""

    ms = 0.0

    def monotonic_ms(self) -> float:
        """See the port."""
        return self.ms


@pytest.fixture
def watch() -> Watch:
    """Stands still."""
    return Watch()


@pytest.fixture
def store(redis: Redis) -> Counting:
    """The real store."""
    return Counting(redis)


@pytest.fixture
def gates(store: Counting, watch: Watch) -> Gates:
    """One process's."""
    return Gates(store, watch)


async def test_the_hot_path_costs_nothing(store: Counting, gates: Gates, watch: Watch) -> None:
    """One read a second, however often it is asked; a good call none at all."""
    for _ in range(1_000):
        await gates.look()
        assert gates.closed("acme", [TOOL], NOW) == {}
        assert not gates.to_probe(TOOL)
        await gates.report(TOOL, ok=True)
    assert store.calls == {"all": 1}
    watch.ms += LOOK_MS
    await gates.look()
    assert store.calls["all"] == 2


async def test_a_failure_costs_one_command_and_so_does_the_next_good_call(store: Counting, gates: Gates) -> None:
    """After that it is clean again, and the good calls before a failure are told with it."""
    for _ in range(2):
        for ok in (True, True, False, True, True):
            await gates.report(TOOL, ok=ok)
        assert store.calls.pop("gate_report") == 2
    [failures] = [await store._redis.hgetall(name) async for name in store._redis.scan_iter("ie:*:cb:*")]
    assert (failures[b"calls"], failures[b"bad"]) == (b"8", b"2")


async def test_a_circuit_opens_for_this_process_at_once_and_for_others_at_their_next_look(
    store: Counting, gates: Gates
) -> None:
    """Until its time comes: then whoever calls asks first, and one at a time may."""
    other = Gates(store, Watch())
    for _ in range(POLICY.in_a_row):
        await gates.report(TOOL, ok=False)
    await other.look()
    for one in (gates, other):
        assert one.closed("acme", [TOOL, "do_work"], NOW) == {TOOL: NOW + POLICY.open_ms}
    store.now_ms = NOW + POLICY.open_ms
    for one in (gates, other):
        assert one.closed("acme", [TOOL], store.now_ms) == {}
        assert one.to_probe(TOOL)
    assert await gates.probe(TOOL) == 0
    assert await other.probe(TOOL) == store.now_ms + POLICY.probe_ms
    assert other.closed("acme", [TOOL], store.now_ms) == {TOOL: store.now_ms + POLICY.probe_ms}


async def test_a_good_probe_is_known_at_the_next_look(store: Counting, gates: Gates) -> None:
    """Which does not wait for its second."""
    for _ in range(POLICY.in_a_row):
        await gates.report(TOOL, ok=False)
    await gates.look()
    store.now_ms = NOW + POLICY.open_ms
    await gates.probe(TOOL)
    await gates.report(TOOL, ok=True)
    await gates.look()
    assert not gates.to_probe(TOOL)
    assert await gates.probe(TOOL) == 0


async def test_a_call_that_began_before_it_opened_closes_nothing(gates: Gates) -> None:
    """However well it went."""
    for _ in range(POLICY.in_a_row):
        await gates.report(TOOL, ok=False)
    await gates.report(TOOL, ok=True)
    await gates.look()
    assert gates.closed("acme", [TOOL], NOW) == {TOOL: NOW + POLICY.open_ms}


async def test_a_pause_is_of_a_tool_or_of_all_tools_of_a_tenant(store: Counting, gates: Gates, watch: Watch) -> None:
    """To be looked at again after a while: nobody knows until when."""
    await store.pause(tool_gate(TOOL), actor="ann", reason="")
    await store.pause(tenant_gate("globex"), actor="ann", reason="")
    await gates.look()
    tools, again_ms = [TOOL, "do_work"], NOW + PAUSED_MS
    assert gates.closed("acme", tools, NOW) == {TOOL: again_ms}
    assert gates.closed("globex", tools, NOW) == dict.fromkeys(tools, again_ms)
    await store.resume(tool_gate(TOOL), circuit(TOOL), actor="ann", reason="")
    watch.ms += LOOK_MS
    await gates.look()
    assert gates.closed("acme", tools, NOW) == {}


async def test_a_store_that_is_away_stops_nobody(watch: Watch) -> None:
    """What was known stays."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        gates = Gates(RedisGates(nobody, POLICY), watch)
        await gates.look()
        await gates.report(TOOL, ok=False)
        await gates.report(TOOL, ok=True)
        assert await gates.probe(TOOL) == 0
        assert gates.closed("acme", [TOOL], NOW) == {}


async def test_the_tools_of_one_server_share_a_circuit(gates: Gates) -> None:
    """One that does not answer opens it for all of them, for no other server, and a good call of another closes it."""
    tools = ["desk.open", "desk.find", "desk2.open", "desk"]
    for number in range(POLICY.in_a_row):
        await gates.report(tools[number % 2], ok=False)

    assert set(gates.closed("acme", tools, NOW)) == {"desk.open", "desk.find", "desk"}
    assert gates.to_probe("desk.find")
    assert not gates.to_probe("desk2.open")
