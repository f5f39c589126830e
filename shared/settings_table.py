"""Writes the table of docs/settings.md from the settings: `python -m shared.settings_table`."""

import re
import sys
from pathlib import Path

from shared.settings import table

PAGE = Path(__file__).parents[1] / "docs/settings.md"
_PLACE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def updated(text: str) -> str:
    """The page's text with the table as it should be."""
    return _PLACE.sub(lambda match: f"{match[1]}{table()}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf8")), encoding="utf8")
    sys.exit(0)
