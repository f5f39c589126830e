"""One execution as one document, on a real store: whole, bounded, the same for a person and for the archive."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.archive import STEPS, Archiver
from shared.errors import NotFound
from shared.export import export
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Each
from shared.redisdb import keys
from shared.redisdb.reader import PAGE
from tests.services.engine.site import NOBODY, Site
from tests.services.engine.support import TENANT, Stage, chain, really, staged, step
from tests.services.engine.test_actions import ANNA, OTHER, act, get, refusing, run, started, work
from tests.services.test_archive import file_of
from tests.support.executions import RETENTION_MS

LARGE = {"text": "\u00e9" * 50_000}
WRITTEN_AT = re.compile(rb'"exportedAt":"[^"]+"')


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


async def large(_: Start, __: float) -> Outcome:
    """A call with a large output."""
    return Done(output=LARGE)


async def exported(site: Site, execution: str) -> dict[str, Any]:
    """The document."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}/export", headers=ANNA)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{execution}.json"'
    found: dict[str, Any] = answer.json()
    return found


async def test_an_export_is_what_the_api_answers_each_part_whole(site: Site, stage: Stage) -> None:
    """The execution, its plan, its history, what it waits for, the items of its maps; what was undone is told."""
    over = work("m", map={"over": [1, 2, 3]}, undo={"tool": "do_work", "args": {"label": "back"}})
    asks = work("ask", "m", approve={"message": "sure?"})
    execution = await started(site, over, asks)
    stage.tools.acts["m.1"] = large
    await run(stage, execution)
    told = await exported(site, execution)
    shown = await get(site, execution)

    assert (told["export"], told["id"], told["tenant"], told["endVersion"]) == (1, execution, "acme", shown["version"])
    assert told["execution"] == shown | {"steps": told["execution"]["steps"]}
    assert [one["name"] for one in told["plan"]["steps"]] == ["m", "ask"]
    assert told["why"]["waits"][-1]["owner"] == "person"
    assert [one["name"] for one in told["items"]["m"]] == ["m.0", "m.1", "m.2"]
    assert told["items"]["m"][1]["output"] == LARGE
    history = await site.call("ingress", "GET", f"/api/executions/{execution}/history", headers=ANNA)
    assert told["history"] == history.json()["history"]

    await act(site, execution, "reject", step="ask")
    await run(stage, execution)
    told = await exported(site, execution)
    assert told["execution"]["status"] == "COMPENSATED"
    assert {one["undo"]["status"] for one in told["items"]["m"]} == {"DONE"}
    assert [line["event"] for line in told["history"]][-1] == "execution.ended"


async def test_an_output_of_an_item_is_given_where_its_pointer_says(site: Site, stage: Stage) -> None:
    """By the item's name; there is nothing behind the last one."""
    execution = await started(site, work("m", map={"over": [1, 2]}))
    stage.tools.acts["m.1"] = large
    await run(stage, execution)
    items = await site.call("ingress", "GET", f"/api/executions/{execution}/steps/m/items", headers=ANNA)
    path = items.json()["items"][1]["largeOutput"]["path"]
    assert (await site.call("ingress", "GET", path, headers=ANNA)).json() == LARGE
    for name in ("m.2", "m.", "m.x", "other.0"):
        missing = path.replace("m.1", name)
        assert (await site.call("ingress", "GET", missing, headers=ANNA)).status_code == 404, missing


async def test_more_steps_than_a_page_are_all_there(redis: Redis) -> None:
    """In parts of a page each, so that memory does not grow with the plan."""
    stage = staged(redis)
    count = 2 * PAGE + 7
    execution = await stage.create(chain(count))
    parts = [part async for part in await export(stage.reader, execution, TENANT)]
    told = msgspec.json.decode(b"".join(parts))

    assert [one["name"] for one in told["execution"]["steps"]] == [f"s{number}" for number in range(count)]
    assert told["execution"]["nextSteps"] is None
    assert sum(b'"name":"s0"' in part for part in parts) == 2  # the plan, and the first page
    assert len(max(parts[1:], key=len)) < sum(map(len, parts[1:])) / 2


async def test_what_breaks_off_is_no_json(redis: Redis) -> None:
    """Nobody takes half of an execution for the whole."""
    stage = staged(redis)
    execution = await stage.create(chain(PAGE + 1))
    parts = await export(stage.reader, execution, TENANT)
    got = BytesIO(await anext(parts))
    await redis.delete(keys.record(execution))

    async def read_on() -> None:
        async for part in parts:
            got.write(part)

    with pytest.raises(NotFound):
        await read_on()
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(got.getvalue())


def undone() -> list[Any]:
    """Steps of which the last is refused."""
    return [step("a"), step("b", "a")]


def spread() -> list[Any]:
    """A map, of which one item has a large output, and a step that has one."""
    return [step("m", map=Each(over=[1, 2, 3])), step("big", "m"), step("b", "big")]


SHAPES: dict[str, tuple[Callable[[], list[Any]], int]] = {
    "undone": (undone, 0),
    "a map, and outputs apart": (spread, 0),
    "more steps than are read together": (lambda: [*chain(STEPS), step("b")], 0),
    "more lines than a page": (undone, PAGE),
}
"""Steps, and lines of the history beside their own."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_archive_keeps_the_same_document(redis: Redis, tmp_path: Path, shape: str) -> None:
    """A line of the archive is an export, to the byte; nobody asks any more why it waits."""
    stage = staged(redis)
    steps, more = SHAPES[shape]
    stage.tools.acts |= {"b": refusing(), "m.1": large, "big": large}
    execution = await stage.create(steps())
    await stage.run(execution)
    for number in range(more):
        await redis.xadd(keys.history(execution), {"l": b'{"event":"a line","at_ms":%d}' % number})
    own = b"".join([part async for part in await export(stage.reader, execution, TENANT)])
    stage.hand.forward(RETENTION_MS)
    await Archiver(stage.store, stage.reader, tmp_path).run_once()

    line = file_of(tmp_path).read_bytes()
    assert WRITTEN_AT.sub(b"", line) == WRITTEN_AT.sub(b"", own) + b"\n"
    told = msgspec.json.decode(line)
    assert told["why"] is None
    assert told["execution"]["status"] == "COMPENSATED"
    assert len(told["history"]) > more
    assert (LARGE in [one.get("output") for one in told["execution"]["steps"]]) == ("apart" in shape)


async def test_an_address_that_is_called_back_is_not_in_an_export(site: Site, stage: Stage) -> None:
    """It would be a permission; the place that it stands for is."""
    step_ = work("a", args={"label": "${w.callback_url}"})
    execution = await started(site, step_, {"name": "w", "wait": {"callback": True}, "needs": ["a"]})
    await run(stage, execution)
    told = await exported(site, execution)
    assert told["execution"]["steps"][0]["input"] == {"label": f"callback://{execution}/w"}
    assert "/api/waits/" not in msgspec.json.encode(told).decode()


async def test_another_tenant_gets_no_export(site: Site) -> None:
    """As of one that is not there."""
    for execution in (await started(site, work("a")), NOBODY, "no-id"):
        answer = await site.call("ingress", "GET", f"/api/executions/{execution}/export", headers=OTHER)
        assert answer.status_code == 404
