"""Weather, places and ways of a town that is not on any map: made up, the same every time, and said to be. Pure."""

import datetime as dt
import hashlib
import math
from typing import Any, Final

import msgspec

_SKIES: Final = ("clear", "partly cloudy", "overcast", "light rain", "rain", "thunderstorm", "fog")
_RAIN: Final = (0, 10, 20, 60, 85, 75, 15)
_EARTH_KM: Final = 6371.0
_DETOUR: Final = 1.3
"""How much longer a road is than the bird's way."""
_KM_AN_HOUR: Final = 35.0


class Place(msgspec.Struct, frozen=True):
    """Somewhere within twenty kilometres of the market."""

    place: str
    name: str
    latitude: float
    longitude: float
    simulated: bool = True


def _dice(*words: str) -> list[int]:
    """Thirty-two numbers below 256 that follow from the words."""
    return list(hashlib.sha256("\n".join(" ".join(word.casefold().split()) for word in words).encode()).digest())


def place(name: str) -> Place:
    """Where a place is."""
    north, east, *_ = _dice("place", name)
    shown = " ".join(name.split())
    return Place(shown, f"{shown}, Town", round(51.5 + (north - 128) / 700, 5), round(-0.1 + (east - 128) / 450, 5))


def weather(name: str, date: dt.date) -> dict[str, Any]:
    """A day's weather: warm in July, cold in January."""
    sky, warmth, span, *_ = _dice("weather", name, date.isoformat())
    season = -math.cos((date.timetuple().tm_yday - 15) / 365 * 2 * math.pi)
    high = round(13 + 9 * season + (warmth - 128) / 32, 1)
    kind = sky % len(_SKIES)
    return {
        "place": " ".join(name.split()),
        "date": date.isoformat(),
        "summary": _SKIES[kind],
        "high_c": high,
        "low_c": round(high - 4 - span / 40, 1),
        "rain_percent": _RAIN[kind],
        "simulated": True,
    }


def way(origin: str, destination: str) -> dict[str, Any]:
    """How far it is by car, and how long it takes."""
    start, end = place(origin), place(destination)
    kilometres = round(_apart(start, end) * _DETOUR, 1)
    return {
        "origin": start.place,
        "destination": end.place,
        "distance_km": kilometres,
        "minutes": max(1, round(kilometres / _KM_AN_HOUR * 60)) if kilometres else 0,
        "mode": "driving",
        "simulated": True,
    }


def _apart(start: Place, end: Place) -> float:
    """The bird's way in kilometres; the town is small enough for a flat map."""
    north = math.radians(end.latitude - start.latitude)
    middle = math.radians((start.latitude + end.latitude) / 2)
    east = math.radians(end.longitude - start.longitude) * math.cos(middle)
    return _EARTH_KM * math.hypot(north, east)
