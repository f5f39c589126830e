"""The planner's one road: tidy the text, split it into requests, read their slots, fill the gaps, and build; or ask."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.planner import lexicon
from shared.planner.build import build
from shared.planner.clauses import split
from shared.planner.fill import fill
from shared.planner.model import Clarification, Planned, Profile, Question
from shared.planner.moments import Clock
from shared.planner.requests import Request, quote, read
from shared.planner.scan import tidy


def plan_text(text: str, *, profile: Profile, now: datetime) -> Planned | Clarification:
    """The plan these words ask for, or the questions that stand in its way.

    The same text, profile and time always give the same answer. `now` has to carry its zone.
    """
    if now.tzinfo is None:
        msg = "now has to carry its time zone"
        raise ValueError(msg)
    words = tidy(text)
    unreadable = _unreadable(words)
    if unreadable is not None:
        return Clarification(questions=(unreadable,))
    zone = _zone(profile.timezone)
    if zone is None:
        return Clarification(questions=(Question(field="timezone", question=lexicon.ASK_TIMEZONE),))
    return _plan(words, profile, Clock(now=now, zone=zone))


def _unreadable(words: str) -> Question | None:
    if not words:
        return Question(field="intent", question=lexicon.ASK_EMPTY)
    if len(words) > lexicon.LONGEST_TEXT:
        return Question(field="text", question=lexicon.ASK_TOO_LONG.format(limit=lexicon.LONGEST_TEXT))
    if "${" in words:
        return Question(field="text", question=lexicon.ASK_REFERENCE.format(place="text"))
    return None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _plan(words: str, profile: Profile, clock: Clock) -> Planned | Clarification:
    requests: list[Request] = []
    questions: list[Question] = []
    for clause in split(words):
        found = read(clause, profile=profile, clock=clock)
        if isinstance(found, tuple):
            questions.extend(found)
        else:
            requests.append(found)
    if not requests:
        return Clarification(questions=tuple(dict.fromkeys(_nothing_to_do(words, questions))))
    filled = fill(requests, profile=profile, clock=clock)
    asked = tuple(dict.fromkeys([*questions, *filled.questions]))
    if asked:
        return Clarification(questions=asked)
    planned = build(filled)
    if len(planned.plan["steps"]) > lexicon.MOST_STEPS:
        return Clarification(
            questions=(Question(field="text", question=lexicon.ASK_TOO_MANY.format(limit=lexicon.MOST_STEPS)),)
        )
    return planned


def _nothing_to_do(words: str, questions: Sequence[Question]) -> Sequence[Question]:
    """What was not understood, unless it is all of it."""
    if any(question.field == "intent" for question in questions):
        return questions
    if not questions:
        return [Question(field="intent", question=lexicon.ASK_EMPTY)]
    return [Question(field="intent", question=lexicon.ASK_NO_ACTION.format(words=quote(words)))]
