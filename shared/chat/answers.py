"""Putting an answer to the words it belongs to.

An answer is said like a further clause ("for 2", "at 7pm"); where the question quotes words that were in doubt, it may take the
place of some of them. Of all ways in which it can be put, those that drop the fewest words are tried first; what is planned in
two ways that differ is planned in none.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from shared.chat.model import LONGEST, Open, Read
from shared.chat.phrases import LEAVE_OUT, plain
from shared.planner import Clarification, Planned, Question

FORMS: Final[dict[str, tuple[str, ...]]] = {
    "time": ("{a}", "at {a}"),
    "date": ("{a}", "on {a}"),
    "party_size": ("for {a}", "for {a} people"),
    "pickup": ("from {a}",),
    "destination": ("to {a}",),
    "place": ("in {a}",),
    "message": ('saying "{a}"',),
    "end": ("for {a}", "until {a}"),
}
"""How the answer to a question about a field is said; any other is said as it stands."""
LEADS: Final = frozenset("at on for from to in by until till with near around of party saying that".split())
"""An answer that begins so is a clause already."""
ANSWERS: Final[dict[tuple[str, str], str]] = {("intent", "book"): "and book it"}
"""What a candidate is as a clause, where it is no clause itself."""
WHOLE: Final = frozenset({"text", "recipient"})
"""Fields whose words in doubt are replaced as a whole or not at all."""
NOT_UNDERSTOOD: Final = frozenset({"text", "intent", "tool", "approval", "alternative"})
"""Fields about which is asked when an answer stands in the wrong place."""
_QUOTED: Final = re.compile(r'"([^"]+)"')


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The words with the answer in them."""

    words: str
    planned: Planned | None = None
    questions: tuple[Question, ...] = ()
    """What is still asked, if it is no plan yet."""


def merge(found: Open, answer: str, read: Read, now_ms: int) -> Merged | None:
    """The words of `found` with an answer to its first question in them; None if there is not exactly one way."""
    question = found.questions[0]
    narrower: list[Merged] = []
    for dropped, level in enumerate(_levels(found.text, question, answer)):
        tried = [(words, read(words, now_ms)) for words in level if len(words) <= LONGEST]
        planned = [(words, one) for words, one in tried if isinstance(one, Planned) and not (dropped and _lost(one, question))]
        if planned:
            words, first = planned[0]
            same = all((one.plan, one.schedule) == (first.plan, first.schedule) for _, one in planned)
            return Merged(words=words, planned=first) if same else None
        asked = [Merged(words=words, questions=one.questions) for words, one in tried if isinstance(one, Clarification)]
        if fewer := [one for one in asked if set(one.questions) < set(found.questions) and question not in one.questions]:
            return min(fewer, key=lambda one: len(one.questions))
        if not dropped:  # what is asked after words were dropped may be about the hole that they left
            narrower += [one for one in asked if _narrower(found, one)]
    return narrower[0] if narrower else None


def _lost(planned: Planned, question: Question) -> bool:
    """Whether a time that was said went with the words of a day: another stands in its place, which nobody said."""
    said = {source.origin for source in planned.sources if source.argument == "time"}
    return question.field == "date" and not said <= {"text", "step"}


def _narrower(found: Open, one: Merged) -> bool:
    """Another question about the same field, or what is asked next; nothing that was not understood."""
    new = {question.field for question in one.questions if question not in found.questions}
    return found.questions[0] not in one.questions and not new & NOT_UNDERSTOOD


def _levels(text: str, question: Question, answer: str) -> Iterator[list[str]]:
    """Ways to put it, those that drop fewer words first."""
    said = answer.strip().rstrip("!?").rstrip(". ") if question.field != "message" else answer.strip().replace('"', "'")
    doubt = _doubtful(text, question)
    if plain(answer) in LEAVE_OUT and question.field == "text":
        if doubt:
            yield [_tidy(text[: doubt[0]] + text[doubt[1] :])]
        return
    clauses = _clauses(question, said)
    if question.field not in WHOLE:
        yield [f"{_open_ended(text)} {clause}" for clause in clauses]
    if doubt is not None:
        for spans in _spans(text, doubt, whole=question.field in WHOLE):
            yield [_tidy(f"{text[:start]} {clause} {text[end:]}") for start, end in spans for clause in clauses]


def _clauses(question: Question, said: str) -> list[str]:
    known = ANSWERS.get((question.field, plain(said)))
    if known:
        return [known]
    leads = said.partition(" ")[0].casefold() in LEADS
    if leads and question.field != "message":
        return [said]
    return [form.format(a=said) for form in FORMS.get(question.field, ("{a}",))]


def _doubtful(text: str, question: Question) -> tuple[int, int] | None:
    """Where the words stand that the question quotes, if they stand there once."""
    quoted = _QUOTED.search(question.question)
    if quoted is None or text.count(quoted[1]) != 1:
        return None
    start = text.index(quoted[1])
    return start, start + len(quoted[1])


def _spans(text: str, doubt: tuple[int, int], *, whole: bool) -> Iterator[list[tuple[int, int]]]:
    """Runs of the words in doubt, the shorter ones first."""
    if whole:
        yield [doubt]
        return
    words = [(doubt[0] + found.start(), doubt[0] + found.end()) for found in re.finditer(r"\S+", text[doubt[0] : doubt[1]])]
    for length in range(1, min(len(words), 8) + 1):
        yield [(words[at][0], words[at + length - 1][1]) for at in range(len(words) - length + 1)]


def _open_ended(text: str) -> str:
    return text.rstrip(" .!?")


def _tidy(text: str) -> str:
    return re.sub(r"\s+([.,!?])", r"\1", " ".join(text.split()))
