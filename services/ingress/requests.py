"""The bodies that only ingress takes."""

from typing import Annotated

import msgspec

from shared.chat.model import LONGEST
from shared.errors import BadRequest
from shared.machine.plan import PlanDraft
from shared.requests import Context, UserId, Words
from shared.schedules.model import Missed, Overlap


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message of the list form; what is no text is passed over."""

    type: str
    text: str = ""


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the list form, with `content` or with `parts`, as chat front ends send it. Other fields are ignored."""

    role: str
    content: str = ""
    parts: Annotated[list[Part], msgspec.Meta(max_length=100)] = []

    @property
    def text(self) -> str:
        """Its words."""
        return self.content or " ".join(part.text for part in self.parts if part.type == "text")


ConversationId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]


class Chat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/chat`: one message, or a list whose last message of the user counts."""

    message: Words | None = None
    messages: Annotated[list[Spoken], msgspec.Meta(max_length=200)] | None = None
    user_id: UserId = "anonymous"
    conversation_id: ConversationId = ""
    """Any of the caller's choice; without one, the answer gives one."""
    context: Context = Context()
    confirm: bool = False
    """A plan is shown first and begins with a yes to it."""
    id: ConversationId = ""
    """What chat front ends call the conversation."""
    trigger: str = ""
    message_id: str = ""

    def words(self) -> str:
        """What was said; BadRequest unless it is given in exactly one way."""
        if (self.message is None) == (self.messages is None):
            raise BadRequest("give exactly one of message or messages", at="$")
        if self.message is not None:
            return self.message
        said = next((one.text for one in reversed(self.messages or []) if one.role == "user"), "")
        if not 0 < len(said) <= LONGEST:
            raise BadRequest(f"$.messages: the last message of the user has 1 to {LONGEST} characters", at="$.messages")
        return said


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
