"""Writes the README's configuration table from the settings: `python -m shared.settings_table`."""

import re
import sys
from pathlib import Path

from shared.settings import table

README = Path(__file__).parents[1] / "README.md"
_PLACE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def updated(text: str) -> str:
    """The README's text with the table as it should be."""
    return _PLACE.sub(lambda match: f"{match[1]}{table()}\n{match[2]}", text)


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf8")), encoding="utf8")
    sys.exit(0)
