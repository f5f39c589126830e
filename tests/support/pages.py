"""What the pages of the documentation hold: fenced blocks, files to write, and whether an output is the one that is shown."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`([\w./-]+)`:\s*\Z")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file that the words before it tell the reader to write, if any."""

    language: str
    text: str
    file: str


def blocks(page: str) -> Iterator[Block]:
    """In the order of the page. "... Write `name`:" before a block makes it that file."""
    for found in _FENCE.finditer(page):
        before = page[: found.start()].rstrip()
        named = _FILE.search(before.rpartition("\n\n")[2])
        yield Block(found[1], found[2], named[1] if named else "")


def differs(shown: str, printed: str) -> str:
    """The first line of `shown` that is not in `printed` behind those before it; empty if all are.

    Blanks count once, and `…` stands for anything. What is printed between the lines is left out.
    """
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for wanted in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return ""
