"""The engine's own validator, with every tool that the domains call."""

from functools import lru_cache
from typing import Any

import httpx
import msgspec

from shared.machine.accept import Limits, accept
from shared.machine.plan import Effect, Plan, PlanDraft
from shared.planner import Planned
from shared.tools.registry import Call, Registry
from shared.tools.town import TownTools, register

LIMITS = Limits(steps=100, argument_bytes=65_536, step_ms=8_000, consent=True)


async def create_calendar_event(call: Call, *, title: str, start: str, end: str, location: str = "", notes: str = "") -> Any:
    """Stands for the tool of that name."""


async def get_weather(call: Call, *, place: str, date: str) -> Any:
    """Stands for the tool of that name."""


async def search_restaurants(
    call: Call, *, date: str, time: str, cuisine: str = "", area: str = "", party_size: int = 2
) -> Any:
    """Stands for the tool of that name."""


@lru_cache
def registry() -> Registry:
    """The town's tools, and stand-ins for what the installation lacks."""
    found = Registry()
    register(found, TownTools(httpx.AsyncClient()))
    for tool in (create_calendar_event, get_weather, search_restaurants):
        if tool.__name__ not in found.contracts():
            found.add(tool, effect=Effect.PURE)
    return found


def accepted(planned: Planned) -> Plan:
    """The plan as it would run; PlanRefused otherwise."""
    draft = msgspec.convert(planned.plan, PlanDraft)
    return accept(draft, contracts=registry().contracts(), check_args=registry().check_args, limits=LIMITS)
