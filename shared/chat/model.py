"""What a conversation remembers, and what a message in it can mean."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from shared.planner import Clarification, Planned, Question

EXECUTIONS: Final = 5
"""So many of a conversation's executions are remembered, the latest last."""
SHOWN: Final = 20
"""So many of the approvals that it has shown."""
QUESTIONS: Final = 10

Read: TypeAlias = Callable[[str, int], Planned | Clarification]
"""Plans words as if they were said at that moment (unix ms)."""


class Open(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Words that could not be planned yet, and what was asked about them."""

    text: str
    questions: tuple[Question, ...]
    said_ms: int
    """When the first of the words were said."""
    timezone: str = ""
    instead: str = ""
    """Words of which was asked whether they take the place of these."""
    model: bool = False
    """A model asked: answers go to it with the words, where the rules cannot put them."""

    @property
    def lasts(self) -> bool:
        """Whether a further message can answer it: words in which nothing to do was found are no beginning of anything."""
        return any(question.field not in {"intent", "tool"} or question.candidates for question in self.questions)


class Latest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The words that the latest execution was begun with."""

    execution: str
    words: str
    said_ms: int
    timezone: str = ""
    model: bool = False
    """They are for a model, whose questions are to be shown once it asks."""


class Offer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was just proposed: to take back what an execution did and, with `words`, to begin these in its place."""

    execution: str
    words: str = ""
    said_ms: int = 0
    """When they were shown."""
    timezone: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments (or, without a step, a plan) that the conversation has shown: a yes is a yes to this hash."""

    execution: str
    step: str
    hash: str


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What one of its executions asks of a person now."""

    execution: str
    step: str
    """Empty: the whole plan."""
    hash: str
    message: str = ""
    args: Any = None

    @property
    def shown(self) -> Shown:
        """It, as the conversation remembers it."""
        return Shown(execution=self.execution, step=self.step, hash=self.hash)


class Talk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a conversation remembers."""

    open: Open | None = None
    executions: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    schedule: str = ""
    """The schedule that was begun last, and no execution after it."""
    latest: Latest | None = None
    offer: Offer | None = None
    """A yes to it counts in the next message only."""

    def begun(self, execution: str, latest: Latest | None = None) -> "Talk":
        """With one more execution, and nothing open."""
        kept = tuple(one for one in self.executions if one != execution)
        executions = (*kept, execution)[-EXECUTIONS:]
        return msgspec.structs.replace(self, open=None, executions=executions, schedule="", latest=latest)

    def having_shown(self, pending: "tuple[Pending, ...]") -> "Talk":
        """With these on record as shown."""
        new = tuple(one.shown for one in pending)
        kept = tuple(one for one in self.shown if one not in new)
        return msgspec.structs.replace(self, shown=(*kept, *new)[-SHOWN:])


# --- what a message can mean


class Help(msgspec.Struct, frozen=True):
    """It asks what can be done here."""


class Tell(msgspec.Struct, frozen=True):
    """It asks how things stand."""


class Drop(msgspec.Struct, frozen=True):
    """What is open is no longer wanted."""


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """These words can be planned as they stand."""

    words: str
    planned: Planned
    timezone: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Something has to be known first."""

    open: Open
    note: str = ""
    """What stands before the question."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """A yes or no to what was shown."""

    pending: Pending
    yes: bool


class Choose(msgspec.Struct, frozen=True, kw_only=True):
    """A yes or no, and these could be meant: they are shown."""

    among: tuple[Pending, ...]


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The latest execution is to be cancelled, or the schedule that was begun after it deleted."""

    execution: str = ""
    schedule: str = ""


class Propose(msgspec.Struct, frozen=True, kw_only=True):
    """The latest request, changed: it is shown before anything is done."""

    offer: Offer
    planned: Planned


class Redo(msgspec.Struct, frozen=True, kw_only=True):
    """A yes to an offer."""

    offer: Offer
    planned: Planned | None = None
    """What is begun in its place."""


class Continue(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a model's question: these words, which hold both, are for the model."""

    words: str
    timezone: str = ""


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """There is nothing that it could be about."""

    text: str


Meaning: TypeAlias = Help | Tell | Drop | Begin | Ask | Act | Choose | Stop | Propose | Redo | Continue | Nothing
