"""Which requests a text holds, in order. A request starts at a word that names an action."""

import re
from bisect import bisect_right
from typing import Literal, TypeAlias

import msgspec

from shared.planner import grammar, lexicon
from shared.planner.scan import BLANK, Scan

Kind: TypeAlias = Literal["table", "ride", "message", "mixed", "none"]
_EDGE = "\x01"
"""Stands where a message with its own words was cut out: nothing is read across it."""


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One request: what kind, its words, and where it stood."""

    kind: Kind
    text: str
    start: int
    body: str | None = None
    """The literal words of a message."""
    endless: bool = False
    """The body may hold a second request."""


def split(text: str) -> list[Clause]:
    """The requests of a tidied text, in the order in which they were said."""
    messages, rest = _cut_bodies(text)
    scan = Scan(rest)
    things = scan.take_all(grammar.CONFIRMATION)
    scan.take_all(grammar.POLITE)
    clauses = [Clause(kind="message", text=match.group(), start=match.start()) for match in things]
    return sorted([*messages, *clauses, *_fragments(scan.text)], key=lambda clause: clause.start)


# -- messages with their own words -----------------------------------------------------------------------------------------


def _cut_bodies(text: str) -> tuple[list[Clause], str]:
    """Cut out every "text <whom> that <words>", because the words may look like anything."""
    found: list[Clause] = []
    starts = [0, *(match.end() for match in grammar.CONNECTOR.finditer(text))]
    position = cut = 0
    while (introducer := grammar.BODY.search(text, position)) is not None:
        start = max(starts[bisect_right(starts, introducer.start()) - 1], cut)
        too_long = introducer.start() - start > lexicon.LONGEST_HEAD
        if too_long or not _starts_message(text[start : introducer.start()]):
            position = introducer.end() + (introducer.end() == introducer.start())
            continue
        body, end, endless = _body(text, introducer.end())
        addressee = grammar.BODY_TO.match(text, end) if not endless else None
        head = text[start : introducer.start()] + (addressee.group() if addressee else "")
        end = addressee.end() if addressee else end
        found.append(Clause(kind="message", text=head, start=start, body=body, endless=endless))
        text = text[:start] + _EDGE * (end - start) + text[end:]
        position = cut = end
    return found, text


def _body(text: str, start: int) -> tuple[str, int, bool]:
    """The words of the message: what is quoted, else all that follows."""
    quoted = grammar.QUOTED.match(text, start)
    if quoted:
        return quoted[1].strip(), quoted.end(), False
    body = text[start:].replace(_EDGE, " ").strip()
    later = grammar.CONNECTOR.split(body)[1:]
    unclosed = body.startswith('"')
    return body, len(text), unclosed or any(_starts_request(fragment) for fragment in later)


def _starts_request(fragment: str) -> bool:
    words = _significant(fragment)
    if not words:
        return False
    verbs = {*lexicon.TABLE_VERBS, *lexicon.RIDE_VERBS, *lexicon.LOOK_VERBS, *lexicon.MESSAGE_VERBS} - {"have", "need", "want"}
    return words[0] in verbs or words[0] in lexicon.TABLE_NOUNS or words[0] in lexicon.RIDE_NOUNS


# -- the rest --------------------------------------------------------------------------------------------------------------


def _fragments(text: str) -> list[Clause]:
    """Cut at connectors; a fragment without an action belongs to the one before it, at the start to the one after it."""
    masked = grammar.QUOTED.sub(lambda match: '"' + "x" * (len(match.group()) - 2) + '"', text)
    pieces: list[list[int]] = []
    kinds: list[Kind] = []
    for start, end in _spans(masked):
        kind = _kind(masked[start:end])
        edge = bool(pieces) and _EDGE in masked[pieces[-1][1] : start]
        if (
            pieces
            and not edge
            and (kind == "none" or kinds[-1] == "none" or _continues(masked, pieces[-1], kinds[-1], (start, end), kind))
        ):
            pieces[-1][1] = end
            kinds[-1] = kind if kinds[-1] == "none" else kinds[-1]
        else:
            pieces.append([start, end])
            kinds.append(kind)
    spoken = zip(pieces, kinds, strict=True)
    return [
        Clause(kind=kind, text=text[start:end], start=start)
        for (start, end), kind in spoken
        if _says_something(text[start:end])
    ]


def _spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for match in grammar.CONNECTOR.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    spans.append((start, len(text)))
    return [(left, right) for left, right in spans if _says_something(text[left:right])]


def _says_something(text: str) -> bool:
    return bool(text.replace(BLANK, " ").strip(lexicon.SILENT_PUNCTUATION + " "))


def _kind(fragment: str) -> Kind:
    """What a fragment asks for: a message if it starts with such a verb, else what it names."""
    if _starts_message(fragment):
        return "message"
    table, ride = grammar.TABLE.search(fragment), grammar.RIDE.search(fragment)
    if ride:
        return "mixed" if table and table.start() < ride.start() else "ride"
    return "table" if table else "none"


def _continues(text: str, before: list[int], before_kind: Kind, after: tuple[int, int], kind: Kind) -> bool:
    """One request in two fragments: "text and email me", "find a place and book a table", "pick me up and take me home"."""
    said, says = text[slice(*before)], text[slice(*after)]
    if before_kind == kind == "message":
        return not (_names_someone(said) and _names_someone(says))
    if before_kind == kind == "table":
        return not grammar.RESERVING.search(said) and bool(grammar.RESERVING.search(says))
    if before_kind == kind == "ride":
        return bool(grammar.PICK_UP.search(said) and grammar.BRING.search(says))
    return False


def _names_someone(fragment: str) -> bool:
    return bool(grammar.TO_ME.search(fragment) or grammar.EMAIL.search(fragment) or grammar.PHONE.search(fragment))


def _starts_message(fragment: str) -> bool:
    words = _significant(fragment)
    return bool(words) and words[0] in lexicon.MESSAGE_VERBS


def _significant(fragment: str) -> list[str]:
    """The words that carry something, folded."""
    spoken = grammar.POLITE.sub(" ", fragment)
    found: list[re.Match[str]] = list(grammar.WORD.finditer(spoken))
    return [word for match in found if (word := match.group().lower()) not in lexicon.EMPTY_WORDS]
