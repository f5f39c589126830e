"""Every tool of the town keeps what its effect class promises, point by point, against the real town."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared.machine.plan import Effect
from shared.tools import kit
from shared.tools.kit import Sample
from shared.tools.registry import Registry
from shared.tools.town import TownTools, register
from tests.town.support import JOB, LETTER, MESSAGE, RIDE, TABLE, Town

SAMPLES: dict[str, dict[str, Any]] = {
    "find_table": {"party_size": 2, "date": "2030-05-02", "time": "19:00"},
    "search_restaurants": {"date": "2030-05-02", "time": "19:00"},
    "get_weather": {"place": "the harbour", "date": "2030-05-02"},
    "geocode": {"place": "the harbour"},
    "route": {"origin": "the harbour", "destination": "the market"},
    "reserve_table": TABLE,
    "book_ride": RIDE,
    "send_message": MESSAGE,
    "do_work": JOB,
    "post_letter": LETTER,
}
CANCELS = {"cancel_reservation": ("/reservations", TABLE), "cancel_ride": ("/rides", RIDE)}
"""What is to be there before each can have its effect."""
NO_PROMISE = {"post_unregistered_letter"}
BY_QSTASH = {"do_long_work"}
"""QStash makes the call, the same that `do_work` makes: tests/system/test_long_calls.py."""


def registered(client: httpx.AsyncClient) -> Registry:
    """The town's tools."""
    registry = Registry()
    register(registry, TownTools(client))
    return registry


def promised() -> list[tuple[str, str]]:
    """Each tool with each point that it promises."""
    registry = registered(httpx.AsyncClient(verify=False))  # noqa: S501 - never used
    return [(tool, point) for tool in registry.contracts() if tool not in BY_QSTASH for point in kit.points(registry, tool)]


@pytest.fixture
async def client(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with town.client() as found:
        yield found


def test_every_tool_of_the_town_has_a_sample_or_promises_nothing() -> None:
    """A tool that is added later is not forgotten here."""
    registry = registered(httpx.AsyncClient(verify=False))  # noqa: S501 - never used

    assert set(registry.contracts()) == set(SAMPLES) | set(CANCELS) | NO_PROMISE | BY_QSTASH
    assert {tool for tool, _ in promised()} == set(SAMPLES) | set(CANCELS)


@pytest.mark.parametrize(("tool", "point"), promised(), ids=[f"{tool}-{point}" for tool, point in promised()])
async def test_a_tool_keeps_its_promise(client: httpx.AsyncClient, tool: str, point: str) -> None:
    """One point of one tool."""
    args, other_args = (await to_cancel(client, tool)) if tool in CANCELS else (SAMPLES[tool], None)
    standing = TownTools(client).standing
    sample = Sample(registry=registered(client), name=tool, args=args, other_args=other_args, standing=standing)

    await kit.demand(sample, point)


async def to_cancel(client: httpx.AsyncClient, tool: str) -> list[dict[str, Any]]:
    """The arguments for two things that are there to be cancelled."""
    path, body = CANCELS[tool]
    made = [(await client.post(path, json=body, headers={"Idempotency-Key": key})).json() for key in ("first", "second")]
    field = next(name for name in made[0] if name.endswith("_id"))
    return [{field: one[field]} for one in made]


async def test_letters_are_not_what_an_idempotent_tool_would_be(client: httpx.AsyncClient) -> None:
    """Declared as more than they are, they are caught: the post office does not look at keys."""
    tools = TownTools(client)
    registry = registered(client)
    registry.add(tools.post_letter, effect=Effect.IDEMPOTENT, undo=tools.undo, probe=tools.probe)
    sample = Sample(registry=registry, name="post_letter", args=LETTER, standing=tools.standing)

    broken = {finding.point for finding in await kit.check(sample) if finding.verdict == "broken"}
    assert {"twice", "at once", "other arguments", "undo first", "do after undo"} <= broken
    assert broken.isdisjoint({"undo", "undo twice", "undo unknown", "probe before", "probe after", "probe undone"})
