"""The page on the planner says what is so: each of its examples is planned, or asked about, as it is written there."""

import re
from pathlib import Path

import pytest

from shared.planner import Clarification, Planned, Profile, plan_text
from shared.planner.domains import DOMAINS
from tests.planner.corpus import NOW, USER, judge, rows
from tests.planner.report import summary

PAGE = (Path(__file__).parents[2] / "docs/planner.md").read_text(encoding="utf-8")
PLANNED = re.findall(r"^\| (?!words|---)([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
ASKED = re.findall(r"^\| (?!words|---)([^|]+) \| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_examples() -> None:
    """Of both kinds."""
    assert len(PLANNED) >= 15
    assert len(ASKED) >= 15


@pytest.mark.parametrize(("words", "summary"), PLANNED)
def test_an_example_is_planned_as_it_is_written(words: str, summary: str) -> None:
    """Word for word."""
    found = plan_text(words, profile=USER, now=NOW)
    assert isinstance(found, Planned), found
    assert found.summary == summary


@pytest.mark.parametrize(("words", "fields", "question"), ASKED)
def test_an_example_is_asked_about_as_it_is_written(words: str, fields: str, question: str) -> None:
    """Every field, and the first question word for word."""
    found = plan_text(words, profile=USER, now=NOW)
    assert isinstance(found, Clarification), found
    assert [one.field for one in found.questions] == re.findall(r"`(\w+)`", fields)
    assert found.questions[0].question == question


def test_the_numbers_are_those_of_the_report() -> None:
    """To the tenth."""
    verdicts = [judge(row) for row in rows()]
    for name, held_back in (("worked with", False), ("held back", True)):
        part = [verdict for verdict in verdicts if verdict.row.held_back is held_back]
        assert f"\n{name}: {summary(part)}\n" in PAGE


def test_every_domain_and_every_field_of_a_profile_is_named() -> None:
    """A new one has to be told of."""
    assert [row.name for row in DOMAINS if row.name not in PAGE] == []
    assert [name for name in Profile.__struct_fields__ if f"`{name}`" not in PAGE] == []
