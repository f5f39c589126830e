"""How many people the words mean: "three adults and two kids" is five, "my wife and me" two, "my wife" two or one."""

import re

import msgspec

from shared.planner import grammar
from shared.planner.scan import Scan


class PartyMention(msgspec.Struct, frozen=True, kw_only=True):
    """Words for a party, and every size they can mean; none if they do not say."""

    words: str
    sizes: tuple[int, ...]


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a piece of text says about who comes."""

    parties: tuple[PartyMention, ...] = ()
    for_me: str = ""
    """The words "for me", which may name the guest or only the one who asks."""
    us: str = ""
    """The words "us": several, but not how many."""


class _Tally(msgspec.Struct):
    """A list of people while it is being counted."""

    count: int = 0
    items: int = 0
    speaker: bool = False
    related: bool = False
    uncounted: bool = False

    def sizes(self) -> tuple[int, ...]:
        """Relatives without the speaker leave open whether the speaker comes too."""
        if self.uncounted:
            return ()
        if self.related and not self.speaker:
            return (self.count, self.count + 1)
        return (self.count,)


def read(scan: Scan) -> People:
    """Take every word about people out of the text."""
    parties = [PartyMention(words=match.group().strip(), sizes=(1,)) for match in scan.take_all(grammar.PEOPLE_ALONE)]
    parties.extend(
        PartyMention(words=match.group(), sizes=(grammar.number(match["count"]),))
        for match in scan.take_all(grammar.COUNTED_PLACE)
    )
    parties.extend(_lists(scan))
    for_me = " ".join(match.group() for match in scan.take_all(grammar.FOR_ME))
    us = " ".join(match.group() for match in scan.take_all(grammar.US))
    return People(parties=tuple(parties), for_me=for_me, us=us)


def _lists(scan: Scan) -> list[PartyMention]:
    found: list[PartyMention] = []
    position = 0
    while (start := grammar.PEOPLE_START.search(scan.text, position)) is not None:
        tally = _Tally()
        end = _count_list(scan.text, start.end(), tally)
        if tally.items == 0 or (tally.items == 1 and tally.speaker):
            position = start.start() + 1
            continue
        found.append(PartyMention(words=scan.text[start.start() : end].strip(), sizes=tally.sizes()))
        scan.blank(start.start(), end)
        position = end
    return found


def _count_list(text: str, position: int, tally: _Tally) -> int:
    """Count one person or group after the other; the position after the last one."""
    end = position
    next_item = _count_item(text, position, tally)
    while next_item is not None:
        end = next_item
        join = grammar.PEOPLE_JOIN.match(text, end)
        next_item = _count_item(text, join.end(), tally) if join else None
    return end


def _count_item(text: str, position: int, tally: _Tally) -> int | None:
    """One item of a list; only the first may be a number without a noun."""
    if (of_us := grammar.OF_US.match(text, position)) is not None:
        tally.count += grammar.number(of_us["count"])
    elif (counted := grammar.PERSON_COUNTED.match(text, position)) is not None:
        return _add_counted(counted, tally)
    elif (related := grammar.PERSON_RELATED.match(text, position)) is not None:
        tally.uncounted = tally.uncounted or related["many"] is not None
        tally.related = True
        tally.count += 1
        return _added(related, tally)
    elif (speaker := grammar.PERSON_SELF.match(text, position)) is not None:
        tally.speaker = True
        tally.count += 1
        return _added(speaker, tally)
    elif tally.items == 0 and (bare := grammar.PERSON_BARE.match(text, position)) is not None:
        tally.count += grammar.number(bare["count"])
        return _added(bare, tally)
    return _added(of_us, tally) if of_us else None


def _add_counted(match: re.Match[str], tally: _Tally) -> int:
    words = match["count"].lower()
    tally.count += 1 if words in ("a", "an") else grammar.number(words)
    tally.related = tally.related or match["relation"] is not None or match["more"] is not None
    return _added(match, tally)


def _added(match: re.Match[str], tally: _Tally) -> int:
    tally.items += 1
    return match.end()
