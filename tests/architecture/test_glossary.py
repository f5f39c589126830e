"""docs/glossary.md: every word is used somewhere else, stands there once, and what an execution may wait for is among them."""

import re
from functools import cache

import pytest

from shared.machine.plan import Effect
from shared.machine.status import Reason
from tests.architecture.test_documents import PAGES
from tests.support import project
from tests.support.project import ROOT

PAGE = ROOT / "docs/glossary.md"
ROWS = [line.strip("|").split(" | ", 1) for line in PAGE.read_text(encoding="utf8").splitlines()[6:] if line.startswith("| ")]
TERMS = [term.strip() for words, _ in ROWS for term in words.split(",")]


@cache
def elsewhere() -> str:
    """All sources and all other pages, in small letters."""
    pages = [path.read_text(encoding="utf8") for path in PAGES if path != PAGE]
    return "\n".join([project.sources(), *pages]).lower()


@pytest.mark.parametrize("term", TERMS)
def test_a_word_is_used_in_the_code_or_on_another_page(term: str) -> None:
    """A word that nobody uses is taken out, or the others are replaced by it."""
    pattern = r"[\s_-]+".join(map(re.escape, re.split(r"[\s-]", term)))
    assert re.search(rf"(?<![a-z]){pattern}(?:e?s|ed|ies)?(?![a-z])", elsewhere())


def test_one_word_has_one_meaning() -> None:
    """Each stands in one row, and every row says something."""
    assert sorted(TERMS) == sorted(set(TERMS))
    assert [words for words, meaning in ROWS if len(meaning.strip()) < 10] == []


def test_what_an_execution_waits_for_and_what_tools_promise_is_told() -> None:
    """By the names that people are shown."""
    text = PAGE.read_text(encoding="utf8")
    assert {reason.value for reason in Reason if reason} <= set(TERMS)
    assert [effect for effect in Effect if f"*{effect}*" not in text] == []
