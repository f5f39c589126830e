"""The planner's one road: tidy the text, split it into requests, read their details, fill the gaps, and build; or ask."""

from collections.abc import Collection, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from shared.planner import lexicon, messages, moments, repeats, requests
from shared.planner.build import build
from shared.planner.clauses import MIXED, NONE, split
from shared.planner.domain import Domain
from shared.planner.domains import DOMAINS
from shared.planner.fill import fill
from shared.planner.forms import Book, book_of
from shared.planner.known import Done, Lean
from shared.planner.messages import Letter
from shared.planner.model import Clarification, Planned, Profile, Question, Repeated
from shared.planner.moments import Clock
from shared.planner.repeats import Every
from shared.planner.requests import Request
from shared.planner.scan import Scan, quote, tidy
from shared.planner.sending import send


def plan_text(
    text: str,
    *,
    profile: Profile,
    now: datetime,
    tools: Collection[str] | None = None,
    final: Collection[str] = (),
    domains: tuple[Domain, ...] = DOMAINS,
) -> Planned | Clarification:
    """The plan these words ask for, or the questions that stand in its way.

    The same text, profile, time and tools always give the same answer. `now` has to carry its zone. `tools`: the names of the
    registered ones, None if all that the domains call are there. `final`: those among them whose effects cannot be undone.
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
    planner = Planner(book_of(domains, None if tools is None else frozenset(tools)), profile, frozenset(final))
    return planner.plan(words, Clock(now=now, zone=zone))


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


class Planner:
    """One user's words, with the domains that there are."""

    def __init__(self, book: Book, profile: Profile, final: Collection[str] = ()) -> None:
        """`book`: the domains whose tools are registered. `final`: tools whose effects cannot be undone."""
        self.book, self.profile, self.final = book, profile, final

    def plan(self, words: str, clock: Clock) -> Planned | Clarification:
        """Of tidied words: once, or again and again."""
        every = repeats.take(words, self.book, clock)
        if isinstance(every, Question):
            return Clarification(questions=(every,))
        return self._once(words, clock) if every is None else self._repeated(every, clock)

    def _once(self, words: str, clock: Clock) -> Planned | Clarification:
        said, questions = self._read(words, clock)
        if not said:
            return Clarification(questions=tuple(dict.fromkeys(self._nothing_to_do(words, questions))))
        filling = fill(said, book=self.book, profile=self.profile, clock=clock)
        sent = send(filling)
        questions.extend(filling.questions)
        questions.extend(_leaning_on_alternatives(said, filling.done.values()))
        if questions:
            return Clarification(questions=tuple(dict.fromkeys(questions)))
        planned = build(list(filling.done.values()), sent, clock, self.final)
        if len(planned.plan["steps"]) > lexicon.MOST_STEPS:
            asked = lexicon.ASK_TOO_MANY.format(limit=lexicon.MOST_STEPS)
            return Clarification(questions=(Question(field="text", question=asked),))
        return planned

    def _read(self, words: str, clock: Clock) -> tuple[list[Request | Letter], list[Question]]:
        found = split(words, self.book)
        said: list[Request | Letter] = []
        questions: list[Question] = []
        for clause in found.clauses:
            row = self.book.of(clause.kind) if clause.kind not in (NONE, MIXED) else None
            if row is not None and row.speaks and row.name not in self.book.missing:
                said.append(messages.read(clause, row, book=self.book, profile=self.profile, clock=clock))
                continue
            one = requests.read(clause, book=self.book, profile=self.profile, clock=clock)
            if isinstance(one, tuple):
                questions.extend(one)
            else:
                said.append(one)
        return said, [*questions, *found.questions]

    def _nothing_to_do(self, words: str, questions: Sequence[Question]) -> Sequence[Question]:
        """What was not understood, unless it is all of it."""
        if any(question.field in ("intent", "tool") for question in questions):
            return questions
        if not questions:
            return [Question(field="intent", question=lexicon.ASK_EMPTY)]
        there = ", ".join(row.name for row in self.book.domains if row.name not in self.book.missing)
        return [Question(field="intent", question=lexicon.ASK_NO_ACTION.format(words=quote(words), domains=there))]

    # -- again and again --

    def _repeated(self, every: Every, clock: Clock) -> Planned | Clarification:
        """The words without their times are planned as they would be at the first two of them."""
        times = every.times(clock.local, clock)
        rest = _at_once(every.rest, self.book, clock)
        first, second = (self._once(rest, self._at(local, clock)) for local in times[:2])
        if isinstance(first, Clarification):
            return first
        odd = self._silent_booking(rest, every, clock) or _odd_day(first, second, times[0], every)
        if odd is not None:
            return Clarification(questions=(odd,))
        zone = self.profile.timezone
        summary = lexicon.SUMMARY_SCHEDULE.format(words=every.words, cron=every.cron, timezone=zone, sentence=first.summary)
        repeated = Repeated(cron=every.cron, timezone=zone, text=rest, words=every.words)
        return msgspec.structs.replace(first, schedule=repeated, summary=summary[:1].upper() + summary[1:])

    def _at(self, local: datetime, clock: Clock) -> Clock:
        return Clock(now=clock.instant(local), zone=clock.zone)

    def _silent_booking(self, rest: str, every: Every, clock: Clock) -> Question | None:
        """ "A table every Friday at 7pm": is that when it is asked for, or when it is for?"""
        said, _ = self._read(rest, clock)
        silent = [one for one in said if isinstance(one, Request) and _needs_moment(one.domain) and one.when.is_silent]
        if not silent:
            return None
        return Question(field="schedule", question=lexicon.ASK_SCHEDULE_BOOKING.format(words=quote(every.words)))


