"""What a plan will cost when nothing goes wrong: messages and time, by playing its steps on paper. Pure.

It follows the rules of `shared.machine.starting` and `decide` (what fits into an invocation, what is waited out inside it, what
suspends); `tests/simulation/test_forecast.py` holds it against runs of the real engine.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from shared.machine.decide import SIT_OUT_MS
from shared.machine.plan import Effect, Plan, Step, Undo
from shared.machine.starting import COMMIT_RESERVE_MS

UNKNOWN_CALL_MS: Final = 300
"""What a call is taken to last while nobody has measured that tool."""
HOP_MS: Final = 50
"""From one invocation to the next, through QStash."""


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """How long a tool's calls take, as executors have measured it."""

    typical_ms: int
    p99_ms: int = 0
    """0 = too few calls to say."""
    p95_ms: int = 0
    calls: int = 0
    """How many calls this was read off: the latest hundred at most."""
    at_ms: int = 0
    """Unix ms: when it was told, ten seconds after the latest call at most, and at an orderly stop."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What an invocation may do; as `shared.interpret.Limits`."""

    checkpoint_ms: int = 7_500
    cutoff_ms: int = 8_000
    parallel: int = 16
    steps_per_message: int = 0


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A wait that somebody else ends."""

    step: str
    kind: str
    """approval | event | callback"""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Of a run without faults. Times leave out what people and events take."""

    messages: int
    duration_ms: int
    awaited: tuple[Awaited, ...] = ()
    guessed: tuple[str, ...] = ()
    """What could not be known: tools that were never measured, maps whose items are not known yet."""


def forecast(plan: Plan, usual: Mapping[str, Usual], pace: Pace) -> Forecast:
    """Play it once."""
    run = _Run(plan, usual, pace)
    run.play()
    return Forecast(
        messages=run.messages,
        duration_ms=run.now,
        awaited=tuple(run.awaited),
        guessed=tuple(dict.fromkeys(run.guessed)),
    )


def standing(plan: Plan) -> list[str]:
    """Steps whose effect cannot be taken back."""
    return [step.name for step in plan.steps if _stands(plan, step)]


def _stands(plan: Plan, step: Step) -> bool:
    contract = plan.contracts.get(step.tool)
    if contract is None or contract.effect is Effect.PURE:
        return False
    own = step.undo is not None and bool(step.undo.tool)
    return bool(step.undo and step.undo.leave) or (contract.undo is Undo.NONE and not own)


