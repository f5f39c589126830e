"""What one request says, detail by detail, before anything is filled in from elsewhere. What none takes becomes a question."""

from collections.abc import Collection
from typing import TypeAlias

import msgspec

from shared.planner import grammar, lexicon, moments, people, places, spans, titles
from shared.planner.clauses import MIXED, NONE, Clause
from shared.planner.contacts import Contact, take_contacts
from shared.planner.domain import Detail, Domain
from shared.planner.forms import Book, DetailForms, Forms, forms_of
from shared.planner.model import Profile, Question
from shared.planner.moments import Clock, When
from shared.planner.people import People
from shared.planner.places import Name, Place
from shared.planner.scan import Scan, quote
from shared.planner.spans import Span


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word of the lexicon: what it stands for, and how it was written."""

    value: str
    words: str


Said: TypeAlias = Name | Place | Word


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What a booking should be instead, if it cannot be had: only what differs."""

    words: str
    when: When
    people: People
    said: dict[str, Said]
    meal: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done, as far as it was said."""

    domain: Domain
    start: int
    when: When = When()
    people: People = People()
    said: dict[str, Said] = {}
    span: Span = Span()
    meal: str = ""
    """The noun that names a meal."""
    variant: Variant | None = None
    approve: str = ""
    then: bool = False
    questions: tuple[Question, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Only what it is, and not for whom, when or where."""
        return self.when.is_silent and not self.people.parties and not self.said


class Reading:
    """One clause while it is read."""

    def __init__(self, clause: Clause, details: tuple[Detail, ...], book: Book, profile: Profile, clock: Clock) -> None:
        """`clause`: a request that carries no literal words; `details`: of its row."""
        self.details = details
        self.scan = Scan(clause.text)
        self.book, self.profile, self.clock = book, profile, clock
        self.when, self.people, self.span = When(), People(), Span()
        self.said: dict[str, Said] = {}
        self.asked: list[Question] = []

    def read(self, detail: Detail, forms: Forms) -> None:
        """Take what a detail says."""
        match detail.kind:
            case "moment" | "day":
                self.when = moments.read(self.scan, self.clock, self.book.things)
            case "span":
                self.take_early_title(forms)
                self.span, self.when = spans.read(self.scan, self.clock, self.book.things)
            case "party":
                self.people = people.read(self.scan)
            case "name":
                self.take_name(detail, forms)
            case "place":
                self.take_place(detail, forms)
            case "from":
                self.take_ends(detail, forms)
            case "choice":
                self.take_choice(detail, forms)
            case "title":
                self.take_title(detail, forms)
            case "to" | "whom" | "body":
                pass  # read with the other end, or of literal words

    def take_name(self, detail: Detail, forms: Forms) -> None:
        """A name, or a word that is one."""
        of = forms.details[detail.name]
        found = places.take_name(self.scan, of.after, of.known)
        if found is None and (alone := self.scan.take(of.alone)):
            found = Name(name=alone.group().lower(), words=alone.group())
        self._keep(detail, found)

    def take_place(self, detail: Detail, forms: Forms) -> None:
        """A place, also one that is written small."""
        of = forms.details[detail.name]
        found: Said | None = places.take_stored(self.scan, of.after, self.profile.places)
        self._keep(detail, found or places.take_name(self.scan, of.after) or self._plain_place(of, forms))

    def _plain_place(self, of: DetailForms, forms: Forms) -> Name | None:
        """Small words after an introduction, or a name right behind the noun: "weather Berlin"."""
        return places.take_plain(self.scan, of.after) or places.take_name(self.scan, forms.noun_before)

    def take_ends(self, start: Detail, forms: Forms) -> None:
        """Both ends of a way."""
        end = next(detail for detail in self.details if detail.kind == "to")
        of_start, of_end = forms.details[start.name], forms.details[end.name]
        pickup, destination = places.take_ends(self.scan, of_start.after, of_end.after, self.profile.places)
        self._keep(start, pickup)
        self._keep(end, destination)

    def take_choice(self, detail: Detail, forms: Forms) -> None:
        """One of a few values; two different ones are asked about."""
        matches = self.scan.take_all(forms.details[detail.name].choice)
        meanings = dict(detail.values)
        values = list(dict.fromkeys(meanings[" ".join(match["value"].lower().split())] for match in matches))
        if len(values) > 1:
            self.asked.append(Question(field=detail.name, question=detail.which, candidates=tuple(values)))
        elif values:
            self.said[detail.name] = Word(value=values[0], words=matches[0].group())

    def take_early_title(self, forms: Forms) -> None:
        """Free words that only look like a part of the day."""
        detail = next((detail for detail in self.details if detail.kind == "title"), None)
        if detail is not None:
            self._keep(detail, titles.read_early(self.scan, detail, forms, self.clock))

    def take_title(self, detail: Detail, forms: Forms) -> None:
        """Free words."""
        if detail.name in self.said:
            return
        found = titles.read(self.scan, detail, forms)
        if isinstance(found, Question):
            self.asked.append(found)
        else:
            self._keep(detail, found)

    def _keep(self, detail: Detail, found: Said | None) -> None:
        if found is not None:
            self.said[detail.name] = found


def read(clause: Clause, *, book: Book, profile: Profile, clock: Clock) -> Request | tuple[Question, ...]:
    """The request of one clause that carries no literal words, or questions if it holds none."""
    if clause.kind == MIXED:
        return (Question(field="intent", question=lexicon.ASK_MIXED.format(words=quote(clause.text))),)
    if clause.kind == NONE:
        return leftovers(Scan(clause.text), lexicon.EMPTY_WORDS)
    domain = book.of(clause.kind)
    if domain.name in book.missing:
        return (Question(field="tool", question=lexicon.ASK_UNAVAILABLE.format(domain=domain.name)),)
    return _request(clause, domain, book, profile, clock)


