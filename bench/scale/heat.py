"""How often each key is touched, and so which is hottest: the counts of a crowd, times the footprints of its shapes."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bench.scale.crowd import Counts
from bench.scale.footprint import Footprint, Scope
from bench.scale.nodes import Homes, loads, over_mean, slot_of
from shared.redisdb import keys


class Hot(msgspec.Struct, frozen=True, order=True):
    """One key: how often the crowd touches it."""

    touches: float
    kind: str
    scope: Scope
    name: str


def _named(kind: str, scope: Scope, tenant: int, partition: int) -> str:
    pp = f"{partition:02x}"
    match scope:
        case "partition":
            return f"ie:{{p{pp}}}:{kind}"
        case "tenant and partition":
            return f"ie:{{p{pp}}}:{kind}:tenant-{tenant}"
        case "tenant":
            return f"ie:{{q:tenant-{tenant}}}:{kind.removeprefix('q:')}"
        case "execution":
            return f"ie:{{p{pp}}}:{kind}:<one execution>"
        case _:
            return f"ie:{{{kind}}}"


class Heat:
    """Of one crowd."""

    def __init__(self, counts: Counts, footprints: Sequence[Footprint]) -> None:
        """`footprints`: of the shapes, in their order."""
        self._counts = counts
        self._footprints = footprints
        self._partitions = [counts.by_partition(shape) for shape in range(len(footprints))]
        self._tenants = [counts.by_tenant(shape) for shape in range(len(footprints))]
        self.executions = sum(map(sum, self._partitions))

    @property
    def kinds(self) -> dict[str, Scope]:
        """Every kind of key that an execution touches."""
        return {kind: scope for one in self._footprints for kind, scope in one.scopes.items()}

    def _total(self, kind: str, numbers: Sequence[int]) -> float:
        return sum(one.on(kind) * number for one, number in zip(self._footprints, numbers, strict=True))

    def of(self, kind: str) -> list[Hot]:
        """The hottest keys of a kind, a few of them, hottest first."""
        scope = self.kinds[kind]
        shapes = range(len(self._footprints))
        found: list[tuple[float, int, int]]
        if scope == "execution":
            found = [(max(one.on(kind) for one in self._footprints), 0, 0)]
        elif scope == "everybody":
            found = [(self._total(kind, [sum(one) for one in self._partitions]), 0, 0)]
        elif scope == "partition":
            found = [(self._total(kind, [self._partitions[s][pp] for s in shapes]), 0, pp) for pp in range(keys.PARTITIONS)]
        elif scope == "tenant":
            found = [(self._total(kind, [self._tenants[s][t] for s in shapes]), t, 0) for t in range(self._counts.tenants)]
        else:  # of the greatest tenants only: nobody else's key is hot
            great = heapq.nlargest(5, range(self._counts.tenants), key=lambda t: sum(one[t] for one in self._tenants))
            found = [
                (self._total(kind, [self._counts.of(s, t, pp) for s in shapes]), t, pp)
                for t in great
                for pp in range(keys.PARTITIONS)
            ]
        return [Hot(touches, kind, scope, _named(kind, scope, t, pp)) for touches, t, pp in heapq.nlargest(5, found)]

    def hottest(self) -> list[Hot]:
        """The hottest key of each kind, hottest first."""
        return sorted((self.of(kind)[0] for kind in self.kinds), reverse=True)

    def of_partitions(self) -> dict[str, float]:
        """Commands inside the server, by partition."""
        rates = [
            sum(count for (kind, _), count in one.touches.items() if one.scopes[kind] not in {"tenant", "everybody"})
            for one in self._footprints
        ]
        return {
            pp: sum(rate * numbers[at] for rate, numbers in zip(rates, self._partitions, strict=True))
            for at, pp in enumerate(keys.all_partitions())
        }

    def of_ledgers(self) -> dict[int, float]:
        """Commands inside the server for the quotas of tenants, by slot."""
        rates = [
            sum(count for (kind, _), count in one.touches.items() if one.scopes[kind] == "tenant") for one in self._footprints
        ]
        found: dict[int, float] = {}
        for tenant in range(self._counts.tenants):
            slot = slot_of(keys.quota_sums(f"tenant-{tenant}"))
            load = sum(rate * numbers[tenant] for rate, numbers in zip(rates, self._tenants, strict=True))
            found[slot] = found.get(slot, 0.0) + load
        return found

    def busiest(self, homes: Homes, nodes: int, node_of: Callable[[int], int]) -> float:
        """The busiest node, in means: of partitions and ledgers together. `node_of`: by slot."""
        found = loads(homes, nodes, self.of_partitions())
        for slot, load in self.of_ledgers().items():
            found[node_of(slot)] += load
        return over_mean(found)

    def sum_of(self, per_shape: Sequence[float]) -> float:
        """Something that each execution of a shape has so much of, altogether."""
        return sum(each * sum(numbers) for each, numbers in zip(per_shape, self._partitions, strict=True))


def summary(heat: Heat) -> Mapping[str, Any]:
    """Of the partitions: the mean, and the extremes in means."""
    loads = list(heat.of_partitions().values())
    mean = sum(loads) / len(loads)
    return {"mean": mean, "most": max(loads) / mean, "least": min(loads) / mean}
