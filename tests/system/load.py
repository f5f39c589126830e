"""A steady stream of sagas of many kinds, drawn from a seed, and the people around them: who pays, approves and cancels.

People are patient: whatever ingress answers while it is shaken, they ask again, under the same key or event id.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx

from tests.system.harness import System

Steps: TypeAlias = list[dict[str, Any]]

LOOK_S: Final = 0.4
AGAIN_S: Final = 0.3
ACCEPTED: Final = 202
REFUSED: Final = 429
PATIENT: Final = {"attempts": 60, "base_ms": 200, "factor": 2.0, "cap_ms": 2_000}
"""Retries that outlast every phase of a bad town, so that the only saga that fails is one that must."""
DATE: Final = "2099-05-01"
UNDONE: Final = frozenset({"COMPENSATED"})
WELL: Final = frozenset({"COMPLETED"})
STOPPED: Final = frozenset({"COMPENSATED", "CANCELLED", "COMPLETED"})
"""A cancel may come before the first effect, in the middle, or too late."""


def job(name: str, *needs: str, seconds: float = 0.05, **more: Any) -> dict[str, Any]:
    """A job of the town."""
    args = {"label": f"job {name}", "seconds": seconds}
    return {"name": name, "tool": "do_work", "args": args, "needs": list(needs), "retry": PATIENT} | more


def doomed(*needs: str) -> dict[str, Any]:
    """What the town refuses for good."""
    table = {"restaurant": "No Such Place", "party_size": 2, "date": DATE, "time": "19:00", "name": "Ann"}
    return {"name": "doomed", "tool": "reserve_table", "args": table, "needs": list(needs)}


def letter(name: str, *needs: str) -> dict[str, Any]:
    """A letter: the town does not look at its key, but can be asked whether it was posted."""
    args = {"to": "Ann", "text": f"about {name}"}
    return {"name": name, "tool": "post_letter", "args": args, "needs": list(needs), "retry": PATIENT}


def chain(dice: random.Random) -> Steps:
    """Steps one after the other."""
    count = dice.randint(4, 8)
    return [job(f"s{n}", *([f"s{n - 1}"] if n else []), seconds=dice.uniform(0, 0.3)) for n in range(count)]


def parallel(dice: random.Random) -> Steps:
    """Rides side by side, a letter, and a message behind them."""
    ride = {"pickup": "home", "destination": "station", "date": DATE, "time": "18:30", "passengers": 2}
    rides: Steps = [
        {"name": f"ride{n}", "tool": "book_ride", "args": ride, "retry": PATIENT} for n in range(dice.randint(2, 5))
    ]
    told = {"to": "+14155550100", "channel": "sms", "text": "All booked"}
    names = [step["name"] for step in rides]
    return [*rides, letter("card"), {"name": "told", "tool": "send_message", "args": told, "needs": names, "retry": PATIENT}]


def sleep(dice: random.Random) -> Steps:
    """A nap between two jobs."""
    return [job("a"), {"name": "nap", "sleep": {"ms": dice.randint(300, 3_000)}, "needs": ["a"]}, job("b", "nap")]


def event(_: random.Random) -> Steps:
    """A wait for an event that this execution is sent."""
    return [job("a"), {"name": "paid", "wait": {"events": [{"name": "deposit"}]}, "needs": ["a"]}, job("b", "paid")]


def approval(_: random.Random) -> Steps:
    """A person says yes to one of its steps."""
    return [job("a"), job("pay", "a", approve={"message": "300 for the party?"}), job("b", "pay")]


def failing(dice: random.Random) -> Steps:
    """It cannot succeed: everything is taken back."""
    last = dice.randint(1, 3)
    jobs = [job(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(last + 1)]
    return [*jobs, letter("card"), doomed(f"s{last}", "card")]


def cancelled(_: random.Random) -> Steps:
    """Long enough to be stopped in the middle."""
    return [job(f"s{n}", *([f"s{n - 1}"] if n else []), seconds=0.4) for n in range(6)]


def child(dice: random.Random) -> Steps:
    """An execution of its own inside; sometimes its parent fails behind it."""
    inner = {"steps": [job("x"), job("y", "x", seconds=0.2)]}
    last = doomed("trip") if dice.random() < 0.5 else job("b", "trip")
    return [job("a"), {"name": "trip", "child": inner, "needs": ["a"]}, last]


def mapped(dice: random.Random) -> Steps:
    """One call for each item of a list."""
    over = list(range(dice.randint(8, 20)))
    items = {"name": "m", "tool": "do_work", "args": {"label": "item ${item}"}, "map": {"over": over}, "retry": PATIENT}
    return [items, job("b", "m")]


KINDS: Final[dict[str, Callable[[random.Random], Steps]]] = {
    made.__name__: made for made in (chain, parallel, sleep, event, approval, failing, cancelled, child, mapped)
}


@dataclass
class Saga:
    """One execution of the load: what is asked for, how it may end, and what became of it."""

    number: int
    kind: str
    steps: Steps
    ends: frozenset[str]
    cancel_after_s: float | None = None
    id: str = ""
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether it has ended, as last seen."""
        return bool(self.found.get("endedAt"))


def drawn(seed: int, number: int, kinds: Sequence[str] = tuple(KINDS)) -> Saga:
    """The saga of this number: the same for the same seed, whatever the others are."""
    dice = random.Random(seed * 1_000_003 + number)
    kind = kinds[number % len(kinds)]
    steps = KINDS[kind](dice)
    if kind == "cancelled":
        return Saga(number, kind, steps, STOPPED, cancel_after_s=dice.uniform(0.1, 2.0))
    return Saga(number, kind, steps, UNDONE if any(step["name"] == "doomed" for step in steps) else WELL)


