"""What a call costs, from where a tool says so to where a person reads it."""

from typing import Any

import pytest

from shared.cli import shown
from shared.cli.grids import plain
from shared.machine.plan import Cost, Effect
from shared.settings_load import load
from shared.shaped_file import BadFile
from shared.tools.declare import Means, add, tool
from shared.tools.http_shape import read
from shared.tools.installation import outbound_of
from shared.tools.registry import Call, Registry

FILE = """
[[tool]]
name = "buy"
summary = "Buy."
effect = "unsafe"
url = "https://shop.example/buy"
"""


@tool(effect="unsafe", cost=Cost(amount=12, failed=True))
async def stamp(_: Call, *, letter: str) -> Any:
    """Buy a stamp."""
    return {"letter": letter}


def test_a_tool_says_what_a_call_costs() -> None:
    """By `@tool`; a tool that says nothing costs nothing, and its contract has no such field."""
    registry = Registry()
    add(registry, stamp, stamp.__intention_tool__, Means(outbound_of(load({"INTENTION_MODE": "local"})), {}))  # type: ignore[attr-defined] # set by @tool
    assert registry.contracts()["stamp"].cost == Cost(amount=12, failed=True)
    registry.add(stamp, effect=Effect.UNSAFE, name="free")
    assert not isinstance(registry.contracts()["free"].cost, Cost)


def test_a_file_says_it_too() -> None:
    """And is refused with the place where it makes no sense."""
    (found,) = read(FILE + "cost = { amount = 5 }\n", is_json=False)
    assert found.cost == Cost(amount=5)
    with pytest.raises(BadFile, match=r"cost\.amount"):
        read(FILE + "cost = { amount = -5 }\n", is_json=False)


@pytest.mark.parametrize(
    ("cost", "worst", "line"),
    [
        (30, 48, "  cost: 30 if nothing goes wrong; 48 at worst"),
        (8, None, "  cost: 8 if nothing goes wrong; nobody can say how much at worst"),
        (0, 0, None),
    ],
)
def test_the_command_shows_it(cost: int, worst: int | None, line: str | None) -> None:
    """Unless nothing costs anything; and why a person is asked."""
    price: dict[str, Any] = {
        "messages": 1,
        "reservedMessages": 5,
        "durationMs": 0,
        "awaits": [],
        "guessed": [],
        "cost": cost,
        "worstCost": worst,
    }
    marks = [{"policy": "p", "kind": "confirmation", "at": "plan.steps[0]", "message": "policy p: a needs a confirmation"}]
    found = {"summary": "1 step", "hash": "h", "steps": [], "cannotBeUndone": [], "price": price, "policies": marks}
    lines = [*plain(shown.plan(found))]
    assert [one for one in lines if "cost" in one] == ([line] if line else [])
    assert "  policy p: a needs a confirmation" in lines
