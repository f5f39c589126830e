"""The restaurants, and the arithmetic of their tables. Pure: who sits where comes in, what is free comes out.

Time is cut into slots of half an hour, counted through the days. A party occupies the slot it comes at and the three after.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

SLOTS_A_DAY: Final = 48
STAY: Final = 4
"""Slots a party occupies."""
SEARCH: Final = 8
"""How many slots earlier or later another time is looked for."""


class Restaurant(msgspec.Struct, frozen=True):
    """A place to eat; `price` is the usual bill per person in euros."""

    name: str
    cuisine: str
    area: str
    seats_per_slot: int
    price: int


RESTAURANTS: Final = (
    Restaurant("Blue Door", "french", "old town", 30, 48),
    Restaurant("Casa Verde", "mexican", "market", 40, 26),
    Restaurant("Golden Wok", "chinese", "station", 60, 19),
    Restaurant("Harbour Grill", "seafood", "harbour", 50, 42),
    Restaurant("Luigi's", "italian", "old town", 40, 28),
    Restaurant("Namaste Garden", "indian", "park", 40, 22),
    Restaurant("Sakura", "japanese", "harbour", 24, 38),
    Restaurant("The Copper Pot", "british", "market", 36, 31),
)


def _plain(name: str) -> str:
    """A name as people say it: "the Copper Pot" and "Copper Pot" are one place."""
    return name.strip().casefold().removeprefix("the ")


_BY_NAME: Final = {_plain(restaurant.name): restaurant for restaurant in RESTAURANTS}


class Sitting(NamedTuple):
    """A party at a table, from `slot` on."""

    restaurant: str
    slot: int
    party_size: int


class Free(NamedTuple):
    """A restaurant that has seats left at a slot."""

    restaurant: Restaurant
    slot: int
    seats_left: int


def named(name: str) -> Restaurant | None:
    """The restaurant of that name, in any spelling of capitals."""
    return _BY_NAME.get(_plain(name))


def matching(*, cuisine: str = "", area: str = "", restaurant: str = "") -> list[Restaurant]:
    """The restaurants of a cuisine, an area, a name (empty: any), cheapest first."""
    wanted = {"cuisine": cuisine.strip().casefold(), "area": area.strip().casefold(), "name": _plain(restaurant)}
    fits = [
        one for one in RESTAURANTS if all(not word or _plain(getattr(one, field)) == word for field, word in wanted.items())
    ]
    return sorted(fits, key=lambda one: (one.price, one.name))


def slot_of(date: dt.date, hour: int, minute: int) -> int:
    """The slot that holds a time of a day."""
    return date.toordinal() * SLOTS_A_DAY + hour * 2 + minute // 30


def time_of(slot: int) -> tuple[str, str]:
    """Date and time at which a slot begins, as the API writes them."""
    day, half_hours = divmod(slot, SLOTS_A_DAY)
    return dt.date.fromordinal(day).isoformat(), f"{half_hours // 2:02}:{half_hours % 2 * 30:02}"


def seats_left(restaurant: Restaurant, slot: int, sittings: Iterable[Sitting]) -> int:
    """Seats that stay free through a whole meal that begins at `slot`."""
    here = [sitting for sitting in sittings if sitting.restaurant == restaurant.name]
    return restaurant.seats_per_slot - max(
        sum(sitting.party_size for sitting in here if sitting.slot <= moment < sitting.slot + STAY)
        for moment in range(slot, slot + STAY)
    )


def free(candidates: Iterable[Restaurant], slot: int, party_size: int, sittings: list[Sitting]) -> list[Free]:
    """The candidates that can seat the party at `slot`, in their order."""
    found = (Free(one, slot, seats_left(one, slot, sittings)) for one in candidates)
    return [one for one in found if one.seats_left >= party_size]


def nearest(candidates: list[Restaurant], slot: int, party_size: int, sittings: list[Sitting]) -> list[Free]:
    """Up to three other times at which a candidate is free, the nearest first, the later before the earlier."""
    found = (place[0] for other in _around(slot) if (place := free(candidates, other, party_size, sittings)))
    return [place for _, place in zip(range(3), found, strict=False)]


def _around(slot: int) -> Iterator[int]:
    for distance in range(1, SEARCH + 1):
        yield slot + distance
        yield slot - distance
