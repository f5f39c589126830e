"""What a request with literal words says: to whom, by what, when, and the words, which are never read as anything else."""

import msgspec

from shared.planner import grammar, lexicon, moments
from shared.planner.clauses import Clause
from shared.planner.contacts import Contact, take_contacts, take_known
from shared.planner.domain import Domain
from shared.planner.forms import Book, forms_of
from shared.planner.model import Profile, Question
from shared.planner.moments import Clock, When
from shared.planner.requests import Word
from shared.planner.scan import BLANK, Scan, quote


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message or a reminder: literal words, or (without a body) what was asked for beside it."""

    domain: Domain
    start: int
    channels: tuple[Word, ...] = ()
    contacts: tuple[Contact, ...] = ()
    to_me: bool = False
    """The user's own stored address."""
    own: bool = False
    """The user themselves, at a stored address or at one given here."""
    when: When = When()
    body: str | None = None
    about_next: bool = False
    """It tells of the request said right after it."""
    approve: str = ""
    then: bool = False
    questions: tuple[Question, ...] = ()


class _Head:
    """The words before the message itself, while they are read."""

    def __init__(self, clause: Clause, domain: Domain, book: Book, profile: Profile, clock: Clock) -> None:
        self.clause, self.domain = clause, domain
        scan = Scan(clause.text)
        scan.take_all(grammar.POLITE)
        scan.take_all(grammar.MESSAGE_EMPTY)
        self.at_mine = bool(scan.take_all(grammar.MY_ADDRESS))
        self.found = [*take_contacts(scan, profile), *take_known(scan, profile)]
        self.when = moments.read(scan, clock, book.things)
        self.channels = _channels(scan)
        scan.take_all(forms_of(domain).noun)
        scan.take_all(forms_of(domain).verb)
        self.me = [match.group().lower() for match in scan.take_all(grammar.TO_ME)]
        self.strangers = scan.left(lexicon.MESSAGE_EMPTY_WORDS | frozenset(domain.opens))

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Who was found."""
        return tuple(item for item in self.found if isinstance(item, Contact))

    @property
    def to_me(self) -> bool:
        """Said, or implied where nobody else is named."""
        return bool(self.me) or (_speaks_of_me(self.clause, self.domain) and not self.found and not self.strangers)

    def questions(self) -> list[Question]:
        """What is unclear about the addressees."""
        asked = [item for item in self.found if isinstance(item, Question)]
        if "us" in self.me and self.clause.body is not None:
            asked.append(Question(field="recipient", question=lexicon.ASK_RECIPIENT.format(words="us")))
        known = bool(self.found or self.me or self.at_mine)
        asked.extend(_stranger(words, known=known) for words in self.strangers)
        if not (self.to_me or self.found or self.strangers):
            whom = self.domain.detail("whom")
            asked.append(Question(field="recipient", question=whom.ask if whom else lexicon.ASK_NO_RECIPIENT))
        if self.me and self.contacts and not grammar.JOINED.search(self.clause.text):
            address = self.contacts[0].words
            asked.append(Question(field="recipient", question=lexicon.ASK_WHOM.format(address=address)))
        return asked


def read(clause: Clause, domain: Domain, *, book: Book, profile: Profile, clock: Clock) -> Letter:
    """The message of one clause."""
    head = _Head(clause, domain, book, profile, clock)
    body, when, odd = _words(clause, domain, head.when, clock, book)
    return Letter(
        domain=domain,
        start=clause.start,
        channels=head.channels,
        contacts=head.contacts,
        to_me=head.to_me,
        own=head.to_me or head.at_mine,
        when=when,
        body=body,
        about_next=clause.about,
        approve=clause.approve,
        then=clause.then,
        questions=(*head.questions(), *_body_questions(clause), *odd),
    )


def _channels(scan: Scan) -> tuple[Word, ...]:
    said = {match.group().lower(): match.group() for match in scan.take_all(grammar.CHANNEL)}
    return tuple(Word(value=lexicon.CHANNELS[" ".join(word.split())], words=words) for word, words in said.items())


def _speaks_of_me(clause: Clause, domain: Domain) -> bool:
    """A confirmation is for the one who asks, and so is a reminder that names nobody."""
    whom = domain.detail("whom")
    if whom is not None and whom.default == "me":
        return True
    return clause.body is None and grammar.CONFIRMS.search(clause.text) is not None


def _stranger(words: str, *, known: bool) -> Question:
    """Words nobody took: without any other recipient they are probably one."""
    if known:
        return Question(field="text", question=lexicon.ASK_NOT_UNDERSTOOD.format(words=quote(words)))
    return Question(field="recipient", question=lexicon.ASK_RECIPIENT.format(words=quote(words)))


def _body_questions(clause: Clause) -> list[Question]:
    if clause.endless:
        return [Question(field="message", question=lexicon.ASK_BODY_END)]
    if clause.body is None and '"' in clause.text:
        return [Question(field="message", question=lexicon.ASK_BODY_END)]
    if clause.body is not None and not clause.body:
        return [Question(field="message", question=lexicon.ASK_BODY)]
    return []


def _words(clause: Clause, domain: Domain, when: When, clock: Clock, book: Book) -> tuple[str | None, When, list[Question]]:
    """The body and the time. Only of what needs a time is one read at the end of the words, and only if none stood before."""
    detail = domain.detail("moment")
    if clause.body is None or detail is None or not detail.ask or not when.is_silent or clause.endless:
        return clause.body, when, []
    scan = Scan(clause.body)
    late = moments.read(scan, clock, book.things)
    body = scan.text.rstrip(BLANK + " " + lexicon.SILENT_PUNCTUATION)
    dangles = body and body.split()[-1].lower() in lexicon.DANGLING
    if late.is_silent:
        return clause.body, when, []
    if BLANK in body or dangles or not body:
        return clause.body, when, [Question(field="time", question=lexicon.ASK_BODY_TIME.format(words=quote(clause.body)))]
    return body, late, []
