"""Which requests a text holds, in order. A request starts at a word that names an action."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from shared.planner import grammar, lexicon, moments
from shared.planner.domain import Domain
from shared.planner.forms import Book, forms_of
from shared.planner.model import Question
from shared.planner.scan import BLANK, Scan, quote

NONE: Final = "none"
MIXED: Final = "mixed"
_EDGE: Final = "\x01"
"""Stands where literal words were cut out: nothing is read across it."""


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One request: of which domain (or `NONE`, `MIXED`), its words, and where it stood."""

    kind: str
    text: str
    start: int
    end: int
    body: str | None = None
    """The literal words."""
    body_start: int = 0
    endless: bool = False
    """The body may hold a second request."""
    about: bool = False
    """A message about the request right after it: "text me the weather"."""
    then: bool = False
    """Said to come after the one before."""
    approve: str = ""
    """The words by which a person wants to be asked first."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of a text, in the order in which they were said, and what is unclear between them."""

    clauses: tuple[Clause, ...]
    questions: tuple[Question, ...] = ()


def split(text: str, book: Book) -> Split:
    """The requests of a tidied text."""
    literal, rest = _cut_bodies(text, book)
    scan = Scan(rest)
    approvals = scan.take_all(grammar.APPROVAL)
    things = scan.take_all(grammar.CONFIRMATION)
    scan.take_all(grammar.POLITE)
    said = [Clause(kind=_messenger(book), text=match.group(), start=match.start(), end=match.end()) for match in things]
    found = sorted([*literal, *said, *_fragments(scan.text, book)], key=lambda clause: clause.start)
    return _approved(_followed(found, text), approvals, scan.text)


def _messenger(book: Book) -> str:
    """The domain that confirms: the one that speaks and needs no time."""
    return next(row.name for row in book.domains if row.speaks and not row.waits)


# -- literal words ---------------------------------------------------------------------------------------------------------


def _cut_bodies(text: str, book: Book) -> tuple[list[Clause], str]:
    """Cut out every "text <whom> that <words>", because the words may look like anything."""
    found: list[Clause] = []
    starts = [0, *(match.end() for match in book.connector.finditer(text))]
    position = cut = 0
    while (introducer := grammar.BODY.search(text, position)) is not None:
        start, kind = _head(text, starts, introducer, cut, book)
        if kind is None:
            position = introducer.end() + (introducer.end() == introducer.start())
            continue
        clause = _literal(text, start, introducer, kind, book)
        found.append(clause)
        text = text[:start] + _EDGE * (clause.end - start) + text[clause.end :]
        position = cut = clause.end
    return found, text


def _literal(text: str, start: int, introducer: re.Match[str], kind: Domain, book: Book) -> Clause:
    body, end, endless = _body(text, introducer.end(), kind, book)
    addressee = grammar.BODY_TO.match(text, end) if not endless else None
    head = text[start : introducer.start()] + (addressee.group() if addressee else "")
    end = addressee.end() if addressee else end
    return Clause(kind=kind.name, text=head, start=start, end=end, body=body, body_start=introducer.end(), endless=endless)


def _head(text: str, starts: Sequence[int], introducer: re.Match[str], cut: int, book: Book) -> tuple[int, Domain | None]:
    """Where the request begins whose words are introduced here; back over a list of addressees."""
    stop = introducer.start()
    word = " ".join(introducer.group().strip(" ,").lower().split())
    if not book.introducing[word].search(text, max(cut, stop - lexicon.LONGEST_HEAD), stop):
        return stop, None
    for number in range(bisect_right(starts, stop) - 1, -1, -1):
        start = max(starts[number], cut)
        consent = grammar.APPROVAL.match(text, start, stop)
        start = consent.end() if consent else start
        if stop - start > lexicon.LONGEST_HEAD:
            break
        head = text[start:stop]
        kind = _speaker(head, book)
        if kind is not None:
            if not _introduces(kind, introducer, text):
                return stop, None
            return _from_the_time(text, starts[:number], start, cut), kind
        listed = start > cut and not grammar.LIST_OVER.search(text, max(cut, start - lexicon.LONGEST_JOINT), start)
        if not listed or not _may_be_addressee(text[start : _next(starts, number, stop)], book):
            break
    return stop, None


