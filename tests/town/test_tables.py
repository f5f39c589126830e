"""Who sits where: slots of half an hour, a meal of four of them, and a table found the same way every time."""

from typing import Any

import pytest

from examples.town.restaurants import RESTAURANTS, Sitting, named, nearest, seats_left, slot_of, time_of
from tests.town.support import NOW, TABLE, Town, code_of

SEATS = 40
SLOT = slot_of(NOW.date(), 19, 0)


@pytest.mark.parametrize(("time", "free"), [("17:00", True), ("17:30", False), ("20:30", False), ("21:00", True)])
async def test_a_meal_takes_four_slots(town: Town, time: str, free: bool) -> None:  # noqa: FBT001 - a row of a table
    """A full house at 19:00 is full for whoever would still be eating then, or would come before they leave."""
    for number in range(2):
        await town.post("/reservations", TABLE | {"party_size": SEATS // 2}, f"k{number}")
    answer = await town.post("/reservations", TABLE | {"time": time}, "k")
    assert (answer.status_code == 201) is free


async def test_the_last_seat_goes_once(town: Town) -> None:
    """Seats are counted in the transaction that takes them."""
    await town.post("/reservations", TABLE | {"party_size": 19}, "k1")
    await town.post("/reservations", TABLE | {"party_size": 19}, "k2")
    assert code_of(await town.post("/reservations", TABLE | {"party_size": 3}, "k3")) == (409, "no_table")
    assert (await town.post("/reservations", TABLE, "k4")).status_code == 201
    assert code_of(await town.post("/reservations", TABLE | {"party_size": 1}, "k5")) == (409, "no_table")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"party_size": 0}, (422, "invalid_value")),
        ({"party_size": 21}, (422, "invalid_value")),
        ({"date": "2030-02-30"}, (422, "invalid_value")),
        ({"date": "1 May"}, (422, "invalid_value")),
        ({"date": "2030-04-29"}, (422, "invalid_value")),
        ({"time": "7pm"}, (422, "invalid_value")),
        ({"time": "19:70"}, (422, "invalid_value")),
        ({"restaurant": "Nowhere"}, (404, "unknown_restaurant")),
        ({"party_size": "two"}, (400, "invalid_type")),
    ],
)
async def test_what_cannot_be_reserved(town: Town, change: dict[str, Any], expected: tuple[int, str]) -> None:
    """Each impossible request has its status; yesterday is let through, because it may be today where the caller is."""
    assert code_of(await town.post("/reservations", TABLE | change, "k")) == expected
    assert (await town.post("/reservations", TABLE | {"date": "2030-04-30"}, "k")).status_code == 201


async def test_who_names_no_restaurant_of_the_town_is_told_where_they_are_listed(town: Town) -> None:
    """By an address that can be opened, for reservations and searches alike."""
    async with town.client() as client:
        looked = await client.get("/tables", params={"restaurant": "Nowhere", "date": "2030-05-02", "time": "19:00"})
        for answer in (await town.post("/reservations", TABLE | {"restaurant": "Nowhere"}, "k"), looked):
            told = answer.json()["error"]["message"]
            assert told == f"'Nowhere' is not in town: {town.base_url}/restaurants lists those that are"
            [url] = [word for word in told.split() if word.startswith("http")]
            listed = (await client.get(url)).json()["restaurants"]
            assert "Luigi's" in {one["name"] for one in listed}


async def test_a_party_comes_at_any_minute_and_occupies_the_slot_that_holds_it(town: Town) -> None:
    """Luigi's is full from 19:10 on as it is from 19:00 on: who comes at 20:29 finds no seat, who comes at 21:00 does."""
    booked = await town.post("/reservations", TABLE | {"time": "19:10", "party_size": 20}, "k1")
    assert (booked.status_code, booked.json()["time"]) == (201, "19:10")
    await town.post("/reservations", TABLE | {"time": "19:00", "party_size": 20}, "k2")
    assert code_of(await town.post("/reservations", TABLE | {"time": "20:29"}, "k3")) == (409, "no_table")
    assert (await town.post("/reservations", TABLE | {"time": "21:00"}, "k4")).status_code == 201


