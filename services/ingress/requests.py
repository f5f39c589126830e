"""The bodies that only ingress takes."""

import msgspec

from shared.machine.plan import PlanDraft
from shared.requests import Context, UserId, Words
from shared.schedules.model import Missed, Overlap


class Chat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/chat`: a message."""

    message: Words
    user_id: UserId = "anonymous"
    context: Context = Context()


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/schedules`: words or a plan, and when."""

    cron: str
    timezone: str = ""
    """Of the cron expression and of the words; the user's own if it is left out."""
    intent: Words | None = None
    plan: PlanDraft | None = None
    user_id: UserId = "anonymous"
    overlap: Overlap = "skip"
    missed: Missed = "skip"
