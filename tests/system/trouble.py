"""What is done to a fleet, and when: drawn from a seed, then carried out on real processes, lines and servers.

Everything that begins ends, and is counted once it really happened: a switch that nobody was there to hear is no fault.
"""

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import httpx

from shared.settings import DEV_ABLY_KEY, DEV_TOKEN
from tests.system.fleet import BEHIND, VERIFYING, Fleet
from tests.system.proxy import CLEAR, Weather

AGAIN_S: Final = 0.2
PROCESSES: Final = (*VERIFYING, "ingress", "qstash_dev", "ably_dev", "town", "valkey")
WEATHERS: Final[Mapping[str, Weather]] = {
    "refused": Weather(refuse=True),
    "dropped": Weather(drop=True),
    "black hole": Weather(hole=True),
    "0.3 s late": Weather(delay_s=0.3),
    "throttled": Weather(rate=20_000),
    "cut": Weather(cut=0.1),
}
QSTASH: Final[Mapping[str, Mapping[str, Any]]] = {
    "loses 100 %": {"kind": "drop"},
    "loses 50 %": {"kind": "drop", "probability": 0.5},
    "refuses": {"kind": "refuse"},
    "refuses 50 %": {"kind": "refuse", "probability": 0.5},
    "quota is full": {"kind": "quota"},
    "delivers twice": {"kind": "duplicate", "ms": 300},
    "delivers late and out of order": {"kind": "reorder", "ms": 3_000},
    "lies about what it took": {"kind": "error", "after": True, "probability": 0.5},
}
ABLY: Final[Mapping[str, Mapping[str, Any]]] = {
    "loses 100 %": {"kind": "lose"},
    "loses 50 %": {"kind": "lose", "probability": 0.5},
    "refuses": {"kind": "refuse"},
    "delivers twice": {"kind": "duplicate"},
    "is silent": {"kind": "silence"},
    "forgets serials": {"kind": "no_serial"},
}
TOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "slow": {"latency_ms": 1_500},
    "failing": {"fail_next": 20},
    "answers are lost": {"fail_after_next": 10},
    "requests land late": {"land_late_next": 5, "land_late_ms": 500},
}


class Trouble(NamedTuple):
    """One fault: from when, for how long, of which kind, to what, and how."""

    at_s: float
    lasts_s: float
    kind: str
    target: str
    how: str = ""


def _kill(dice: random.Random) -> Trouble:
    return Trouble(0, dice.uniform(0.2, 3), "killed", dice.choice(PROCESSES))


def _freeze(dice: random.Random) -> Trouble:
    target = dice.choice(PROCESSES)
    return Trouble(0, dice.uniform(0.5, 2 if target == "valkey" else 8), "frozen", target)


def _line(dice: random.Random) -> Trouble:
    return Trouble(0, dice.uniform(0.5, 4), "line", dice.choice(list(BEHIND)), dice.choice(list(WEATHERS)))


def _keys(_: random.Random) -> Trouble:
    return Trouble(0, 10, "keys", "keys", "rotated")


def _of(kind: str, ways: Mapping[str, Any]) -> Callable[[random.Random], Trouble]:
    return lambda dice: Trouble(0, dice.uniform(2, 8), kind, kind, dice.choice(list(ways)))


DRAWS: Final[Sequence[tuple[Callable[[random.Random], Trouble], float]]] = (
    (_kill, 6), (_freeze, 4), (_line, 6), (_keys, 0.5),
    (_of("qstash", QSTASH), 4), (_of("ably", ABLY), 3), (_of("town", TOWN), 3),
)  # fmt: skip


def drawn(seed: int, seconds: float, *, every_s: float) -> list[Trouble]:
    """Troubles over so many seconds, one in `every_s` on average; each kind is among the first ones, however short it is."""
    dice = random.Random(seed)
    ways = [way for way, _ in DRAWS]
    first = dice.sample(ways, len(ways))
    found: list[Trouble] = []
    busy: dict[str, float] = {}
    at_s = 0.5
    while at_s < seconds:
        way = first.pop() if first else dice.choices(ways, [weight for _, weight in DRAWS])[0]
        one = way(dice)._replace(at_s=at_s)
        if busy.get(one.target, 0.0) <= at_s:
            busy[one.target] = at_s + one.lasts_s
            found.append(one)
        at_s += dice.uniform(0.5, 1.5) * every_s
    return found


