"""Which calls of a plan may come before which others. Pure.

What is surely over before a step begins is a number with a bit for each step of its plan: plans may have thousands of steps.
"""

from collections.abc import Iterator, Mapping, Sequence

from shared.calls import Called
from shared.machine.plan import Step

Path = tuple[str, ...]


def too_early(firsts: Sequence[Called], thens: Sequence[Called]) -> Iterator[tuple[Called, Called]]:
    """Each of `firsts` that may come before one of `thens`, or beside it, with that one."""
    index = _Index(thens)
    for first in firsts:
        late = index.late_undo(first) or (None if first.undo else index.late_call(first))
        if late is not None:
            yield first, late


class _Index:
    """The calls that must come first, by the plans that they stand in."""

    def __init__(self, thens: Sequence[Called]) -> None:
        self._undos = [call for call in thens if call.undo]
        self._calls: dict[Path, Called] = {}
        """By each path on which there is one, the shorter ones of what it stands in included."""
        self._masks: dict[Path, int] = {}
        """By the path of a plan: its steps in which there is one."""
        self._bits: dict[Path, dict[str, int]] = {}
        self._sure: dict[Path, dict[str, int]] = {}
        for call in thens:
            if not call.undo:
                self._add(call)

    def _add(self, call: Called) -> None:
        for depth, name in enumerate(call.path):
            bit = self._bits_of(call, depth)[name]
            self._masks[call.path[:depth]] = self._masks.get(call.path[:depth], 0) | bit
            self._calls.setdefault(call.path[: depth + 1], call)

    def late_undo(self, first: Called) -> Called | None:
        """Undos come when nothing goes forward any more; among each other in the order in which the steps happened to end."""
        other = (call for call in self._undos if not first.undo or call.path != first.path or call.count != 1)
        return next(other, None)

    def late_call(self, first: Called) -> Called | None:
        """A call that is not surely over before `first` begins. The items of a map come in any order."""
        for depth, name in enumerate(first.path):
            plan = first.path[:depth]
            bits = self._bits_of(first, depth)
            left = self._masks.get(plan, 0) & ~self._sure_of(first, depth)[name] & ~bits[name]
            if left:
                early = next(other for other, bit in bits.items() if bit & left)
                return self._calls[(*plan, early)]
        own = self._calls.get(first.path)
        return own if own is not None and own.count != 1 else None

    def _bits_of(self, call: Called, depth: int) -> dict[str, int]:
        plan = call.path[:depth]
        if plan not in self._bits:
            self._bits[plan] = {name: 1 << number for number, name in enumerate(call.among[depth])}
        return self._bits[plan]

    def _sure_of(self, call: Called, depth: int) -> dict[str, int]:
        plan = call.path[:depth]
        if plan not in self._sure:
            self._sure[plan] = _sure(call.among[depth], self._bits_of(call, depth))
        return self._sure[plan]


def _sure(steps: Mapping[str, Step], bits: Mapping[str, int]) -> dict[str, int]:
    """What is over whenever a step begins. A join may begin without some of what it needs. No recursion: plans are long."""
    found: dict[str, int] = {}
    todo = list(steps)
    while todo:
        step = steps[todo[-1]]
        needs = () if step.join else step.needs
        open_ones = [need for need in needs if need not in found]
        if open_ones:
            todo += open_ones
            continue
        todo.pop()
        mask = 0
        for need in needs:
            mask |= found[need] | bits[need]
        found[step.name] = mask
    return found
