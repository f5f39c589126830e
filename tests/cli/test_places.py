"""The places that ingress names, as the options that they came from."""

import pytest

from shared.cli.places import said

OPTIONS = {"--cron", "--timezone", "--status", "--created-after", "--id", "--user", "--plan", "--args", "words", "step"}


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("$.cron", "--cron"),
        ("$.context.timezone", "--timezone"),
        ("$.filter.status[0]", "--status"),
        ("status[0]", "--status"),
        ("$.filter.createdAfter", "--created-after"),
        ("$.filter.ids[2]", "--id"),
        ("$.userId", "--user"),
        ("$.intent", "WORDS"),
        ("$.step", "STEP"),
        ("$.plan.steps[1].tool", "--plan at steps[1].tool"),
        ("$.args.date", "--args at date"),
    ],
)
def test_a_place_is_shown_as_the_option_that_it_came_from(place: str, shown: str) -> None:
    """What lies deeper in it stays."""
    assert said(f"{place}: give another", place, OPTIONS) == f"{shown}: give another"


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("$.note: too long", "$.note"),
        ("$.cron: no", None),
        ("$: no", "$"),
        ("limit=abc: give a number", "limit"),
        ("the body is empty", "$.cron"),
        ("$.cronology: no", "$.cron"),
        ("Content-Type is missing", "Content-Type"),
    ],
)
def test_what_no_option_gave_stays_as_it_was_said(message: str, place: str | None) -> None:
    """A wrong name would send people astray."""
    assert said(message, place, OPTIONS) == message


def test_nothing_is_translated_where_no_verb_runs() -> None:
    """Tools of an MCP server have no options."""
    assert said("$.cron: no", "$.cron", ()) == "$.cron: no"
