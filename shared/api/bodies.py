"""The bodies that ingress takes: one definition a shape, for the routes, for the OpenAPI document, and for the client."""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from shared.errors import BadRequest
from shared.event_ports import ID_MOST, KEY_MOST
from shared.machine.plan import PlanDraft
from shared.planner.model import Profile
from shared.requests import LONGEST, Context, UserId, Words
from shared.schedules.model import Missed, Overlap
from shared.search import Filter

Name = Annotated[str, msgspec.Meta(max_length=200)]
StepName = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Remark = Annotated[str, msgspec.Meta(max_length=1_000)]

# --- actions upon one execution


class Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every action may say: who acts, and which version that person saw."""

    actor: Name = ""
    version: int | None = None


class Cancel(Act, frozen=True, kw_only=True):
    """Stop; undo what was done unless `undo` is false."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    undo: bool = True


class Pause(Act, frozen=True, kw_only=True):
    """Nothing new starts."""


class Resume(Act, frozen=True, kw_only=True):
    """On again."""


class Compensate(Act, frozen=True, kw_only=True):
    """Stop and undo; of what is over, undo what stands."""


class Retry(Act, frozen=True, kw_only=True):
    """At once, and with attempts counted anew. Of what is over, `step` may be left out: all that failed."""

    step: Annotated[str, msgspec.Meta(max_length=80)] = ""


class Skip(Act, frozen=True, kw_only=True):
    """Go on as if the step had given `output`."""

    step: StepName
    output: Any = None


class Edit(Act, frozen=True, kw_only=True):
    """Other arguments for a step that has not happened."""

    step: StepName
    args: dict[str, Any]


class Approve(Act, frozen=True, kw_only=True):
    """Yes to the arguments of this hash; with `args`, to these instead."""

    step: StepName
    args_hash: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    args: dict[str, Any] | None = None
    note: Remark = ""


class Confirm(Act, frozen=True, kw_only=True):
    """Yes to the plan of this hash."""

    plan_hash: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Reject(Act, frozen=True, kw_only=True):
    """No: to a step's arguments, or without a step to the plan."""

    step: Annotated[str, msgspec.Meta(max_length=80)] = ""
    note: Remark = ""


class Settle(Act, frozen=True, kw_only=True):
    """Whether an effect that nobody knows of happened."""

    step: StepName
    happened: bool
    output: Any = None


Action: TypeAlias = Cancel | Pause | Resume | Compensate | Retry | Skip | Edit | Approve | Confirm | Reject | Settle
ACTIONS: Final[dict[str, type[Any]]] = {
    kind.__name__.lower(): kind
    for kind in (Cancel, Pause, Resume, Compensate, Retry, Skip, Edit, Approve, Confirm, Reject, Settle)
}
"""By the last part of each one's path."""


class Again(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/executions/{id}/restart`."""

    actor: Annotated[str, msgspec.Meta(max_length=200)] = ""
    version: int | None = None
    accept_effects: bool = False
    """It is known, and wanted, that what stands of the old execution goes on standing."""


class Fork(Again, frozen=True, kw_only=True):
    """`POST /api/executions/{id}/fork`: from this step on."""

    step: StepName


# --- the chat, and schedules


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


ConversationId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{0,64}\Z")]


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


class GivenProfile(Profile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`PUT /api/users/{user}/profile`: all of it; what is left out becomes empty. What is stored may know more fields."""


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


# --- many at once


MOST_BULK: Final = 200
"""Executions that one bulk request acts upon; the answer says where the next one goes on."""
MOST_LETTERS: Final = 1_000
"""Letters that one bulk request treats; the answer says where the next one goes on."""


class BulkAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/executions/bulk`."""

    action: Literal["cancel", "pause", "resume", "retry", "compensate", "restart"]
    filter: Filter
    having: Annotated[dict[str, Any], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=dict, name="with")
    """What the action itself takes: `{"reason": ...}`, `{"undo": false}`, `{"acceptEffects": true}`."""
    dry_run: bool = False
    actor: Name = ""
    before: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_BULK)] = MOST_BULK


class LetterChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters: these, or all (behind `before`)."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_LETTERS)] | None = None
    all: bool = False
    before: str = ""


# --- events, gates, progress


EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_MOST)]


class DirectEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/executions/{id}/events/{name}`. `id`: the same event again changes nothing."""

    data: Any = None
    id: EventId | None = None


class PublishedEvent(DirectEvent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/events/{name}`."""

    key: Annotated[str, msgspec.Meta(max_length=KEY_MOST)] = ""


class GateReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of every pause and resume; it may be left out."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class WatchedExecution(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`POST /api/ably/token`."""

    execution_id: str
