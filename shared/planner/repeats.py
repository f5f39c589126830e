"""What is wanted again and again: the times become a cron expression, and the other words are planned anew each time."""

import re
from datetime import date, datetime, time, timedelta
from typing import Final

import msgspec

from shared.planner import grammar, lexicon, moments
from shared.planner.clauses import Clause, split
from shared.planner.forms import Book
from shared.planner.model import Question
from shared.planner.moments import Clock, When
from shared.planner.scan import Scan, quote

_NAMES: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_HORIZON: Final = 15


class Every(msgspec.Struct, frozen=True, kw_only=True):
    """The times, the words for them, and what is left of the text."""

    cron: str
    words: str
    rest: str
    days: tuple[int, ...]
    """Weekdays, Monday is 0."""
    hours: tuple[int, ...]
    minutes: tuple[int, ...]

    def first(self, clock: Clock) -> datetime:
        """The first of these times after now, on the wall."""
        now = clock.local.replace(second=0, microsecond=0)
        return next(iter(self.times(now, clock)))

    def times(self, after: datetime, clock: Clock) -> list[datetime]:
        """Those of the next two weeks."""
        found: list[datetime] = []
        for ahead in range(_HORIZON):
            day = after.date() + timedelta(days=ahead)
            if day.weekday() in self.days:
                found.extend(self._of(day, after, clock))
        return found

    def _of(self, day: date, after: datetime, clock: Clock) -> list[datetime]:
        whole = [datetime.combine(day, time(hour, minute)) for hour in self.hours for minute in self.minutes]
        return [local for local in whole if local > after and clock.exists(local)]


def take(text: str, book: Book, clock: Clock) -> Every | Question | None:
    """The repetition that a text asks for; None if it asks for none."""
    found = _outside_quotes(text)
    if not found:
        return None
    if len(found) > 1:
        return _which(text[found[0].start() : found[-1].end()])
    start, end, when = _with_time(text, found[0], clock)
    words = text[start:end].strip()
    clause = next(
        (one for one in split(text, book).clauses if one.body is not None and one.body_start <= start < one.end), None
    )
    if clause is not None and not _ends(clause, end, book, clock):
        return _in_body(clause, words, book, clock)
    rest = " ".join(f"{text[:start].rstrip(' ,')} {text[end:].lstrip(' ,')}".split())
    return _every(found[0], when, words, rest)


def _outside_quotes(text: str) -> list[re.Match[str]]:
    masked = grammar.QUOTED.sub(lambda match: '"' + "x" * (len(match.group()) - 2) + '"', text)
    return list(grammar.EVERY.finditer(masked))


def _with_time(text: str, found: re.Match[str], clock: Clock) -> tuple[int, int, When]:
    """The repetition together with a time right behind or right before it."""
    behind = [end for end in _word_ends(text, found.end()) if moments.is_time(text[found.end() : end])]
    if behind:
        return found.start(), behind[-1], moments.read(Scan(text[found.end() : behind[-1]]), clock)
    before = [start for start in _word_starts(text, found.start()) if moments.is_time(text[start : found.start()])]
    if before:
        return before[0], found.end(), moments.read(Scan(text[before[0] : found.start()]), clock)
    return found.start(), found.end(), When()


def _word_ends(text: str, position: int) -> list[int]:
    """The ends of the next few words, up to a comma."""
    return [
        position + match.end() for match in grammar.NEXT_WORDS.finditer(re.split("[,;!?]", text[position : position + 40])[0])
    ]


def _word_starts(text: str, position: int) -> list[int]:
    """The starts of the few words before, back to a comma."""
    begin = max(0, position - 40)
    cut = begin + len(text[begin:position]) - len(re.split("[,;!?.](?=\\s)", text[begin:position])[-1])
    return [cut + match.start() for match in grammar.NEXT_WORDS.finditer(text[cut:position])]


def _ends(clause: Clause, end: int, book: Book, clock: Clock) -> bool:
    """The repetition stands at the end of words that may end with their time, and no time stood before them."""
    detail = book.of(clause.kind).detail("moment")
    silent = moments.read(Scan(clause.text), clock, book.things).is_silent
    return bool(detail and detail.ask and silent and clause.body and end >= clause.end)


def _in_body(clause: Clause, words: str, book: Book, clock: Clock) -> Question | None:
    detail = book.of(clause.kind).detail("moment")
    told = detail and detail.ask and not moments.read(Scan(clause.text), clock, book.things).is_silent
    return None if told else Question(field="schedule", question=lexicon.ASK_SCHEDULE_BODY.format(words=quote(words)))


def _which(words: str) -> Question:
    return Question(field="schedule", question=lexicon.ASK_SCHEDULE_WHICH.format(words=quote(words)))


def _every(found: re.Match[str], when: When, words: str, rest: str) -> Every | Question:
    if found["often"] or (found["daily"] or "").lower() == "hourly":
        return _often(found, when, words, rest)
    days = _days(found)
    if not days or when.dates or when.offsets:
        return _which(words)
    parts = [*when.parts]
    if part := (found["part"] or (found["which"] if (found["which"] or "").lower() in lexicon.PARTS else None)):
        parts.append(moments.PartMention(words=part, part=part.lower()))
    chosen = moments.choose_time(msgspec.structs.replace(when, parts=tuple(parts)))
    if isinstance(chosen, Question):
        asked = chosen.question if when.times else lexicon.ASK_SCHEDULE_TIME.format(words=quote(words))
        return Question(field="schedule", question=asked, candidates=chosen.candidates)
    if len(chosen.times) != 1 or chosen.midnight:
        candidates = tuple(moments.hhmm(value) for value in chosen.times)
        return Question(field="schedule", question=lexicon.ASK_SCHEDULE_TIME.format(words=quote(words)), candidates=candidates)
    at = chosen.times[0]
    field = "*" if len(days) == 7 else "MON-FRI" if days == (0, 1, 2, 3, 4) else ",".join(_NAMES[day] for day in days)
    return Every(
        cron=f"{at.minute} {at.hour} * * {field}", words=words, rest=rest, days=days, hours=(at.hour,), minutes=(at.minute,)
    )


def _days(found: re.Match[str]) -> tuple[int, ...]:
    which = " ".join((found["which"] or found["daily"] or found["plural"] or "").lower().split())
    if found["days"] or which.removesuffix("s") in lexicon.WEEKDAY_WORDS:
        named = grammar.WEEKDAY_WORD.findall((found["days"] or which.removesuffix("s")).lower())
        return tuple(sorted({lexicon.WEEKDAY_WORDS[word] for word in named}))
    return lexicon.REPEATED_DAYS.get(which, ())


def _often(found: re.Match[str], when: When, words: str, rest: str) -> Every | Question:
    """Every hour, every 15 minutes: what divides the hour or the day."""
    count = grammar.number(found["count"]) if found["count"] else 1
    if not when.is_silent or found["part"]:
        return _which(words)
    everyday = tuple(range(7))
    if (found["often"] or "").lower().startswith("minute"):
        if count not in lexicon.MINUTES_OF_HOUR:
            return _which(words)
        minutes = tuple(range(0, 60, count))
        return Every(cron=f"*/{count} * * * *", words=words, rest=rest, days=everyday, hours=tuple(range(24)), minutes=minutes)
    if count < 1 or 24 % count:
        return _which(words)
    hours = tuple(range(0, 24, count))
    cron = "0 * * * *" if count == 1 else f"0 */{count} * * *" if count < 24 else "0 0 * * *"
    return Every(cron=cron, words=words, rest=rest, days=everyday, hours=hours, minutes=(0,))
