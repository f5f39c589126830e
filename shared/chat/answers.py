"""Putting an answer to the words it belongs to.

An answer is said like a further clause ("for 2", "at 7pm"); where the question quotes words that were in doubt, it may take the
place of some of them. Of all ways in which it can be put, those that drop the fewest words are tried first; what is planned in
two ways that differ is planned in none.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from shared.chat.model import Open, Read
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
_WHEN: Final = frozenset({"date", "time", "start"})
KEPT: Final = {"date": _WHEN, "time": _WHEN, "party_size": frozenset({"party_size"})}
"""Arguments that have to come from words still, when an answer has taken the place of some."""
MOST_CHARACTERS: Final = 20_000
"""Of all ways that are tried together: reading 1,000 takes 10 ms and more at worst, and others wait meanwhile."""
_CLOCK: Final = re.compile(r"(?:(?:at|around|about|by) )?\d{1,2}(?:[:.]\d{2})?")
"""Words that say a time and nothing else."""
_QUOTED: Final = re.compile(r'"([^"]+)"')


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The words with the answer in them."""

    words: str
    planned: Planned | None = None
    questions: tuple[Question, ...] = ()
    """What is still asked, if it is no plan yet."""
    clause: str = ""
    """How the answer was said."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to put an answer to the words."""

    words: str
    clause: str = ""
    dropped: str = ""
    """Words whose place it took. None are dropped of what is replaced as a whole."""


def merge(found: Open, answer: str, read: Read, now_ms: int) -> Merged | None:
    """The words of `found` with an answer to its first question in them; None if there is not exactly one way."""
    narrower: list[Merged] = []
    left = MOST_CHARACTERS
    for level in _levels(found.text, found.questions[0], answer):
        left -= sum(len(way.words) for way in level)
        if left < 0:
            break
        best = _best(found, level, read, now_ms, narrower)
        if best is not None:
            return best if best.planned or best.questions else None
    return _displaced(found, narrower, read, now_ms) or (narrower[0] if narrower else None)


def _best(found: Open, level: Sequence[Way], read: Read, now_ms: int, narrower: list[Merged]) -> Merged | None:
    """What comes of the ways of one level; empty if they differ. What is only asked more narrowly is put by."""
    tried = [(way, read(way.words, now_ms)) for way in level]
    planned = [(way, one) for way, one in tried if isinstance(one, Planned) and not _lost(one, way, found.questions[0])]
    if planned:
        (way, first), *others = planned
        same = all((one.plan, one.schedule) == (first.plan, first.schedule) for _, one in others)
        return Merged(words=way.words, planned=first if same else None)
    # Whether something was lost with words that were dropped shows in a plan only.
    kept = [(way, one) for way, one in tried if isinstance(one, Clarification) and not way.dropped]
    asked = [Merged(words=way.words, clause=way.clause, questions=one.questions) for way, one in kept]
    fewer = [one for one in asked if set(one.questions) < set(found.questions) and found.questions[0] not in one.questions]
    narrower += [one for one in asked if _narrower(found, one)]
    return min(fewer, key=lambda one: len(one.questions)) if fewer else None


def _displaced(found: Open, narrower: Sequence[Merged], read: Read, now_ms: int) -> Merged | None:
    """With the answer in place of the words that contradict it, as the planner itself names them ("today tomorrow")."""
    for one in narrower:
        quoted = _QUOTED.search(one.questions[0].question)
        rest = quoted[1].replace(one.clause, "", 1).strip() if quoted and one.clause in quoted[1] else ""
        if not rest or one.questions[0].field != found.questions[0].field or found.text.count(rest) != 1:
            continue
        words = _tidy(found.text.replace(rest, one.clause))
        best = _best(found, [Way(words=words, clause=one.clause)], read, now_ms, [])
        if best is not None:
            return best
    return None


def _lost(planned: Planned, way: Way, question: Question) -> bool:
    """Whether something that was said went with the words that were dropped: a rule or the profile stands in its place now."""
    if not way.dropped or (question.field == "time" and _CLOCK.fullmatch(way.dropped)):
        return False
    kept = KEPT.get(question.field, frozenset())
    return any(one.argument in kept and one.origin in {"rule", "profile"} for one in planned.sources)


def _narrower(found: Open, one: Merged) -> bool:
    """Another question about the same field, or what is asked next; nothing that was not understood."""
    new = {question.field for question in one.questions if question not in found.questions}
    return found.questions[0] not in one.questions and not new & NOT_UNDERSTOOD


def _levels(text: str, question: Question, answer: str) -> Iterator[list[Way]]:
    """Ways to put it, those that drop fewer words first."""
    said = answer.strip().rstrip("!?").rstrip(". ") if question.field != "message" else answer.strip().replace('"', "'")
    doubt = _doubtful(text, question)
    if plain(answer) in LEAVE_OUT and question.field == "text":
        if doubt:
            yield [Way(words=_tidy(text[: doubt[0]] + text[doubt[1] :]))]
        return
    clauses, whole = _clauses(question, said), question.field in WHOLE
    if not whole:
        if doubt is not None:
            yield [Way(words=_tidy(f"{text[: doubt[1]]} {one} {text[doubt[1] :]}"), clause=one) for one in clauses]
        yield [appended(text, one) for one in clauses]
    if doubt and whole:
        yield [Way(words=_tidy(f"{text[: doubt[0]]} {one} {text[doubt[1] :]}"), clause=one) for one in clauses]
    elif doubt:
        yield from replaced(text, doubt, clauses)


def appended(text: str, clause: str) -> Way:
    """With a clause behind the words."""
    return Way(words=f"{_open_ended(text)} {clause}", clause=clause)


def replaced(text: str, doubt: tuple[int, int], clauses: Sequence[str]) -> Iterator[list[Way]]:
    """With one of the clauses in place of a few of the words from `doubt[0]` to `doubt[1]`, fewer words first."""
    for spans in _spans(text, doubt):
        yield [
            Way(words=_tidy(f"{text[:start]} {one} {text[end:]}"), clause=one, dropped=text[start:end])
            for start, end in spans
            for one in clauses
        ]


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


def _spans(text: str, doubt: tuple[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Runs of the words in doubt, the shorter ones first."""
    words = [(doubt[0] + found.start(), doubt[0] + found.end()) for found in re.finditer(r"\S+", text[doubt[0] : doubt[1]])]
    for length in range(1, min(len(words), 8) + 1):
        yield [(words[at][0], words[at + length - 1][1]) for at in range(len(words) - length + 1)]


def _open_ended(text: str) -> str:
    return text.rstrip(" .!?")


def _tidy(text: str) -> str:
    return re.sub(r"\s+([.,!?])", r"\1", " ".join(text.split()))
