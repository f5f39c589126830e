"""Documents that cannot rot: what is generated is up to date, and nothing is left out. test_named.py: what they name exists."""

import re
from pathlib import Path

from services.ingress.app import build_app as ingress_app
from shared.settings_table import updated
from tests.system.test_curls import CHAT, EXECUTE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "tests/README.md"]


def test_the_configuration_table_is_the_settings() -> None:
    """`python -m shared.settings_table` writes it."""
    text = (ROOT / "docs/settings.md").read_text(encoding="utf8")

    assert updated(text) == text


def test_every_route_of_ingress_is_on_the_page_of_endpoints() -> None:
    """A route that nobody is told of does not exist."""
    page = (ROOT / "docs/endpoints.md").read_text(encoding="utf8")
    page = re.sub(r"\{\w+\}", "*", page)
    for route in ingress_app().routes:
        path = re.sub(r"\{\w+(:path)?\}", "*", getattr(route, "path", ""))
        last = path.rstrip("/").rsplit("/", 1)[-1]

        assert path in page or (last != "*" and f"/{last}" in page), path


def test_every_page_is_in_the_table_of_the_readme() -> None:
    """A page that nobody is led to is not read."""
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert sorted(page for page in pages if f"]({page})" not in readme) == []


def test_the_readme_shows_the_guides_examples_to_the_letter() -> None:
    """The very texts that the system tests run."""
    readme = (ROOT / "README.md").read_text(encoding="utf8")

    assert EXECUTE in readme
    assert CHAT in readme
