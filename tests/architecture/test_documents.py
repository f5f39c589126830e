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
    text = (ROOT / "README.md").read_text(encoding="utf8")

    assert updated(text) == text


def test_every_route_of_ingress_is_in_the_readme() -> None:
    """A route that nobody is told of does not exist."""
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    readme = re.sub(r"\{\w+\}", "*", readme)
    for route in ingress_app().routes:
        path = re.sub(r"\{\w+(:path)?\}", "*", getattr(route, "path", ""))
        last = path.rstrip("/").rsplit("/", 1)[-1]

        assert path in readme or (last != "*" and f"/{last}" in readme), path


def test_the_readme_shows_the_guides_examples_to_the_letter() -> None:
    """The very texts that the system tests run."""
    readme = (ROOT / "README.md").read_text(encoding="utf8")

    assert EXECUTE in readme
    assert CHAT in readme