def _next(starts: Sequence[int], number: int, stop: int) -> int:
    """Where the fragment ends that begins there."""
    return min(starts[number + 1], stop) if number + 1 < len(starts) else stop


def _may_be_addressee(fragment: str, book: Book) -> bool:
    """A few words that ask for nothing and are no time."""
    few = len(_significant(fragment)) <= lexicon.LONGEST_ADDRESSEE
    return few and _kind(fragment, book) == NONE and not moments.is_time(fragment)


def _introduces(kind: Domain, introducer: re.Match[str], text: str) -> bool:
    """Whether this word introduces the words of such a request: "to" those of a reminder, and not in "quarter to eight"."""
    word = " ".join(introducer.group().strip(" ,").lower().split())
    detail = kind.detail("body")
    if word in ("", ":") or detail is None:
        return True
    if word not in detail.after:
        return False
    in_time = grammar.MINUTES_END.search(text[: introducer.start()]) and grammar.HOUR_NEXT.match(text, introducer.end())
    return not in_time and (word != "to" or grammar.DOING_NEXT.match(text, introducer.end()) is not None)


def _from_the_time(text: str, starts: Sequence[int], start: int, cut: int) -> int:
    """Where the sentence begins, if it begins with a time: "At 6pm, text me that …"."""
    for earlier in reversed(starts):
        said = text[max(earlier, cut) : start].strip(lexicon.SILENT_PUNCTUATION + " " + _EDGE)
        if not said or not moments.is_time(said):
            return start
        if earlier <= cut or grammar.SENTENCE_OVER.search(text[:earlier]):
            return max(earlier, cut)
    return start


def _speaker(head: str, book: Book) -> Domain | None:
    """The domain of literal words that a head begins, or names; a time may come first."""
    words = _significant(head)
    late = None if not words or book.speaks_at(words[0]) else book.speaking.search(head)
    if late is not None and moments.is_time(head[: late.start()]):
        words = _significant(head[late.start() :])
    if not words:
        return None
    for row in book.domains:
        named = (
            row.speaks and row.nouns and (words[0] in row.verbs or words[0] in row.nouns or words[0] in lexicon.MESSAGE_VERBS)
        )
        if named and forms_of(row).noun.search(head):
            return row
    return book.opening(words)


def _body(text: str, start: int, kind: Domain, book: Book) -> tuple[str, int, bool]:
    """The literal words: what is quoted, else all that follows (of a reminder, up to the end of the sentence)."""
    quoted = grammar.QUOTED.match(text, start)
    if quoted:
        return quoted[1].strip(), quoted.end(), False
    end = len(text)
    if (detail := kind.detail("moment")) is not None and detail.ask and (stop := grammar.SENTENCE_END.search(text, start)):
        end = stop.start()
    body = text[start:end].replace(_EDGE, " ").strip()
    later = book.connector.split(body)[1:]
    unclosed = body.startswith('"')
    return body, end, unclosed or any(_starts_request(fragment, book) for fragment in later)


def _starts_request(fragment: str, book: Book) -> bool:
    """It begins like a request, or names a thing together with what is done to it. "Dinner is at 8" is none."""
    words = _significant(fragment)
    if book.begins(words) or grammar.APPROVAL.search(fragment):
        return True
    kind = _kind(fragment, book)
    if kind in (NONE, MIXED):
        return kind == MIXED
    row = book.of(kind)
    noun = forms_of(row).noun.search(fragment)
    counted = row.detail("party") is not None and grammar.PEOPLE_START.search(fragment) is not None
    done = forms_of(row).doing.search(fragment) or (noun is not None and " " in noun.group())
    return row.speaks or row.told or bool(row.opens) or counted or bool(done)


# -- the rest --------------------------------------------------------------------------------------------------------------


class _Piece:
    """A request while its fragments are joined."""

    def __init__(self, start: int, end: int, kind: str, *, about: bool = False) -> None:
        self.start, self.end, self.kind, self.about = start, end, kind, about


