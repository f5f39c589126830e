"""The latest request with something else in it: "make it 8pm".

The change is put in place of as few words as possible, and everything else that was said has to stay: what can be changed in
two ways that differ is changed in none.
"""

from collections.abc import Iterator
from typing import Any, Final

from shared.chat.answers import FORMS, LEADS, MOST_CHARACTERS, Merged, Way, appended, replaced
from shared.chat.model import Read
from shared.planner import Planned

PARTS: Final = ("time", "date", "party_size", "destination", "place")
"""What a change can be about; how each is said as a clause is in FORMS."""
_ARGS: Final = frozenset({"args", "sleep"})
_LITERAL: Final = frozenset({"text", "title"})
"""Words that were given literally are not corrected by guesses about what is in them."""


def corrected(words: str, change: str, read: Read, now_ms: int) -> Merged | None:
    """The words with the change in them, and their plan; None if there is not exactly one way."""
    before = read(words, now_ms)
    if not isinstance(before, Planned) or before.schedule is not None:
        return None
    left = MOST_CHARACTERS
    for level in _levels(words, _clauses(change)):
        left -= sum(len(way.words) for way in level)
        if left < 0:
            break
        found = [(way, one) for way in level if (one := _changed(before, read(way.words, now_ms))) is not None]
        if found:
            same = all(one.plan == found[0][1].plan for _, one in found)
            return Merged(words=found[0][0].words, planned=found[0][1]) if same else None
    return None


def _clauses(change: str) -> list[str]:
    said = change.strip().rstrip("!?. ")
    leads = said.partition(" ")[0].casefold() in LEADS
    forms = ["{a}"] if leads else [form for part in PARTS for form in FORMS[part]]
    return list(dict.fromkeys(form.format(a=said) for form in forms))


def _levels(words: str, clauses: list[str]) -> Iterator[list[Way]]:
    yield [appended(words, one) for one in clauses]
    yield from replaced(words, (0, len(words)), clauses)


def _changed(before: Planned, found: Any) -> Planned | None:
    """A plan that is another one, of the same steps, in which all that was said before is said still."""
    if not isinstance(found, Planned) or found.schedule is not None or found.plan == before.plan:
        return None
    if [_shape(step) for step in before.plan["steps"]] != [_shape(step) for step in found.plan["steps"]]:
        return None
    said = {(one.step, one.argument) for one in before.sources if one.origin == "text"}
    still = {(one.step, one.argument) for one in found.sources if one.origin == "text"}
    return found if said <= still and all(_fits(_value(before, *one), _value(found, *one), one[1]) for one in said) else None


def _fits(old: Any, new: Any, argument: str) -> bool:
    """Literal words are as they were, and what changed holds nothing of what it was ("London Paris")."""
    return bool(old == new or not (argument in _LITERAL or (isinstance(old, str) and old in str(new))))


def _value(planned: Planned, step: str, argument: str) -> Any:
    return next(one for one in planned.plan["steps"] if one["name"] == step).get("args", {}).get(argument)


def _shape(step: dict[str, Any]) -> dict[str, Any]:
    """A step without what a correction may change."""
    kept = {name: value for name, value in step.items() if name not in _ARGS}
    return kept | {"approve": bool(step.get("approve"))}  # its words hold the arguments
