"""Progress on real processes: a reader with the official client is told everything, also when the executor is killed."""

import asyncio
from typing import Any

import pytest

from shared.settings_load import load
from tests.services.ably_dev.official import AblyRealtime
from tests.services.ably_dev.support import settled
from tests.support.waiting import eventually
from tests.system.harness import System, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


class Reader:
    """Follows one execution as docs/progress.md says: subscribed first, then the history, each line by its id."""

    def __init__(self, system: System, execution: str) -> None:
        self._system = system
        self._execution = execution
        self.lines: dict[str, dict[str, Any]] = {}
        self.told: set[str] = set()
        """Ids that came on the channel."""
        self.status = ""

    async def _ask(self, _: Any = None) -> str:
        answer = await self._system.post("/api/ably/token", {"executionId": self._execution})
        assert answer.status_code == 200, answer.text
        self.given: dict[str, Any] = answer.json()
        return str(self.given["token"])

    async def __aenter__(self) -> "Reader":
        await self._ask()
        settings = load({"INTENTION_MODE": "local", "ABLY_URL": self.given["url"]})
        endpoint = settings.ably_url.removeprefix("http://") + "/"
        self._client = AblyRealtime(auth_callback=self._ask, endpoint=endpoint, tls=False)
        channel = self._client.channels.get(self.given["channel"])
        await asyncio.wait_for(channel.subscribe("progress", self._take), 10)
        self._keep(await self._system.history(self._execution))
        return self

    def _take(self, message: Any) -> None:
        assert message.data["executionId"] == self._execution
        self.told |= {event["id"] for event in message.data["events"]}
        self.status = message.data.get("status", self.status)
        self._keep(message.data["events"])

    def _keep(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            assert self.lines.setdefault(event["id"], event) == event

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await settled()


async def test_a_reader_sees_every_line_of_a_run_and_its_end(system: System) -> None:
    """The token is asked for while the first and only segment runs."""
    execution = await system.run_plan(work(6, 0.2))
    await system.done_steps(execution, 1, within=10)
    async with Reader(system, execution) as reader:
        await eventually(lambda: reader.status == "COMPLETED", within=20, describe="the end is told")
        history = await system.history(execution)
        assert sorted(reader.lines.values(), key=lambda line: line["id"]) == sorted(history, key=lambda line: line["id"])
        assert any(line["event"] == "execution.ended" and line["id"] in reader.told for line in history)


async def test_an_executor_that_is_killed_leaves_nothing_untold(system: System) -> None:
    """The next one goes on where the dead one stopped telling."""
    execution = await system.run_plan(work(8, 0.3))
    async with Reader(system, execution) as reader:
        await system.done_steps(execution, 2, within=10)
        await system.restart("step_executor")
        await eventually(lambda: reader.status == "COMPLETED", within=40, describe="the end is told")
        history = await system.history(execution)
        assert len([line for line in history if line["event"] == "segment.started"]) >= 2
        assert {line["id"] for line in history} == set(reader.lines)
        ids = [line["id"] for line in history]
        assert set(ids[min(map(ids.index, reader.told)) :]) == reader.told


async def test_nothing_is_told_of_what_nobody_watches(system: System) -> None:
    """Its channel never comes into being."""
    execution = await system.run_plan(work(2, 0.05))
    await system.ended(execution, within=20)
    url = f"{system.processes['ably_dev'].url}/channels/execution:{execution}/messages"
    name, _, secret = load({"INTENTION_MODE": "local"}).ably_api_key.partition(":")
    answer = await system.client.get(url, auth=(name, secret))
    assert answer.json() == []
