"""What one request says, slot by slot, before anything is filled in from elsewhere. Words no slot takes become questions."""

from collections.abc import Collection
from typing import TypeAlias

import msgspec

from shared.planner import grammar, lexicon, moments, people, places
from shared.planner.clauses import Clause
from shared.planner.contacts import Contact, take_contacts
from shared.planner.model import Channel, Profile, Question
from shared.planner.moments import Clock, When
from shared.planner.people import People
from shared.planner.places import Name, Place
from shared.planner.scan import Scan


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word of the lexicon: what it stands for, and how it was written."""

    value: str
    words: str


class TableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A table in a restaurant."""

    start: int
    when: When
    people: People
    meal: str = ""
    restaurant: Name | None = None
    area: Name | None = None
    cuisine: Word | None = None
    name: Name | None = None
    questions: tuple[Question, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Only the word "table", and not for whom, when or where."""
        return self.when.is_silent and not self.people.parties and self.restaurant is None and self.cuisine is None


class RideRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A ride from one place to another."""

    start: int
    when: When
    people: People
    pickup: Place | None = None
    destination: Place | None = None
    questions: tuple[Question, ...] = ()


class MessageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text message or an email: literal words, or (without a body) the confirmation of what was booked."""

    start: int
    channels: tuple[Word, ...] = ()
    contacts: tuple[Contact, ...] = ()
    to_me: bool = False
    """The user's own stored address."""
    own: bool = False
    """The user themselves, at a stored address or at one given here."""
    body: str | None = None
    questions: tuple[Question, ...] = ()


Request: TypeAlias = TableRequest | RideRequest | MessageRequest


def read(clause: Clause, *, profile: Profile, clock: Clock) -> Request | tuple[Question, ...]:
    """The request of one clause, or questions if it holds none."""
    match clause.kind:
        case "table":
            return _table(clause, profile, clock)
        case "ride":
            return _ride(clause, profile, clock)
        case "message":
            return _message(clause, profile)
        case "mixed":
            return (Question(field="intent", question=lexicon.ASK_MIXED.format(words=quote(clause.text))),)
        case "none":
            return _leftovers(Scan(clause.text), lexicon.EMPTY_WORDS)


def quote(words: str) -> str:
    """Words of the user, readable and not longer than a line."""
    shown = " ".join("".join(character if character.isprintable() else " " for character in words).split())
    return shown if len(shown) <= lexicon.LONGEST_QUOTE else shown[: lexicon.LONGEST_QUOTE - 1] + "…"


def _leftovers(scan: Scan, empty: Collection[str]) -> tuple[Question, ...]:
    return tuple(
        Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(words))) for words in scan.left(empty)
    )


# -- tables ----------------------------------------------------------------------------------------------------------------


def _table(clause: Clause, profile: Profile, clock: Clock) -> TableRequest:
    scan = Scan(clause.text)
    name = places.take_name(scan, grammar.UNDER_NAME)
    restaurant = places.take_name(scan, grammar.RESTAURANT_AT)
    area = places.take_name(scan, grammar.AREA_IN, grammar.AREA_KNOWN) or _area_word(scan)
    contacts = take_contacts(scan, profile) if "@" in scan.text or "+" in scan.text else []
    when = moments.read(scan, clock)
    party = people.read(scan)
    cuisine, cuisine_question = _cuisine(scan)
    meal, meal_question = _meal(scan)
    look = _only_look(scan)
    stray = [_stray(contact) for contact in contacts]
    scan.take_all(grammar.TABLE)
    scan.take_all(grammar.TABLE_VERB)
    unnamed = _unnamed_restaurant(scan) if restaurant is None else []
    asked = [*cuisine_question, *meal_question, *look, *stray, *unnamed, *_leftovers(scan, lexicon.EMPTY_WORDS)]
    return TableRequest(
        start=clause.start,
        when=when,
        people=party,
        meal=meal,
        restaurant=restaurant,
        area=area,
        cuisine=cuisine,
        name=name,
        questions=tuple(asked),
    )


def _area_word(scan: Scan) -> Name | None:
    match = scan.take(grammar.AREA_WORD)
    return Name(name=match.group().lower(), words=match.group()) if match else None


def _cuisine(scan: Scan) -> tuple[Word | None, list[Question]]:
    matches = scan.take_all(grammar.CUISINE)
    values = list(dict.fromkeys(lexicon.CUISINES[match["cuisine"].lower()] for match in matches))
    if len(values) > 1:
        return None, [Question(field="cuisine", question=lexicon.ASK_CUISINE_WHICH, candidates=tuple(values))]
    return (Word(value=values[0], words=matches[0].group()), []) if values else (None, [])


def _meal(scan: Scan) -> tuple[str, list[Question]]:
    named = (match.group().lower() for match in grammar.TABLE.finditer(scan.text))
    meals = list(dict.fromkeys(word for word in named if word in lexicon.MEALS))
    if len({lexicon.MEALS[meal] for meal in meals}) > 1:
        return "", [Question(field="meal", question=lexicon.ASK_MEAL_WHICH, candidates=tuple(meals))]
    return (meals[0] if meals else ""), []


