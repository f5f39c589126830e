"""The shapes a caller of the planner sees."""

from typing import Any, Literal, TypeAlias

import msgspec

Origin: TypeAlias = Literal["text", "profile", "step", "rule", "model"]
"""`model`: a model chose it, and nothing that was said accounts for it."""
Channel: TypeAlias = Literal["sms", "email"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has stored about themselves; an empty field is one they have not stored."""

    name: str = ""
    phone: str = ""
    email: str = ""
    home: str = ""
    timezone: str = "UTC"
    party_size: int | None = None
    dinner_time: str | None = None
    """HH:MM, in `timezone`."""
    confirm_by: Literal["sms", "email", ""] = ""
    """This person always wants a confirmation of bookings by that channel."""
    contacts: dict[str, str] = {}
    """A word for somebody ("Ana", "wife"), and their phone number with its country code or their email address."""
    places: dict[str, str] = {}
    """A word for somewhere ("work"), and its address."""
    event_minutes: int | None = None
    """How long a calendar entry usually is."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where one argument of one step came from."""

    step: str
    argument: str
    origin: Origin
    words: str
    """The words of the text, the field of the profile, the steps referred to, the rule in words; empty for a model's choice."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known before there can be a plan."""

    field: str
    question: str
    candidates: tuple[str, ...] = ()


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """When it is to be done again and again."""

    cron: str
    timezone: str
    text: str
    """The words to be planned anew each time."""
    words: str
    """The words that said when."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, with a source for every argument in it."""

    plan: dict[str, Any]
    sources: tuple[Source, ...]
    summary: str
    schedule: Repeated | None = None
    """Not to be done now, but at these times; the plan is what it comes to at the first of them."""


class Clarification(msgspec.Struct, frozen=True, kw_only=True):
    """No plan yet: at least one question."""

    questions: tuple[Question, ...]
