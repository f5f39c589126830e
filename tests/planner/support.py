"""One user, one moment, and short ways to ask the planner something."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.planner import Clarification, Planned, Profile, plan_text

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 11, 12, 0, tzinfo=BERLIN)
"""A Wednesday."""
USER = Profile(
    name="Test User",
    phone="+14155550100",
    email="test@example.com",
    home="1 Main Street",
    timezone="Europe/Berlin",
    party_size=2,
    dinner_time="19:00",
)
STRANGER = Profile(timezone="Europe/Berlin")
"""Nothing stored but where they are."""
BY_SMS = Profile(**{field: getattr(USER, field) for field in USER.__struct_fields__ if field != "confirm_by"}, confirm_by="sms")
CONFIRMATION = (
    "Table for ${reserve_table.party_size} at ${reserve_table.restaurant} on ${reserve_table.date} at ${reserve_table.time}. "
    "Reference ${reserve_table.reservation_id}."
)


def planned(text: str, profile: Profile = USER, now: datetime = NOON) -> Planned:
    """The plan of a text that needs no question."""
    found = plan_text(text, profile=profile, now=now)
    assert isinstance(found, Planned), found
    return found


def asked(text: str, profile: Profile = USER, now: datetime = NOON) -> list[str]:
    """The fields a text leaves open."""
    found = plan_text(text, profile=profile, now=now)
    assert isinstance(found, Clarification), found
    return [question.field for question in found.questions]


def candidates(text: str, profile: Profile = USER, now: datetime = NOON) -> tuple[str, ...]:
    """The answers offered with the only question."""
    found = plan_text(text, profile=profile, now=now)
    assert isinstance(found, Clarification), found
    (question,) = found.questions
    return question.candidates


def steps(plan: Planned) -> list[dict[str, Any]]:
    """The steps of a plan."""
    found: list[dict[str, Any]] = plan.plan["steps"]
    return found


def args(plan: Planned, step: str) -> dict[str, Any]:
    """The arguments of one step."""
    (found,) = (one["args"] for one in steps(plan) if one["name"] == step)
    return dict(found)


def origin(plan: Planned, step: str, argument: str) -> tuple[str, str]:
    """Where an argument came from: origin and words."""
    (found,) = (one for one in plan.sources if (one.step, one.argument) == (step, argument))
    return found.origin, found.words


def moment(text: str, profile: Profile = USER, now: datetime = NOON) -> str:
    """Date and time of the table a text asks for."""
    found = args(planned(text, profile, now), "find_table")
    return f"{found['date']} {found['time']}"
