"""Undo by key: it takes back what happened and forbids what has not happened yet, in whichever order the two arrive."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from examples.town import kinds
from examples.town.calls import read
from examples.town.errors import Undone
from examples.town.routes.forward import Jobs
from tests.town.support import LETTER, MESSAGE, NOW, ONCE, TABLE, Town, WatchedStore, code_of


@pytest.mark.parametrize(("path", "body"), ONCE)
async def test_undo_takes_an_effect_back(town: Town, path: str, body: dict[str, Any]) -> None:
    """The row stays as evidence with another status, and the probe no longer gives a result."""
    await town.post(path, body, "k")
    assert (await town.get("/effects/k"))["state"] == "happened"
    assert await town.undo("k") == {"key": "k", "state": "undone", "was": "happened"}
    assert (await town.get("/effects/k")).keys() == {"key", "state", "kind"}
    assert await town.applied() == {"k": ("undone", 1)}
    status = (await town.get(path))[path.removeprefix("/")][0]["status"]
    assert status in {"cancelled", "retracted", "undone"}


@pytest.mark.parametrize(("path", "body"), ONCE)
async def test_undo_before_do_refuses_the_late_request(town: Town, path: str, body: dict[str, Any]) -> None:
    """The tombstone holds although nothing had happened."""
    assert (await town.undo("k"))["was"] == "not_seen"
    assert code_of(await town.post(path, body, "k")) == (410, "undone")
    assert await town.applied() == {"k": ("undone", 0)}


@pytest.mark.parametrize(("path", "body"), ONCE)
async def test_do_after_undo_is_refused(town: Town, path: str, body: dict[str, Any]) -> None:
    """A replay of something undone does not get the old answer."""
    await town.post(path, body, "k")
    await town.undo("k")
    assert code_of(await town.post(path, body, "k")) == (410, "undone")
    assert (await town.undo("k"))["was"] == "undone"
    assert await town.applied() == {"k": ("undone", 1)}


async def test_do_at_once_with_undo_never_leaves_an_effect(town: Town) -> None:
    """Forty races on forty keys, eight callers each: every one ends undone, and nobody heard of anything else."""

    async def race(key: str) -> set[int]:
        forward = [town.post("/messages", MESSAGE, key) for _ in range(4)]
        _, *answers = await asyncio.gather(town.undo(key), *forward)
        return {answer.status_code for answer in answers}

    statuses = await asyncio.gather(*(race(f"k{number}") for number in range(40)))
    assert set().union(*statuses) <= {201, 410}
    assert {state for state, _ in (await town.applied()).values()} == {"undone"}
    assert {row["status"] for row in (await town.get("/messages"))["messages"]} <= {"retracted"}


async def test_undo_wins_over_a_job_that_still_works(tmp_path: Path) -> None:
    """The work ends, and its record is refused."""
    with closing(WatchedStore(tmp_path / "town.sqlite")) as store:
        call = read(kinds.JOB, "k", b'{"label":"x","seconds":0.2}', NOW)
        job = asyncio.create_task(Jobs(store).perform(call))
        await store.missed.wait()
        assert await store.undo("k") == "not_seen"
        with pytest.raises(Undone):
            await job
        assert (await store.rows(kinds.JOB, "", 9)).total == 0


async def test_undo_frees_the_table(town: Town) -> None:
    """A cancelled party sits nowhere."""
    for number in range(2):
        await town.post("/reservations", TABLE | {"party_size": 20}, f"k{number}")
    assert code_of(await town.post("/reservations", TABLE, "other")) == (409, "no_table")
    await town.undo("k1")
    assert (await town.post("/reservations", TABLE, "other")).status_code == 201


async def test_undo_recalls_only_the_letters_that_are_there(town: Town) -> None:
    """Letters honour no tombstone: one that lands after the undo stands, until it is undone as well."""
    await town.post("/letters", LETTER, "k")
    await town.post("/letters", LETTER, "k")
    assert (await town.undo("k"))["was"] == "happened"
    assert await town.applied() == {"k": ("undone", 2)}
    assert (await town.post("/letters", LETTER, "k")).status_code == 201
    assert await town.applied() == {"k": ("happened", 3)}
    assert (await town.undo("k"))["was"] == "happened"
    assert {row["status"] for row in (await town.get("/letters"))["letters"]} == {"recalled"}


async def test_a_probe_tells_the_first_answer(town: Town) -> None:
    """`result` is the body that the forward call was answered with."""
    first = await town.post("/letters", LETTER, "k")
    await town.post("/letters", LETTER, "k")
    assert await town.get("/effects/k") == {"key": "k", "state": "happened", "kind": "letter", "result": first.json()}
