"""Channel names with their qualifiers: `[?rewind=2m]orders` is the channel `orders` with a parameter. Pure."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from services.ably_dev.errors import Refused

MAX_NAME = 2_048
_QUALIFIED = re.compile(r"\[([^\]?]*)(?:\?([^\]]*))?\](.+)", re.DOTALL)


class Name(NamedTuple):
    """The channel under its qualifiers, and their parameters."""

    base: str
    params: dict[str, str]


def read(text: str) -> Name:
    """The parts of a channel's name; Refused (40010) for one that is none."""
    found = _QUALIFIED.fullmatch(text)
    base = found[3] if found else text
    if not base or len(base) > MAX_NAME or base[0] in "[:" or "\n" in base or (found and found[1]):
        raise Refused(40010, 400, f"{text[:200]!r} is not a channel name (or has a qualifier that ably_dev does not know)")
    return Name(base, dict(parse_qsl((found[2] or "") if found else "")))