def _needs_moment(domain: Domain) -> bool:
    return domain.detail("moment") is not None or domain.detail("span") is not None


def _at_once(rest: str, book: Book, clock: Clock) -> str:
    """A reminder that is due when the time comes, not at a time of its own."""
    for clause in split(rest, book).clauses:
        detail = book.of(clause.kind).detail("moment") if clause.kind not in (NONE, MIXED) else None
        if detail is None or not detail.ask or clause.body is None:
            continue
        whole = rest[clause.start : clause.end]
        if moments.read(Scan(whole), clock, book.things).is_silent:
            position = rest[: clause.body_start].rstrip()
            head = position.rsplit(" ", 1)[0] if position[-1:].isalpha() else position
            return f"{head} now {rest[len(head) :].lstrip()}"
    return rest


def _odd_day(first: Planned, second: Planned | Clarification, local: datetime, every: Every) -> Question | None:
    """A booking by rule for another day than the one it is made on, or one for the same day each time."""
    days = [step["args"]["date"] for step in first.plan["steps"] if "date" in step.get("args", {})]
    ruled = {source.step for source in first.sources if source.argument == "date" and source.origin == "rule"}
    for step in first.plan["steps"]:
        if step["name"] in ruled and step["args"]["date"] != local.date().isoformat():
            moment = f"{step['args']['date']} {step['args'].get('time', '')}".strip()
            return Question(field="schedule", question=lexicon.ASK_SCHEDULE_DAY.format(words=quote(every.words), moment=moment))
    if isinstance(second, Clarification):
        return second.questions[0]
    again = [step["args"]["date"] for step in second.plan["steps"] if "date" in step.get("args", {})]
    if days and days == again and len(every.hours) == 1:
        return Question(field="schedule", question=lexicon.ASK_SCHEDULE_FIXED.format(date=days[0], words=quote(every.words)))
    return None


def _leaning_on_alternatives(said: Sequence[Request | Letter], done: Collection[Done]) -> list[Question]:
    """What depends on which of two bookings it will be cannot be planned with them."""
    open_ones = {one.number for one in done if one.variant is not None}
    leaning = any(isinstance(value, Lean) and value.on in open_ones for one in done for value in one.values.values())
    counted = any(one.when.offsets for one in said)
    return [Question(field="alternative", question=lexicon.ASK_ALTERNATIVE_LEANS)] if open_ones and (leaning or counted) else []
