"""One Idempotency-Key, one effect: whoever asks again, at once or later, gets the first answer."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.town import kinds
from examples.town.calls import read
from examples.town.routes.forward import Jobs
from tests.town.support import EVERY, JOB, LETTER, MESSAGE, NOW, ONCE, RIDE, TABLE, Town, WatchedStore, code_of


@pytest.mark.parametrize(("path", "body"), EVERY)
async def test_an_effect_answers_what_it_did(town: Town, path: str, body: dict[str, Any]) -> None:
    """201 with an id, the request's fields and a status; the list shows the row with its key."""
    answer = await town.post(path, body, "k")
    assert answer.status_code == 201
    assert answer.json().items() >= body.items()
    row = (await town.get(path))[path.removeprefix("/")][0]
    assert row.items() >= answer.json().items()
    assert row["key"] == "k"


@pytest.mark.parametrize(("path", "body"), ONCE)
async def test_a_replay_gets_the_first_answer(town: Town, path: str, body: dict[str, Any]) -> None:
    """Same status, same bytes, a header that says so, and one row."""
    first = await town.post(path, body, "k")
    again = await town.post(path, dict(reversed(body.items())), "k")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await town.applied() == {"k": ("happened", 1)}


@pytest.mark.parametrize(("path", "body"), [*ONCE[:3], ("/jobs", JOB | {"seconds": 0.2})])
async def test_callers_at_once_share_one_effect(town: Town, path: str, body: dict[str, Any]) -> None:
    """Twenty requests with one key: one did it, the others waited and heard the same."""
    answers = await asyncio.gather(*(town.post(path, body, "k") for _ in range(20)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert sorted("idempotent-replayed" in answer.headers for answer in answers) == [False] + [True] * 19
    assert await town.applied() == {"k": ("happened", 1)}


async def test_the_work_of_a_job_is_done_once(tmp_path: Path) -> None:
    """A second caller waits for the first one's answer and does not work beside it."""
    with closing(WatchedStore(tmp_path / "town.sqlite")) as store:
        call = read(kinds.JOB, "k", b'{"label":"x","seconds":0.1}', NOW)
        jobs = Jobs(store)
        answers = await asyncio.gather(*(jobs.perform(call) for _ in range(5)))
        assert [answer.replayed for answer in answers] == [False] + [True] * 4
        assert store.misses == 1


async def test_jobs_of_different_keys_do_not_wait_for_each_other(town: Town) -> None:
    """A short job is done while a long one still works."""
    long = asyncio.create_task(town.post("/jobs", JOB | {"seconds": 30}, "long"))
    for number in range(3):
        assert (await town.post("/jobs", JOB, f"short {number}")).status_code == 201
    assert long.cancel(), "the long one is not done yet"


@pytest.mark.parametrize(("path", "body"), [("/messages", MESSAGE | {"text": "Other"}), ("/rides", RIDE)])
async def test_a_key_serves_one_request(town: Town, path: str, body: dict[str, Any]) -> None:
    """Another body or another path under the same key is refused, and nothing of it happens."""
    await town.post("/messages", MESSAGE, "k")
    assert code_of(await town.post(path, body, "k")) == (409, "key_reused")
    assert await town.applied() == {"k": ("happened", 1)}


async def test_a_refusal_leaves_the_key_free(town: Town) -> None:
    """What applied nothing is not remembered: the same key may succeed later."""
    for number in range(2):
        await town.post("/reservations", TABLE | {"party_size": 20}, f"full-{number}")
    assert code_of(await town.post("/reservations", TABLE, "k")) == (409, "no_table")
    assert await town.get("/effects/k") == {"key": "k", "state": "not_seen"}
    await town.undo("full-0")
    answer = await town.post("/reservations", TABLE, "k")
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


async def test_letters_are_careless(town: Town) -> None:
    """Every letter that is asked for is posted, whatever its key."""
    await asyncio.gather(*(town.post("/letters", LETTER, "k") for _ in range(3)))
    assert await town.applied() == {"k": ("happened", 3)}


@pytest.mark.parametrize("key", [None, "", "x" * 201, "tab\tinside"])
@pytest.mark.parametrize(("path", "body"), EVERY)
async def test_a_key_is_required(town: Town, path: str, body: dict[str, Any], key: str | None) -> None:
    """No key, an empty one, one of 201 characters, one with a control character: 400."""
    async with town.client() as client:
        answer = await client.post(path, json=body, headers={} if key is None else {"Idempotency-Key": key})
    assert code_of(answer) == (400, "bad_key")
    assert await town.applied() == {}


async def test_a_key_of_200_characters_and_one_with_a_slash_work(town: Town) -> None:
    """The longest key, and one that would be two parts of a path."""
    for key in ("x" * 200, "exe_07_abc.step/1?.0"):
        await town.post("/messages", MESSAGE, key)
        quoted = str(httpx.QueryParams({"k": key})).removeprefix("k=")
        assert (await town.get(f"/effects/{quoted}"))["state"] == "happened"
        assert (await town.undo(quoted))["was"] == "happened"


async def test_effects_are_listed_by_prefix_and_say_when_they_are_cut(town: Town) -> None:
    """`prefix` picks, `limit` cuts, `total` tells."""
    for key in ("a.1", "a.2", "a_3", "b.1"):
        await town.post("/messages", MESSAGE, key)
    assert list(await town.applied("a.")) == ["a.1", "a.2"]
    cut = await town.get("/effects", prefix="a", limit=1)
    assert ([effect["key"] for effect in cut["effects"]], cut["total"]) == (["a.1"], 3)
    messages = await town.get("/messages", prefix="a", limit=2)
    assert ([row["key"] for row in messages["messages"]], messages["total"]) == (["a_3", "a.2"], 3)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/messages", MESSAGE | {"channel": "pigeon"}, (400, "invalid_type")),
        ("/messages", {"to": "x"}, (400, "invalid_type")),
        ("/messages", MESSAGE | {"text": "  "}, (422, "invalid_value")),
        ("/jobs", JOB | {"seconds": 30.5}, (422, "invalid_value")),
        ("/jobs", JOB | {"seconds": -1}, (422, "invalid_value")),
        ("/rides", RIDE | {"passengers": 9}, (422, "invalid_value")),
        ("/rides", RIDE | {"time": "24:00"}, (422, "invalid_value")),
        ("/nowhere", {}, (404, "not_found")),
        ("/restaurants", {}, (405, "method_not_allowed")),
    ],
)
async def test_a_bad_request_is_told_its_place(town: Town, path: str, body: Any, expected: tuple[int, str]) -> None:
    """Wrong shape 400, impossible value 422, and nothing happens."""
    assert code_of(await town.post(path, body, "k")) == expected
    assert await town.applied() == {}
