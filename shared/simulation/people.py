"""How people deal with what an execution waits for: a row for each reason to wait."""

import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from shared.machine.plan import Blueprint
from shared.machine.state import Hold
from shared.machine.status import Cell, Reason, Status
from shared.simulation import peek
from shared.simulation.peek import Seen
from shared.simulation.town import Town


class Word(NamedTuple):
    """What somebody says: a signal to one execution, or (`published`) an event to whoever waits for its key."""

    kind: str
    payload: Any
    published: bool = False


def answer(seen: Seen, blueprint: Blueprint, town: Town | None, dice: random.Random) -> Word | None:
    """What a person says to an execution as it stands; None if it waits for nobody."""
    if seen.status is Status.PAUSED:
        return Word("resume", {"actor": "somebody"})
    if seen.status is Status.AWAITING_CONFIRMATION:
        word = Word("confirm", {"plan_hash": blueprint.hash, "actor": "somebody"})
        return word if dice.random() < 0.75 else Word("reject", {"actor": "somebody"})
    if seen.status is not Status.SUSPENDED:
        return None
    if seen.header.reason is Reason.UNDELIVERABLE:
        return Word("resend", {})
    if seen.header.reason is Reason.UNKNOWN_EFFECT:
        return _settled(seen, blueprint, town)
    for cell, hold in seen.waiting():
        if hold.kind in _HOLDS and cell < blueprint.size:
            return _HOLDS[hold.kind](blueprint.plan.steps[cell].name, hold, dice)
    return None


def _settled(seen: Seen, blueprint: Blueprint, town: Town | None) -> Word:
    """An honest person who has looked: whether it happened."""
    for part in peek.parts(seen, blueprint):
        if part.where is Cell.UNKNOWN and part.calls:
            happened = bool(town and town.stands[part.key])
            return Word("settle", {"step": part.name, "happened": happened, "output": {"n": part.name}, "actor": "somebody"})
    return Word("cancel", {"reason": "nothing to be settled"})


def _event(_: str, hold: Hold, dice: random.Random) -> Word:
    name, key = dice.choice(hold.events)
    return Word("event", {"name": name, "key": key, "data": {"n": 1}}, published=bool(key))


def _callback(step: str, _: Hold, dice: random.Random) -> Word:
    return Word("callback", {"step": step, "data": {"n": dice.randrange(9)}})


def _approval(step: str, hold: Hold, dice: random.Random) -> Word:
    said = {"step": step, "args_hash": hold.args_hash, "actor": "somebody"}
    return Word("reject", said) if dice.random() < 0.25 else Word("approve", said)


_HOLDS: Final[dict[Reason, Callable[[str, Hold, random.Random], Word]]] = {
    Reason.EVENT: _event,
    Reason.CALLBACK: _callback,
    Reason.APPROVAL: _approval,
}
