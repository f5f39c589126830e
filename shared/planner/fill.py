"""From what was said to what is needed: the profile fills gaps, a few stated rules fill others, the rest is asked."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from shared.planner import contacts, lexicon, moments
from shared.planner.model import Channel, Origin, Profile, Question
from shared.planner.moments import Anchor, Clock, Moment
from shared.planner.people import People
from shared.planner.places import Place
from shared.planner.requests import MessageRequest, Request, RideRequest, TableRequest, Word, channel_of
from shared.planner.scan import tidy

T = TypeVar("T")


class Known(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A value and where it came from."""

    value: T
    origin: Origin
    words: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table with everything it needs."""

    start: int
    moment: Moment
    party: Known[int]
    name: Known[str]
    wishes: tuple[tuple[str, Known[str]], ...]
    """The optional arguments of the search that were said."""


class Ride(msgspec.Struct, frozen=True, kw_only=True):
    """A ride with everything it needs. An end or a number of passengers that is None is that of the table."""

    start: int
    moment: Moment
    pickup: Known[str] | None
    destination: Known[str] | None
    passengers: Known[int] | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its address. Without a body it confirms the bookings said before `start`."""

    start: int
    channel: Known[Channel]
    to: Known[str]
    body: str | None


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was asked for; complete, and to be built, only if there are no questions."""

    tables: tuple[Table, ...]
    rides: tuple[Ride, ...]
    messages: tuple[Message, ...]
    questions: tuple[Question, ...]


def fill(requests: Sequence[Request], *, profile: Profile, clock: Clock) -> Filled:
    """Tables first, because rides lean on them; then rides; then messages, which may speak of both."""
    filling = _Filling(profile, clock, [request for request in requests if isinstance(request, TableRequest)])
    for request in requests:
        filling.questions.extend(request.questions)
    filling.fill_tables()
    for request in requests:
        if isinstance(request, RideRequest):
            filling.fill_ride(request)
    for request in requests:
        if isinstance(request, MessageRequest):
            filling.fill_message(request, booked=any(not isinstance(other, MessageRequest) for other in requests))
    filling.fill_standing_wish(requests)
    return filling.done()


class _Filling:
    """The questions and results of one text while they are gathered."""

    def __init__(self, profile: Profile, clock: Clock, tables: list[TableRequest]) -> None:
        self.profile = profile
        self.clock = clock
        self.table_requests = tables
        self.questions: list[Question] = []
        self.tables: list[Table] = []
        self.rides: list[Ride] = []
        self.messages: list[Message] = []

    def done(self) -> Filled:
        """What was gathered; the same thing is asked once."""
        return Filled(
            tables=tuple(self.tables),
            rides=tuple(self.rides),
            messages=tuple(self.messages),
            questions=tuple(dict.fromkeys(self.questions)),
        )

    def known(self, value: T | Question) -> T | None:
        """The value; a question is noted and becomes None."""
        if isinstance(value, Question):
            self.questions.append(value)
            return None
        return value

    # -- tables --

    def fill_tables(self) -> None:
        """Every table in the order in which it was said."""
        if len(self.table_requests) > 1 and any(request.says_nothing for request in self.table_requests):
            self.questions.append(Question(field="intent", question=lexicon.ASK_ONE_OR_TWO_TABLES))
        for request in self.table_requests:
            self._fill_table(request)
        same = [(table.moment.local, table.party.value, table.wishes) for table in self.tables]
        if len({(local, party) for local, party, _ in same}) < len(same):
            self.questions.append(Question(field="intent", question=lexicon.ASK_SAME_TWICE))

    def _fill_table(self, request: TableRequest) -> None:
        fallback = self.profile.dinner_time if request.meal in lexicon.DINNERS else None
        beside = self._beside()
        moment = self.known(
            moments.resolve(request.when, clock=self.clock, meal=request.meal, fallback=fallback, anchor=beside)
        )
        party = self.known(party_size(request.people, self.profile))
        name = self.known(self._name(request))
        if moment is not None and party is not None and name is not None:
            self.tables.append(Table(start=request.start, moment=moment, party=party, name=name, wishes=_wishes(request)))

    def _name(self, request: TableRequest) -> Known[str] | Question:
        if request.name is not None:
            return Known(value=request.name.name, origin="text", words=request.name.words)
        return stored_text(self.profile.name, "name", Question(field="name", question=lexicon.ASK_NAME))

    def _beside(self) -> Anchor | None:
        """The booking said before, beside which a time without a day has to make sense."""
        if self.rides:
            return _anchor(lexicon.LABEL_RIDE, self.rides[-1].moment)
        return _anchor(lexicon.LABEL_TABLE, self.tables[-1].moment) if self.tables else None

    # -- rides --

    def fill_ride(self, request: RideRequest) -> None:
        """One ride: its two ends decide how it leans on the table, and that decides its day."""
        pickup_place, destination_place = self._ends(request)
        pickup, destination = self.known(pickup_place), self.known(destination_place)
        leans = [place for place in (pickup, destination) if place is not None and place.kind == "table"]
        if leans and len(self.table_requests) != 1:
            self.questions.append(Question(field="restaurant", question=lexicon.ASK_WHICH_TABLE))
            return
        moment = self._ride_moment(request, pickup, destination)
        passengers = self.known(self._passengers(request, leans=bool(leans)))
        if pickup is None or destination is None:
            return
        if (pickup.kind, pickup.address) == (destination.kind, destination.address):
            self.questions.append(Question(field="destination", question=lexicon.ASK_SAME_PLACE))
            return
        start, end = self.known(self._address(pickup)), self.known(self._address(destination))
        if moment is not None:
            ride = Ride(start=request.start, moment=moment, pickup=start, destination=end, passengers=passengers)
            self.rides.append(ride)

    def _ends(self, request: RideRequest) -> tuple[Place | Question, Place | Question]:
        """A missing start is home, or the restaurant for a ride home after it; a missing destination is asked."""
        start = self._as_table(request.pickup)
        end = self._as_table(request.destination)
        destination: Place | Question = end or Question(field="destination", question=lexicon.ASK_DESTINATION)
        return start or self._missing_pickup(end), destination

    def _as_table(self, place: Place | None) -> Place | None:
        """The name of the restaurant that is booked in the same text means its table."""
        booked = {request.restaurant.name.casefold() for request in self.table_requests if request.restaurant is not None}
        if place is not None and len(self.table_requests) == 1 and place.address.casefold() in booked:
            return Place(kind="table", words=place.words)
        return place

    def _missing_pickup(self, destination: Place | None) -> Place | Question:
        home, table = Place(kind="home", words=""), Place(kind="table", words="")
        if destination is not None and destination.kind == "home":
            return table if self.table_requests else Question(field="pickup", question=lexicon.ASK_PICKUP)
        if self.table_requests and (destination is None or destination.kind == "address"):
            return Question(field="pickup", question=lexicon.ASK_PICKUP, candidates=("home", "the restaurant"))
        return home

    def _address(self, place: Place) -> Known[str] | Question | None:
        """None for the table's restaurant, which only the plan will know."""
        match place.kind:
            case "table":
                return None
            case "address":
                return Known(value=place.address, origin="text", words=place.words)
            case "home":
                return stored_text(self.profile.home, "home", Question(field="home", question=lexicon.ASK_HOME))

    def _ride_moment(self, request: RideRequest, pickup: Place | None, destination: Place | None) -> Moment | None:
        leaving = pickup is not None and pickup.kind == "table"
        going = destination is not None and destination.kind == "table"
        if not (leaving or going):
            return self.known(moments.resolve(request.when, clock=self.clock, anchor=self._beside()))
        if not self.tables:
            return None  # the table's own question comes first
        table = self.tables[0].moment
        anchor = Anchor(
            label=lexicon.LABEL_TABLE.format(time=table.time), local=table.local, relation="after" if leaving else "before"
        )
        moment = self.known(moments.resolve(request.when, clock=self.clock, anchor=anchor))
        if moment is not None and (moment.local <= table.local if leaving else moment.local >= table.local):
            asked = lexicon.ASK_RIDE_ORDER.format(ride=moments.spoken(moment.local), table=moments.spoken(table.local))
            self.questions.append(Question(field="time", question=asked))
        return moment

    def _passengers(self, request: RideRequest, *, leans: bool) -> Known[int] | Question | None:
        """As said; else the party of the table (None); else "us" as in the profile; else the one who asks."""
        if request.people.parties:
            return party_size(request.people, self.profile, "passengers")
        if leans:
            return None
        if request.people.us:
            return party_size(request.people, self.profile, "passengers")
        return Known(value=1, origin="rule", words=lexicon.RULE_ONE_PASSENGER)

    # -- messages --

    def fill_message(self, request: MessageRequest, *, booked: bool) -> None:
        """One message for each address and channel."""
        if request.body is None and not booked:
            self.questions.append(Question(field="message", question=lexicon.ASK_BODY))
        for contact in request.contacts:
            channel = self.known(_contact_channel(contact, request.channels))
            if channel is not None:
                to = Known[str](value=contact.address, origin="text", words=contact.words)
                self._add_message(request.start, channel, to, request.body)
        self.questions.extend(_unused_channels(request))
        if request.to_me:
            for channel in self._own_channels(request):
                self._add_own(request.start, channel, request.body)

    def _own_channels(self, request: MessageRequest) -> list[Known[Channel]]:
        if request.channels:
            return _channels(request.channels)
        if self.profile.confirm_by:
            return [Known(value=self.profile.confirm_by, origin="profile", words="confirm_by")]
        self.questions.append(Question(field="channel", question=lexicon.ASK_CHANNEL, candidates=("sms", "email")))
        return []

    def _add_own(self, start: int, channel: Known[Channel], body: str | None) -> None:
        address = self.known(contacts.stored_address(self.profile, channel.value))
        if address is not None:
            field = "phone" if channel.value == "sms" else "email"
            self._add_message(start, channel, Known(value=address, origin="profile", words=field), body)

    def _add_message(self, start: int, channel: Known[Channel], to: Known[str], body: str | None) -> None:
        """The same words to the same address go out once, however often they are asked for."""
        if any((other.body, other.to.value) == (body, to.value) for other in self.messages):
            return
        self.messages.append(Message(start=start, channel=channel, to=to, body=body))

    def fill_standing_wish(self, requests: Sequence[Request]) -> None:
        """Who always wants a confirmation of bookings gets one, unless the text already asks for one for them."""
        booked = any(not isinstance(request, MessageRequest) for request in requests)
        asked = any(isinstance(request, MessageRequest) and request.own and request.body is None for request in requests)
        if self.profile.confirm_by and booked and not asked:
            channel = Known[Channel](value=self.profile.confirm_by, origin="profile", words="confirm_by")
            self._add_own(lexicon.LONGEST_TEXT + 1, channel, None)


