"""What the tests of outages look at beside a system's own answers."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from redis.asyncio import Redis

from shared.redisdb import keys
from tests.system.harness import MODULES, QUICK, Process, System, until

ENGINE: Final = ("ingress", "step_executor", "resume")
OWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        **QUICK,
        "INTENTION_MODE": "production",
        "QSTASH_TOKEN": "a-token-of-this-test-only",
        "QSTASH_CURRENT_SIGNING_KEY": "sig_the-current-key-of-these-tests",
        "QSTASH_NEXT_SIGNING_KEY": "sig_the-next-key-of-these-tests-only",
        "INTERNAL_SIGNING_KEY": "internal-key-of-this-test-only",
        "ABLY_API_KEY": "local.own:secret-of-this-test-only",
        "ABLY_DEV_KEY": "local.own:secret-of-this-test-only",
        "API_KEYS": "acme:api-key-of-this-test",
    }
)
"""Production's settings with keys of one's own: local mode puts the public ones where there is none."""


class Misconfigured(System):
    """The engine's services have wrong settings, until somebody sets them right."""

    def __init__(self, folder: Path, wrong: Mapping[str, str], *services: str, **settings: str) -> None:
        """`wrong`: what these services (the engine's, if none is named) have in place of what all others have."""
        super().__init__(folder, **{**OWN, **settings})
        self._misled = services or ENGINE
        self.client.headers["Authorization"] = f"Bearer {OWN['API_KEYS'].partition(':')[2]}"
        self._wrong = wrong

    def add(self, name: str, module: str, *, port: int, **settings: str) -> Process:
        """See the base."""
        wrong = self._wrong if name in self._misled else {}
        return super().add(name, module, port=port, **{**wrong, **settings})

    async def set_right(self) -> None:
        """Those services are started again with the settings of all others."""
        for name in self._misled:
            await self.kill(name)
            super().add(name, MODULES[name], port=self.ports[name])
        await asyncio.gather(*(self.start(name) for name in self._misled))


async def outbox(system: System) -> dict[str, float]:
    """What nobody has carried out yet: entries, and when each is tried again by itself (unix seconds)."""
    async with Redis(port=system.ports["valkey"]) as redis:
        pipe = redis.pipeline(transaction=False)
        for partition in keys.all_partitions():
            pipe.zrange(keys.outbox_times(partition), 0, -1, withscores=True)
        return {name.decode(): at / 1000 for some in await pipe.execute() for name, at in some}


async def until_outbox_is_empty(system: System) -> None:
    """Wait for it."""

    async def empty() -> bool:
        return not await outbox(system)

    await until(empty, within=60, describe="nothing is left in the outbox")


async def why(system: System, execution: str) -> dict[str, Any]:
    """What an execution waits for."""
    answer = await system.client.get(f"{system.processes['ingress'].url}/api/executions/{execution}/why")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(system: System, name: str, event: str, execution: str) -> list[dict[str, Any]]:
    """The lines of one event about one execution in a process's log."""
    return [line for line in system.events(name, event) if line.get("execution") == execution]
