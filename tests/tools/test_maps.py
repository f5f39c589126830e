"""Weather, places and ways from servers that speak as Open-Meteo, Nominatim and OSRM do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.errors import SettingsError
from shared.settings_load import load
from shared.tools import kit
from shared.tools.installation import outbound_of, registry_of
from shared.tools.kit import Sample
from shared.tools.maps import Maps
from shared.tools.outbound import Outbound
from shared.tools.registry import Call, Registry, ToolRefused, ToolUnanswered
from tests.tools.partner import Asked, Partner, partner, says

CALL = Call(key="k", attempt=1, deadline_s=5)
SPOTS = {"Berlin": ("52.5200", "13.4050"), "Potsdam": ("52.3906", "13.0645")}
DAILY = {"weather_code": [61], "temperature_2m_max": [18.4], "temperature_2m_min": [9.1], "precipitation_probability_max": [70]}


class Atlas:
    """Answers as the three do."""

    def __init__(self) -> None:
        self.daily: Mapping[str, Any] = DAILY
        self.ways: Any = {"code": "Ok", "routes": [{"distance": 34_321.4, "duration": 2_410.0}]}

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """One request."""
        parts = urlsplit(asked.path)
        query = parse_qs(parts.query)
        if parts.path.endswith("/search"):
            spot = SPOTS.get(query["q"][0])
            hits = [{"lat": spot[0], "lon": spot[1], "display_name": f"{query['q'][0]}, Germany", "rank": 1}] if spot else []
            await says(200, hits)(asked, writer)
        elif parts.path.endswith("/v1/forecast"):
            await says(200, {"latitude": 52.52, "daily": self.daily})(asked, writer)
        else:
            await says(200, self.ways)(asked, writer)


@pytest.fixture
async def there() -> AsyncIterator[Partner]:
    """All three at one address."""
    async with partner() as found:
        yield found


def maps(there: Partner) -> Maps:
    """Below a path, as a proxy may have them."""
    url = f"{there.url}/osm/"
    return Maps(Outbound(loopback=True), geocode_url=url, weather_url=url, route_url=url)


async def test_a_place_is_found(there: Partner) -> None:
    """With its coordinates as numbers; nothing says that it is simulated."""
    there.script = Atlas().answer
    found = await maps(there).geocode(CALL, place="Berlin")

    assert (found.place, found.name, found.latitude, found.longitude) == ("Berlin", "Berlin, Germany", 52.52, 13.405)
    assert there.asked[0].path == "/osm/search?q=Berlin&format=jsonv2&limit=1"


async def test_weather_is_told_in_words_and_degrees(there: Partner) -> None:
    """Of the day that was asked for; what a server does not know is null."""
    atlas = Atlas()
    there.script = atlas.answer
    found = await maps(there).get_weather(CALL, place="Berlin", date="2030-05-02")
    atlas.daily = {"weather_code": [None], "temperature_2m_max": [], "temperature_2m_min": [None]}
    nothing = await maps(there).get_weather(CALL, place="Berlin", date="2030-05-02")

    told = {"summary": "light rain", "high_c": 18.4, "low_c": 9.1, "rain_percent": 70}
    assert found == {"place": "Berlin", "date": "2030-05-02"} | told
    assert (nothing["summary"], nothing["high_c"], nothing["rain_percent"]) == ("unknown", None, None)
    query = parse_qs(urlsplit(there.asked[1].path).query)
    assert (query["latitude"], query["start_date"], query["end_date"]) == (["52.52"], ["2030-05-02"], ["2030-05-02"])


async def test_a_way_is_told_in_kilometres_and_minutes(there: Partner) -> None:
    """By car."""
    there.script = Atlas().answer
    found = await maps(there).route(CALL, origin="Berlin", destination="Potsdam")

    assert found == {"origin": "Berlin", "destination": "Potsdam", "distance_km": 34.3, "minutes": 40, "mode": "driving"}
    assert there.asked[-1].path == "/osm/route/v1/driving/13.405000,52.520000;13.064500,52.390600?overview=false"


async def test_what_is_not_on_the_map_is_refused(there: Partner) -> None:
    """A place that there is not, a way that there is not."""
    atlas = Atlas()
    there.script = atlas.answer
    with pytest.raises(ToolRefused, match="'Atlantis' is on no map"):
        await maps(there).get_weather(CALL, place="Atlantis", date="2030-05-02")
    atlas.ways = {"code": "NoRoute"}
    with pytest.raises(ToolRefused, match="no way by car"):
        await maps(there).route(CALL, origin="Berlin", destination="Potsdam")


@pytest.mark.parametrize("body", [b"<html>", {"hits": 1}, [{"lat": "north", "lon": "1", "display_name": "x"}], [{"lat": 5}]])
async def test_an_answer_of_another_shape_is_no_answer(there: Partner, body: Any) -> None:
    """It may be asked again."""
    there.script = says(200, body)
    with pytest.raises(ToolUnanswered):
        await maps(there).geocode(CALL, place="Berlin")


def installed(there: Partner, *names: str) -> Registry:
    """What an executor has with these servers."""
    environ = {"INTENTION_MODE": "local", "OUTBOUND_LOOPBACK": "true", **dict.fromkeys(names, there.url)}
    settings = load(environ)
    return registry_of(settings, outbound_of(settings), None)


def test_they_stand_beside_the_simulated_ones_as_a_newer_version(there: Partner) -> None:
    """Those that there is a server for."""
    registry = installed(there, "GEOCODE_URL", "WEATHER_URL")

    assert [registry.versions(name) for name in ("geocode", "get_weather", "route")] == [["2"], ["2"], []]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("geocode", {"place": "Berlin"}),
        ("get_weather", {"place": "Berlin", "date": "2030-05-02"}),
        ("route", {"origin": "Berlin", "destination": "Potsdam"}),
    ],
)
async def test_each_keeps_its_promise(there: Partner, name: str, args: dict[str, Any]) -> None:
    """It reads, and nothing else."""
    there.script = Atlas().answer
    registry = installed(there, "GEOCODE_URL", "WEATHER_URL", "ROUTE_URL")

    async def standing(_: str) -> int:
        return sum(asked.method != "GET" for asked in there.asked)

    assert kit.points(registry, name) == ["no effect"]
    await kit.demand(Sample(registry=registry, name=name, args=args, standing=standing), "no effect")


@pytest.mark.parametrize("name", ["WEATHER_URL", "ROUTE_URL"])
def test_coordinates_need_somebody_who_knows_them(name: str) -> None:
    """People name places."""
    with pytest.raises(SettingsError, match=f"{name} needs GEOCODE_URL"):
        load({"INTENTION_MODE": "local", name: "https://api.example"})
