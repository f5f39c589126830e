"""The corpus: how many sentences are read as they were meant, and that none is read otherwise without a question."""

import pytest

from shared.planner import Planned
from tests.planner.corpus import Row, Verdict, answer, judge, rows
from tests.planner.validator import accepted

ROWS = list(rows())
FLOOR = 0.95
"""Of a third that was not looked at."""


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """Every sentence, judged."""
    return [judge(row) for row in ROWS]


def test_the_corpus_is_large_and_varied() -> None:
    """At least 300 sentences, none of them twice, about everything there is; a third is held back."""
    assert len(ROWS) >= 300
    assert len({row.text for row in ROWS}) == len(ROWS)
    held = sum(row.held_back for row in ROWS)
    assert 0.28 <= held / len(ROWS) <= 0.39
    tools = {step.get("tool") for row in ROWS for step in row.label.get("steps", ())}
    assert tools == {
        None, "find_table", "reserve_table", "book_ride", "send_message", "create_calendar_event", "get_weather",
        "search_restaurants",
    }  # fmt: skip


def test_no_wrong_plan_is_accepted(verdicts: list[Verdict]) -> None:
    """Asking is not wrong."""
    assert [verdict.row.text for verdict in verdicts if verdict.outcome == "wrong"] == []


@pytest.mark.parametrize("held_back", [False, True], ids=["worked with", "held back"])
def test_most_sentences_are_fully_right(verdicts: list[Verdict], *, held_back: bool) -> None:
    """Every argument of every step as labelled, or the labelled question."""
    part = [verdict for verdict in verdicts if verdict.row.held_back is held_back]
    right = sum(verdict.outcome == "right" for verdict in part)
    assert right / len(part) >= FLOOR


@pytest.mark.parametrize("row", [row for row in ROWS if "steps" in row.label], ids=lambda row: row.text[:60])
def test_what_is_planned_is_accepted(row: Row) -> None:
    """By the validator, with every tool's schema and the order of effects."""
    found = answer(row)
    if not isinstance(found, Planned):
        return  # asked, and counted above
    assert len(accepted(found).steps) == len(found.plan["steps"])
