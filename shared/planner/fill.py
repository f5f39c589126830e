"""From what was said to what is needed: the profile fills gaps, a few stated rules fill others, the rest is asked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from shared.planner import lexicon, moments
from shared.planner.domain import Detail
from shared.planner.forms import Book
from shared.planner.known import Done, Known, Lean, Value
from shared.planner.messages import Letter
from shared.planner.model import Profile, Question
from shared.planner.moments import Anchor, Clock, DateMention, Moment, Offset, TimeMention, When
from shared.planner.places import Place
from shared.planner.requests import Request, Variant
from shared.planner.stored import party_size, stored_text

T = TypeVar("T")


def fill(said: Sequence[Request | Letter], *, book: Book, profile: Profile, clock: Clock) -> "Filling":
    """What leans on nothing first, then what leans on that. Messages, which may speak of all, are settled after it."""
    filling = Filling(book, profile, clock, said)
    for one in said:
        filling.questions.extend(one.questions)
    filling.ask_for_empty_twins()
    for number in filling.order():
        one = said[number]
        if isinstance(one, Request):
            filling.fill(number, one)
    filling.ask_for_same()
    filling.ask_for_days_beside()
    return filling


class Filling:
    """The questions and results of one text while they are gathered."""

    def __init__(self, book: Book, profile: Profile, clock: Clock, said: Sequence[Request | Letter]) -> None:
        """`said`: what was read, in the order of the text; its numbers are used throughout."""
        self.book, self.profile, self.clock, self.said = book, profile, clock, said
        self.questions: list[Question] = []
        self.done: dict[int, Done] = {}
        self.moments: dict[int, Moment] = {}
        """Of everything that has one by now."""

    def known(self, value: T | Question) -> T | None:
        """The value; a question is noted and becomes None."""
        if isinstance(value, Question):
            self.questions.append(value)
            return None
        return value

    def order(self) -> list[int]:
        """Times counted from others come after those others."""
        return sorted(range(len(self.said)), key=lambda at: (self.said[at].domain.phase, bool(self.said[at].when.offsets), at))

    def requests(self) -> list[tuple[int, Request]]:
        """Everything but messages, with its number."""
        return [(number, one) for number, one in enumerate(self.said) if isinstance(one, Request)]

    # -- what is asked about several requests at once --

    def ask_for_empty_twins(self) -> None:
        """ "A table and a table for 4": one or two?"""
        for row in dict.fromkeys(one.domain for _, one in self.requests() if one.domain.booking):
            same = [one for _, one in self.requests() if one.domain is row]
            if len(same) > 1 and any(one.says_nothing for one in same):
                self.questions.append(Question(field="intent", question=lexicon.ASK_ONE_OR_TWO.format(what=row.name)))

    def ask_for_same(self) -> None:
        """The same thing at the same time is hardly wanted twice."""
        seen = [
            (one.domain.name, one.moment and one.moment.local, _plain(one)) for one in self.done.values() if one.domain.booking
        ]
        if any(found in seen[:number] for number, found in enumerate(seen)):
            self.questions.append(Question(field="intent", question=lexicon.ASK_SAME_TWICE))

    def ask_for_days_beside(self) -> None:
        """A day that nobody said, beside a request for another day: which of them?"""
        for number, one in self.done.items():
            if one.domain.detail("day") is None or one.moment is None or one.moment.date_origin == "text":
                continue
            others = {self.moments[other].date for other in self.done if other != number and other in self.moments}
            days = sorted({one.moment.date, *others})
            if len(days) > 1:
                asked = lexicon.ASK_DATE_OF.format(what=one.domain.name)
                self.questions.append(Question(field="date", question=asked, candidates=tuple(days)))

    # -- one request --

    def fill(self, number: int, request: Request) -> None:
        """Settle one request; what is open is asked."""
        ends = self._ends(request) if request.domain.detail("from") else {}
        if ends is None:
            return
        leaning = [place for place in ends.values() if isinstance(place, Place) and place.kind == "there"]
        moment = self._moment(number, request, ends)
        values = self._timed(request, moment)
        whole = moment is not None or request.domain.detail("moment") is None
        for detail in _party_first(request.domain.details):
            value = self._detail(number, request, detail, ends, leaning=bool(leaning))
            if isinstance(value, Question):
                self.questions.append(value)
                whole = False
            elif value is not None:
                values[detail.name] = value
        if moment is not None:
            self.moments[number] = moment
        if whole and not (request.domain.detail("day") and moment is None):
            done = Done(number=number, request=request, moment=moment, values=values, after=self.before(number))
            self.done[number] = self._with_variant(done)

    def before(self, number: int) -> int | None:
        """What was said right before, if this was said to come after it."""
        return number - 1 if self.said[number].then and number else None

    def _detail(
        self, number: int, request: Request, detail: Detail, ends: Mapping[str, Place | Question], *, leaning: bool
    ) -> Value | Question | None:
        match detail.kind:
            case "party":
                return self._party(request, detail, leaning=leaning)
            case "from" | "to":
                return self._end(ends[detail.name])
            case "name" | "choice" | "place" | "title":
                return self._text(number, request, detail)
            case _:
                return None

    def _text(self, number: int, request: Request, detail: Detail) -> Value | Question | None:
        """As said; else what the booking of the same text gives; else as stored; else by rule; else asked, if it must be."""
        found = request.said.get(detail.name)
        if isinstance(found, Place):
            return stored_text(found.address, found.words, Question(field=detail.name, question=detail.ask))
        if found is not None:
            return Known(value=getattr(found, "name", "") or getattr(found, "value", ""), origin="text", words=found.words)
        leaned = self._leaned_text(number, request, detail)
        if leaned is not None:
            return leaned
        missing = Question(field=detail.name, question=detail.ask, candidates=detail.candidates)
        if detail.profile:
            return stored_text(getattr(self.profile, detail.profile), detail.profile, missing)
        if detail.default:
            return Known(value=detail.default, origin="rule", words=detail.rule)
        return missing if detail.ask else None

    def _leaned_text(self, number: int, request: Request, detail: Detail) -> Value | Question | None:
        """What a calendar entry of a booking is called, and where it is."""
        if request.domain.detail("span") is None or "title" in request.said:
            return None
        booking = self._booking(number)
        if booking is None:
            return None
        if detail.kind == "title":
            return Lean(on=booking.number, template=booking.domain.title, words=booking.label)
        if booking.domain.place:
            return Lean(on=booking.number, path=booking.domain.place, words=lexicon.SUMMARY_PLACE)
        return None

    def _booking(self, number: int) -> Done | None:
        """The one booking that an entry without a title speaks of; of several, the one said right before it."""
        booked = [one for one in self.done.values() if one.domain.booking and one.domain.title]
        earlier = [one for one in booked if one.number < number]
        if len(booked) == 1:
            return booked[0]
        if len(earlier) > 1:
            self.questions.append(Question(field="title", question=lexicon.ASK_WHICH_BOOKING))
        return earlier[-1] if earlier else None

    def _party(self, request: Request, detail: Detail, *, leaning: bool) -> Value | Question | None:
        """As said; else that of the table; else "us" as in the profile; else by rule."""
        if request.people.parties:
            return party_size(request.people, self.profile, detail)
        host = self._host()
        if leaning and host is not None:
            return Lean(on=host, path=self.said[host].domain.party, words=lexicon.SUMMARY_PARTY)
        if detail.default and not request.people.us:
            return Known(value=int(detail.default), origin="rule", words=detail.rule)
        return party_size(request.people, self.profile, detail)

    # -- the ends of a way --

    def _ends(self, request: Request) -> dict[str, Place | Question] | None:
        """Where it starts and ends; None if it leans on a place that is not there."""
        start, end = (detail for detail in request.domain.details if detail.kind in ("from", "to"))
        pickup, destination = self._as_there(request.said.get(start.name)), self._as_there(request.said.get(end.name))
        ends: dict[str, Place | Question] = {
            start.name: pickup or self._missing_start(start, destination),
            end.name: destination or Question(field=end.name, question=end.ask),
        }
        places = [place for place in ends.values() if isinstance(place, Place)]
        if any(place.kind == "there" for place in places) and self._host() is None:
            self.questions.extend(place for place in ends.values() if isinstance(place, Question))
            self.questions.append(Question(field="restaurant", question=lexicon.ASK_WHICH_TABLE))
            return None
        if len(places) == 2 and (places[0].kind, places[0].address) == (places[1].kind, places[1].address):
            self.questions.append(Question(field=end.name, question=lexicon.ASK_SAME_PLACE))
            return None
        return ends

    def _host(self) -> int | None:
        """The one request of the text that has a place: "there"."""
        hosts = [number for number, one in self.requests() if one.domain.place]
        return hosts[0] if len(hosts) == 1 else None

    def _as_there(self, said: Any) -> Place | None:
        """The name of the restaurant that is booked in the same text means its table."""
        host = self._host()
        place = said if isinstance(said, Place) else None
        if place is None or host is None:
            return place
        request = self.said[host]
        named = (
            [getattr(found, "name", "").casefold() for found in request.said.values()] if isinstance(request, Request) else []
        )
        return Place(kind="there", words=place.words) if place.address.casefold() in filter(None, named) else place

    def _missing_start(self, detail: Detail, destination: Place | None) -> Place | Question:
        hosted = any(one.domain.place for _, one in self.requests())
        if destination is not None and destination.kind == "home":
            return Place(kind="there", words="") if hosted else Question(field=detail.name, question=detail.ask)
        if hosted and (destination is None or destination.kind in ("address", "stored")):
            return Question(field=detail.name, question=detail.ask, candidates=("home", lexicon.SUMMARY_PLACE))
        return Place(kind="home", words="")

    def _end(self, place: Place | Question) -> Value | Question:
        if isinstance(place, Question):
            return place
        match place.kind:
            case "there":
                host = self._host()
                assert host is not None  # noqa: S101 - `_ends` asked otherwise
                return Lean(on=host, path=self.said[host].domain.place, words=lexicon.SUMMARY_PLACE)
            case "address" if place.address.casefold() in {word.casefold() for word in self.profile.contacts}:
                return Question(field="address", question=lexicon.ASK_ADDRESS_OF.format(words=place.address))
            case "address":
                return Known(value=place.address, origin="text", words=place.words)
            case "stored":
                return stored_text(place.address, place.words, Question(field="home", question=lexicon.ASK_HOME))
            case "home":
                return stored_text(self.profile.home, "home", Question(field="home", question=lexicon.ASK_HOME))

    # -- moments --

    def _moment(self, number: int, request: Request, ends: dict[str, Place | Question]) -> Moment | None:
        domain = request.domain
        if (day := domain.detail("day")) is not None:
            return self.known(moments.resolve_day(request.when, clock=self.clock, rule=day.rule))
        detail = domain.detail("moment") or domain.detail("span")
        if detail is None:
            return None
        if request.when.offsets:
            return self.counted(number, request.when)
        there = [name for name, place in ends.items() if isinstance(place, Place) and place.kind == "there"]
        if there:
            return self._moment_of_way(request, leaving=domain.details[0].name in there)
        booking = (
            self._booking(number) if detail.kind == "span" and request.when.is_silent and "title" not in request.said else None
        )
        if booking is not None and booking.moment is not None:
            return _same(booking.moment, booking.label)
        fallback = getattr(self.profile, detail.profile) if detail.profile and request.meal in lexicon.DINNERS else None
        found = moments.resolve(
            request.when, clock=self.clock, meal=request.meal, fallback=fallback, anchor=self.beside(domain.phase)
        )
        return self.known(_asked_so(found, detail.ask))

    def beside(self, phase: int) -> Anchor | None:
        """What was settled before, beside which a time without a day has to make sense."""
        near = [one for one in self.done.values() if one.moment and one.domain.phase <= phase]
        dated = [one for one in near if one.domain.label or (one.moment and one.moment.date_origin == "text")]
        if not dated or dated[-1].moment is None:
            return None
        return Anchor(label=dated[-1].label or dated[-1].domain.name, local=dated[-1].moment.local, relation="beside")

    def _moment_of_way(self, request: Request, *, leaving: bool) -> Moment | None:
        """To the table before it, home after it."""
        host = self._host()
        table = self.done[host].moment if host in self.done else None
        if host is None or table is None:
            return None  # the table's own question comes first
        label = self.done[host].label
        anchor = Anchor(label=label, local=table.local, relation="after" if leaving else "before")
        moment = self.known(moments.resolve(request.when, clock=self.clock, anchor=anchor))
        if moment is not None and (moment.local <= table.local if leaving else moment.local >= table.local):
            asked = lexicon.ASK_RIDE_ORDER.format(ride=moments.spoken(moment.local), table=moments.spoken(table.local))
            self.questions.append(Question(field="time", question=asked))
        return moment

    def counted(self, number: int, when: When) -> Moment | None:
        """A time counted from another request: the one it names, or the one said before; of several it is asked."""
        offset = when.offsets[0]
        start = self.counted_from(number, offset)
        alone = len(when.offsets) == 1 and not when.times and not when.parts
        if start is None or not alone:
            if start is not None or not self._will_be_asked(offset):
                self.questions.append(Question(field="time", question=lexicon.ASK_BEFORE_WHAT.format(words=offset.words)))
            return None
        moment = self.known(moments.counted(offset, self.moments[start].local, self.label_of(start), self.clock))
        if moment is not None and when.dates and not any(moment.local.date() in mention.days for mention in when.dates):
            self.questions.append(Question(field="date", question=lexicon.ASK_DATE_WHICH.format(words=when.dates[0].words)))
        return moment

    def label_of(self, number: int) -> str:
        """What a rule calls a request."""
        return self.said[number].domain.label.format(time=self.moments[number].time)

    def _will_be_asked(self, offset: Offset) -> bool:
        """What it counts from is there and itself still open."""
        return any(
            number not in self.moments and (not offset.thing or one.domain.name == self.book.things.get(offset.thing))
            for number, one in self.requests()
            if one.domain.detail("moment") or one.domain.detail("span")
        ) and bool(self.questions)

    def counted_from(self, number: int, offset: Offset) -> int | None:
        """Which request is meant; None if there is not exactly one."""
        timed = [at for at in self.moments if at != number and self.said[at].domain.label]
        if offset.thing:
            named = [at for at in timed if self.said[at].domain.name == self.book.things[offset.thing]]
            return named[0] if len(named) == 1 else None
        earlier = [at for at in timed if at < number]
        if len({self.moments[at].local for at in earlier}) == 1:
            return earlier[-1]
        return timed[0] if not earlier and len(timed) == 1 else None

    def _timed(self, request: Request, moment: Moment | None) -> dict[str, Value]:
        """The values of a moment by the names that rows give to them."""
        if moment is None:
            return {}
        day: dict[str, Value] = {"date": Known(value=moment.date, origin=moment.date_origin, words=moment.date_words)}
        if request.domain.detail("day"):
            return day
        timed = {**day, "time": Known(value=moment.time, origin=moment.time_origin, words=moment.time_words)}
        return {**timed, **self._spanned(request, moment)} if request.domain.detail("span") else timed

    def _spanned(self, request: Request, moment: Moment) -> dict[str, Value]:
        end = self.known(self._end_of(request, moment))
        if end is None:
            return {}
        words = " ".join(dict.fromkeys([moment.date_words, moment.time_words]))
        start: Known[Any] = Known(value=self._iso(moment.local), origin=moment.time_origin, words=words)
        return {"start": start, "end": end}

    def _end_of(self, request: Request, moment: Moment) -> Known[str] | Question:
        span = request.span
        if span.ends and span.minutes:
            return Question(field="end", question=lexicon.ASK_END_ORDER.format(words=span.words))
        ends = [end for start, end in span.ends if start == moment.local.time()]
        if span.ends:
            if len(ends) != 1:
                return Question(field="end", question=lexicon.ASK_END_ORDER.format(words=span.words))
            return Known(value=self._iso(datetime.combine(moment.local.date(), ends[0])), origin="text", words=span.words)
        minutes = span.minutes or self.profile.event_minutes
        if not minutes or not 0 < minutes <= lexicon.LONGEST_EVENT:
            return Question(field="end", question=lexicon.ASK_END)
        instant = self.clock.instant(moment.local) + timedelta(minutes=minutes)
        later = self._iso(instant.astimezone(self.clock.zone).replace(tzinfo=None, fold=0))
        if span.minutes:
            return Known(value=later, origin="text", words=lexicon.RULE_DURATION.format(words=span.words))
        return Known(value=later, origin="profile", words="event_minutes")

    def _iso(self, local: datetime) -> str:
        return self.clock.instant(local).astimezone(self.clock.zone).isoformat(timespec="seconds")

    # -- what is tried instead --

    def _with_variant(self, done: Done) -> Done:
        wanted = done.request.variant
        if wanted is None or done.moment is None:
            return done
        moment = self._varied_moment(wanted, done.moment, done)
        values = {**done.values, **(self._timed(done.request, moment) if moment else {})}
        request = msgspec.structs.replace(done.request, people=wanted.people, said=wanted.said, variant=None)
        for detail in request.domain.details:
            if detail.name in wanted.said or (detail.kind == "party" and wanted.people.parties):
                ends = {name: place for name, place in wanted.said.items() if isinstance(place, Place)}
                found = self._detail(done.number, request, detail, ends, leaning=False)
                if isinstance(found, Question):
                    self.questions.append(found)
                elif found is not None:
                    values[detail.name] = found
        varied = msgspec.structs.replace(done, request=request, moment=moment, values=values, variant=None)
        if moment is not None and _plain(varied) == _plain(done) and moment.local == done.moment.local:
            asked = lexicon.ASK_ALTERNATIVE.format(words=wanted.words)
            self.questions.append(Question(field="alternative", question=asked))
        return msgspec.structs.replace(done, variant=varied)

    def _varied_moment(self, wanted: Variant, base: Moment, done: Done) -> Moment | None:
        when = wanted.when
        if when.offsets:
            only = len(when.offsets) == 1 and not when.times and not when.dates
            if not only or when.offsets[0].thing:
                self.questions.append(
                    Question(field="alternative", question=lexicon.ASK_ALTERNATIVE.format(words=wanted.words))
                )
                return None
            return self.known(moments.counted(when.offsets[0], base.local, done.label, self.clock))
        if when.is_silent:
            return base
        same = lexicon.RULE_SAME.format(anchor=done.label)
        whole = msgspec.structs.replace(
            when,
            times=when.times or (TimeMention(words=same, times=(base.local.time(),)),),
            dates=when.dates or (DateMention(words=same, days=(base.local.date(),)),),
        )
        moment = self.known(moments.resolve(whole, clock=self.clock, meal=wanted.meal or done.request.meal))
        if moment is None:
            return None
        return msgspec.structs.replace(
            moment,
            time_origin="text" if when.times else "rule",
            date_origin="text" if when.dates else "rule",
        )


def _same(moment: Moment, label: str) -> Moment:
    words = lexicon.RULE_SAME.format(anchor=label)
    return Moment(local=moment.local, time_origin="rule", time_words=words, date_origin="rule", date_words=words)


def _asked_so(found: Moment | Question, ask: str) -> Moment | Question:
    """A missing time is asked in the row's own words."""
    plain = isinstance(found, Question) and found.question == lexicon.ASK_TIME and ask
    return Question(field="time", question=ask) if plain else found


def _party_first(details: Sequence[Detail]) -> list[Detail]:
    return sorted(details, key=lambda detail: detail.kind != "party")


def _plain(done: Done) -> dict[str, Any]:
    """Its values without where they came from."""
    return {name: value.value if isinstance(value, Known) else (value.on, value.path) for name, value in done.values.items()}
