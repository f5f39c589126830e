"""Redis as the engine meets it: commands travel, replies get lost, the server restarts, and a failover forgets a second.

The commands are those of `shared.memory`, which `tests/contract` holds against the Lua scripts.
"""

import asyncio
import pickle
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from shared.errors import Unavailable
from shared.event_ports import Events
from shared.memory import MemoryStore
from shared.memory_events import MemoryEvents
from shared.memory_slots import MemorySlots
from shared.ports import Store
from shared.redisdb.store import must_last
from shared.simulation import peek, processes
from shared.simulation.faults import Faults
from shared.simulation.noise import Noise
from shared.simulation.timeline import Timeline
from shared.slot_ports import Slots

REPEAT_MS: Final = 50
"""After a lost reply the client sends the same command again."""
TRIES: Final = 4
AGAIN_MS: Final = 150
FORGETS_MS: Final = 1_000
_BARRIERS: Final = frozenset({"create", "signal", "reopen"})
_Command: TypeAlias = tuple[Any, str, tuple[Any, ...], dict[str, Any]]
"""Whose, its name, its arguments."""
_READS: Final = frozenset(
    {"made_by", "load_results", "load_order", "load_plan", "load_words", "overdue", "overdue_everywhere", "left_behind"}
)


class Server:
    """The one Redis of a run. `after` is called when a command was applied."""

    def __init__(
        self,
        *,
        now_ms: Callable[[], int],
        faults: Faults,
        noise: Noise,
        timeline: Timeline,
        strict: bool,
        twice: bool,
        films: bool,
    ) -> None:
        """`strict`: barrier writes survive a failover. `twice`: many commands come twice. `films`: there are failovers."""
        self.memory = MemoryStore(retention_ms=30 * 86_400_000)
        self.events = MemoryEvents()
        self.slots = MemorySlots()
        self.after: Callable[[str, tuple[Any, ...], dict[str, Any], Any], None] = lambda *_: None
        self.forgot: Callable[[bytes], None] = lambda _: None
        self.remember: Callable[[], bytes] = lambda: b""
        self.up_at_ms = 0
        self._now_ms = now_ms
        self._faults = faults
        self._noise = noise
        self._timeline = timeline
        self._strict = strict
        self._twice = twice
        self._films = films
        self._film: deque[tuple[int, bytes, bytes]] = deque()
        self._durable: tuple[int, bytes, bytes] | None = None

    def store(self) -> Store:
        """The port, over the wire, for whichever process asks."""
        return cast("Store", _Wire(self, self.memory))

    def events_port(self) -> Events:
        """Events by key, over the same wire."""
        return cast("Events", _Wire(self, self.events))

    def slots_port(self) -> Slots:
        """Slots under limits, over the same wire."""
        return cast("Slots", _Wire(self, self.slots))

    async def send(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One command of a client, with all that can happen to it. Unavailable when nobody answers."""
        processes.must_live()
        again = self._twice and self._noise.below(3) == 0
        for fault in self._faults.next("command"):
            match fault.kind:
                case "slow":
                    await asyncio.sleep(fault.ms / 1000)
                case "restart":
                    self.up_at_ms = self._now_ms() + fault.ms
                    self._timeline.say("redis", f"restarts: away for {fault.ms} ms")
                case "failover":
                    self._fail_over(fault.ms)
                case _:
                    again = True
                    self._timeline.say("redis", f"the reply to {name} gets lost; the client asks again")
        command = (target, name, args, kwargs)
        answer = await self._ask(command)
        if again:
            await asyncio.sleep(REPEAT_MS / 1000)
            answer = await self._ask(command)
        return answer

    async def _ask(self, command: _Command) -> Any:
        """There and back. The command is applied even if its sender dies on the way."""
        for _ in range(TRIES):
            if self._now_ms() >= self.up_at_ms:
                break
            await asyncio.sleep(AGAIN_MS / 1000)
        else:
            raise Unavailable("Redis does not answer (ConnectionError)", code="store_unavailable")
        processes.must_live()
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        loop.call_later(self._noise.wire_s(), self._apply, reply, command)
        return await reply

    def _apply(self, reply: "asyncio.Future[Any]", command: _Command) -> None:
        target, name, args, kwargs = command
        target.now_ms = self._now_ms()
        loop = asyncio.get_running_loop()
        try:
            answer = _run(getattr(target, name)(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            loop.call_later(self._noise.wire_s(), _fail, reply, error)
            return
        if target is self.memory:
            self.after(name, args, kwargs, answer)
            if self._films and name not in _READS:
                self._shoot(name, kwargs)
        loop.call_later(self._noise.wire_s(), _answer, reply, answer)

    def _shoot(self, name: str, kwargs: dict[str, Any]) -> None:
        state = {field: value for field, value in vars(self.memory).items() if field in {"_records", "_partitions", "_made"}}
        shot = (self._now_ms(), pickle.dumps(state), self.remember())
        self._film.append(shot)
        while len(self._film) > 1 and self._film[1][0] < shot[0] - FORGETS_MS:
            self._film.popleft()
        commit = name in {"begin", "commit"} and must_last(kwargs["kept"], kwargs["going"])
        if self._strict and (commit or name in _BARRIERS):
            self._durable = shot

    def anything_due(self, now_ms: int) -> bool:
        """Whether a round of the watchdog would find something."""
        return peek.anything_due(self.memory, self.events, self.slots, now_ms)

    def _fail_over(self, ms: int) -> None:
        """The replica takes over: what was written in the last `ms` is gone, except what had to be on its disk."""
        if not self._film:
            return
        old = [shot for shot in self._film if shot[0] <= self._now_ms() - ms]
        shot = old[-1] if old else self._film[0]
        if self._durable is not None and self._durable[0] >= shot[0]:
            shot = self._durable
        self._timeline.say("redis", f"fails over to what it was {self._now_ms() - shot[0]} ms ago")
        vars(self.memory).update(pickle.loads(shot[1]))  # noqa: S301 - our own bytes, a moment ago
        self._film.clear()
        self._film.append(shot)
        self.forgot(shot[2])


class _Wire:
    """Every method of the port, sent to the server. The commands are looked up there, so that a new one needs nothing here."""

    def __init__(self, server: Server, target: Any) -> None:
        self._server = server
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def command(*args: Any, **kwargs: Any) -> Any:
            return self._server.send(self._target, name, args, kwargs)

        self.__dict__[name] = command
        return command


def _run(work: Any) -> Any:
    """The answer of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("a command of the store in memory waited")


def _answer(reply: "asyncio.Future[Any]", answer: Any) -> None:
    if not reply.done():
        reply.set_result(answer)


def _fail(reply: "asyncio.Future[Any]", error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