async def test_the_best_table_is_the_cheapest_that_fits(town: Town) -> None:
    """And the others are named in the same order."""
    query = {"party_size": 2, "date": "2030-05-02", "time": "19:00"}
    found = await town.get("/tables", **query)
    assert found["restaurant"] == "Golden Wok"
    assert len(found["alternatives"]) == len(RESTAURANTS) - 1
    old_town = await town.get("/tables", **query, area="Old Town")
    assert (old_town["restaurant"], old_town["alternatives"]) == ("Luigi's", ["Blue Door"])
    expected = {"restaurant": "Luigi's", "cuisine": "italian", "area": "old town", "price": 28, "seats_left": 40}
    assert await town.get("/tables", **query, cuisine="Italian") == expected | {"alternatives": []}


async def test_no_table_names_the_nearest_free_times(town: Town) -> None:
    """The later of two equally near ones first."""
    for number in range(2):
        await town.post("/reservations", TABLE | {"party_size": SEATS // 2}, f"k{number}")
    async with town.client() as client:
        query = {"party_size": "2", "date": "2030-05-02", "time": "19:00", "restaurant": "luigi's"}
        answer = await client.get("/tables", params=query)
        nothing = await client.get("/tables", params=query | {"restaurant": "", "cuisine": "martian"})
    assert code_of(answer) == (404, "no_table")
    assert [offer["time"] for offer in answer.json()["error"]["details"]["nearest"]] == ["21:00", "17:00", "21:30"]
    assert nothing.json()["error"]["details"]["nearest"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"party_size": "21"}, (400, "bad_request")),
        ({"party_size": "two"}, (400, "bad_request")),
        ({"date": ""}, (422, "invalid_value")),
        ({"restaurant": "Nowhere"}, (404, "unknown_restaurant")),
    ],
)
async def test_a_bad_search_is_told(town: Town, query: dict[str, str], expected: tuple[int, str]) -> None:
    """The search checks like the reservation does."""
    async with town.client() as client:
        answer = await client.get("/tables", params={"party_size": "2", "date": "2030-05-02", "time": "19:00"} | query)
    assert code_of(answer) == expected


async def test_the_restaurants_are_listed(town: Town) -> None:
    """With what a planner needs to choose."""
    listed = (await town.get("/restaurants"))["restaurants"]
    assert len(listed) == len(RESTAURANTS)
    assert listed[0].keys() == {"name", "cuisine", "area", "seats_per_slot", "price"}


def test_seats_are_counted_at_the_fullest_moment_of_a_meal() -> None:
    """Two parties that never meet do not add up; a party elsewhere does not count."""
    luigis = RESTAURANTS[4]
    early, late = Sitting(luigis.name, SLOT - 3, 10), Sitting(luigis.name, SLOT + 1, 15)
    assert seats_left(luigis, SLOT, [early]) == SEATS - 10
    assert seats_left(luigis, SLOT, [early, late]) == SEATS - 15
    assert seats_left(luigis, SLOT, [Sitting(luigis.name, SLOT - 1, 10), late]) == SEATS - 25
    assert seats_left(luigis, SLOT, [Sitting("Sakura", SLOT, 10)]) == SEATS


def test_a_slot_goes_over_midnight() -> None:
    """The slot after 23:30 is 00:00 of the next day."""
    last = slot_of(NOW.date(), 23, 30)
    assert (time_of(last), time_of(last + 1)) == (("2030-05-01", "23:30"), ("2030-05-02", "00:00"))
    luigis = named(" luigi's ")
    assert luigis is not None
    assert [place.slot - last for place in nearest([luigis], last, 2, [])] == [1, -1, 2]


@pytest.mark.parametrize("said", ["The Copper Pot", "the copper pot", "Copper Pot", " copper pot "])
def test_a_restaurant_is_found_by_its_name_as_people_say_it(said: str) -> None:
    """With or without the article, in any case."""
    found = named(said)

    assert found is not None
    assert found.name == "The Copper Pot"
