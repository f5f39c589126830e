"""docs/promises.md: eleven promises, each proved by tests that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.durability import WEAKENED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf8")
ROWS = {int(line.split("|")[1]): line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)}
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", PAGE)))
PROMISES = 11


def defined(tree: ast.AST, prefix: str) -> Iterator[str]:
    """`path::test` and `path::Class::test` of what pytest would collect."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from defined(node, f"{prefix}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{prefix}::{node.name}"


def test_every_promise_has_its_row_and_a_test() -> None:
    """In order, and with nothing left open."""
    assert list(ROWS) == list(range(1, PROMISES + 1))
    for cells in ROWS.values():
        assert len(cells) == 6
        assert all(cell.strip() for cell in cells)
        assert "`tests/" in cells[-1]


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_exists(name: str) -> None:
    """By path, class and function."""
    path = name.partition("::")[0]
    assert name in set(defined(ast.parse((ROOT / path).read_text(encoding="utf8")), path))


def test_what_is_said_at_the_start_is_what_the_page_says() -> None:
    """What a service names as weakened is what needs the disk; limits do too, and are told of on the page only."""
    needy = {number for number, cells in ROWS.items() if "on disk" in cells[3]}
    assert needy == {int(text.split()[0]) for text in WEAKENED} | {8}
