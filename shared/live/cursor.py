"""A reader's place in a tenant's feed, as a short text: what it has been told of every partition. Pure.

Of most partitions one time is enough: everything that is a minute older than the latest news was told long ago. Only
what was told within that minute is named place by place.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

import msgspec

from shared.redisdb import keys

Told = tuple[int, int, int]
"""An entry of the news, `<ms>-<n>`, and how many of its lines were told; 0: all of them."""
Entry = tuple[int, int, int, int]
SETTLED_MS: Final = 60_000
LONGEST: Final = 4_096
_NUMBERS: Final = msgspec.msgpack.Decoder(list[int])
_PARTITIONS: Final = keys.all_partitions()
_NUMBER: Final = {partition: number for number, partition in enumerate(_PARTITIONS)}


class Cursor(msgspec.Struct, frozen=True):
    """Told: everything up to `<floor_ms>-0`, and in the partitions named in `at` everything up to there."""

    floor_ms: int
    at: Mapping[str, Told]

    def behind(self, partition: str) -> Told:
        """The latest place in this partition that was told."""
        return max(self.at.get(partition, (0, 0, 0)), (self.floor_ms, 0, 0))


def text(cursor: Cursor) -> str:
    """As it goes over the wire."""
    later = [(one, told) for one, told in cursor.at.items() if told[:2] > (cursor.floor_ms, 0)]
    return packed(cursor.floor_ms, [entry(one, told, cursor.floor_ms) for one, told in later])


def entry(partition: str, told: Told, floor_ms: int) -> Entry:
    """A partition's part of the text, where its place is later than the floor."""
    ms, n, lines = told
    return _NUMBER[partition], ms - floor_ms, n, lines


def packed(floor_ms: int, entries: Iterable[Entry]) -> str:
    """The text of a floor and such parts. A feed keeps the parts: it makes a cursor for every event."""
    numbers = [floor_ms, *chain.from_iterable(entries)]
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(numbers)).rstrip(b"=").decode()


def read(said: str) -> Cursor | None:
    """The cursor that was given; None for what is none."""
    try:
        raw = base64.b64decode(said[:LONGEST] + "=" * (-len(said) % 4), altchars=b"-_", validate=True)
        floor_ms, *rest = _NUMBERS.decode(raw)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return None
    parts = [rest[at : at + 4] for at in range(0, len(rest), 4)]
    if len(rest) % 4 or any(part[0] not in range(len(_PARTITIONS)) or min(part) < 0 for part in parts):
        return None
    return Cursor(floor_ms, {_PARTITIONS[number]: (floor_ms + ms, n, lines) for number, ms, n, lines in parts})
