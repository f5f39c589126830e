"""From a message and what is remembered to what it means."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shared.chat import phrases
from shared.chat.answers import Merged, merge
from shared.chat.corrections import corrected
from shared.chat.model import (
    QUESTIONS,
    Act,
    Ask,
    Begin,
    Choose,
    Continue,
    Drop,
    Help,
    Latest,
    Meaning,
    Nothing,
    Offer,
    Open,
    Pending,
    Propose,
    Read,
    Redo,
    Stop,
    Talk,
    Tell,
)
from shared.planner import Clarification, Planned, Question
from shared.requests import LONGEST

NO_YES: Final = "Nothing waits for a yes or no here."
NO_EXECUTION: Final = "Nothing was begun in this conversation."
UNFIT: Final = 'I could not tell how "{words}" answers this. Say the whole request again, or "never mind".'
INSTEAD: Final = 'Do you want "{new}" instead of "{old}"?'
WELCOME: Final = "You're welcome."
TOO_LONG: Final = "That is too much for one request: say it anew, in fewer words."
STAYS: Final = "All right, everything stays as it is."
MOVED: Final = "Since it was first said, the day has become another: {days}. Which day?"


def understand(words: str, talk: Talk, pending: Sequence[Pending], read: Read, *, now_ms: int, timezone: str = "") -> Meaning:
    """What a message means. `pending`: what the conversation's executions ask of a person now."""
    phrase = _phrase(phrases.plain(words), talk)
    if phrase is not None:
        return phrase
    consent = phrases.consent(words)
    if talk.offer is not None and consent is not None and not consent[1]:
        return _taken_up(talk.offer, read, now_ms) if consent[0] else Nothing(text=STAYS)
    if consent is not None and (meant := _consented(*consent, talk, pending, read, now_ms)):
        return meant
    if talk.open is not None:
        return _answered(words, talk.open, read, now_ms)
    change = phrases.correction(words)
    if change and talk.latest and (proposed := _proposed(change, talk.latest, read, now_ms)):
        return proposed
    return _fresh(words, read, now_ms, timezone)


def _phrase(said: str, talk: Talk) -> Meaning | None:
    """What a conversation understands by itself."""
    if said in phrases.HELP:
        return Help()
    if phrases.TELL.fullmatch(said):
        return Tell()
    if said in phrases.THANKS:
        return Nothing(text=WELCOME)
    if said in phrases.DROP or (said in phrases.STOP and talk.open):
        return Drop()
    return _stopped(talk) if said in phrases.STOP else None


def _stopped(talk: Talk) -> Meaning:
    """What was begun last."""
    if talk.schedule:
        return Stop(schedule=talk.schedule)
    return Stop(execution=talk.executions[-1]) if talk.executions else Nothing(text=NO_EXECUTION)


def _fresh(words: str, read: Read, now_ms: int, timezone: str) -> Meaning:
    found = read(words, now_ms)
    if isinstance(found, Planned):
        return Begin(words=words, planned=found, timezone=timezone)
    return Ask(open=Open(text=words, questions=found.questions[:QUESTIONS], said_ms=now_ms, timezone=timezone))


# --- the latest request, changed


def _proposed(change: str, latest: Latest, read: Read, now_ms: int) -> Propose | None:
    """With `change` in it, or as a whole anew."""
    alone = read(change, now_ms)
    new = Merged(words=change, planned=alone) if isinstance(alone, Planned) else corrected(latest.words, change, read, now_ms)
    if new is None or new.planned is None or new.planned.schedule is not None:
        return None
    if _moved(latest.words, latest.said_ms, read, now_ms):  # "tomorrow" is another day by now
        return None
    offer = Offer(execution=latest.execution, words=new.words, said_ms=now_ms, timezone=latest.timezone)
    return Propose(offer=offer, planned=new.planned)