class Troubles:
    """Carries them out."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._locks = {name: asyncio.Lock() for name in fleet.processes}
        self.done: Counter[str] = Counter()
        self.died: list[str] = []
        """Processes that were found dead although nobody had killed them."""

    async def run(self, planned: Sequence[Trouble]) -> None:
        """All of them in their time; afterwards nothing is wrong any more, and everything runs."""
        async with asyncio.TaskGroup() as group:
            for one in planned:
                group.create_task(self._one(one))

    async def _one(self, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at_s)
        match trouble.kind:
            case "killed":
                await self._killed(trouble.target, trouble.lasts_s)
            case "frozen":
                await self._frozen(trouble.target, trouble.lasts_s)
            case "line":
                await self._line(trouble)
            case "qstash":
                await self._switched(trouble, self._qstash, {"faults": [QSTASH[trouble.how]], "seed": 1, "persist": True})
            case "ably":
                await self._switched(trouble, self._ably, {"faults": [ABLY[trouble.how]]})
            case "town":
                await self._switched(trouble, self._town, TOWN[trouble.how])
            case "keys":
                await self._rotated()

    async def _killed(self, name: str, lasts_s: float) -> None:
        async with self._locks[name]:
            process = self._fleet.processes[name]
            if not process.alive:
                self.died.append(name)
            await self._fleet.kill(name)
            self.done[f"killed: {name}"] += 1
            await asyncio.sleep(lasts_s)
            process.start()

    async def _frozen(self, name: str, lasts_s: float) -> None:
        async with self._locks[name]:
            self._fleet.processes[name].signal(signal.SIGSTOP)
            self.done[f"frozen: {name}"] += 1
            await asyncio.sleep(lasts_s)
            self._fleet.processes[name].signal(signal.SIGCONT)

    async def _line(self, trouble: Trouble) -> None:
        proxy = self._fleet.proxies[trouble.target]
        await proxy.turn(WEATHERS[trouble.how])
        self.done[f"line to {trouble.target}: {trouble.how}"] += 1
        await asyncio.sleep(trouble.lasts_s)
        await proxy.turn(CLEAR)

    async def _switched(self, trouble: Trouble, switch: Callable[[Any], Awaitable[httpx.Response]], plan: Any) -> None:
        """On for its time, if the server is there to hear it; off whenever it is there again."""
        try:
            async with asyncio.timeout(trouble.lasts_s):
                await _insist(lambda: switch(plan))
            self.done[f"{trouble.kind}: {trouble.how}"] += 1
            await asyncio.sleep(trouble.lasts_s)
        except TimeoutError:
            pass
        await _insist(lambda: switch(None))

    async def _qstash(self, plan: Any) -> httpx.Response:
        url = f"{self._fleet.processes['qstash_dev'].url}/v2/dev/faults"
        headers = {"Authorization": f"Bearer {DEV_TOKEN}"}
        return await self._fleet.client.request("PUT" if plan else "DELETE", url, json=plan, headers=headers, timeout=2)

    async def _ably(self, plan: Any) -> httpx.Response:
        url = f"{self._fleet.processes['ably_dev'].url}/dev/faults"
        user, _, password = DEV_ABLY_KEY.partition(":")
        method = "PUT" if plan else "DELETE"
        return await self._fleet.client.request(method, url, json=plan, auth=(user, password), timeout=2)

    async def _town(self, plan: Any) -> httpx.Response:
        url = f"{self._fleet.processes['town'].url}/knobs"
        return await self._fleet.client.request("PUT" if plan else "DELETE", url, json=plan, timeout=2)

    async def _rotated(self) -> None:
        """The next key signs, and every verifier is killed and started with the new pair, one after the other."""
        keys = f"{self._fleet.processes['qstash_dev'].url}/v2/keys"
        headers = {"Authorization": f"Bearer {DEV_TOKEN}"}
        with contextlib.suppress(httpx.TransportError):  # asked once: whether it was done is read where they stand
            await self._fleet.client.post(f"{keys}/rotate", headers=headers, timeout=5)
        pair = (await _insist(lambda: self._fleet.client.get(keys, headers=headers, timeout=2))).json()
        names = {"QSTASH_CURRENT_SIGNING_KEY": pair["current"], "QSTASH_NEXT_SIGNING_KEY": pair["next"]}
        if names.items() <= self._fleet.processes[VERIFYING[0]].environ.items():
            return
        self.done["keys: rotated"] += 1
        for name in VERIFYING:
            self._fleet.processes[name].environ.update(names)
            await self._killed(name, 0.2)


async def _insist(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Until the server answers well."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await ask()
            if answer.is_success:
                return answer
        await asyncio.sleep(AGAIN_S)
