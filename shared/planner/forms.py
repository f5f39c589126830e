"""The patterns of domains, compiled once from their rows. No pattern crosses a BLANK."""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from shared.planner import grammar, lexicon
from shared.planner.domain import Detail, Domain
from shared.planner.grammar import BEGIN, END, any_of, rule

_NEVER: Final = re.compile(r"(?!)")


class DetailForms:
    """How one detail is written."""

    def __init__(self, detail: Detail) -> None:
        """`detail`: a row's detail."""
        self.after = rule(rf"{BEGIN}{any_of(detail.after)}\s+") if detail.after else _NEVER
        self.known = rule(rf"(?:the\s+)?{any_of(detail.known)}{END}") if detail.known else None
        self.alone = rule(rf"{BEGIN}{any_of(detail.alone)}{END}") if detail.alone else _NEVER
        self.unread = rule(rf"{BEGIN}{any_of(detail.after)}\s+([^\W\d_][\w' -]*)") if detail.after else _NEVER
        values = [word for word, _ in detail.values]
        nouns = rf"(?:\s+{any_of(detail.nouns)})?" if detail.nouns else ""
        at_a = r"(?:(?:at|in)\s+(?:an?|some)\s+)?" if nouns else ""
        self.choice = rule(rf"{BEGIN}{at_a}(?P<value>{any_of(values)}){nouns}{END}") if values else _NEVER


class Forms:
    """How the requests of one domain are written."""

    def __init__(self, domain: Domain) -> None:
        """`domain`: a row."""
        self.noun = _words(domain.nouns)
        self.noun_before = rule(rf"{BEGIN}{any_of(domain.nouns)}\s+") if domain.nouns else _NEVER
        self.verb = _words((*domain.verbs, *domain.looks))
        self.doing = _words(domain.verbs)
        self.look = _words(domain.looks)
        self.does = _words(domain.does)
        self.empty = _words(domain.empty)
        self.details = {detail.name: DetailForms(detail) for detail in domain.details}


def _words(words: Sequence[str]) -> re.Pattern[str]:
    return rule(rf"{BEGIN}{any_of(words)}{END}") if words else _NEVER


@lru_cache(maxsize=64)
def forms_of(domain: Domain) -> Forms:
    """The patterns of a row."""
    return Forms(domain)


class Book:
    """The domains of one reading: those whose tools are there."""

    def __init__(self, domains: tuple[Domain, ...], tools: Collection[str] | None) -> None:
        """`tools`: the names of the registered ones; None for all that the rows name."""
        there = [row for row in domains if tools is None or row.tools <= set(tools)]
        self.missing = frozenset(row.name for row in domains) - {row.name for row in there}
        chosen = {row.name: row for row in reversed(domains)} | {row.name: row for row in reversed(there)}
        self.domains = tuple(chosen[name] for name in dict.fromkeys(row.name for row in domains))
        self.things = {noun: row.name for row in self.domains if row.label for noun in row.nouns if " " not in noun}
        self.connector = _connector([noun for row in self.domains if row.beside for noun in row.nouns])

        speakers = [row for row in self.domains if row.speaks]
        self.introducing = {word: self._openers(speakers, word) for word in ("", ":", *lexicon.BODY_INTRODUCERS)}
        self.speaking = _words([*lexicon.MESSAGE_VERBS, *(word for row in speakers for word in (*row.opens, *row.verbs))])

    def _openers(self, speakers: Sequence[Domain], word: str) -> re.Pattern[str]:
        details = [(row, row.detail("body")) for row in speakers]
        rows = [row for row, detail in details if word in ("", ":") or (detail is not None and word in detail.after)]
        return _words([opener for row in rows for opener in (*row.opens, *row.nouns)])

    def speaks_at(self, word: str) -> bool:
        """Whether a request of literal words may begin with this word."""
        return self.speaking.fullmatch(word) is not None

    def of(self, name: str) -> Domain:
        """The row of a name."""
        return next(row for row in self.domains if row.name == name)

    def opening(self, words: Sequence[str]) -> Domain | None:
        """The domain of literal words that a fragment with these words opens."""
        return next((row for row in self.domains if row.speaks and words and words[0] in row.opens), None)

    def begins(self, words: Sequence[str]) -> bool:
        """Whether these words may begin a request."""
        if not words:
            return False
        first = words[0]
        return (
            any(first in row.opens or first in row.looks or first in row.verbs or first in row.nouns for row in self.domains)
            and first not in lexicon.WEAK_VERBS
        )


@lru_cache(maxsize=16)
def book_of(domains: tuple[Domain, ...], tools: frozenset[str] | None) -> Book:
    """The same book for the same rows and tools."""
    return Book(domains, tools)


def _connector(beside: Sequence[str]) -> re.Pattern[str]:
    """Where one request may end and the next begin. A dot counts only at the end of a sentence, and not in "p.m."."""
    joined = rf"|\s+with(?=\s+(?:an?\s+)?{any_of(beside)}\b)\s*" if beside else ""
    return rule(grammar.CONNECTING + joined)
