"""Messages and reminders: one for each address and channel, at once or at a time, of literal words or about what is booked."""

from collections.abc import Sequence

from shared.planner import contacts, lexicon, moments
from shared.planner.domain import Domain
from shared.planner.fill import Filling
from shared.planner.known import Known, Sent
from shared.planner.messages import Letter
from shared.planner.model import Channel, Question
from shared.planner.moments import Moment
from shared.planner.requests import Word


def send(filling: Filling) -> list[Sent]:
    """The messages of a text whose other requests are settled."""
    sending = Sending(filling)
    sending.fill()
    return sending.sent


class Sending:
    """The messages of one text while they are gathered."""

    def __init__(self, filling: Filling) -> None:
        """`filling`: what was settled so far; questions are noted there."""
        self.filling = filling
        self.sent: list[Sent] = []

    def fill(self) -> None:
        """Every message, then the one that the user always wants."""
        for number in self.filling.order():
            letter = self.filling.said[number]
            if isinstance(letter, Letter):
                self._letter(number, letter)
        self._standing_wish()

    def _letter(self, number: int, letter: Letter) -> None:
        ask = self.filling.questions.append
        detail = letter.domain.detail("body")
        if letter.body is None and not self._has_something_to_tell():
            ask(Question(field="message", question=detail.ask if detail else lexicon.ASK_BODY))
        moment = self._moment(number, letter)
        if letter.approve and moment is not None:
            ask(Question(field="approval", question=lexicon.ASK_APPROVAL.format(words=letter.approve)))
        if moment is not None:
            self.filling.moments[number] = moment
        for contact in letter.contacts:
            channel = self.filling.known(_contact_channel(contact, letter.channels))
            if channel is not None:
                to = Known[str](value=contact.address, origin=contact.origin, words=contact.words)
                self._add(number, letter, channel, to, moment)
        self.filling.questions.extend(_unused_channels(letter))
        if letter.to_me:
            for own in self._own_channels(letter):
                self._add_own(number, letter, own, moment)

    def _has_something_to_tell(self) -> bool:
        return any(one.domain.confirmation for _, one in self.filling.requests())

    def _moment(self, number: int, letter: Letter) -> Moment | None:
        detail = letter.domain.detail("moment")
        if letter.when.offsets:
            return self.filling.counted(number, letter.when)
        if letter.when.is_silent:
            asked = any(question.field == "time" for question in letter.questions)
            if detail is not None and detail.ask and not asked:
                self.filling.questions.append(Question(field="time", question=detail.ask))
            return None
        anchor = self.filling.beside(letter.domain.phase)
        found = self.filling.known(moments.resolve(letter.when, clock=self.filling.clock, anchor=anchor))
        if found is None or self.filling.clock.is_now(found.local):
            return None
        return found

    def _own_channels(self, letter: Letter) -> list[Known[Channel]]:
        if letter.channels:
            return _channels(letter.channels)
        usual = self.filling.profile.confirm_by
        if usual:
            return [Known(value=usual, origin="profile", words="confirm_by")]
        self.filling.questions.append(Question(field="channel", question=lexicon.ASK_CHANNEL, candidates=("sms", "email")))
        return []

    def _add_own(self, number: int, letter: Letter | None, channel: Known[Channel], moment: Moment | None) -> None:
        address = self.filling.known(contacts.stored_address(self.filling.profile, channel.value))
        if address is not None:
            field = "phone" if channel.value == "sms" else "email"
            self._add(number, letter, channel, Known(value=address, origin="profile", words=field), moment)

    def _add(self, number: int, letter: Letter | None, channel: Known[Channel], to: Known[str], moment: Moment | None) -> None:
        """The same words to the same address go out once, however often they are asked for."""
        domain = letter.domain if letter else self._messenger()
        sent = Sent(
            number=number,
            letter=letter,
            domain=domain,
            channel=channel,
            to=to,
            body=letter.body if letter else None,
            moment=moment,
            about=self._about(number, letter) if letter else None,
            after=self.filling.before(number) if letter else None,
        )
        if not any(_same(sent, other) for other in self.sent):
            self.sent.append(sent)

    def _about(self, number: int, letter: Letter) -> int | None:
        """A reminder counted from one request is about that one, and "text me the weather" about what follows."""
        if letter.about_next:
            return number + 1
        if letter.body is not None or not letter.when.offsets or not letter.when.offsets[0].thing:
            return None
        return self.filling.counted_from(number, letter.when.offsets[0])

    def _messenger(self) -> Domain:
        return next(row for row in self.filling.book.domains if row.speaks and not row.waits)

    def _standing_wish(self) -> None:
        """Who always wants a confirmation of bookings gets one, unless the text already asks for one for them."""
        usual = self.filling.profile.confirm_by
        booked = any(one.domain.booking for _, one in self.filling.requests())
        asked = any(
            isinstance(one, Letter) and one.own and one.body is None and one.when.is_silent and not one.about_next
            for one in self.filling.said
        )
        if usual and booked and not asked:
            channel = Known[Channel](value=usual, origin="profile", words="confirm_by")
            self._add_own(len(self.filling.said), None, channel, None)


def _same(one: Sent, other: Sent) -> bool:
    """The same words to the same address at the same time."""
    return (one.body, one.to.value, one.moment and one.moment.local, one.about) == (
        other.body, other.to.value, other.moment and other.moment.local, other.about,
    )  # fmt: skip


def channel_of(word: Word) -> Channel:
    """The channel a word of the lexicon names."""
    return "sms" if word.value == "sms" else "email"


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


def _unused_channels(letter: Letter) -> list[Question]:
    """ "Text +1… and email": an email to whom?"""
    named = _channels(letter.channels)
    used = {contact.channel for contact in letter.contacts}.intersection(channel.value for channel in named)
    if letter.to_me or not used:
        return []
    unused = [channel for channel in named if channel.value not in used]
    return [Question(field="recipient", question=lexicon.ASK_CHANNEL_TO.format(channel=channel.words)) for channel in unused]
