"""Days and times: which ones the words can mean (`read`), and which single moment that leaves (`resolve`).

Nothing here knows about tables, rides or profiles. Local times are naive inside one zone; before and after compare instants.
"""

import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

import msgspec

from shared.planner import grammar, lexicon
from shared.planner.model import Origin, Question
from shared.planner.scan import Scan

_DAY: Final = timedelta(days=1)


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """What time it is, and where."""

    now: datetime
    zone: tzinfo

    @property
    def local(self) -> datetime:
        """Now on the wall, without zone."""
        return self.now.astimezone(self.zone).replace(tzinfo=None)

    @property
    def today(self) -> date:
        """The day on the wall."""
        return self.local.date()

    def instant(self, local: datetime, *, fold: int = 0) -> datetime:
        """The instant a wall clock shows this; the first one if it does so twice."""
        return local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)

    def is_past(self, local: datetime) -> bool:
        """Gone by, however the wall clock is read."""
        return self.instant(local, fold=1) < self.now.astimezone(UTC)

    def is_now(self, local: datetime) -> bool:
        """The minute that runs, or the next one that begins."""
        return self.instant(local) - self.now.astimezone(UTC) < timedelta(minutes=1)

    def exists(self, local: datetime) -> bool:
        """Not skipped by clocks going forward."""
        return self.instant(local).astimezone(self.zone).replace(tzinfo=None) == local

    def is_twice(self, local: datetime) -> bool:
        """Shown twice because clocks go back."""
        return self.exists(local) and self.instant(local) != self.instant(local, fold=1)


_SOME_CLOCK: Final = Clock(now=datetime(2000, 1, 1, tzinfo=UTC), zone=UTC)
"""For whether words are a time at all."""


class TimeMention(msgspec.Struct, frozen=True, kw_only=True):
    """Words for a time of day, and every time they can mean; none if they mean none."""

    words: str
    times: tuple[time, ...]
    midnight: bool = False


class DateMention(msgspec.Struct, frozen=True, kw_only=True):
    """Words for a day, and every day they can mean; none if they mean none."""

    words: str
    days: tuple[date, ...]


class PartMention(msgspec.Struct, frozen=True, kw_only=True):
    """Words for a part of the day."""

    words: str
    part: str


class Offset(msgspec.Struct, frozen=True, kw_only=True):
    """Words that count from another request: "half an hour before dinner"."""

    words: str
    minutes: int
    """Negative: before it."""
    thing: str = ""
    """The word for the other request; empty for the one that was said before."""


