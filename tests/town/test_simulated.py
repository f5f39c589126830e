"""What the town makes up: it says so, it is the same every time, and it is possible."""

from typing import Any

import pytest

from tests.town.support import TABLE, Town, code_of


async def test_made_up_answers_say_so_and_stay_the_same(town: Town) -> None:
    """However a name is spelled."""
    weather = await town.get("/weather", place="The  Harbour", date="2030-07-02")
    again = await town.get("/weather", place="the harbour", date="2030-07-02")
    way = await town.get("/route", origin="the harbour", destination="the market")

    assert weather["place"] == "The Harbour"
    assert weather | {"place": ""} == again | {"place": ""}
    assert weather["simulated"] is way["simulated"] is (await town.get("/places", q="x"))["simulated"] is True
    assert set(weather) == {"place", "date", "summary", "high_c", "low_c", "rain_percent", "simulated"}
    back = await town.get("/route", origin="the market", destination="the harbour")
    assert (way["distance_km"], way["minutes"]) == (back["distance_km"], back["minutes"])


async def test_it_is_possible(town: Town) -> None:
    """Days are warmer than their nights, July than January; from here to here is no way."""
    for month in range(1, 13):
        day = await town.get("/weather", place="x", date=f"2030-{month:02}-10")
        assert day["low_c"] < day["high_c"]
        assert 0 <= day["rain_percent"] <= 100
    warm = [(await town.get("/weather", place=f"p{n}", date="2030-07-10"))["high_c"] for n in range(9)]
    cold = [(await town.get("/weather", place=f"p{n}", date="2030-01-10"))["high_c"] for n in range(9)]
    assert min(warm) > max(cold)
    assert (await town.get("/route", origin="Here", destination="here"))["distance_km"] == 0
    assert (await town.get("/route", origin="Here", destination="there"))["minutes"] >= 1


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/weather", {"place": "x", "date": "2030-02-30"}),
        ("/weather", {"place": " ", "date": "2030-02-03"}),
        ("/places", {}),
        ("/places", {"q": "x" * 201}),
        ("/route", {"origin": "x"}),
    ],
)
async def test_what_cannot_be_asked_is_refused(town: Town, path: str, query: dict[str, Any]) -> None:
    """With its field."""
    async with town.client() as client:
        assert code_of(await client.get(path, params=query)) == (422, "invalid_value")


async def test_a_search_lists_what_is_free_and_else_other_times(town: Town) -> None:
    """The cheapest first; nothing found is an answer and no error."""
    query = {"party_size": 2, "date": "2030-05-02", "time": "19:00"}
    found = await town.get("/search", **query)
    prices = [one["price"] for one in found["restaurants"]]
    assert prices == sorted(prices)
    assert len(prices) == 8
    assert found["nearest"] == []

    for number in range(2):
        await town.post("/reservations", TABLE | {"party_size": 20}, f"k{number}")
    italian = await town.get("/search", **query, cuisine="Italian")
    assert italian["restaurants"] == []
    assert italian["nearest"][0] == {"restaurant": "Luigi's", "date": "2030-05-02", "time": "21:00", "seats_left": 40}
    assert (await town.get("/search", **query, cuisine="martian"))["restaurants"] == []
