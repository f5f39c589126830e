"""A thousand executors and a hundred thousand executions, counted: who bears how much, and what nobody may bear alone.

The long form is `make scale`; its tables are in docs/scaling.md.
"""

from collections import Counter

import pytest
from redis.asyncio import Redis

from bench.scale import nodes
from bench.scale.crowd import Crowd
from bench.scale.fleet import DAY, LEASE_S, Fleet
from bench.scale.footprint import SHAPES, Footprint, measure, scope_of
from bench.scale.heat import Heat, summary
from bench.scale.idle import executor_look, fill, resume_round
from bench.scale.played import MIX, Played, play
from shared.clock import new_execution_id
from shared.redisdb import keys
from tests.support.valkey import Valkey

EXECUTIONS, EXECUTORS, TENANTS = 100_000, 1_000, 1_000
LEDGER = {"q:sums", "q:accounts", "q:tails", "q:looks"}
"""What every execution of one tenant touches. There is nothing that every execution of everybody does."""


_measured: list[Footprint] = []
_played: dict[float, Played] = {}


@pytest.fixture
async def footprints(redis: Redis) -> list[Footprint]:
    """Of the shapes, played on the real server; once for all tests."""
    for shape in SHAPES[len(_measured) :]:
        await redis.flushall()
        _measured.append(await measure(redis, shape, executions=2))
    return _measured


def played(footprints: list[Footprint], *, whale: float = 0.0) -> Played:
    """The same crowd every time."""
    if whale not in _played:
        crowd, fleet = Crowd(seed=1, tenants=TENANTS, whale=whale), Fleet(seed=1, executors=EXECUTORS)
        _played[whale] = play(crowd, fleet, footprints, executions=EXECUTIONS)
    return _played[whale]


def load_of(heat: Heat, scope: str) -> dict[str, float]:
    """The hottest key of each kind that so many share: its touches for each execution of the run."""
    return {hot.kind: hot.touches / heat.executions for hot in heat.hottest() if hot.scope == scope}


async def test_no_key_is_touched_by_every_execution_but_those_of_its_tenants_quota(footprints: list[Footprint]) -> None:
    """A key that all share would be what the whole system waits for; a partition's is touched by a 64th."""
    heat = played(footprints).heat

    assert load_of(heat, "everybody") == {}
    assert load_of(heat, "tenant").keys() == LEDGER
    for one in footprints:
        touched = {kind: one.on(kind) for kind, scope in one.scopes.items() if scope == "partition"}
        assert {"due", "obz", "obh", "retire"} <= touched.keys()
        for kind, share in load_of(heat, "partition").items():
            assert share < 1.2 * max(each.on(kind) for each in footprints) / keys.PARTITIONS


@pytest.mark.parametrize("whale", [0.0, 0.9], ids=["a thousand tenants by Zipf's law", "one of them has ninety percent"])
async def test_partitions_bear_alike_whoever_the_tenants_are(footprints: list[Footprint], whale: float) -> None:
    """A tenant has no partition of its own: however great, it is everywhere."""
    load = summary(played(footprints, whale=whale).heat)

    assert load["most"] < 1.1
    assert load["least"] > 0.9


async def test_a_great_tenants_indexes_are_spread_and_its_quota_is_not(footprints: list[Footprint]) -> None:
    """Of its tallies each partition has a 64th; its ledger is one key, and bears what all its executions ask of it."""
    heat = played(footprints, whale=0.9).heat

    tally, sums = heat.of("tally")[0], heat.of("q:sums")[0]
    assert tally.touches < 1.2 * 0.9 * EXECUTIONS / keys.PARTITIONS * max(one.on("tally") for one in footprints)
    assert sums.touches > 0.89 * heat.sum_of([one.on("q:sums") for one in footprints])
    ledgers, rest = heat.of_ledgers(), heat.of_partitions()
    assert max(ledgers.values()) < (sum(ledgers.values()) + sum(rest.values())) / 4