def _anchor(label: str, moment: Moment) -> Anchor:
    return Anchor(label=label.format(time=moment.time), local=moment.local, relation="beside")


def _wishes(request: TableRequest) -> tuple[tuple[str, Known[str]], ...]:
    said: list[tuple[str, Known[str]]] = []
    if request.cuisine is not None:
        said.append(("cuisine", Known(value=request.cuisine.value, origin="text", words=request.cuisine.words)))
    if request.area is not None:
        said.append(("area", Known(value=request.area.name, origin="text", words=request.area.words)))
    if request.restaurant is not None:
        said.append(("restaurant", Known(value=request.restaurant.name, origin="text", words=request.restaurant.words)))
    return tuple(said)


def _channels(words: Sequence[Word]) -> list[Known[Channel]]:
    """Each channel once: "send me a text by SMS" is one message."""
    first: dict[Channel, Word] = {}
    for word in words:
        first.setdefault(channel_of(word), word)
    return [Known(value=channel, origin="text", words=word.words) for channel, word in first.items()]


def _contact_channel(contact: contacts.Contact, words: Sequence[Word]) -> Known[Channel] | Question:
    if not words:
        return Known(value=contact.channel, origin="rule", words=lexicon.RULE_CHANNEL)
    for channel in _channels(words):
        if channel.value == contact.channel:
            return channel
    asked = lexicon.ASK_CHANNEL_MISMATCH.format(address=contact.words, channel=words[0].words)
    return Question(field="recipient", question=asked)


