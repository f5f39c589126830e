"""Writes the table of docs/settings.md from the settings: `python -m shared.settings_table`."""

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path

from shared.settings import Settings
from shared.settings_load import table

PAGE = Path(__file__).parents[1] / "docs/settings.md"
_PLACE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def updated(text: str) -> str:
    """The page's text with the table as it should be."""
    return _PLACE.sub(lambda match: f"{match[1]}{explained()}\n{match[2]}", text)


def explained() -> str:
    """The table, each setting with what its field says of itself."""
    head, rule, *rows = table().splitlines()
    said = meanings()
    told = (f"{row} {said.get(row.split('`')[1].lower(), '')} |" for row in rows)
    return "\n".join([f"{head} meaning |", f"{rule} --- |", *told])


def meanings() -> dict[str, str]:
    """The docstrings of the fields, by name, as cells of a table."""
    [body] = [node.body for node in ast.parse(inspect.getsource(Settings)).body if isinstance(node, ast.ClassDef)]
    found: dict[str, str] = {}
    for field, behind in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(behind, ast.Expr):
            text = ast.literal_eval(behind.value)
            name = "secret_<name>" if field.target.id == "secrets" else field.target.id
            found[name] = " ".join(text.split()).replace("|", "\\|")
    return found


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf8")), encoding="utf8")
    sys.exit(0)
