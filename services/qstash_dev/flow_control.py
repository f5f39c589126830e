"""Flow control as it is written in a publish: `parallelism=3, rate=4, period=2s`, in any order. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from services.qstash_dev import durations
from services.qstash_dev.durations import DAY_MS, SECOND_MS
from shared.errors import BadRequest

HEADER = "Upstash-Flow-Control-Value"


class Limits(NamedTuple):
    """A key's limits; 0 is none. The period belongs to the rate and is 1 s by default."""

    key: str = ""
    parallelism: int = 0
    rate: int = 0
    period_s: int = 1

    @property
    def value(self) -> str:
        """The header that would say this again."""
        parts = {"parallelism": self.parallelism, "rate": self.rate}
        return ", ".join([*(f"{name}={number}" for name, number in parts.items() if number), f"period={self.period_s}s"])


def parse(single: Mapping[str, str]) -> Limits:
    """The limits these options ask for. A limit that cannot be read must not be no limit: BadRequest."""
    key, text = single.get("upstash-flow-control-key", ""), single.get("upstash-flow-control-value", "")
    if not key and not text:
        return Limits()
    values = dict(_value(part) for part in text.split(",") if part.strip())
    if not key or not values.keys() & {"parallelism", "rate"}:
        raise BadRequest(
            f"flow control needs both Upstash-Flow-Control-Key and -Value with parallelism=<n> or rate=<n>, not {text!r}"
        )
    return Limits(
        key,
        number("parallelism", values.get("parallelism")),
        number("rate", values.get("rate")),
        period_s(values.get("period", "1s")),
    )


def number(name: str, text: str | None) -> int:
    """A limit, 0 when it is not given."""
    if text is None:
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise BadRequest(f"invalid flow control: {name}={text!r} is not a whole number from 1")
    return int(text)


def period_s(text: str) -> int:
    """A period, 1 second to 7 days."""
    try:
        milliseconds = durations.parse_ms(text)
    except ValueError as error:
        raise BadRequest(f"invalid {HEADER}: {error}") from error
    if not SECOND_MS <= milliseconds <= 7 * DAY_MS:
        raise BadRequest(f"invalid {HEADER}: a period is 1 second to 7 days")
    return milliseconds // SECOND_MS


def _value(part: str) -> tuple[str, str]:
    name, sign, value = (word.strip() for word in part.partition("="))
    if sign != "=" or name not in {"parallelism", "rate", "period"}:
        raise BadRequest(f"invalid {HEADER} {part.strip()!r}: parallelism=, rate= or period= is expected")
    return name, value