async def test_nothing_is_handed_over_when_executors_come_and_what_the_dead_held_is_taken_over_lease_by_lease(
    footprints: list[Footprint],
) -> None:
    """Whoever is asked to stop ends what it holds; a lease that nobody gives back is a successor's, or it runs out."""
    run = played(footprints)

    assert [event.what for event in run.events] == [what for what, _ in DAY]
    for event, (what, share) in zip(run.events, DAY, strict=True):
        if what in {"join", "drain"}:
            assert event.orphaned == 0
        else:
            assert 0.5 * share * event.leases < event.orphaned < 1.5 * share * event.leases
            restarted = what == "kill and restart"
            assert event.at_once == (event.orphaned if restarted else 0)
            assert event.waited_s == 0 if restarted else 0 < event.waited_s < LEASE_S
    assert run.fleet.segments == pytest.approx(
        run.heat.sum_of([one.segments for one in footprints]) + sum(event.orphaned for event in run.events), rel=0.001
    )


@pytest.mark.parametrize("count", [1, 3, 12, 64])
def test_slots_can_be_cut_so_that_no_node_has_more_than_its_share(count: int) -> None:
    """Shared out evenly, slots leave the partitions to chance; the ranges that are printed do not."""
    homes = nodes.by_partitions(count)

    borne = Counter(homes.values())
    assert set(borne.values()) <= {keys.PARTITIONS // count, -(-keys.PARTITIONS // count)}
    cut = nodes.ranges(homes)
    assert [first for first, _ in cut] == [0, *(last + 1 for _, last in cut[:-1])]
    assert cut[-1][1] == nodes.SLOTS - 1
    for partition, slot in nodes.slots().items():
        first, last = cut[homes[partition]]
        assert first <= slot <= last


@pytest.mark.parametrize("before", [1, 2, 3, 11, 12, 63])
def test_another_node_takes_its_share_and_nothing_else_moves(before: int) -> None:
    """Cut evenly again, half of the partitions would move."""
    homes = nodes.by_partitions(before)
    after = nodes.grown(homes, before + 1)

    assert nodes.moved(homes, after) == keys.PARTITIONS // (before + 1)
    assert max(Counter(after.values()).values()) <= -(-keys.PARTITIONS // before)
    assert set(after.values()) == set(range(before + 1))


def test_no_two_partitions_have_one_slot() -> None:
    """Two in one slot could never be parted."""
    assert len(set(nodes.slots().values())) == keys.PARTITIONS


def test_an_execution_without_a_key_may_lie_anywhere() -> None:
    """As the simulated crowd's do."""
    count = 200 * keys.PARTITIONS
    lie = Counter(keys.partition_of(new_execution_id()) for _ in range(count))

    assert len(lie) == keys.PARTITIONS
    assert max(lie.values()) < 2 * 200
    assert min(lie.values()) > 200 / 2


async def test_idle_work_does_not_grow_with_what_is_stored(redis: Redis, valkey: Valkey) -> None:
    """A round's samples are bounded (and drawn, so that rounds differ by some), and everything else asks for what is due."""
    found = []
    for count in (2_000, 20_000):
        await redis.flushall()
        await fill(redis, count, "local")
        found.append((await resume_round(valkey.url, redis), await executor_look(valkey.url, redis, rounds=2)))

    (sweep, look), (later, same) = found
    assert sweep.commands > keys.PARTITIONS
    assert later.commands <= 1.5 * sweep.commands  # of ten times as much
    assert look.commands > 1
    assert same.commands <= look.commands + 1


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("ie:{p0a}:x:exe_0a_" + "0" * 32, "execution"),
        ("ie:{p0a}:idem:acme:" + "0" * 32, "execution"),
        ("ie:{p0a}:due", "partition"),
        ("ie:{p0a}:tally:acme", "tenant and partition"),
        ("ie:{q:acme}:sums", "tenant"),
        ("ie:{lag}:ms", "everybody"),
        ("ie:{gates}:closed", "everybody"),
    ],
)
def test_a_key_that_all_share_is_known_by_its_name(name: str, scope: str) -> None:
    """The checks above rest on this."""
    assert scope_of(name) == scope


def test_the_shares_of_the_shapes_are_all_there_is() -> None:
    """Each has one."""
    assert len(MIX) == len(SHAPES)
    assert sum(MIX) == pytest.approx(1)
