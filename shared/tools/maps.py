"""Real weather, places and ways: any server that speaks as Open-Meteo, Nominatim and OSRM do."""

import time
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from shared.machine.plan import Effect
from shared.tools import answers
from shared.tools.outbound import Outbound
from shared.tools.registry import Call, Registry, ToolFunction, ToolRefused, ToolUnanswered
from shared.tools.town import Date, Place

VERSION: Final = "2"
"""Beside the town's, which are version 1 and simulated."""
_WORDS: Final = {
    0: "clear", 1: "mostly clear", 2: "partly cloudy", 3: "overcast", 45: "fog", 48: "fog", 51: "drizzle", 53: "drizzle",
    55: "drizzle", 56: "freezing drizzle", 57: "freezing drizzle", 61: "light rain", 63: "rain", 65: "heavy rain",
    66: "freezing rain", 67: "freezing rain", 71: "light snow", 73: "snow", 75: "heavy snow", 77: "snow", 80: "showers",
    81: "showers", 82: "heavy showers", 85: "snow showers", 86: "snow showers", 95: "thunderstorm",
    96: "thunderstorm with hail", 99: "thunderstorm with hail",
}  # fmt: skip
"""The weather codes of the WMO."""


class _Hit(msgspec.Struct, frozen=True):
    lat: str
    lon: str
    display_name: str


class _Daily(msgspec.Struct, frozen=True):
    weather_code: list[int | None]
    temperature_2m_max: list[float | None]
    temperature_2m_min: list[float | None]
    precipitation_probability_max: list[int | None] = []


class _Forecast(msgspec.Struct, frozen=True):
    daily: _Daily


class _Way(msgspec.Struct, frozen=True):
    distance: float
    """Metres."""
    duration: float
    """Seconds."""


class _Ways(msgspec.Struct, frozen=True):
    code: str
    routes: list[_Way] = []


class Spot(msgspec.Struct, frozen=True):
    """A place that was found."""

    place: str
    name: str
    latitude: float
    longitude: float


class Maps:
    """Each method is a tool."""

    def __init__(self, http: Outbound, *, geocode_url: str, weather_url: str = "", route_url: str = "") -> None:
        self._http = http
        self._geocode = geocode_url.rstrip("/")
        self._weather = weather_url.rstrip("/")
        self._route = route_url.rstrip("/")

    async def geocode(self, call: Call, *, place: Place) -> Any:
        """Find a place's coordinates."""
        return await self._spot(call, place)

    async def get_weather(self, call: Call, *, place: Place, date: Date) -> Any:
        """Tell the weather of a place and day."""
        spot = await self._spot(call, place)
        query = {
            "latitude": spot.latitude,
            "longitude": spot.longitude,
            "daily": "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max",
            "timezone": "auto",
            "start_date": date,
            "end_date": date,
        }
        daily = (await self._ask(call, f"{self._weather}/v1/forecast", query, _Forecast)).daily
        code = _first(daily.weather_code)
        return {
            "place": spot.place,
            "date": date,
            "summary": _WORDS.get(code, "unknown") if isinstance(code, int) else "unknown",
            "high_c": _first(daily.temperature_2m_max),
            "low_c": _first(daily.temperature_2m_min),
            "rain_percent": _first(daily.precipitation_probability_max),
        }

    async def route(self, call: Call, *, origin: Place, destination: Place) -> Any:
        """Tell distance and minutes by car between two places."""
        start, end = await self._spot(call, origin), await self._spot(call, destination)
        points = ";".join(f"{spot.longitude:.6f},{spot.latitude:.6f}" for spot in (start, end))
        found = await self._ask(call, f"{self._route}/route/v1/driving/{points}", {"overview": "false"}, _Ways)
        if found.code != "Ok" or not found.routes:
            raise ToolRefused("no_route", f"there is no way by car from {origin} to {destination}")
        way = found.routes[0]
        return {
            "origin": start.place,
            "destination": end.place,
            "distance_km": round(way.distance / 1000, 1),
            "minutes": round(way.duration / 60),
            "mode": "driving",
        }

    async def _spot(self, call: Call, place: str) -> Spot:
        query = {"q": place, "format": "jsonv2", "limit": 1}
        hits = await self._ask(call, f"{self._geocode}/search", query, list[_Hit])
        if not hits:
            raise ToolRefused("unknown_place", f"{place!r} is on no map here")
        try:
            return Spot(place, hits[0].display_name, float(hits[0].lat), float(hits[0].lon))
        except ValueError as error:
            raise ToolUnanswered("the geocoder's answer has no coordinates") from error

    async def _ask(self, call: Call, url: str, query: dict[str, Any], kind: Any) -> Any:
        answer = await self._http.request(
            call, "GET", f"{url}?{urlencode(query)}", headers={"Accept": "application/json"}, configured=True
        )
        answers.check(answer, pure=True, now_s=time.time())
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ToolUnanswered(f"the answer is not what was expected: {error}") from error


def _first(values: list[Any]) -> Any:
    return values[0] if values else None


def register(registry: Registry, maps: Maps, *, weather: bool, route: bool) -> None:
    """What there is a server for."""
    wanted: list[tuple[ToolFunction, bool]] = [(maps.geocode, True), (maps.get_weather, weather), (maps.route, route)]
    for question, there in wanted:
        if there:
            registry.add(question, effect=Effect.PURE, timeout_ms=6_000, version=VERSION)
