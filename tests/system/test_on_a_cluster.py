"""The three services on a Redis Cluster of three nodes: as on one server, with an executor killed in the middle."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

from tests.support import keyspace
from tests.support.valkey import Cluster
from tests.system.harness import QUICK, System, until, work

pytestmark = pytest.mark.system
MANY, STEPS = 12, 4


class Spread(System):
    """Ingress, step executor and resume keep everything on a cluster; the stand-ins keep theirs on a server of their own."""

    def __init__(self, folder: Path, cluster: Cluster, **settings: str) -> None:
        """`cluster` runs already."""
        super().__init__(folder, **settings)
        self._cluster = cluster

    def own(self, name: str) -> Mapping[str, str]:
        """See the base."""
        return {"REDIS_URL": self._cluster.url} if name in {"ingress", "step_executor", "resume"} else super().own(name)


async def test_every_saga_ends_and_every_effect_is_one_though_its_executor_is_killed(tmp_path: Path, cluster: Cluster) -> None:
    """And each node has its part of them."""
    for node in cluster.nodes:
        keyspace.clear(node.port)
    async with Spread(tmp_path, cluster, **QUICK) as system:
        executions = await asyncio.gather(*(system.run_plan(work(STEPS, 0.3)) for _ in range(MANY)))

        async def some_are_done() -> bool:
            return all(await asyncio.gather(*map(system.effects, executions)))

        await until(some_are_done, within=20, describe="every execution has had an effect")
        await system.restart("step_executor")
        ends = await asyncio.gather(*(system.ended(execution, within=40) for execution in executions))
        effects = await asyncio.gather(*(system.effects(execution) for execution in executions))

    assert [end["status"] for end in ends] == ["COMPLETED"] * MANY
    assert [sorted(found.values()) for found in effects] == [[1] * STEPS] * MANY
    for node in cluster.nodes:
        with redis.Redis(port=node.port) as client:
            assert int(client.dbsize()) > 0
        keyspace.check(node.port)
