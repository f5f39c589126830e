"""The page on plans says what is so: its examples are plans, and its tables name every field there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from shared.machine import refs
from shared.machine.accept import Limits, accept
from shared.machine.plan import Blueprint, Each, PlanDraft, Retry, StepDraft, WaitFor, encode
from shared.tools.registry import Call, Registry
from shared.tools.town import TownTools, register
from tests.architecture.test_documents import ROOT
from tests.tools.test_town import SAMPLES
from tests.town.support import hosting

PAGE = (ROOT / "docs/plans.md").read_text(encoding="utf8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
LIMITS = Limits(steps=100, argument_bytes=65_536, step_ms=8_000, consent=True)


@pytest.mark.parametrize("text", EXAMPLES, ids=[f"example {number + 1}" for number in range(len(EXAMPLES))])
def test_every_example_is_a_plan_that_is_accepted(text: str) -> None:
    """With the town's own tools and their arguments."""
    registry = Registry()
    register(registry, TownTools(httpx.AsyncClient()))
    draft = msgspec.json.decode(text, type=PlanDraft)
    plan = accept(draft, contracts=registry.contracts(), check_args=registry.check_args, limits=LIMITS)
    assert Blueprint(encode(plan)).size == len(draft.steps)


def fields_read() -> Iterator[tuple[str, str]]:
    """Each field that an example reads of a tool's output: tool and field."""
    for text in EXAMPLES:
        steps = _steps(msgspec.json.decode(text))
        tools = {step["name"]: step["tool"] for step in steps if "tool" in step and "map" not in step}
        for found in refs.find(msgspec.json.decode(text)):
            if found.step in tools and found.path and found.path[0] != "callback_url":
                yield tools[found.step], found.path[0]


async def test_every_field_that_an_example_reads_is_in_what_its_tool_gives(tmp_path: Path) -> None:
    """A plan whose references lead nowhere is accepted, and fails when it runs."""
    registry = Registry()
    read = sorted(set(fields_read()))
    with hosting() as host, host.town(tmp_path / "town.sqlite") as town:
        async with town.client() as client:
            register(registry, TownTools(client))
            given = {name: await _output(registry, name) for name in {tool for tool, _ in read}}
    assert [(tool, field) for tool, field in read if field not in given[tool]] == []
    assert len(read) >= 5


async def _output(registry: Registry, name: str) -> dict[str, Any]:
    tool = registry.get(name)
    assert tool is not None
    found: dict[str, Any] = await tool.function(Call(key=f"page.{name}", attempt=1, deadline_s=5.0), **SAMPLES[name])
    return found


def test_the_page_has_an_example_of_every_kind_of_step() -> None:
    """And of every field of a step."""
    assert len(EXAMPLES) >= 10
    used = {name for text in EXAMPLES for step in _steps(msgspec.json.decode(text)) for name in step}
    assert used == set(StepDraft.__struct_fields__)


@pytest.mark.parametrize("kind", [PlanDraft, StepDraft, Retry, WaitFor, Each], ids=lambda kind: kind.__name__)
def test_every_field_is_named_in_a_table(kind: Any) -> None:
    """A callback is a wait of its own, and has a chapter."""
    named = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(kind.__struct_fields__) - {"callback"} <= named


def _steps(plan: Any) -> list[dict[str, Any]]:
    return [found for step in plan["steps"] for found in (step, *(_steps(step["child"]) if "child" in step else ()))]