def _request(clause: Clause, domain: Domain, book: Book, profile: Profile, clock: Clock) -> Request:
    clause, variant = _variant(clause, domain, book, profile, clock)
    reading = _read(clause, domain, book, profile, clock)
    forms = forms_of(domain)
    meal = _meal(reading, domain)
    asked = [*reading.asked, *_unread(reading, domain, forms, clause), *leftovers(reading.scan, lexicon.EMPTY_WORDS)]
    return Request(
        domain=domain,
        start=clause.start,
        when=reading.when,
        people=reading.people,
        said=reading.said,
        span=reading.span,
        meal=meal,
        variant=variant if isinstance(variant, Variant) else None,
        approve=clause.approve,
        then=clause.then,
        questions=(*asked, *([variant] if isinstance(variant, Question) else [])),
    )


def _read(clause: Clause, domain: Domain, book: Book, profile: Profile, clock: Clock) -> Reading:
    """Detail by detail in the order of the row. Addresses are taken before times, which look like them."""
    reading = Reading(clause, domain.details, book, profile, clock)
    strays: list[Contact | Question] | None = None
    for detail in domain.details:
        if strays is None and detail.kind in ("moment", "day", "span"):
            strays = take_contacts(reading.scan, profile) if "@" in reading.scan.text or "+" in reading.scan.text else []
        reading.read(detail, forms_of(domain))
    reading.asked.extend(_stray(contact) for contact in strays or [])
    return reading


def _unread(reading: Reading, domain: Domain, forms: Forms, clause: Clause) -> list[Question]:
    """Words that look and do not do; then nouns, verbs and fillers are taken, and what stands where a name should is asked."""
    scan, asked = reading.scan, list[Question]()
    if domain.look_or_do and forms.look.search(clause.text) and not forms.doing.search(clause.text):
        asked.append(Question(field="intent", question=domain.look_or_do, candidates=("look", "book")))
    scan.take_all(grammar.DO_IT)
    for pattern in (forms.noun, forms.verb, forms.empty):
        scan.take_all(pattern)
    for detail in domain.details:
        if detail.unread and detail.name not in reading.said:
            found = scan.take_all(forms.details[detail.name].unread)
            asked.extend(Question(field=detail.name, question=detail.unread.format(words=quote(match[1]))) for match in found)
    return asked


def _meal(reading: Reading, domain: Domain) -> str:
    detail = domain.detail("moment")
    if detail is None or not detail.meals:
        return ""
    named = (match.group().lower() for match in grammar.MEAL.finditer(reading.scan.text))
    meals = list(dict.fromkeys(named))
    if len({lexicon.MEALS[meal] for meal in meals}) > 1:
        reading.asked.append(Question(field="meal", question=lexicon.ASK_MEAL_WHICH, candidates=tuple(meals)))
        return ""
    reading.scan.take_all(grammar.FOR_MEAL)
    return meals[0] if meals else ""


def leftovers(scan: Scan, empty: Collection[str]) -> tuple[Question, ...]:
    """A question about each phrase that nobody took."""
    return tuple(
        Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(words))) for words in scan.left(empty)
    )


def _stray(contact: Contact | Question) -> Question:
    if isinstance(contact, Question):
        return contact
    return Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(contact.words)))


# -- what should be tried instead ------------------------------------------------------------------------------------------


def _variant(
    clause: Clause, domain: Domain, book: Book, profile: Profile, clock: Clock
) -> tuple[Clause, Variant | Question | None]:
    """Cut "if that fails try 8pm" out of a clause: what is left, and what was cut."""
    extent = _extent(clause.text)
    if extent is None:
        return clause, None
    start, end, words = extent
    rest = msgspec.structs.replace(clause, text=clause.text[:start] + " ; " + clause.text[end:])
    said = msgspec.structs.replace(clause, text=words)
    reading = _read(said, domain, book, profile, clock)
    _unread(reading, domain, forms_of(domain), said)
    _named_outright(reading, domain)
    meal = _meal(reading, domain)
    odd = reading.asked or leftovers(reading.scan, lexicon.EMPTY_WORDS | lexicon.INSTEAD_WORDS)
    silent = reading.when.is_silent and not reading.people.parties and not reading.said
    if odd or silent or not domain.booking or grammar.ALTERNATIVE.search(rest.text):
        return rest, Question(field="alternative", question=lexicon.ASK_ALTERNATIVE.format(words=quote(clause.text[start:end])))
    whole = quote(clause.text[start:end].strip(" ,"))
    return rest, Variant(words=whole, when=reading.when, people=reading.people, said=reading.said, meal=meal)


def _extent(text: str) -> tuple[int, int, str] | None:
    """Where what should be tried instead begins and ends: "if that fails try 8pm", also "or 8pm if that is full"."""
    if (behind := grammar.ALTERNATIVE_AFTER.search(text)) is not None:
        return behind.start(), behind.end(), behind["what"]
    found = grammar.ALTERNATIVE.search(text)
    if found is None:
        return None
    over = grammar.ALTERNATIVE_OVER.search(text, found.end())
    end = over.start() if over else len(text)
    return found.start(), end, text[found.end() : end]


def _named_outright(reading: Reading, domain: Domain) -> None:
    """ "Try Bella Napoli": a name without an introduction is the one detail whose name may be unread."""
    detail = next((detail for detail in domain.details if detail.unread and detail.name not in reading.said), None)
    if detail is not None and (found := places.take_bare_name(reading.scan)) is not None:
        reading.said[detail.name] = found