def _fragments(text: str, book: Book) -> list[Clause]:
    """Cut at connectors; a fragment without an action belongs to the one before it, at the start to the one after it."""
    masked = grammar.QUOTED.sub(lambda match: '"' + "x" * (len(match.group()) - 2) + '"', text)
    pieces: list[_Piece] = []
    for start, end in _spans(masked, book):
        for piece in _pieces(masked, start, end, book):
            before = pieces[-1] if pieces else None
            if before is not None and piece.kind == NONE and grammar.DO_IT.search(masked, start, end):
                piece.kind = next((row.name for row in book.domains if before.kind in row.finds), NONE)
            if before is not None:
                _give_back(masked, before, piece, book)
            if before is None or _EDGE in masked[before.end : piece.start] or not _joins(masked, before, piece, book):
                pieces.append(piece)
            else:
                twice = _both_whole(masked, before, piece, book)
                before.kind = MIXED if twice else _joined_kind(before.kind, piece.kind, book)
                before.end = piece.end
    return [
        Clause(kind=piece.kind, text=text[piece.start : piece.end], start=piece.start, end=piece.end, about=piece.about)
        for piece in pieces
        if _says_something(text[piece.start : piece.end])
    ]


def _give_back(text: str, before: _Piece, piece: _Piece, book: Book) -> None:
    """ "Text Ana and me the weather": who stands before the thing belongs to the message about it."""
    rows = [book.of(one.kind) if one.kind not in (NONE, MIXED) else None for one in (before, piece)]
    noun = (
        forms_of(rows[1]).noun.search(text, piece.start, piece.end)
        if rows[0] and rows[0].speaks and rows[1] and rows[1].told
        else None
    )
    if rows[1] is None or noun is None:
        return
    head = grammar.ARTICLE_END.sub("", text[piece.start : noun.start()])
    if _says_something(head) and not forms_of(rows[1]).verb.search(head) and not forms_of(rows[1]).empty.search(head):
        before.end, before.about, piece.start = piece.start + len(head), True, piece.start + len(head)


def _both_whole(text: str, before: _Piece, after: _Piece, book: Book) -> bool:
    """Two fragments of one kind that each say when or for how many, and the second what it is: one thing, or two?"""
    if before.kind != after.kind or after.kind in (NONE, MIXED):
        return False
    said, says = text[before.start : before.end], text[after.start : after.end]
    if not forms_of(book.of(after.kind)).does.search(says) or grammar.ALTERNATIVE_END.search(said):
        return False
    if grammar.ALTERNATIVE.match(says):
        return False
    return all(_says_when_or_who(fragment) for fragment in (said, says))


def _says_when_or_who(fragment: str) -> bool:
    return bool(grammar.PEOPLE_START.search(fragment)) or moments.holds_time(fragment)


def _joined_kind(before: str, after: str, book: Book) -> str:
    """Looking, and then doing, is doing."""
    if before == NONE:
        return after
    return after if after not in (NONE, MIXED) and before != after and before in book.of(after).finds else before


def _pieces(text: str, start: int, end: int, book: Book) -> list[_Piece]:
    """Mostly one. "Text me the weather" is two: what is told, and the message about it."""
    fragment = text[start:end]
    kind = _kind(fragment, book)
    row = book.of(kind) if kind not in (NONE, MIXED) else None
    if row is None or not row.speaks:
        return [_Piece(start, end, kind)]
    for told in (other for other in book.domains if other.told):
        noun = forms_of(told).noun.search(fragment)
        if noun is None:
            continue
        if grammar.TELL_ME.search(fragment[: noun.start()]):
            return [_Piece(start, end, told.name)]
        head = grammar.ARTICLE_END.sub("", fragment[: noun.start()])
        return [_Piece(start, start + len(head), kind, about=True), _Piece(start + len(head), end, told.name)]
    return [_Piece(start, end, kind)]


def _spans(text: str, book: Book) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for match in book.connector.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    spans.append((start, len(text)))
    return [(left, right) for left, right in spans if _says_something(text[left:right])]


def _says_something(text: str) -> bool:
    return bool(text.replace(BLANK, " ").strip(lexicon.SILENT_PUNCTUATION + " "))


