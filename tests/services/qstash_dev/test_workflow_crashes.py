"""Kills and lost replies under a workflow run: it goes on, and no step stands in it twice."""

import asyncio
import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.qstash_dev.support import Broker, Destination, Line, Process, Valkey, eventually, talking_to
from tests.services.qstash_dev.support import broker as serving
from tests.services.qstash_dev.test_workflow import grow, start, wait
from tests.services.qstash_dev.workflow_support import Context, ends, step, workflow

pytestmark = pytest.mark.system


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of this test alone, on disk, running."""
    found = Valkey(tmp_path / "valkey")
    found.start()
    yield found
    found.kill()


async def test_a_run_goes_on_after_its_server_and_its_valkey_were_killed(valkey: Valkey, tmp_path: Path) -> None:
    """The step that was on the wire is delivered again; the sleep still ends."""
    process, reached = Process(valkey.url, tmp_path / "log"), asyncio.Event()
    ran: list[str] = []
    process.start()
    await process.answers("/readyz", 200)

    async def function(context: Context) -> None:
        async def second() -> None:
            ran.append("second")
            if not reached.is_set():
                reached.set()
                await asyncio.sleep(6)  # its caller dies first, and this delivery with it

        await context.run("first", lambda: ran.append("first"))
        await context.run("second", second)
        await context.sleep("a while", 1)
        await context.run("third", lambda: ran.append("third"))

    async with workflow(process.url, function) as url, talking_to(process.url) as broker:
        begun = await broker.publish(url, b"{}")
        async with asyncio.timeout(8):
            await reached.wait()
        # Killed before it knew of this answer, the server would deliver the beginning again, and the Python SDK (2.x) does not
        # bear a step that is published twice.
        await broker.ends(begun, "DELIVERED")
        await process.end(signal.SIGKILL)
        valkey.kill()
        valkey.start()
        process.start()
        await process.answers("/readyz", 200)
        await ends(broker.http, "RUN_SUCCESS")
    assert ran[-1] == "third"
    assert ran.count("third") == 1
    assert ran.count("second") >= 2  # its first attempt died with the server
    await process.end(signal.SIGTERM)


async def test_a_wait_survives_a_kill_and_its_notification_too(valkey: Valkey, tmp_path: Path, there: Destination) -> None:
    """The waiter is still there after the restart, and is woken."""
    process = Process(valkey.url, tmp_path / "log")
    process.start()
    await process.answers("/readyz", 200)
    async with talking_to(process.url) as broker:
        await start(broker, there.url, "wfr_one")
        await there.gets(1)
        assert await wait(broker, there.url, "it", "wfr_one") == 200
        await process.end(signal.SIGKILL)
        process.start()
        await process.answers("/readyz", 200)
        told = (await broker.http.post("/v2/notify/it", content=b"data")).json()
        assert [one["workflowRunId"] for one in told] == ["wfr_one"]
    assert base64.b64decode(_last_step(await there.gets(2))["out"]) == b"data"
    await process.end(signal.SIGTERM)


def _last_step(seen: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(seen[-1].body)[-1]["body"]))
    return found


async def test_a_lost_reply_doubles_no_step_and_loses_none(valkey: Valkey, there: Destination) -> None:
    """Whichever command it was the answer to: the start, a step, a wait, a notification, an end."""
    line = Line(valkey.url)
    async with line.open() as url, serving(url) as broker:

        async def lossy(number: int) -> None:
            line.lose = number % 2 == 0

        for number in range(8):
            name = f"wfr_{number}"
            await lossy(number)
            assert "deduplicated" not in await start(broker, there.url, name)
            await lossy(number)
            assert await grow(broker, there.url, name, step(1)) == 200
            await lossy(number)
            assert await wait(broker, there.url, name, name) == 200
            await lossy(number)
            told = await broker.http.post(f"/v2/notify/{name}/{name}", content=b"data")
            assert [one["workflowRunId"] for one in told.json()] == [name]
            await eventually(lambda: not line.lose, "the reply is lost")
            await _has(broker, name, ["hello", "a step", "for it"])
            await lossy(number)
            assert (await broker.http.delete(f"/v2/workflows/runs/{name}?cancel=true")).status_code == 200
    assert line.lost >= 12


async def _has(broker: Broker, run_id: str, names: list[str]) -> None:
    found = [base64.b64decode(one["body"]) for one in await broker.get(f"/v2/workflows/runs/{run_id}")]
    assert ["hello", *(json.loads(one)["stepName"] for one in found[1:])] == names
