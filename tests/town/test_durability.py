"""What has been answered is on disk: kill -9, start again, and every key still has its one effect."""

import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from examples.town import calls
from examples.town.database import Database
from examples.town.errors import Undone
from examples.town.kinds import LETTER, MESSAGE
from examples.town.store import KEEP_KEYS_MS, Store
from shared.errors import SettingsError
from tests.town import support
from tests.town.support import NOW, ONCE, TownProcess, code_of, eventually

DAY_MS = 24 * 3600 * 1000


@pytest.mark.system
async def test_replays_after_kill_9_get_the_first_answers(town_process: TownProcess) -> None:
    """Answers and tombstones survive; nothing doubles, nothing comes back."""
    town_process.start()
    first = {path: await town_process.post(path, body, path) for path, body in ONCE}
    await town_process.undo("/rides")
    await town_process.undo("never")
    town_process.kill()
    town_process.start()
    for path, body in ONCE:
        again = await town_process.post(path, body, path)
        assert again.content == first[path].content or code_of(again) == (410, "undone")
    assert code_of(await town_process.post("/messages", support.MESSAGE, "never")) == (410, "undone")
    assert set((await town_process.applied("/")).values()) == {("happened", 1), ("undone", 1)}


@pytest.mark.system
async def test_a_kill_under_load_loses_nothing_answered(town_process: TownProcess) -> None:
    """Callers that heard 201 find the same again; those that heard nothing ask again and get one effect."""
    town_process.start()
    answered: dict[str, bytes] = {}

    async def call(key: str) -> None:
        try:
            answered[key] = (await town_process.post("/messages", support.MESSAGE, key)).content
        except httpx.TransportError:
            return

    async def some_answered() -> bool:
        return len(answered) >= 60

    keys = [f"k{number}" for number in range(200)]
    callers = asyncio.gather(*(call(key) for key in keys))
    await eventually(some_answered, "sixty callers have their answer")
    town_process.kill()
    await callers
    heard = dict(answered)
    town_process.start()
    await asyncio.gather(*(call(key) for key in keys))
    assert {key: answered[key] for key in heard} == heard
    assert await town_process.applied() == dict.fromkeys(keys, ("happened", 1))


@pytest.mark.system
async def test_a_kill_inside_a_job_leaves_nothing(town_process: TownProcess) -> None:
    """The work is lost, the key is free, and the next call does it once."""
    town_process.start()
    job = asyncio.create_task(town_process.post("/jobs", support.JOB | {"seconds": 20}, "k"))
    assert (await town_process.post("/jobs", support.JOB, "other")).status_code == 201
    town_process.kill()
    with pytest.raises(httpx.TransportError):
        await job
    town_process.start()
    assert (await town_process.get("/effects/k"))["state"] == "not_seen"
    assert (await town_process.post("/jobs", support.JOB, "k")).status_code == 201


def _message(key: str) -> calls.Call:
    return calls.read(MESSAGE, key, b'{"to":"x","channel":"sms","text":"y"}', NOW)


async def test_keys_are_kept_for_forty_days(tmp_path: Path) -> None:
    """Then they are forgotten; the effects stay, without a key. A tombstone counts from the undo."""
    now_ms = 1_000 * DAY_MS
    with closing(Store(tmp_path / "town.sqlite", lambda: now_ms)) as store:
        for key in ("old", "undone late"):
            await store.apply(_message(key))
        await store.apply(calls.read(LETTER, "old letter", b'{"to":"x","text":"y"}', NOW))
        now_ms += KEEP_KEYS_MS
        await store.undo("undone late")
        await store.forget_old_keys()
        assert (await store.apply(_message("old"))).replayed
        now_ms += 1
        await store.forget_old_keys()
        assert [row["key"] for row in (await store.rows(MESSAGE, "", 9)).rows] == ["undone late", None]
        assert [row["key"] for row in (await store.rows(LETTER, "", 9)).rows] == [None]
        with pytest.raises(Undone):
            await store.apply(_message("undone late"))
        assert not (await store.apply(_message("old"))).replayed


async def test_writes_that_share_a_commit_fail_alone(tmp_path: Path) -> None:
    """One bad statement takes its own work back and nobody else's."""

    def insert(connection: sqlite3.Connection, number: int) -> int:
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        if number == 3:
            raise ValueError(number)
        return number

    with closing(Database(tmp_path / "x.sqlite", "CREATE TABLE t (n INTEGER PRIMARY KEY);")) as database:
        slow = asyncio.create_task(database.write(lambda _: time.sleep(0.05)))
        await asyncio.sleep(0)
        numbers = (0, 1, 2, 3, 1, 4)
        writes = [database.write(partial(insert, number=number)) for number in numbers]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        await slow
        assert [type(outcome) for outcome in outcomes] == [int, int, int, ValueError, sqlite3.IntegrityError, int]
        rows = await database.read(lambda connection: [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")])
        assert rows == [0, 1, 2, 4]


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """One line that names the setting, at the start."""
    (tmp_path / "file").write_text("x" * 100)
    for path in (tmp_path / "file", tmp_path / "file" / "town.sqlite", tmp_path):
        with pytest.raises(SettingsError, match="TOWN_DATABASE"):
            Store(path)