def _kind(fragment: str, book: Book) -> str:
    """What a fragment asks for: literal words if it starts so, else what it names."""
    speaker = _speaker(fragment, book)
    if speaker is not None:
        return speaker.name
    words = _significant(fragment)
    named = [(match.start(), row) for row in book.domains if (match := _named(row, fragment, words)) is not None]
    for _, row in named:
        if all(other is row or other.name in row.over for _, other in named):
            return row.name
    named.sort(key=lambda found: found[0])
    if not named:
        return NONE
    first = named[0][1]
    return first.name if all(other is first or other.name in first.names for _, other in named) else MIXED


def _named(row: Domain, fragment: str, words: Sequence[str]) -> re.Match[str] | None:
    if row.speaks or (row.opens and not (words and words[0] in row.opens)):
        return None
    return forms_of(row).noun.search(fragment)


def _joins(text: str, before: _Piece, after: _Piece, book: Book) -> bool:
    """Whether two fragments are one request: "text and email me", "find a place and book a table", "if that fails try 8pm"."""
    said, says = text[before.start : before.end], text[after.start : after.end]
    tries = grammar.ALTERNATIVE_END.search(said) and not grammar.ALTERNATIVE_SAID.search(said)
    if NONE in (before.kind, after.kind) or tries or grammar.ALTERNATIVE.match(says):
        return True
    if MIXED in (before.kind, after.kind):
        return False
    row = book.of(after.kind)
    if before.kind in row.finds:
        does = forms_of(row).does
        return bool(grammar.DO_IT.search(says)) or bool(does.search(says) and not does.search(said))
    if before.kind != after.kind:
        return False
    if row.speaks:
        return not (_names_someone(said) and _names_someone(says))
    return bool(row.beside and grammar.PICK_UP.search(said) and grammar.BRING.search(says))


def _names_someone(fragment: str) -> bool:
    return bool(grammar.TO_ME.search(fragment) or grammar.EMAIL.search(fragment) or grammar.PHONE.search(fragment))


def _significant(fragment: str) -> list[str]:
    """The words that carry something, folded."""
    spoken = grammar.POLITE.sub(" ", fragment)
    found: list[re.Match[str]] = list(grammar.WORD.finditer(spoken))
    return [word for match in found if (word := match.group().lower()) not in lexicon.EMPTY_WORDS]


# -- between requests ------------------------------------------------------------------------------------------------------


def _followed(clauses: list[Clause], text: str) -> list[Clause]:
    """Those said to come after the one before them."""
    found: list[Clause] = []
    for clause in clauses:
        gap = text[found[-1].end : clause.start] if found else ""
        found.append(msgspec.structs.replace(clause, then=bool(grammar.THEN.search(gap))))
    return found


def _approved(clauses: list[Clause], approvals: Sequence[re.Match[str]], text: str) -> Split:
    """Which request each wish to be asked first is about."""
    questions: list[Question] = []
    for match in approvals:
        number = _asked_about(clauses, match, text)
        if number is None:
            questions.append(Question(field="approval", question=lexicon.ASK_APPROVAL.format(words=quote(match.group()))))
        else:
            clauses[number] = msgspec.structs.replace(clauses[number], approve=match.group().strip())
    return Split(clauses=tuple(clauses), questions=tuple(questions))


def _asked_about(clauses: Sequence[Clause], match: re.Match[str], text: str) -> int | None:
    """What follows "wait for my approval"; what "ask me first" was said of; None if that may be several."""
    wanted = [number for number, clause in enumerate(clauses) if clause.kind != NONE]
    before = [number for number in wanted if clauses[number].start < match.start()]
    after = [number for number in wanted if clauses[number].start >= match.start()]
    within = [number for number in before if _says_something(text[match.end() : max(clauses[number].end, match.end())])]
    opening = bool(after) and not _says_something(text[match.end() : clauses[after[0]].start])
    follows = match["first"] is None and (match["once"] is None or opening or not before)
    if follows:
        following = [*within[-1:], *after]
        return following[0] if following else _only(before)
    return _only(before) if before else _only(after)


def _only(numbers: Sequence[int]) -> int | None:
    return numbers[0] if len(numbers) == 1 else None
