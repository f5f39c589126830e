"""A garage in memory whose only hole, if any, is one argument that it does not compare under a taken key."""

from typing import Any, Final

from shared.machine.plan import Effect
from shared.tools.kit import Sample
from shared.tools.registry import Call, Registry, ToolRefused

PARKED: Final = {"lot": "A1", "plate": "KA", "hours": 2}


class Garage:
    """The tool is `park`."""

    def __init__(self, *, deaf: str = "", lots: tuple[str, ...] = ()) -> None:
        """`deaf`: the argument that it does not compare. `lots`: those that there are; empty = any."""
        self._deaf = deaf
        self._lots = lots
        self.parked: dict[str, dict[str, Any]] = {}

    async def park(self, call: Call, *, lot: str, plate: str, hours: int) -> dict[str, Any]:
        """Park a car."""
        if self._lots and lot not in self._lots:
            raise ToolRefused("no_such_lot", "there is no such lot")
        asked = {"lot": lot, "plate": plate, "hours": hours}
        known = self.parked.setdefault(call.key, asked)
        if any(known[name] != value for name, value in asked.items() if name != self._deaf):
            raise ToolRefused("key_reused", "another car has this key")
        return known

    async def leave(self, call: Call) -> Any:
        """Take it back."""
        self.parked.pop(call.key, None)

    def sample(self, **other: Any) -> Sample:
        """Its tool, with arguments."""
        registry = Registry()
        registry.add(self.park, effect=Effect.IDEMPOTENT, undo=self.leave)
        return Sample(registry=registry, name="park", **({"args": PARKED} | other))
