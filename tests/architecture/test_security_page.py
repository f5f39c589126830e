"""docs/security.md: each threat has what stops it and a test that proves it."""

import re

import pytest

from tests.support.project import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf8")
THREATS = [line.strip("|").split(" | ") for line in re.findall(r"^\| .*`tests/.*$", PAGE, re.MULTILINE)]


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0].strip()[:60])
def test_a_threat_is_stopped_by_something_that_a_test_proves(row: list[str]) -> None:
    """By path and name; tests/architecture/test_named.py looks whether there is such a test."""
    threat, stopped_by, proved_by = row
    assert threat.strip()
    assert stopped_by.strip()
    assert re.fullmatch(r"( ?`tests/[\w/]+\.py::test_\w+`)+ *", proved_by)


def test_every_row_of_the_threats_is_looked_at() -> None:
    """A row without a test is no row."""
    table = PAGE.split("\n## Threats\n")[1].split("\n## ")[0]
    assert len([line for line in table.splitlines() if line.startswith("| ")]) - 2 == len(THREATS) >= 20


def test_no_address_of_anybody_is_on_the_page() -> None:
    """Reports go to the place where the repository is hosted."""
    assert re.findall(r"[\w.+-]+@[\w-]+\.\w+", PAGE) == []
