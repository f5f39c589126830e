"""Which node of a cluster has which partition. A slot is what the server says it is: CRC16 of the hash tag, modulo 16,384."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from redis.crc import key_slot

from shared.redisdb import keys

SLOTS: Final = 16_384
Homes: TypeAlias = Mapping[str, int]
"""Partition -> node."""


def slot_of(name: str) -> int:
    """The slot of a key."""
    return int(key_slot(name.encode()))


def slots() -> dict[str, int]:
    """The slot of each partition."""
    return {partition: slot_of(keys.due(partition)) for partition in keys.all_partitions()}


def evenly(slot: int, nodes: int) -> int:
    """Who has a slot when every node has as many slots as the next one: what tools for clusters do by themselves."""
    return slot * nodes // SLOTS


def by_slots(nodes: int) -> Homes:
    """Where the partitions lie then: by chance, as their slots do."""
    return {partition: evenly(slot, nodes) for partition, slot in slots().items()}


def by_partitions(nodes: int) -> Homes:
    """Where they lie when the slots are cut so that every node has as many partitions as the next one, give or take one."""
    order = sorted(slots().items(), key=lambda pair: pair[1])
    return {partition: at * nodes // len(order) for at, (partition, _) in enumerate(order)}


def ranges(homes: Homes) -> list[tuple[int, int]]:
    """The slots of each node, first and last, for `CLUSTER ADDSLOTSRANGE`: of homes that were cut `by_partitions`."""
    order = sorted((slot, homes[partition]) for partition, slot in slots().items())
    firsts = [0] + [slot for (_, before), (slot, node) in pairwise(order) if node != before]
    return list(zip(firsts, [first - 1 for first in firsts[1:]] + [SLOTS - 1], strict=True))


def cutter(homes: Homes) -> Callable[[int], int]:
    """Who has a slot then."""
    firsts = [first for first, _ in ranges(homes)]
    return lambda slot: bisect_right(firsts, slot) - 1


def grown(homes: Homes, nodes: int) -> Homes:
    """One node more, with as few partitions moved as there can be: each of the fullest gives one in turn."""
    after, new = dict(homes), nodes - 1
    for _ in range(keys.PARTITIONS // nodes):
        fullest = max(range(new), key=list(after.values()).count)
        after[next(partition for partition, node in after.items() if node == fullest)] = new
    return after


def moved(before: Homes, after: Homes) -> int:
    """How many partitions are elsewhere."""
    return sum(before[partition] != node for partition, node in after.items())


def loads(homes: Homes, nodes: int, by_partition: Mapping[str, float]) -> list[float]:
    """What each node bears."""
    found = [0.0] * nodes
    for partition, load in by_partition.items():
        found[homes[partition]] += load
    return found


def over_mean(found: Sequence[float]) -> float:
    """The greatest of these, in means."""
    return max(found) * len(found) / sum(found)
