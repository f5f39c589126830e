"""From complete requests to a plan: steps, the references between them, a source for every argument, and a sentence about it.

References are made here and nowhere else. Words of the user arrive free of them, so none can be written by a user.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.planner import lexicon, moments
from shared.planner.fill import Filled, Known, Message, Ride, Table
from shared.planner.model import Planned, Source

_REFERENCE: Final = re.compile(r"\$\{([a-z0-9_]+)\.")


class _Plan:
    """The steps of one plan while they are added; a step may only lean on those before it."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.sources: list[Source] = []
        self.sentences: list[str] = []

    def add(self, tool: str, args: dict[str, Known[Any]], needs: Iterable[str] = ()) -> str:
        """Add a step; it needs what it refers to and what it is told to wait for. Returns its name."""
        name = self._name(tool)
        values = {argument: known.value for argument, known in args.items()}
        named = [step for value in values.values() if isinstance(value, str) for step in _REFERENCE.findall(value)]
        self.steps.append({"name": name, "tool": tool, "args": values, "needs": list(dict.fromkeys([*needs, *named]))})
        self.sources.extend(
            Source(step=name, argument=argument, origin=known.origin, words=known.words) for argument, known in args.items()
        )
        return name

    def _name(self, tool: str) -> str:
        """The tool's own name; the second time with a number."""
        earlier = sum(step["tool"] == tool for step in self.steps)
        return f"{tool}_{earlier + 1}" if earlier else tool


class _Booking:
    """A booked step and the sentence that confirms it."""

    def __init__(self, step: str, start: int, confirmation: str) -> None:
        self.step = step
        self.start = start
        self.confirmation = confirmation


def build(filled: Filled) -> Planned:
    """The plan of complete requests."""
    plan = _Plan()
    tables = [_add_table(plan, table) for table in filled.tables]
    rides = [_add_ride(plan, ride, tables[0].step if len(tables) == 1 else "") for ride in filled.rides]
    for message in filled.messages:
        _add_message(plan, message, [*tables, *rides])
    summary = "; ".join(plan.sentences)
    return Planned(plan={"steps": plan.steps}, sources=tuple(plan.sources), summary=summary[:1].upper() + summary[1:] + ".")


def _reference(step: str, path: str) -> Known[str]:
    return Known(value=f"${{{step}.{path}}}", origin="step", words=f"{step}.{path}")


def _moment_args(moment: moments.Moment) -> dict[str, Known[Any]]:
    return {
        "date": Known(value=moment.date, origin=moment.date_origin, words=moment.date_words),
        "time": Known(value=moment.time, origin=moment.time_origin, words=moment.time_words),
    }


def _add_table(plan: _Plan, table: Table) -> _Booking:
    common: dict[str, Known[Any]] = {"party_size": table.party, **_moment_args(table.moment)}
    found = plan.add(lexicon.FIND, {**common, **dict(table.wishes)})
    reserved = plan.add(lexicon.RESERVE, {"restaurant": _reference(found, "restaurant"), **common, "name": table.name})
    details = "".join(f", {argument} {known.value}" for argument, known in table.wishes)
    plan.sentences.append(
        lexicon.SUMMARY_TABLE.format(party=table.party.value, moment=moments.spoken(table.moment.local), details=details)
    )
    return _Booking(reserved, table.start, lexicon.TABLE_CONFIRMATION.format(step=reserved))


def _add_ride(plan: _Plan, ride: Ride, table: str) -> _Booking:
    pickup = ride.pickup or _reference(table, "restaurant")
    destination = ride.destination or _reference(table, "restaurant")
    passengers: Known[Any] = ride.passengers or _reference(table, "party_size")
    step = plan.add(
        lexicon.RIDE,
        {"pickup": pickup, "destination": destination, **_moment_args(ride.moment), "passengers": passengers},
    )
    plan.sentences.append(_ride_sentence(ride))
    said = lexicon.RIDE_CONFIRMATION.format(
        pickup=pickup.value, destination=destination.value, date=ride.moment.date, time=ride.moment.time, step=step
    )
    return _Booking(step, ride.start, said)


def _ride_sentence(ride: Ride) -> str:
    return lexicon.SUMMARY_RIDE.format(
        passengers=ride.passengers.value if ride.passengers else lexicon.SUMMARY_PARTY,
        pickup=ride.pickup.value if ride.pickup else lexicon.SUMMARY_RESTAURANT,
        destination=ride.destination.value if ride.destination else lexicon.SUMMARY_RESTAURANT,
        moment=moments.spoken(ride.moment.local),
    )


def _add_message(plan: _Plan, message: Message, bookings: Sequence[_Booking]) -> None:
    """A message waits for the bookings said before it; without words of its own it confirms them (or, said first, all)."""
    before = [booking for booking in bookings if booking.start < message.start]
    if message.body is not None:
        text = Known[str](value=message.body, origin="text", words=message.body)
        sentence = lexicon.SUMMARY_MESSAGE
    else:
        before = before or list(bookings)
        said = " ".join(booking.confirmation for booking in before)
        text = Known[str](value=said, origin="step", words=", ".join(booking.step for booking in before))
        sentence = lexicon.SUMMARY_CONFIRMATION
    plan.add(
        lexicon.SEND,
        {"to": message.to, "channel": message.channel, "text": text},
        needs=[booking.step for booking in before],
    )
    plan.sentences.append(sentence.format(channel=message.channel.value, to=message.to.value))
