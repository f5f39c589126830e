"""What was reserved or booked can be called off by its id, once and for all."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.town.support import RIDE, TABLE, Host, Town, code_of


async def test_a_cancelled_table_is_free_again(town: Town) -> None:
    """Whoever reserved it; its key counts as undone."""
    made = (await town.post("/reservations", TABLE | {"party_size": 20}, "k1")).json()
    await town.post("/reservations", TABLE | {"party_size": 20}, "k2")
    assert code_of(await town.post("/reservations", TABLE, "k3")) == (409, "no_table")

    answer = await town.post("/cancellations", {"what": "reservation", "reference": made["reservation_id"]}, "c1")

    assert answer.status_code == 201
    assert answer.json() | {"cancellation_id": ""} == {
        "cancellation_id": "", "what": "reservation", "reference": made["reservation_id"], "status": "cancelled"
    }  # fmt: skip
    assert (await town.post("/reservations", TABLE, "k3")).status_code == 201
    assert (await town.applied("k1"))["k1"] == ("undone", 1)


async def test_it_honours_its_key_and_may_be_asked_again_under_another(town: Town) -> None:
    """What is cancelled already is what was asked for."""
    made = (await town.post("/rides", RIDE, "k1")).json()
    body = {"what": "ride", "reference": made["ride_id"]}
    first, again, other = [await town.post("/cancellations", body, key) for key in ("c1", "c1", "c2")]

    assert (first.content, again.headers["Idempotent-Replayed"]) == (again.content, "true")
    assert other.status_code == 201
    assert [row["status"] for row in (await town.get("/rides"))["rides"]] == ["cancelled"]


async def test_what_is_not_there_is_not_cancelled(town: Town) -> None:
    """Nor a ride by the id of a table; the key stays free."""
    made = (await town.post("/reservations", TABLE, "k1")).json()
    for what, reference in (("ride", made["reservation_id"]), ("reservation", "res_0")):
        body = {"what": what, "reference": reference}
        assert code_of(await town.post("/cancellations", body, "c1")) == (404, "unknown_reference")
    assert code_of(await town.post("/cancellations", {"what": "letter", "reference": "x"}, "c1")) == (400, "invalid_type")
    assert code_of(await town.post("/cancellations", {"what": "ride", "reference": " "}, "c1")) == (422, "invalid_value")
    good = {"what": "reservation", "reference": made["reservation_id"]}
    assert (await town.post("/cancellations", good, "c1")).status_code == 201


async def test_a_cancellation_is_final(town: Town) -> None:
    """An undo of its key brings nothing back, and says that it stands; one that comes first forbids it."""
    made = (await town.post("/reservations", TABLE, "k1")).json()
    body = {"what": "reservation", "reference": made["reservation_id"]}
    await town.undo("c0")
    assert code_of(await town.post("/cancellations", body, "c0")) == (410, "undone")

    await town.post("/cancellations", body, "c1")
    assert (await town.undo("c1"))["was"] == "happened"
    assert (await town.get("/effects/c1"))["state"] == "happened"
    assert [row["status"] for row in (await town.get("/reservations"))["reservations"]] == ["cancelled"]


async def test_a_book_of_an_earlier_release_is_read(town_host: Host, tmp_path: Path) -> None:
    """The list of effects is a view, made again at every start."""
    path = tmp_path / "town.sqlite"
    with town_host.town(path) as town:
        await town.post("/rides", RIDE, "k1")
        ride = (await town.get("/rides"))["rides"][0]["ride_id"]
    with closing(sqlite3.connect(path)) as book:
        book.executescript("DROP VIEW applied; DROP TABLE cancellations; CREATE VIEW applied AS SELECT 1 AS key, 2 AS kind;")
    with town_host.town(path) as town:
        await town.post("/cancellations", {"what": "ride", "reference": ride}, "c1")
        assert set(await town.applied()) == {"c1", "k1"}