class When(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a piece of text says about its moment."""

    times: tuple[TimeMention, ...] = ()
    dates: tuple[DateMention, ...] = ()
    parts: tuple[PartMention, ...] = ()
    offsets: tuple[Offset, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Says nothing at all."""
        return not (self.times or self.dates or self.parts or self.offsets)


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """Another booking of the same text, which decides the day of a time given without one."""

    label: str
    local: datetime
    relation: Literal["after", "before", "beside"]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One wall-clock moment, and where its two halves came from."""

    local: datetime
    time_origin: Origin
    time_words: str
    date_origin: Origin
    date_words: str

    @property
    def date(self) -> str:
        """YYYY-MM-DD."""
        return self.local.date().isoformat()

    @property
    def time(self) -> str:
        """HH:MM."""
        return hhmm(self.local.time())


def hhmm(value: time) -> str:
    """19:30."""
    return value.isoformat("minutes")


def spoken(local: datetime) -> str:
    """Thursday 24 December 2026 at 19:30, the same in every locale."""
    return f"{spoken_day(local.date())} at {hhmm(local.time())}"


def spoken_day(day: date) -> str:
    """Thursday 24 December 2026, the same in every locale."""
    return f"{lexicon.WEEKDAYS[day.weekday()]} {day.day} {lexicon.MONTHS[day.month - 1]} {day.year}"


# -- reading ---------------------------------------------------------------------------------------------------------------


def read(scan: Scan, clock: Clock, things: Collection[str] = ()) -> When:
    """Take every word about days and times out of the text. The order of the rules is the order of their certainty.

    `things`: the words for other requests, from which times may be counted.
    """
    dates: list[DateMention] = []
    times: list[TimeMention] = []
    parts: list[PartMention] = []
    for pattern, time_reader in _SURE_TIME_RULES:
        times.extend(time_reader(match) for match in scan.take_all(pattern))
    offsets = _offsets(scan, things)
    for match in [*scan.take_all(grammar.FROM_NOW), *scan.take_all(grammar.TIME_NOW)]:
        moment = _from_now(match, clock)
        dates.append(DateMention(words=match.group(), days=(moment.date(),)))
        times.append(TimeMention(words=match.group(), times=(moment.time(),)))
    for match in scan.take_all(grammar.DATE_TONIGHT):
        dates.append(DateMention(words=match.group(), days=(clock.today,)))
        parts.append(PartMention(words=match.group(), part=(match["part"] or "night").lower()))
    for pattern, day_reader in _DATE_RULES:
        dates.extend(DateMention(words=_words(match), days=day_reader(match, clock.today)) for match in scan.take_all(pattern))
    for pattern, time_reader in _TIME_RULES:
        times.extend(time_reader(match) for match in scan.take_all(pattern))
    parts.extend(PartMention(words=match.group(), part=match["part"].lower()) for match in scan.take_all(grammar.PART_OF_DAY))
    return When(times=tuple(times), dates=tuple(dates), parts=tuple(parts), offsets=offsets)


def holds_time(text: str) -> bool:
    """Whether there is a time in it."""
    return not read(Scan(text), _SOME_CLOCK).is_silent


def is_time(text: str) -> bool:
    """Whether these words say a time and nothing else."""
    scan = Scan(text)
    return not read(scan, _SOME_CLOCK).is_silent and not scan.left(lexicon.TIME_EMPTY_WORDS)


def _offsets(scan: Scan, things: Collection[str]) -> tuple[Offset, ...]:
    return tuple(_offset(scan, match, things) for match in scan.take_all(grammar.OFFSET))


def _offset(scan: Scan, match: re.Match[str], things: Collection[str]) -> Offset:
    """With the word for what it counts from, if one follows."""
    minutes = amount(match) * (-1 if match["earlier"] else 1)
    named = grammar.OFFSET_FROM.match(scan.text, match.end())
    thing = named["thing"].lower() if named else ""
    if named is None or (thing not in things and thing not in lexicon.BACKWARD_WORDS):
        return Offset(words=match.group().strip(), minutes=minutes)
    scan.blank(named.start(), named.end())
    words = (match.group() + named.group()).strip()
    return Offset(words=words, minutes=minutes, thing="" if thing in lexicon.BACKWARD_WORDS else thing)


def amount(match: re.Match[str], name: str = "") -> int:
    """Minutes of a length of time."""
    fixed = match[f"{name}fixed"]
    if fixed:
        return lexicon.DURATIONS[" ".join(fixed.lower().split())]
    unit = lexicon.OFFSET_UNITS[match[f"{name}unit"].lower()]
    count = " ".join(match[f"{name}count"].lower().split())
    whole = {"a": 1, "an": 1, "the": 1, "a couple of": 2}.get(count) or grammar.number(count)
    half = unit // 2 if match[f"{name}half"] or match[f"{name}half_after"] else 0
    return whole * unit + half


def _words(match: re.Match[str]) -> str:
    return match.group().strip()


def _twelve(match: re.Match[str]) -> TimeMention:
    """7pm, 7:30 pm, at seven thirty p.m."""
    if match["spoken"]:
        times = half_day(grammar.number(match["spoken"]), grammar.number(match["words"]), match["spoken_half"])
    else:
        times = half_day(grammar.number(match["hour"]), int(match["minute"] or "0"), match["half"])
    return TimeMention(words=_words(match), times=times)


def half_day(hour: int, minute: int, half: str) -> tuple[time, ...]:
    """Of "7:30 pm": the one time it is; none if it is none."""
    if not 1 <= hour <= 12 or minute > 59:
        return ()
    return (time(hour % 12 + (12 if half.lower() == "p" else 0), minute),)


def either_half(hour: int, minute: int) -> tuple[time, ...]:
    """A spoken hour: 7 is 7:00 or 19:00, 19 is only 19:00."""
    if minute > 59 or hour > 23:
        return ()
    if 1 <= hour <= 12:
        return (time(hour % 12, minute), time(hour % 12 + 12, minute))
    return (time(hour, minute),)


def _clock_time(match: re.Match[str]) -> TimeMention:
    """19:30 and 07:30 are exact; 7:30 is either."""
    hour, minute = int(match["hour"]), int(match["minute"] or match["h"] or "0")
    if match["hour"].startswith("0") or match["minute"] is None:
        exact = (time(hour, minute),) if hour < 24 and minute < 60 and len(match["hour"]) < 3 else ()
        return TimeMention(words=_words(match), times=exact)
    return TimeMention(words=_words(match), times=either_half(hour, minute))


def _dotted(match: re.Match[str]) -> TimeMention:
    return TimeMention(words=_words(match), times=either_half(int(match["hour"]), int(match["minute"])))


def _past(match: re.Match[str]) -> TimeMention:
    """Half past seven, a quarter to eight, ten past six pm."""
    spoken_minutes = match["minutes"].lower().removesuffix("minutes").strip()
    minutes = lexicon.MINUTE_WORDS.get(" ".join(spoken_minutes.split()))
    minutes = grammar.number(spoken_minutes) if minutes is None else minutes
    hour = grammar.number(match["hour"])
    half = match["half"]
    if not 0 < minutes < 60 or not 1 <= hour <= 23:
        return TimeMention(words=_words(match), times=())
    whole = half_day(hour, 0, half) if half else either_half(hour, 0)
    shift = timedelta(minutes=minutes if match["way"].lower() == "past" else -minutes)
    return TimeMention(words=_words(match), times=tuple(_shifted(value, shift) for value in whole))


def _shifted(value: time, shift: timedelta) -> time:
    return (datetime.combine(date(2000, 1, 2), value) + shift).time()


def _named(match: re.Match[str]) -> TimeMention:
    name = match["name"].lower()
    if name == "midnight":
        return TimeMention(words=_words(match), times=(time(0, 0),), midnight=True)
    return TimeMention(words=_words(match), times=(time(lexicon.NAMED_TIMES[name], 0),))


def _oclock(match: re.Match[str]) -> TimeMention:
    hour = grammar.number(match["hour"])
    times = half_day(hour, 0, match["half"]) if match["half"] else either_half(hour, 0)
    return TimeMention(words=_words(match), times=times)


def _at(match: re.Match[str]) -> TimeMention:
    """At 7, at seven thirty, at 19."""
    minute = grammar.number(match["words"]) if match["words"] else 0
    return TimeMention(words=_words(match), times=either_half(grammar.number(match["hour"]), minute))


def _from_now(match: re.Match[str], clock: Clock) -> datetime:
    """In 30 minutes, in an hour, now: the first whole minute that is not before it."""
    groups = match.groupdict()
    minutes = 0
    if groups.get("fixed") or groups.get("unit"):
        minutes = amount(match)
    elif groups.get("nfixed") or groups.get("nunit"):
        minutes = amount(match, "n")
    local = (clock.now.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(clock.zone).replace(tzinfo=None, fold=0)
    whole = local.replace(second=0, microsecond=0)
    return whole if whole == local else whole + timedelta(minutes=1)


def _count(words: str) -> int:
    return 1 if words.lower() in ("a", "an") else grammar.number(words)


_TimeReader = Callable[[re.Match[str]], TimeMention]
_SURE_TIME_RULES: Final[tuple[tuple[re.Pattern[str], _TimeReader], ...]] = (
    (grammar.TIME_PAST, _past),
    (grammar.TIME_OCLOCK, _oclock),
    (grammar.TIME_TWELVE, _twelve),
    (grammar.TIME_DOTTED, _dotted),
)
"""Those no day can be mistaken for."""
_TIME_RULES: Final[tuple[tuple[re.Pattern[str], _TimeReader], ...]] = (
    (grammar.TIME_CLOCK, _clock_time),
    (grammar.TIME_NAMED, _named),
    (grammar.TIME_AT, _at),
)


def _calendar(year: int, month: int, day: int) -> tuple[date, ...]:
    try:
        return (date(year, month, day),)
    except ValueError:
        return ()


def _next_yearly(month: int, day: int, today: date) -> tuple[date, ...]:
    """The first day with this month and day that is not before today; 29 February waits for its year."""
    years = range(today.year, min(today.year + 9, 9999) + 1)
    return next((found for year in years if (found := _calendar(year, month, day)) and found[0] >= today), ())


def _dated(month: int, day: int, year: str | None, today: date) -> tuple[date, ...]:
    return _calendar(int(year), month, day) if year else _next_yearly(month, day, today)


def _iso(match: re.Match[str], _today: date) -> tuple[date, ...]:
    return _calendar(int(match["year"]), int(match["month"]), int(match["day"]))


def _slashed(match: re.Match[str], today: date) -> tuple[date, ...]:
    """24/12 and 12/24 can be read one way only, 3/4 two ways."""
    first, second, year = int(match["first"]), int(match["second"]), match["year"]
    return tuple(sorted({*_dated(second, first, year, today), *_dated(first, second, year, today)}))


def _dotted_date(match: re.Match[str], today: date) -> tuple[date, ...]:
    """24.12. has the day first."""
    return _dated(int(match["second"] or match["month"]), int(match["first"] or match["day"]), match["year"], today)


def _named_month(match: re.Match[str], today: date) -> tuple[date, ...]:
    """24 December, Thursday the 24th of December, December 24th, 2026. A weekday that does not fit leaves no day."""
    days = _dated(lexicon.MONTH_WORDS[match["month"].lower()], int(match["day"]), match["year"], today)
    return _on_weekday(days, match["weekday"])


def _of_month(match: re.Match[str], today: date) -> tuple[date, ...]:
    """On the 24th: of this month, or of the next one that has such a day."""
    later = ((today.year + (today.month - 1 + ahead) // 12, (today.month - 1 + ahead) % 12 + 1) for ahead in range(3))
    days = (day for year, month in later for day in _calendar(year, month, int(match["day"])) if day >= today)
    return _on_weekday(tuple(days)[:1], match["weekday"])


def _on_weekday(days: tuple[date, ...], weekday: str | None) -> tuple[date, ...]:
    if not weekday:
        return days
    wanted = lexicon.WEEKDAY_WORDS[weekday.lower()]
    return tuple(day for day in days if day.weekday() == wanted)


def _weekday(match: re.Match[str], today: date) -> tuple[date, ...]:
    """On Friday: the coming one, or today. Next Friday: the one of the next week, and also the coming one if that is sooner."""
    ahead = (lexicon.WEEKDAY_WORDS[match["weekday"].lower()] - today.weekday()) % 7
    coming = today + timedelta(days=ahead or 7)
    which = " ".join((match["which"] or "").lower().split())
    if which == "next":
        monday_after = today + timedelta(days=7 - today.weekday())
        of_next_week = monday_after + timedelta(days=lexicon.WEEKDAY_WORDS[match["weekday"].lower()])
        return tuple(sorted({coming, of_next_week}))
    if ahead == 0:
        return {"this": (today,), "": (today, coming)}.get(which, (coming,))
    return (coming,)


def _relative(match: re.Match[str], today: date) -> tuple[date, ...]:
    return (today + timedelta(days=lexicon.RELATIVE_DAYS[" ".join(match["relative"].lower().split())]),)


def _weekend(_match: re.Match[str], today: date) -> tuple[date, ...]:
    """Both days of it: which one is asked, unless one is left."""
    saturday = today + timedelta(days=5 - today.weekday())
    return tuple(day for day in (saturday, saturday + _DAY) if day >= today)


def _in_days(match: re.Match[str], today: date) -> tuple[date, ...]:
    return (today + timedelta(days=_count(match["count"]) * lexicon.DAY_UNITS[match["unit"].lower()]),)


_DateReader = Callable[[re.Match[str], date], tuple[date, ...]]
_DATE_RULES: Final[tuple[tuple[re.Pattern[str], _DateReader], ...]] = (
    (grammar.DATE_ISO, _iso),
    (grammar.DATE_DAY_MONTH, _named_month),
    (grammar.DATE_MONTH_DAY, _named_month),
    (grammar.DATE_SLASHED, _slashed),
    (grammar.DATE_DOTTED, _dotted_date),
    (grammar.DATE_OF_MONTH, _of_month),
    (grammar.DATE_RELATIVE, _relative),
    (grammar.DATE_IN_DAYS, _in_days),
    (grammar.DATE_WEEKDAY, _weekday),
    (grammar.DATE_WEEKEND, _weekend),
)

# -- resolving -------------------------------------------------------------------------------------------------------------


def counted(offset: Offset, start: datetime, label: str, clock: Clock) -> Moment | Question:
    """The moment so long before or after another one: days by the wall, minutes by the clock."""
    shift = timedelta(minutes=offset.minutes)
    whole_days = offset.minutes % 1440 == 0
    local = start + shift if whole_days else (clock.instant(start) + shift).astimezone(clock.zone).replace(tzinfo=None, fold=0)
    words = lexicon.RULE_OFFSET.format(words=offset.words, anchor=label)
    chosen = Chosen(times=(local.time(),), origin="text", words=words)
    return _decide([local], chosen, clock=clock, date_origin="text", date_words=words)


def resolve_day(when: When, *, clock: Clock, rule: str) -> Moment | Question:
    """The one day the words leave; a time without a day is the next such time, and no words at all is today, by `rule`."""
    if when.offsets:
        return Question(field="date", question=lexicon.ASK_DATE_WHICH.format(words=when.offsets[0].words))
    if when.times and not when.dates:
        return resolve(when, clock=clock)
    days = _choose_days(when.dates) if when.dates else (clock.today,)
    if isinstance(days, Question):
        return days
    words = " ".join(dict.fromkeys(mention.words for mention in when.dates)) or rule
    ahead = [day for day in days if day >= clock.today]
    if not ahead:
        return Question(field="date", question=lexicon.ASK_PAST.format(moment=spoken_day(days[-1])))
    if len(ahead) > 1:
        return _which_day(words, ahead)
    if ahead[0] - clock.today > timedelta(days=lexicon.FURTHEST_DAYS):
        return Question(field="date", question=lexicon.ASK_DATE_FAR.format(date=spoken_day(ahead[0])))
    origin: Origin = "text" if when.dates else "rule"
    local = datetime.combine(ahead[0], time(0))
    return Moment(local=local, time_origin=origin, time_words=words, date_origin=origin, date_words=words)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The times that are left, and where they came from."""

    times: tuple[time, ...]
    origin: Origin
    words: str
    midnight: bool = False


def resolve(
    when: When, *, clock: Clock, meal: str = "", fallback: str | None = None, anchor: Anchor | None = None
) -> Moment | Question:
    """The one moment the words leave, or the question that decides. `fallback` is the profile's HH:MM for a missing time."""
    chosen = choose_time(when, meal=meal, fallback=fallback)
    if isinstance(chosen, Question):
        return chosen
    if not when.dates:
        return _without_day(chosen, clock=clock, anchor=anchor)
    days = _choose_days(when.dates)
    if isinstance(days, Question):
        return days
    words = " ".join(dict.fromkeys(mention.words for mention in when.dates))
    if chosen.midnight:
        nights = any(mention.part in ("night", "evening") for mention in when.parts)
        days = tuple(sorted({day + _DAY for day in days} | (set() if nights else set(days))))
    moments = [datetime.combine(day, value) for day in days for value in chosen.times]
    return _decide(moments, chosen, clock=clock, date_origin="text", date_words=words)


def choose_time(when: When, *, meal: str = "", fallback: str | None = None) -> Chosen | Question:
    """All mentions must agree; a part of the day must hold the time; a meal decides between two readings."""
    for mention in when.times:
        if not mention.times:
            return Question(field="time", question=lexicon.ASK_TIME_IMPOSSIBLE.format(words=mention.words))
    words = " ".join(dict.fromkeys([*(mention.words for mention in when.times), *(mention.words for mention in when.parts)]))
    if not when.times:
        return _fallback_time(when, fallback)
    common = set(when.times[0].times).intersection(*(mention.times for mention in when.times))
    midnight = any(mention.midnight for mention in when.times)
    fitting = {value for value in common if all(_in_part(value, mention.part, midnight=midnight) for mention in when.parts)}
    if not fitting:
        said = sorted({value for mention in when.times for value in mention.times})
        return _which_time(words, said)
    if len(fitting) > 1 and meal:
        fitting = {value for value in fitting if _within(value, lexicon.MEALS[meal])} or fitting
    return Chosen(times=tuple(sorted(fitting)), origin="text", words=words, midnight=midnight)


def _fallback_time(when: When, fallback: str | None) -> Chosen | Question:
    if fallback is None:
        return Question(field="time", question=lexicon.ASK_TIME)
    value = _stored_time(fallback)
    if value is None:
        return Question(field="time", question=lexicon.ASK_TIME_PROFILE)
    if not all(_in_part(value, mention.part) for mention in when.parts):
        return Question(field="time", question=lexicon.ASK_TIME)
    return Chosen(times=(value,), origin="profile", words="dinner_time")


def _stored_time(words: str) -> time | None:
    if not re.fullmatch(r"[0-9]{2}:[0-9]{2}", words):
        return None
    try:
        return time.fromisoformat(words)
    except ValueError:
        return None


def _in_part(value: time, part: str, *, midnight: bool = False) -> bool:
    return (midnight and part in ("night", "evening")) or _within(value, lexicon.PARTS[part])


def _within(value: time, hours: tuple[int, int]) -> bool:
    return hours[0] <= value.hour < hours[1]


def _which_time(words: str, times: Iterable[time]) -> Question:
    return Question(
        field="time", question=lexicon.ASK_TIME_WHICH.format(words=words), candidates=tuple(hhmm(value) for value in times)
    )


def _choose_days(mentions: tuple[DateMention, ...]) -> tuple[date, ...] | Question:
    for mention in mentions:
        if not mention.days:
            return Question(field="date", question=lexicon.ASK_DATE_IMPOSSIBLE.format(words=mention.words))
    common = set(mentions[0].days).intersection(*(mention.days for mention in mentions))
    if common:
        return tuple(sorted(common))
    words = " ".join(dict.fromkeys(mention.words for mention in mentions))
    return _which_day(words, sorted({day for mention in mentions for day in mention.days}))


def _which_day(words: str, days: Iterable[date]) -> Question:
    candidates = tuple(dict.fromkeys(day.isoformat() for day in days))
    return Question(field="date", question=lexicon.ASK_DATE_WHICH.format(words=words), candidates=candidates)


def _without_day(chosen: Chosen, *, clock: Clock, anchor: Anchor | None) -> Moment | Question:
    """A time alone means the next such time after now; beside another booking, both readings of the day have to agree."""
    if len(chosen.times) > 1:
        return _which_time(chosen.words, chosen.times)
    value = chosen.times[0]
    following = _first_after(value, clock.now, clock)
    if anchor is None:
        rule = lexicon.RULE_NEXT.format(time=hhmm(value), anchor="now")
        return _decide([following], chosen, clock=clock, date_origin="rule", date_words=rule)
    if anchor.relation == "after":
        rule = lexicon.RULE_NEXT.format(time=hhmm(value), anchor=anchor.label)
        return _decide(
            [_first_after(value, clock.instant(anchor.local), clock)], chosen, clock=clock, date_origin="rule", date_words=rule
        )
    if anchor.relation == "before":
        last = _last_before(value, anchor.local)
        if clock.is_past(last):
            return Question(field="time", question=lexicon.ASK_NOT_BEFORE.format(time=hhmm(value), anchor=anchor.label))
        rule = lexicon.RULE_LAST.format(time=hhmm(value), anchor=anchor.label)
        return _decide([last], chosen, clock=clock, date_origin="rule", date_words=rule)
    same_day = datetime.combine(anchor.local.date(), value)
    if same_day != following:
        return _which_day(chosen.words, sorted((following.date(), same_day.date())))
    rule = lexicon.RULE_SAME_DAY.format(time=hhmm(value), anchor=anchor.label)
    return _decide([following], chosen, clock=clock, date_origin="rule", date_words=rule)


def _first_after(value: time, start: datetime, clock: Clock) -> datetime:
    """The first day on which the wall shows this time at a later instant than `start`."""
    first = datetime.combine(start.astimezone(clock.zone).date(), value)
    return first if clock.instant(first) > start else first + _DAY


def _last_before(value: time, end: datetime) -> datetime:
    last = datetime.combine(end.date(), value)
    return last if last < end else last - _DAY


def _decide(
    moments: list[datetime], chosen: Chosen, *, clock: Clock, date_origin: Origin, date_words: str
) -> Moment | Question:
    """Drop what is past; exactly one moment has to be left, and the wall clock has to show it exactly once."""
    ahead = [local for local in moments if not clock.is_past(local)]
    if not ahead:
        return Question(field="date", question=lexicon.ASK_PAST.format(moment=spoken(max(moments))))
    if len(ahead) > 1:
        return _undecided(ahead, chosen, date_words)
    local = ahead[0]
    impossible = _clock_change(local, clock)
    if impossible is not None:
        return impossible
    return Moment(
        local=local, time_origin=chosen.origin, time_words=chosen.words, date_origin=date_origin, date_words=date_words
    )


def _undecided(ahead: list[datetime], chosen: Chosen, date_words: str) -> Question:
    if len({local.date() for local in ahead}) == 1 or (len({local.time() for local in ahead}) > 1):
        return _which_time(chosen.words, sorted({local.time() for local in ahead}))
    words = f"{date_words} {chosen.words}" if chosen.origin == "text" else date_words
    return _which_day(words, [local.date() for local in ahead])


def _clock_change(local: datetime, clock: Clock) -> Question | None:
    day, shown = spoken_day(local.date()), hhmm(local.time())
    if local.date() - clock.today > timedelta(days=lexicon.FURTHEST_DAYS):
        return Question(field="date", question=lexicon.ASK_DATE_FAR.format(date=day))
    if not clock.exists(local):
        return Question(field="time", question=lexicon.ASK_TIME_GAP.format(time=shown, date=day))
    if clock.is_twice(local):
        return Question(field="time", question=lexicon.ASK_TIME_TWICE.format(time=shown, date=day))
    return None