def _taken_up(offer: Offer, read: Read, now_ms: int) -> Meaning:
    if not offer.words:
        return Redo(offer=offer)
    found = read(offer.words, now_ms)
    moved = _moved(offer.words, offer.said_ms, read, now_ms) if isinstance(found, Planned) else None
    if moved is None and isinstance(found, Planned):
        return Redo(offer=offer, planned=found)
    asked = found.questions[:QUESTIONS] if isinstance(found, Clarification) else (moved,) if moved else ()
    return Ask(open=Open(text=offer.words, questions=asked, said_ms=offer.said_ms, timezone=offer.timezone))


def _moved(words: str, said_ms: int, read: Read, now_ms: int) -> Question | None:
    """What is asked if these words mean other days now than when they were said: "tomorrow", "at 7pm"."""
    now, then = read(words, now_ms), read(words, said_ms)
    days = _days(now) if isinstance(now, Planned) else frozenset[str]()
    if isinstance(then, Planned) and _days(then) == days:
        return None
    return Question(field="date", question=MOVED.format(days=", ".join(sorted(days)) or "other times"))


# --- a yes or a no


def _consented(
    yes: bool,  # noqa: FBT001 - what was said
    name: str,
    talk: Talk,
    pending: Sequence[Pending],
    read: Read,
    now_ms: int,
) -> Meaning | None:
    """None: it may be an answer to what is open."""
    if talk.open is not None and talk.open.instead and not name:
        return _instead(talk.open, read, now_ms) if yes else Ask(open=msgspec.structs.replace(talk.open, instead=""))
    meant = tuple(one for one in pending if not name or one.step.casefold() == name)
    if len(meant) == 1 and meant[0].shown in talk.shown:
        return Act(pending=meant[0], yes=yes)
    if meant or (pending and talk.open is None):
        return Choose(among=meant or tuple(pending))
    return Nothing(text=NO_YES) if talk.open is None and not name else None


def _instead(found: Open, read: Read, now_ms: int) -> Meaning:
    return _fresh(found.instead, read, now_ms, found.timezone)


# --- an answer


def _answered(words: str, found: Open, read: Read, now_ms: int) -> Meaning:
    alone, merged = read(words, now_ms), merge(found, words, read, now_ms)
    both = isinstance(alone, Planned) and not (merged and merged.planned and merged.planned.plan == alone.plan)
    if both:
        asked = Question(field="instead", question=INSTEAD.format(new=words, old=found.text), candidates=("yes", "no"))
        return Ask(open=msgspec.structs.replace(found, instead=words), note=asked.question)
    if found.model and (merged is None or merged.planned is None):
        return _to_the_model(words, found)
    if merged is None:
        return Ask(open=msgspec.structs.replace(found, instead=""), note=UNFIT.format(words=words))
    return _continued(found, merged, read, now_ms)


def _to_the_model(words: str, found: Open) -> Meaning:
    """What was asked is said with the answer, so that "2" is a number of something."""
    asked = " ".join(question.question for question in found.questions)
    whole = f"{found.text}\n{asked}\n{words}"
    if len(whole) > LONGEST:
        return Ask(open=found, note=TOO_LONG)
    return Continue(words=whole, timezone=found.timezone)


def _continued(found: Open, merged: Merged, read: Read, now_ms: int) -> Meaning:
    nearer = msgspec.structs.replace(found, text=merged.words, questions=merged.questions[:QUESTIONS], instead="")
    if merged.planned is None:
        return Ask(open=nearer)
    moved = _moved(merged.words, found.said_ms, read, now_ms)
    if moved is not None:
        return Ask(open=msgspec.structs.replace(nearer, questions=(moved,)))
    return Begin(words=merged.words, planned=merged.planned, timezone=found.timezone)


def _days(planned: Planned) -> frozenset[str]:
    """The days that its steps are about."""
    args = [step.get("args", {}) for step in planned.plan["steps"]]
    return frozenset(str(one[name])[:10] for one in args for name in ("date", "start") if name in one)