def _unused_channels(request: MessageRequest) -> list[Question]:
    """ "Text +1… and email": an email to whom?"""
    named = _channels(request.channels)
    used = {contact.channel for contact in request.contacts}.intersection(channel.value for channel in named)
    if request.to_me or not used:
        return []
    unused = [channel for channel in named if channel.value not in used]
    return [Question(field="recipient", question=lexicon.ASK_CHANNEL_TO.format(channel=channel.words)) for channel in unused]


def stored_text(stored: str, field: str, missing: Question) -> Known[str] | Question:
    """A free text of the profile, tidied; it must not look like a reference between steps."""
    value = tidy(stored)
    if not value:
        return missing
    if "${" in value:
        return Question(field=field, question=lexicon.ASK_REFERENCE.format(place=f"stored {field}"))
    return Known(value=value, origin="profile", words=field)


def party_size(people: People, profile: Profile, field: str = "party_size") -> Known[int] | Question:
    """The one size all words agree on, else the profile's, else a question."""
    if not people.parties:
        return _stored_party(people, profile, field)
    words = " ".join(dict.fromkeys(mention.words for mention in people.parties))
    common = set(people.parties[0].sizes).intersection(*(mention.sizes for mention in people.parties))
    if len(common) == 1:
        return _in_range(Known(value=common.pop(), origin="text", words=words), field)
    said = sorted(common or {size for mention in people.parties for size in mention.sizes})
    candidates = tuple(str(size) for size in said)
    return Question(field=field, question=lexicon.ASK_PARTY_WHICH.format(words=words), candidates=candidates)


def _stored_party(people: People, profile: Profile, field: str) -> Known[int] | Question:
    if people.for_me:
        usual = [] if profile.party_size in (None, 1) else [str(profile.party_size)]
        asked = lexicon.ASK_PARTY_WHICH.format(words=people.for_me)
        return Question(field=field, question=asked, candidates=("1", *usual))
    if profile.party_size is None:
        return Question(field=field, question=lexicon.ASK_PARTY)
    return _in_range(Known(value=profile.party_size, origin="profile", words="party_size"), field)


def _in_range(size: Known[int], field: str) -> Known[int] | Question:
    if 1 <= size.value <= lexicon.LARGEST_PARTY:
        return size
    asked = lexicon.ASK_PARTY_RANGE.format(limit=lexicon.LARGEST_PARTY, size=size.value)
    return Question(field=field, question=asked)