def _only_look(scan: Scan) -> list[Question]:
    """Looking for a table is not yet asking for one."""
    looks = grammar.LOOK.search(scan.text) and not grammar.BOOKING_VERB.search(scan.text)
    return [Question(field="intent", question=lexicon.ASK_LOOK_OR_BOOK, candidates=("look", "book"))] if looks else []


def _unnamed_restaurant(scan: Scan) -> list[Question]:
    """At … something that does not look like a name."""
    found = scan.take_all(grammar.AT_UNREAD)
    return [Question(field="restaurant", question=lexicon.ASK_TABLE_NAME.format(words=quote(match[1]))) for match in found]


def _stray(contact: Contact | Question) -> Question:
    if isinstance(contact, Question):
        return contact
    return Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(contact.words)))


# -- rides -----------------------------------------------------------------------------------------------------------------


def _ride(clause: Clause, profile: Profile, clock: Clock) -> RideRequest:
    scan = Scan(clause.text)
    contacts = take_contacts(scan, profile) if "@" in scan.text or "+" in scan.text else []
    pickup, destination = _places(scan)
    when = moments.read(scan, clock)
    party = people.read(scan)
    scan.take_all(grammar.RIDE)
    scan.take_all(grammar.RIDE_VERB)
    asked = [*(_stray(contact) for contact in contacts), *_leftovers(scan, lexicon.EMPTY_WORDS)]
    return RideRequest(
        start=clause.start, when=when, people=party, pickup=pickup, destination=destination, questions=tuple(asked)
    )


def _places(scan: Scan) -> tuple[Place | None, Place | None]:
    """From and to, then the words that are a place without saying which end: home, there, after dinner."""
    pickup = places.take_place(scan, grammar.FROM_PLACE)
    destination = places.take_place(scan, grammar.TO_PLACE)
    if pickup is None and grammar.PICK_UP.search(scan.text):
        pickup = places.take_place(scan, grammar.AT_PICKUP)
    if pickup is None and (after := scan.take(grammar.AFTER_TABLE)):
        pickup = Place(kind="table", words=after.group())
    if destination is None and (home := scan.take(grammar.HOMEWARD)):
        destination = Place(kind="home", words=home.group())
    there = scan.take(grammar.TABLE_THERE) if pickup is None or destination is None else None
    if there is not None and there["from"] and pickup is None:
        pickup = Place(kind="table", words=there.group())
    elif there is not None and destination is None:
        destination = Place(kind="table", words=there.group())
    return pickup, destination


# -- messages --------------------------------------------------------------------------------------------------------------


def _message(clause: Clause, profile: Profile) -> MessageRequest:
    scan = Scan(clause.text)
    scan.take_all(grammar.POLITE)
    scan.take_all(grammar.MESSAGE_EMPTY)
    at_mine = bool(scan.take_all(grammar.MY_ADDRESS))
    found = take_contacts(scan, profile)
    contacts = [item for item in found if isinstance(item, Contact)]
    asked = [item for item in found if isinstance(item, Question)]
    channels = {match.group().lower(): match.group() for match in scan.take_all(grammar.CHANNEL)}
    named_me = bool(scan.take_all(grammar.TO_ME))
    strangers = scan.left(lexicon.MESSAGE_EMPTY_WORDS)
    asked.extend(_stranger(words, known=bool(found) or named_me or at_mine) for words in strangers)
    implied = clause.body is None and grammar.CONFIRMS.search(clause.text) is not None
    to_me = named_me or (implied and not found and not strangers)
    if not (to_me or found or strangers):
        asked.append(Question(field="recipient", question=lexicon.ASK_NO_RECIPIENT))
    asked.extend(_body_questions(clause))
    if named_me and contacts and not grammar.JOINED.search(clause.text):
        asked.append(Question(field="recipient", question=lexicon.ASK_WHOM.format(address=contacts[0].words)))
    return MessageRequest(
        start=clause.start,
        channels=tuple(Word(value=lexicon.CHANNELS[" ".join(word.split())], words=words) for word, words in channels.items()),
        contacts=tuple(contacts),
        to_me=to_me,
        own=to_me or at_mine,
        body=clause.body,
        questions=tuple(asked),
    )


def _stranger(words: str, *, known: bool) -> Question:
    """Words nobody took: without any other recipient they are probably one."""
    if known:
        return Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(words)))
    return Question(field="recipient", question=lexicon.ASK_RECIPIENT.format(words=quote(words)))


def _body_questions(clause: Clause) -> list[Question]:
    if clause.endless:
        return [Question(field="message", question=lexicon.ASK_BODY_END)]
    if clause.body is not None and not clause.body:
        return [Question(field="message", question=lexicon.ASK_BODY)]
    return []


def channel_of(word: Word) -> Channel:
    """The channel a word of the lexicon names."""
    return "sms" if word.value == "sms" else "email"
