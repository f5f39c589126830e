"""Tools whose effects can be counted: one of every class, as honest as its class says and not a bit more.

An idempotent tool honours its key; a probeable or unsafe one makes its effect again for every request that lands. An undo
leaves a tombstone where the contract says so; otherwise a request that lands behind it makes the effect anew.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Retry, Undo
from shared.simulation.timeline import Timeline
from shared.tools.registry import Call, Registry, ToolRefused

SETTLE_MS: Final = 15_000
RETRY: Final = Retry(attempts=3, base_ms=500, cap_ms=60_000)
TOOLS: Final[dict[str, tuple[Effect, Undo]]] = {
    "pure": (Effect.PURE, Undo.NONE),
    "idem": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
    "idem_settled": (Effect.IDEMPOTENT, Undo.SETTLED),
    "idem_stands": (Effect.IDEMPOTENT, Undo.NONE),
    "probe": (Effect.PROBEABLE, Undo.SETTLED),
    "unsafe": (Effect.UNSAFE, Undo.NONE),
    "unsafe_keyed": (Effect.UNSAFE, Undo.TOMBSTONE),
}
"""What each tool does to the world, and how that is taken back."""


class Town:
    """Which effects stand, by key; how often each landed; in which order they were taken back."""

    def __init__(self, timeline: Timeline) -> None:
        """Empty."""
        self.stands: Counter[str] = Counter()
        self.landed: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.undone: list[str] = []
        self._tombstones: set[str] = set()
        self._timeline = timeline

    def registry(self) -> Registry:
        """The town's tools."""
        found = Registry()
        for name, (effect, undo) in TOOLS.items():
            found.add(
                self._tool(name, effect),
                effect=effect,
                timeout_ms=3_000,
                settle_ms=SETTLE_MS,
                retry=RETRY,
                undo=self._undo(undo) if undo is not Undo.NONE else None,
                undo_kind=undo,
                probe=self._probe if effect is Effect.PROBEABLE else None,
            )
        return found

    def _tool(self, name: str, effect: Effect) -> Callable[..., Any]:
        async def tool(call: Call, *, value: Any = None) -> Any:
            self.requests[call.key] += 1
            if effect is not Effect.PURE:
                self._land(call.key, effect)
            return {"n": call.key.rsplit(".", 2)[1], "value": value}

        tool.__name__ = name
        tool.__doc__ = f"A tool that is {effect}."
        return tool

    def _land(self, key: str, effect: Effect) -> None:
        if key in self._tombstones:
            self._timeline.say("town", f"refuses {key}: it was taken back")
            raise ToolRefused("taken_back", "this key was taken back")
        if effect is Effect.IDEMPOTENT and self.stands[key]:
            return
        self.landed[key] += 1
        self.stands[key] += 1
        self._timeline.say("town", f"{key} happens")

    def _undo(self, kind: Undo) -> Callable[[Call], Any]:
        async def undo(call: Call) -> Any:
            self.stands[call.key] = 0
            self.undone.append(call.key)
            if kind is Undo.TOMBSTONE:
                self._tombstones.add(call.key)
            self._timeline.say("town", f"{call.key} is taken back")
            return {"undone": True}

        return undo

    async def _probe(self, call: Call) -> Any:
        if self.stands[call.key]:
            return {"n": call.key.rsplit(".", 2)[1], "value": None}
        raise ToolRefused(NEVER_HAPPENED, "this key was never seen")
