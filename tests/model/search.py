"""Breadth-first search of everything a model can do: shortest traces to a violation, and to a state that cannot recover."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


class Model(Protocol[S]):
    """What can be searched."""

    def start(self) -> S:
        """Return the first state."""

    def moves(self, state: S) -> Iterable[tuple[str, S, bool]]:
        """Yield name, next state, and whether the move is fair: neither a fault nor a client's choice."""

    def wrong(self, state: S) -> str:
        """Name the promise that this state breaks, if any."""

    def accepting(self, state: S) -> bool:
        """Say whether a run may rest here."""


class Found(NamedTuple):
    """What the search says: no fault at all, or the first one with its shortest trace."""

    states: int
    fault: str = ""  # a violation, or "stuck"
    trace: str = ""
    exhausted: bool = True


def search(model: Model[S], *, limit: int = 3_000_000) -> Found:
    """Visit every state once, stop at the first violation, then look for states that fair moves cannot bring to rest."""
    states = [model.start()]
    index, came, back = {states[0]: 0}, [(0, "")], [list[int]()]
    resting: list[int] = []
    for here, state in enumerate(states):  # grows while it is read: the queue
        if fault := model.wrong(state):
            return Found(len(states), fault, _trace(came, here))
        if model.accepting(state):
            resting.append(here)
        for name, after, fair in model.moves(state):
            there = index.setdefault(after, len(states))
            if there == len(states):
                states.append(after)
                came.append((here, name))
                back.append([])
            if fair:
                back[there].append(here)
        if len(states) > limit:
            return Found(len(states), exhausted=False)
    stuck = _first_stuck(back, resting)
    return Found(len(states)) if stuck is None else Found(len(states), "stuck", _trace(came, stuck))


def _first_stuck(back: list[list[int]], resting: list[int]) -> int | None:
    """Walk fair moves backwards from where a run may rest; in a finite graph every strongly fair run then gets there."""
    alive = bytearray(len(back))
    while resting:
        here = resting.pop()
        if not alive[here]:
            alive[here] = 1
            resting.extend(back[here])
    first = alive.find(0)
    return None if first < 0 else first


def _trace(came: list[tuple[int, str]], here: int) -> str:
    names: list[str] = []
    while here:
        here, name = came[here]
        names.append(name)
    return " > ".join(reversed(names))
