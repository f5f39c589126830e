"""The town's page: plain HTML made on the server, readable on a phone. Pure, and everything in it is escaped."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from typing import Final, NamedTuple

import msgspec

from examples.town.kinds import CANCELLATION, JOB, LETTER, MESSAGE, RESERVATION, RIDE, Kind, Row
from examples.town.knobs import Board, Knobs
from examples.town.store import Listing

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #666; --done: #17803d; --undone: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --soft: #aaa; --done: #5fd38a; --undone: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { margin: 0; } h2 { margin: 2rem 0 .5rem; } h2 small, .soft { color: var(--soft); font-weight: normal; }
ul { list-style: none; margin: 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: .6rem 0; overflow-wrap: anywhere; }
li p { margin: 0; } .words { white-space: pre-wrap; }
.status { float: right; margin-left: 1rem; font-weight: 600; color: var(--done); } .undone .status { color: var(--undone); }
.undone .words { text-decoration: line-through; }
.soft { font-size: .8rem; }
.banner { border: 2px solid var(--undone); border-radius: .5rem; padding: .75rem 1rem; margin: 1rem 0; }
"""
STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_TITLES: Final = {
    RESERVATION.name: "Reservations",
    RIDE.name: "Rides",
    MESSAGE.name: "Messages sent",
    JOB.name: "Jobs",
    LETTER.name: "Letters",
    CANCELLATION.name: "Cancellations",
}
_WORDS: Final = {
    RESERVATION.name: "{restaurant}, table for {party_size}, {date} {time}, {name}",
    RIDE.name: "{pickup} → {destination}, car for {passengers}, {date} {time}",
    MESSAGE.name: "{channel} to {to}: {text}",
    JOB.name: "{label} ({seconds:g} s)",
    LETTER.name: "To {to}: {text}",
    CANCELLATION.name: "{what} {reference}",
}


class Section(NamedTuple):
    """One kind's newest rows."""

    kind: Kind
    listing: Listing


def render(sections: list[Section], board: Board) -> str:
    """The whole page; it says that no phone network is behind the messages."""
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Town</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><header><h1>Town</h1>"
        "<p>A small partner service. What is listed here happened in the town itself: "
        "a message that was sent is readable here and went to no phone.</p></header>"
        f"{_banner(board)}<main>{body}</main></body></html>"
    )


def _banner(board: Board) -> str:
    if not board.on:
        return ""
    usual = msgspec.structs.asdict(Knobs())
    turned = ((name, value) for name, value in msgspec.structs.asdict(board.knobs).items() if value != usual[name])
    told = ", ".join(f"{name} {value}" for name, value in turned)
    return f'<div class="banner" role="status"><strong>Fault knobs are on.</strong> {escape(told)}</div>'


def _section(section: Section) -> str:
    kind, (rows, total) = section
    newest = f", newest {len(rows)}" if total > len(rows) else ""
    items = "".join(_item(kind, row) for row in rows) or '<li class="soft">None yet.</li>'
    return f"<section><h2>{_TITLES[kind.name]} <small>{total}{newest}</small></h2><ul>{items}</ul></section>"


def _item(kind: Kind, row: Row) -> str:
    standing = "" if row["status"] == kind.done else ' class="undone"'
    at = datetime.fromtimestamp(row["created_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = escape(_WORDS[kind.name].format_map(row))
    footnote = escape(f"{row[kind.id_field]} · key {row['key'] or 'forgotten'} · {at}")
    status = f'<span class="status">{row["status"]}</span>'
    return f'<li{standing}>{status}<p class="words">{words}</p><p class="soft">{footnote}</p></li>'
