"""Moments as people and systems write them. The one module of the machine that knows a calendar, and it asks no clock."""

from datetime import UTC, datetime
from typing import Any


def unix_ms(value: Any) -> int | None:
    """Unix ms of a number that is one, or of a time with its offset (RFC 3339); None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment is not None and moment.tzinfo else None


def written(ms: int) -> str:
    """Unix ms for people: `2026-05-01T19:00:00.000+00:00`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
