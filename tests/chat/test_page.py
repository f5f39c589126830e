"""The page on the chat says what is so: each of its examples is asked about, answered and planned as it is written there."""

import re
from pathlib import Path

import pytest

from shared.chat.model import Ask, Begin
from tests.chat.support import after

PAGE = (Path(__file__).parents[2] / "docs/chat.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| (?!said|kind|---|`)([^|]+) \| ([^|]+) \| ([^|`]+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_examples() -> None:
    """Some."""
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("said", "answer", "planned"), EXAMPLES)
def test_an_example_is_asked_about_and_planned_as_it_is_written(said: str, answer: str, planned: str) -> None:
    """Word for word."""
    assert isinstance(after(said), Ask)
    found = after(said, answer)
    assert isinstance(found, Begin)
    assert found.words == planned
