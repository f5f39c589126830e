"""Ten million executions, drawn one by one: whose each is, of which shape, and on which partition it lies.

The partition is chosen as ingress chooses it: by the tenant's Idempotency-Key (`keys.spread`), or at random. What is counted is
how many there are of each shape, tenant and partition; everything else follows from the shapes' footprints.
"""

import random
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from shared.clock import uuid7_hex
from shared.redisdb import keys

CHUNK: Final = 50_000


class Crowd:
    """So many tenants; their shares follow Zipf's law. A whale has its share, and the others the rest."""

    def __init__(self, *, seed: int, tenants: int, zipf: float = 1.1, whale: float = 0.0, keyed: float = 0.5) -> None:
        """`zipf`: the exponent. `whale`: 0..1. `keyed`: the share of requests with an Idempotency-Key."""
        self._dice = random.Random(seed)
        shares = [1 / (rank + 1) ** zipf for rank in range(tenants)]
        if whale:
            rest = sum(shares[1:])
            shares = [whale, *(share / rest * (1 - whale) for share in shares[1:])]
        self._weights = list(accumulate(shares))
        self._keyed = keyed
        self.tenants = tenants

    def draw(self, executions: int, mix: Sequence[float]) -> Iterator[tuple[int, int, int]]:
        """(shape, tenant, partition) of each. `mix`: the shares of the shapes."""
        numbers, shapes = range(self.tenants), range(len(mix))
        part = {name: number for number, name in enumerate(keys.all_partitions())}
        left = executions
        while left:
            size = min(CHUNK, left)
            left -= size
            who = self._dice.choices(numbers, cum_weights=self._weights, k=size)
            what = self._dice.choices(shapes, weights=mix, k=size)
            keyed, chance, spread = self._keyed, self._dice.random, keys.spread
            for number in range(size):
                if chance() < keyed:
                    yield what[number], who[number], part[spread(f"tenant-{who[number]}/order-{left + number}")]
                else:
                    yield what[number], who[number], int(chance() * keys.PARTITIONS)

    def identity(self, partition: int, at_ms: int) -> str:
        """An execution's id, as ingress makes it."""
        return f"exe_{partition:02x}_{uuid7_hex(at_ms, self._dice.randbytes(10))}"


class Counts:
    """How many of each shape, tenant and partition."""

    def __init__(self, shapes: int, tenants: int) -> None:
        """None yet."""
        self.tenants = tenants
        self._cells = [array("Q", bytes(8 * tenants * keys.PARTITIONS)) for _ in range(shapes)]

    def add(self, shape: int, tenant: int, partition: int) -> None:
        """One more."""
        self._cells[shape][tenant * keys.PARTITIONS + partition] += 1

    def of(self, shape: int, tenant: int, partition: int) -> int:
        """How many there are."""
        return self._cells[shape][tenant * keys.PARTITIONS + partition]

    def by_partition(self, shape: int) -> list[int]:
        """Of all tenants."""
        return [sum(self._cells[shape][partition :: keys.PARTITIONS]) for partition in range(keys.PARTITIONS)]

    def by_tenant(self, shape: int) -> list[int]:
        """On all partitions."""
        width = keys.PARTITIONS
        return [sum(self._cells[shape][at * width : (at + 1) * width]) for at in range(self.tenants)]
