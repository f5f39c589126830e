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
    assert said(f"{place}: give another", OPTIONS) == f"{shown}: give another"


def test_a_value_of_the_query_is_shown_with_its_option() -> None:
    """As it was given."""
    assert said("status='X': no", OPTIONS) == "--status='X': no"


@pytest.mark.parametrize(
    "message",
    [
        "$.note: too long",
        "$: no",
        "limit=abc: give a number",
        "the body is empty: send --cron",
        "$.cronology: no",
        "Content-Type is missing: send application/json",
        "there is no step 'cron': no",
    ],
)
def test_what_no_option_gave_stays_as_it_was_said(message: str) -> None:
    """A wrong name would send people astray."""
    assert said(message, OPTIONS) == message


def test_nothing_is_translated_where_no_verb_runs() -> None:
    """Tools of an MCP server have no options."""
    assert said("$.cron: no", ()) == "$.cron: no"
