"""A system as it is deployed: several executors and resume services behind one address each, a proxy in every line."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from tests.system.harness import MODULES, QUICK, System, free_ports
from tests.system.proxy import Proxy

EXECUTORS: Final = ("step_executor", "executor_2", "executor_3")
RESUMES: Final = ("resume", "resume_2")
VERIFYING: Final = (*EXECUTORS, *RESUMES)
"""Who checks QStash's signatures, and so must learn of rotated keys."""
BEHIND: Final[Mapping[str, tuple[str, ...]]] = {
    "valkey": ("valkey",),
    "qstash": ("qstash_dev",),
    "ably": ("ably_dev",),
    "town": ("town",),
    "executors": EXECUTORS,
    "resumes": RESUMES,
}
"""Each line, and who is reached through it."""
SKEW_S: Final = 15.0
"""Each clock is at most so far off, so that two differ by 30 s at most: what JWT_LEEWAY_S bears."""


class Fleet(System):
    """`System` with more processes; the dev servers reach Valkey directly, everybody else goes through a proxy."""

    modules = MODULES | dict.fromkeys(EXECUTORS, MODULES["step_executor"]) | dict.fromkeys(RESUMES, MODULES["resume"])

    def __init__(self, folder: Path, seed: int = 0, *, skewed: bool = False, **settings: str) -> None:
        """`skewed`: every process of ours has a wrong clock of its own, chosen by the seed."""
        ports = dict(zip(BEHIND, free_ports(len(BEHIND)), strict=True))
        url = {line: f"http://127.0.0.1:{port}" for line, port in ports.items()}
        lines = {
            "REDIS_URL": f"redis://127.0.0.1:{ports['valkey']}/0",
            "QSTASH_URL": url["qstash"],
            "ABLY_URL": url["ably"],
            "TOWN_URL": url["town"],
            "EXECUTOR_URL": url["executors"],
            "RESUME_URL": url["resumes"],
        }
        dice = random.Random(seed)
        self.skew = {name: round(dice.uniform(-SKEW_S, SKEW_S), 1) if skewed else 0.0 for name in self.modules}
        super().__init__(folder, **QUICK, **lines, **settings)
        self.proxies = {
            line: Proxy(ports[line], [self.ports[name] for name in names], seed=seed) for line, names in BEHIND.items()
        }
        self._open_proxies = AsyncExitStack()

    def command(self, name: str, module: str) -> list[str]:
        """With its own clock, if that is wrong."""
        python, *rest = super().command(name, module)
        off = self.skew.get(name, 0.0)
        return [python, "-m", "tests.system.skewed", str(off), module] if off else [python, *rest]

    def own(self, name: str) -> Mapping[str, str]:
        """The port of each of several; the dev servers' own way to Valkey."""
        port = str(self.ports[name])
        if name in EXECUTORS:
            return {"EXECUTOR_PORT": port}
        if name in RESUMES:
            return {"RESUME_PORT": port}
        return {"REDIS_URL": self.redis_url} if name in {"qstash_dev", "ably_dev"} else {}

    @property
    def redis_url(self) -> str:
        """Valkey itself, past its proxy: for whoever looks on."""
        return f"redis://127.0.0.1:{self.ports['valkey']}/0"

    async def __aenter__(self) -> Self:
        for proxy in self.proxies.values():
            await self._open_proxies.enter_async_context(proxy)
        try:
            return await super().__aenter__()
        except BaseException:
            await self._open_proxies.aclose()
            raise

    async def __aexit__(self, *problem: object) -> None:
        await super().__aexit__(*problem)
        await self._open_proxies.aclose()

    async def all_ready(self) -> None:
        """Wait until every process answers."""
        await asyncio.gather(*(process.until_ready(self.client) for process in self.processes.values()))
