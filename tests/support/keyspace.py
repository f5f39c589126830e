"""`docs/keyspace.md` as data: which keys there may be, of which type, and whether they end by themselves."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

DOC = Path(__file__).parents[2] / "docs" / "keyspace.md"
_PARTS = {
    "pp": r"(?P<pp>[0-3][0-9a-f])",
    "execution": r"exe_(?P=pp)_[0-9a-f]{32}",
    "schedule": r"sch_(?P=pp)_[0-9a-f]{32}",
    "tenant": r"[^{}]+",
    "hash": r"[0-9a-f]{32}",
    "nonce": r"[0-9a-f]{32}",
    "place": r"[0-9a-f]+",
    "cell": r"\d+",
    "hh": r"[0-3][0-9a-f]",
    "tool": r"[^{}]+",
    "server": r"[a-z][a-z0-9_-]*",
    "tag": r"[^{}]+",
    "message": r"\w+",
}


class Documented(NamedTuple):
    """One row of the table of keys."""

    pattern: re.Pattern[str]
    shown: str
    type: str
    function: str
    written: str
    ends: str


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    text = DOC.read_text(encoding="utf8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def _pattern(shown: str) -> re.Pattern[str]:
    parts = re.split(r"<(\w+)>", shown)
    return re.compile("".join(_PARTS[part] if number % 2 else re.escape(part) for number, part in enumerate(parts)))


def documented() -> list[Documented]:
    """The table of keys."""
    found = []
    for shown, kind, function, written, ends in rows("Keys"):
        name = shown.strip("`")
        found.append(Documented(_pattern(name), name, kind, function.strip("`"), written, ends))
    return found


def fields() -> list[re.Pattern[str]]:
    """The fields of a record."""
    names = [name.strip("` ") for row in rows("Fields of the record") for name in row[0].split(",")]
    return [_pattern(name) for name in names]


def row_of(name: str) -> Documented:
    """The one row that a key belongs to."""
    found = [row for row in documented() if row.pattern.fullmatch(name)]
    assert len(found) == 1, f"{name!r} is documented {len(found)} times in docs/keyspace.md"
    return found[0]


def clear(port: int) -> None:
    """Nothing is on the server."""
    with Redis(port=port) as client:
        client.flushall()


def check(port: int) -> None:
    """Every key on the server is documented, of the type it is documented with, and ends as it says there."""
    with Redis(port=port, decode_responses=True) as client:
        _check(client)


def _check(client: Any) -> None:
    known = fields()
    for name in client.scan_iter(count=1000):
        row = row_of(name)
        assert client.type(name) == row.type, f"{name} is a {client.type(name)}, documented as {row.type}"
        if not (
            row.function == "record" and client.hexists(name, "buried")
        ):  # a tombstone ends by itself; tests/lua/test_forbid.py
            ends = row.ends.startswith("TTL")
            assert (client.pttl(name) >= 0) == ends, f"{name}: time to live {client.pttl(name)}, {row.ends!r}"
        if row.function == "record":
            for field in client.hkeys(name):
                assert any(one.fullmatch(field) for one in known), f"field {field!r} of {name} is not documented"
