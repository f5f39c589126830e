"""What a conversation answers, whichever kind of answer it is."""

from typing import Any, Literal

import msgspec

from shared.api.base import Links, Moment, Told
from shared.planner.model import Question, Source
from shared.policies import Mark


class Asked(Told, frozen=True, kw_only=True):
    """What waits for a person: a step's arguments, or a whole plan."""

    execution_id: str
    step: str = ""
    plan_hash: str = ""
    args_hash: str = ""
    args: Any = msgspec.UNSET
    message: str | None


class Replied(Told, frozen=True, kw_only=True):
    """An answer. `kind` says which: each has the fields that its own endpoint answers with (an execution begun or told of, a
    schedule, an action), and `text` where there is something to say to a person.
    """

    conversation_id: str
    kind: Literal["answer", "clarification", "acted", "started", "scheduled"]
    text: str = ""
    execution_id: str = ""
    id: str = ""
    status: str = ""
    reason: str | None = None
    links: Links = msgspec.field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    words: str = ""
    waits: tuple[Asked, ...] = ()
    output: Any = None
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    errors: dict[str, str] = msgspec.field(default_factory=dict)
    action: str = ""
    schedule_id: str = ""
    will: str = ""
    by: str = ""
    repeated: bool = False
    instead: str = ""
    """The execution that this one takes the place of."""
    plan: dict[str, Any] | None = None
    policies: tuple[Mark, ...] = ()
    cron: str = ""
    timezone: str = ""
    user_id: str = ""
    intent: str | None = None
    overlap: str = ""
    missed: str = ""
    created_at: Moment | None = None
    next_at: Moment | None = None
    waiting: tuple[Moment | None, ...] = ()
    last_scheduled_for: Moment | None = None
    last_execution: str | None = None
    last_error: dict[str, Any] | None = None
    runs: int = 0
    skipped: int = 0
    failures: int = 0
    summary: str = ""
    sources: tuple[Source, ...] = ()
