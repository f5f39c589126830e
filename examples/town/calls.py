"""What callers may ask for, and the call that becomes of it. Pure: bytes and a clock in, a checked call out."""

import datetime as dt
import hashlib
import re
from typing import Any, Final, Literal, NamedTuple

import msgspec

from examples.town.errors import InvalidValue, NoSuchRestaurant
from examples.town.kinds import CANCELLATION, JOB, LETTER, MESSAGE, RESERVATION, RIDE, Kind, Row
from examples.town.restaurants import Restaurant, named, slot_of
from shared.errors import BadRequest, IntentionError
from shared.http import decode

KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
"""1 to 200 printable ASCII characters, no blank at either end."""
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
MAX_PARTY: Final = 20
MAX_PASSENGERS: Final = 8
MAX_JOB_S: Final = 30


class Seating(NamedTuple):
    """The seats a reservation needs; checked in the transaction that takes them."""

    restaurant: Restaurant
    slot: int
    party_size: int


class Call(NamedTuple):
    """One forward call, checked as far as possible without looking at what is stored."""

    kind: Kind
    key: str
    body_hash: str
    row: Row
    seating: Seating | None = None
    refusal: IntentionError | None = None
    """Raised unless the key was applied already: a replay is answered even when its date has gone by."""


class Moment(NamedTuple):
    """A date and a time of day; `slot` is the half hour that holds them."""

    date: dt.date
    hour: int
    minute: int

    @property
    def slot(self) -> int:
        """Slots since the first day of the calendar."""
        return slot_of(self.date, self.hour, self.minute)


class Reservation(msgspec.Struct, frozen=True):
    """A table for a party."""

    restaurant: str
    party_size: int
    date: str
    time: str
    name: str

    def call(self, key: str, now: dt.datetime) -> Call:
        """422 for a party that no table holds, a date gone by; 404 for an unknown restaurant."""
        moment = time_at(self.date, self.time)
        party_size(self.party_size)
        _text("name", self.name, 200)
        if (restaurant := named(self.restaurant)) is None:
            raise NoSuchRestaurant(f"{self.restaurant!r} is not in town")
        row = msgspec.structs.asdict(self) | {"restaurant": restaurant.name, "slot": moment.slot}
        seating = Seating(restaurant, moment.slot, self.party_size)
        return Call(RESERVATION, key, body_hash(self), row, seating, past(moment.date, now))


class Ride(msgspec.Struct, frozen=True):
    """A car from here to there."""

    pickup: str
    destination: str
    date: str
    time: str
    passengers: int

    def call(self, key: str, now: dt.datetime) -> Call:
        """422 for a full car, a bad time, a date gone by."""
        moment = time_at(self.date, self.time)
        _text("pickup", self.pickup, 300)
        _text("destination", self.destination, 300)
        _between("passengers", self.passengers, 1, MAX_PASSENGERS)
        return Call(RIDE, key, body_hash(self), msgspec.structs.asdict(self), refusal=past(moment.date, now))


class Message(msgspec.Struct, frozen=True):
    """A message for the town's own outbox."""

    to: str
    channel: Literal["sms", "email"]
    text: str

    def call(self, key: str, _now: dt.datetime) -> Call:
        """422 for an empty or an endless text."""
        _text("to", self.to, 320)
        _text("text", self.text, 4_000)
        return Call(MESSAGE, key, body_hash(self), msgspec.structs.asdict(self))


class Job(msgspec.Struct, frozen=True):
    """Work that takes `seconds`."""

    label: str
    seconds: float

    def call(self, key: str, _now: dt.datetime) -> Call:
        """422 outside 0 to 30 seconds."""
        _text("label", self.label, 200)
        _between("seconds", self.seconds, 0, MAX_JOB_S)
        return Call(JOB, key, body_hash(self), msgspec.structs.asdict(self))


class Letter(msgspec.Struct, frozen=True):
    """A letter: posted as often as it is asked for."""

    to: str
    text: str
    reference: str | None = None

    def call(self, key: str, _now: dt.datetime) -> Call:
        """422 for an empty or an endless text."""
        _text("to", self.to, 320)
        _text("text", self.text, 4_000)
        return Call(LETTER, key, body_hash(self), msgspec.structs.asdict(self))


class Cancellation(msgspec.Struct, frozen=True):
    """What was reserved or booked is called off, whoever did it and under which key."""

    what: Literal["reservation", "ride"]
    reference: str

    def call(self, key: str, _now: dt.datetime) -> Call:
        """422 for no reference; whether there is such a thing shows when it is done."""
        _text("reference", self.reference, 200)
        return Call(CANCELLATION, key, body_hash(self), msgspec.structs.asdict(self))


Body = Reservation | Ride | Message | Job | Letter | Cancellation
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    kind.name: msgspec.json.Decoder(body)
    for kind, body in (
        (RESERVATION, Reservation),
        (RIDE, Ride),
        (MESSAGE, Message),
        (JOB, Job),
        (LETTER, Letter),
        (CANCELLATION, Cancellation),
    )
}


def read(kind: Kind, key: str, raw: bytes, now: dt.datetime) -> Call:
    """The call in a request's body; 400 when it has not the shape, 422 when it has a value that cannot be."""
    body: Body = decode(_DECODERS[kind.name], raw)
    return body.call(key, now)


def effect_key(value: str | None) -> str:
    """The key that names an effect; 400 for none or an unfit one."""
    if value is None or not KEY.fullmatch(value):
        raise BadRequest("Idempotency-Key: 1 to 200 printable ASCII characters are required", code="bad_key")
    return value


def body_hash(body: msgspec.Struct) -> str:
    """Equal for requests that ask for the same thing, however their JSON is spaced or ordered."""
    return hashlib.sha256(msgspec.json.encode(body)).hexdigest()


def party_size(value: int) -> int:
    """A party that a table can hold, or 422."""
    return int(_between("party_size", value, 1, MAX_PARTY))


def time_at(date: str, time: str) -> Moment:
    """A date YYYY-MM-DD and a time HH:MM, or 422."""
    clock = _TIME.fullmatch(time)
    if clock is None:
        raise InvalidValue(f"time: {time!r} is not HH:MM between 00:00 and 23:59", at="$.time")
    try:
        day = dt.date.fromisoformat(date) if _DATE.fullmatch(date) else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidValue(f"date: {date!r} is not a day, written YYYY-MM-DD", at="$.date")
    return Moment(day, int(clock[1]), int(clock[2]))


def past(date: dt.date, now: dt.datetime) -> IntentionError | None:
    """The refusal of a day gone by; one day's grace, because the caller's time zone is not known here."""
    if date >= now.astimezone(dt.UTC).date() - dt.timedelta(days=1):
        return None
    return InvalidValue(f"date: {date} has gone by", at="$.date")


def _text(field: str, value: str, limit: int) -> None:
    if not value.strip() or len(value) > limit:
        raise InvalidValue(f"{field}: 1 to {limit} characters are needed, not only blanks", at=f"$.{field}")


def _between(field: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise InvalidValue(f"{field}: {value} is not between {least} and {most}", at=f"$.{field}", least=least, most=most)
    return value