class Around:
    """The people around one saga."""

    def __init__(self, system: System, saga: Saga, counts: Counter[str], *, look_s: float) -> None:
        """`counts`: how often they were refused, or asked again. `look_s`: how long they wait between two looks."""
        self._look_s = look_s
        self._system = system
        self._saga = saga
        self._counts = counts
        self._said: set[str] = set()

    async def run(self) -> None:
        """From the request to the end, however long that takes; whoever has no more time cancels this."""
        await self._accepted()
        cancel_at = asyncio.get_running_loop().time() + (self._saga.cancel_after_s or 0)
        while not self._saga.over:
            await asyncio.sleep(self._look_s)
            await self._look()
            if self._saga.cancel_after_s is not None and asyncio.get_running_loop().time() >= cancel_at:
                await self._say("cancel", "/cancel", {"reason": "it rains"})

    async def _accepted(self) -> None:
        """Ask until it is taken: the key makes that safe."""
        body = {"plan": {"steps": self._saga.steps}, "userId": "test-user"}
        while not self._saga.id:
            answer = await self._asked("POST", "/api/execute", body, key=f"saga-{self._saga.number}")
            if answer is not None and answer.status_code == ACCEPTED:
                self._saga.id = str(answer.json()["id"])
                return
            if answer is not None and answer.status_code == REFUSED:
                self._counts["admissions refused (429)"] += 1
            elif answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                raise AssertionError(f"saga {self._saga.number} ({self._saga.kind}) is refused: {answer.text[:300]}")
            await asyncio.sleep(AGAIN_S)

    async def _look(self) -> None:
        answer = await self._asked("GET", f"/api/executions/{self._saga.id}")
        if answer is None or answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return
        assert answer.status_code == httpx.codes.OK, f"{self._saga.id} was answered with 202: {answer.text[:300]}"
        self._saga.found = answer.json()
        for step in self._saga.found["steps"]:
            await self._help(step, (step.get("hold") or {}).get("kind"))
            if step["status"] == "UNKNOWN" and self._saga.found["reason"] == "unknown effect":
                await self._settle(step)

    async def _help(self, step: dict[str, Any], kind: str | None) -> None:
        if kind == "event":
            await self._say(step["name"], "/events/deposit", {"id": f"deposit-{self._saga.number}", "data": {"sum": 40}})
        elif kind == "approval":
            said = {"step": step["name"], "argsHash": step["hold"]["argsHash"], "actor": "ann"}
            await self._say(step["name"], "/approve", said)

    async def _settle(self, step: dict[str, Any]) -> None:
        """The engine asks a person whether it happened: whoever it is goes to the town and looks."""
        try:
            seen = (await self._system.client.get(f"{self._system.processes['town'].url}/effects/{step['key']}")).json()
        except (httpx.TransportError, ValueError):
            return
        happened = seen.get("state") == "happened"
        said = {"step": step["name"], "happened": happened, "output": seen.get("result") if happened else None}
        if "state" in seen and await self._say(f"settle {step['name']}", "/settle", said):
            self._counts["unknown effects that a person settled"] += 1
            self._saga.ends |= frozenset() if happened else UNDONE

    async def _say(self, what: str, path: str, body: dict[str, Any]) -> bool:
        """Once, or until somebody has heard it; whether this time somebody did."""
        if what in self._said:
            return False
        answer = await self._asked("POST", f"/api/executions/{self._saga.id}{path}", body)
        if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR and answer.status_code != REFUSED:
            assert answer.status_code in {200, ACCEPTED, 409}, answer.text  # 409: it is over, or was approved before
            self._said.add(what)
            if what == "cancel" and answer.status_code == ACCEPTED:
                self._saga.ends = STOPPED - WELL  # nothing completes over an accepted cancel
            return True
        return False

    async def _asked(self, method: str, path: str, body: Any = None, *, key: str = "") -> httpx.Response | None:
        """None while nobody answers."""
        url = self._system.processes["ingress"].url + path
        headers = {"Idempotency-Key": key} if key else {}
        try:
            return await self._system.client.request(method, url, json=body, headers=headers, timeout=5)
        except httpx.TransportError:
            self._counts["requests to ingress without an answer"] += 1
            return None


class Load:
    """The stream, and everything that it started."""

    def __init__(self, system: System, seed: int, *, kinds: Sequence[str] = tuple(KINDS), look_s: float = LOOK_S) -> None:
        """`kinds` come in turn, each saga with its own draw from the seed. `look_s`: see `Around`."""
        self._look_s = look_s
        self._system = system
        self._seed = seed
        self._kinds = kinds
        self.sagas: list[Saga] = []
        self.counts: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    async def flow(self, *, seconds: float, a_second: float) -> None:
        """Start sagas at a steady pace for so long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(int(seconds * a_second)):
            await asyncio.sleep(max(0.0, began + number / a_second - loop.time()))
            self.start(drawn(self._seed, number, self._kinds))

    def start(self, saga: Saga) -> "asyncio.Task[None]":
        """Have the people around it run."""
        self.sagas.append(saga)
        task = asyncio.create_task(Around(self._system, saga, self.counts, look_s=self._look_s).run())
        self._tasks.append(task)
        return task

    async def finish(self, *, within: float) -> list[Saga]:
        """Wait for the end of all; those that have none after so many seconds. What went wrong on the way is raised."""
        if not self._tasks:
            return []
        _, open_ones = await asyncio.wait(self._tasks, timeout=within)
        for task in open_ones:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        return [saga for saga in self.sagas if not saga.over]
