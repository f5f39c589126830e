"""A plan keeps the version of a tool that it was accepted with, while newer plans get the newer one."""

from typing import Any

import pytest

from shared.machine.accept import Limits, accept
from shared.machine.plan import Effect, Plan, PlanDraft, StepDraft
from shared.tools.registry import Call, Registry

LIMITS = Limits(steps=10, argument_bytes=1_000, step_ms=8_000)


async def paint(_: Call, *, colour: str) -> Any:
    """Paint."""
    return colour


async def paint_twice(_: Call, *, colour: str, coats: int = 2) -> Any:
    """Paint better."""
    return f"{colour} {coats}"


def accepted(registry: Registry) -> Plan:
    """A plan with one step."""
    draft = PlanDraft(steps=(StepDraft(name="a", tool="paint", args={"colour": "red"}),))
    return accept(draft, contracts=registry.contracts(), check_args=registry.check_args, limits=LIMITS)


def test_new_plans_pin_the_newest_version_and_old_plans_keep_theirs() -> None:
    """Newest by number: 10 is after 9, in whatever order they were registered."""
    registry = Registry()
    registry.add(paint, effect=Effect.PURE, version="9")
    old = accepted(registry)
    registry.add(paint_twice, effect=Effect.PURE, version="10", name="paint")
    registry.add(paint, effect=Effect.PURE, version="9.1")

    assert old.contracts["paint"].version == "9"
    assert accepted(registry).contracts["paint"].version == "10"
    assert registry.versions("paint") == ["10", "9.1", "9"]


def test_a_contract_says_when_what_a_tool_takes_has_changed() -> None:
    """Also under the same version: the hash follows from names, types, bounds and defaults, and from nothing else."""

    def schema(function: Any) -> str:
        registry = Registry()
        registry.add(function, effect=Effect.PURE, name="paint")
        return registry.contracts()["paint"].schema

    assert schema(paint) == schema(paint)
    assert schema(paint) != schema(paint_twice)


@pytest.mark.parametrize("version", ["", "v2", "1.x", "1..2", "-1", "1.2.3.4.5", "²"])
def test_a_version_is_numbers_with_dots(version: str) -> None:
    """So that it is plain which is newer."""
    with pytest.raises(ValueError, match="is no version"):
        Registry().add(paint, effect=Effect.PURE, version=version)


def test_a_tool_that_is_not_there_has_no_versions() -> None:
    """And cannot say what it takes."""
    registry = Registry()

    assert (registry.versions("paint"), registry.get("paint"), registry.get("paint", "1")) == ([], None, None)
    assert [problem.at for problem in registry.check_args("paint", {}, "args")] == ["args"]