class _Run:
    """One play. Times are ms since the first message was sent."""

    def __init__(self, plan: Plan, usual: Mapping[str, Usual], pace: Pace) -> None:
        self.now = 0
        self.messages = 1
        self.awaited: list[Awaited] = []
        self.guessed: list[str] = []
        self._plan, self._usual, self._pace = plan, usual, pace
        self._began = self._started = 0
        self._steps = {step.name: step for step in plan.steps}
        self._left = {step.name: step.join or len(step.needs) for step in plan.steps}
        self._ready: list[str] = []
        self._calls: list[tuple[int, str]] = []
        self._timers: list[tuple[int, str]] = []
        self._others: list[str] = []
        self._items: dict[str, int] = {}
        self._lasts: dict[str, int] = {}

    def play(self) -> None:
        """To the end."""
        self._open([name for name, left in self._left.items() if not left])
        while self._ready or self._calls or self._timers or self._others:
            self._start()
            if self._calls:
                self._answered()
            elif self._ready:
                self._next_segment(HOP_MS)
            elif self._timers:
                self._time_passes()
            else:
                self._somebody_acts()

    def _open(self, names: Sequence[str]) -> None:
        for name in names:
            step = self._steps[name]
            if step.approve:
                self._wait(name, "approval")
            elif step.sleep:
                heapq.heappush(self._timers, (self.now + (step.sleep.ms or 0), name))
                self.guessed += [f"{name} sleeps until a time"] if step.sleep.ms is None else []
            elif step.wait:
                self._wait(name, "callback" if step.wait.callback else "event")
            elif step.child is not None:
                self._child(name, step.child)
            elif step.map:
                self._map(name, step)
            else:
                self._ready.append(name)

    def _wait(self, name: str, kind: str) -> None:
        self._others.append(name)
        self.awaited.append(Awaited(step=name, kind=kind))

    def _child(self, name: str, plan: Plan) -> None:
        """An execution of its own; its end is a signal, and so a message."""
        inner = forecast(msgspec.structs.replace(plan, contracts=self._plan.contracts), self._usual, self._pace)
        self.messages += inner.messages
        self.awaited += [msgspec.structs.replace(one, step=f"{name}.{one.step}") for one in inner.awaited]
        self.guessed += inner.guessed
        self._others.append(name)
        self._lasts[name] = inner.duration_ms

    def _map(self, name: str, step: Step) -> None:
        over = step.map.over if step.map else ()
        known = isinstance(over, list)
        self.guessed += [] if known else [f"{name} has as many items as its list then has: one was counted"]
        self._items[name] = len(over) if known else 1
        if not self._items[name]:
            self._settle(name)
        self._ready += [name] * self._items[name]

    def _took(self, tool: str) -> int:
        found = self._usual.get(tool)
        if found is None:
            self.guessed.append(f"{tool} was never measured")
            return UNKNOWN_CALL_MS
        return found.typical_ms

    def _start(self) -> None:
        """What fits, as `starting._fits` says."""
        waiting: list[str] = []
        for name in self._ready:
            if len(self._calls) < self._pace.parallel and self._fits(self._steps[name]):
                took = min(self._took(self._steps[name].tool), self._steps[name].timeout_ms)
                heapq.heappush(self._calls, (self.now + took, name))
                self._started += 1
            else:
                waiting.append(name)
        self._ready = waiting

    def _fits(self, step: Step) -> bool:
        spent, most = self.now - self._began, self._pace.steps_per_message
        if spent >= self._pace.checkpoint_ms or (most and self._started >= most):
            return False
        found = self._usual.get(step.tool)
        usual = min(found.p99_ms if found and found.p99_ms else step.timeout_ms, step.timeout_ms)
        needed = usual + COMMIT_RESERVE_MS if self._started else min(usual, step.timeout_ms // 2)
        return spent + needed <= self._pace.cutoff_ms

    def _answered(self) -> None:
        self.now, name = heapq.heappop(self._calls)
        if name in self._items:
            self._items[name] -= 1
            if self._items[name]:
                return
        self._settle(name)

    def _settle(self, name: str) -> None:
        found: list[str] = []
        for step in self._plan.steps:
            if name in step.needs and self._left[step.name] > 0:
                self._left[step.name] -= 1
                found += [step.name] if not self._left[step.name] else []
        self._open(found)

    def _time_passes(self) -> None:
        at, name = heapq.heappop(self._timers)
        left = at - self.now
        sits = left <= SIT_OUT_MS and at + SIT_OUT_MS <= self._began + self._pace.checkpoint_ms
        most = self._pace.steps_per_message
        if left > 0 and not (sits and not (most and self._started >= most)):
            self._next_segment(left + HOP_MS)
        self.now = max(self.now, at)
        self._settle(name)

    def _somebody_acts(self) -> None:
        """One after the other; a wait that also ends by itself has a message for that, too."""
        timed = any(_ends_by_itself(self._steps[name]) for name in self._others)
        name = self._others.pop(0)
        step = self._steps[name]
        self.messages += timed
        self._next_segment(self._lasts.get(name, HOP_MS))
        if step.approve and step.tool:
            self._ready.append(name)
        else:
            self._settle(name)

    def _next_segment(self, after_ms: int) -> None:
        self.messages += 1
        self.now += after_ms
        self._began, self._started = self.now, 0


def _ends_by_itself(step: Step) -> bool:
    asked = step.approve
    return bool((asked and (asked.timeout_ms or asked.remind_ms)) or (step.wait and step.wait.timeout_ms))
