"""The page on plans says what is so: its examples are plans, and its tables name every field there is."""

import re
from typing import Any

import httpx
import msgspec
import pytest

from shared.machine.accept import Limits, accept
from shared.machine.plan import Blueprint, Each, PlanDraft, Retry, StepDraft, WaitFor, encode
from shared.tools.registry import Registry
from shared.tools.town import TownTools, register
from tests.architecture.test_documents import ROOT

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
