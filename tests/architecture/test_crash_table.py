"""docs/architecture.md: the delays of its table of crashes are those of the code, and each row says all four things."""

import re

import pytest

from shared import ports, quota, relay, watchdog
from shared.redisdb import schedules
from shared.settings import Settings
from tests.support.project import ROOT

PAGE = (
    (ROOT / "docs/architecture.md")
    .read_text(encoding="utf8")
    .split("\n## What a crash at each point costs\n")[1]
    .split("\n## ")[0]
)
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"^\| .*\|$", PAGE, re.MULTILINE)][2:]
DEFAULTS = Settings()


def row(beginning: str) -> str:
    """The one row of who dies."""
    [found] = [" | ".join(cells) for cells in ROWS if cells[0].startswith(beginning)]
    return found


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0][:50])
def test_a_row_says_who_dies_what_is_stored_who_goes_on_and_what_it_costs(cells: list[str]) -> None:
    """Nothing is left open."""
    assert len(cells) == 4
    assert all(cells)


@pytest.mark.parametrize(
    ("dies", "says", "said_ms", "is_ms"),
    [
        ("ingress before `create`", "two minutes", 120_000, quota.PENDING_MS),
        ("ingress after `create`", "2 s", 2_000, ports.WATCH_MS),
        ("whoever publishes", "2 s", 2_000, relay.BACKOFF_MS[0]),
        ("executor after the end", "five minutes", 300_000, quota.LOOK_MS),
        ("who had claimed", "30 s", 30_000, schedules.CLAIM_MS),
        ("an archiver", "a minute", 60_000, ports.RETIRING_MS),
        ("a relay", "10 s", 10_000, relay.CLAIM_MS),
        ("QStash, with the message", "2 s", 2_000, watchdog.BASE_MS),
        ("QStash, with the message", "up to 5 min", 300_000, watchdog.MOST_MS),
    ],
)
def test_a_delay_of_the_table_is_that_of_the_code(dies: str, says: str, said_ms: int, is_ms: int) -> None:
    """Whoever changes the one changes the other."""
    assert says in row(dies)
    assert said_ms == is_ms


def test_a_lease_ends_when_the_page_says() -> None:
    """A second behind the limit of an invocation."""
    assert "`HARD_LIMIT_MS` + 1 s after its invocation began (11 s)" in PAGE
    assert DEFAULTS.lease_ms == DEFAULTS.hard_limit_ms + 1_000 == 11_000
