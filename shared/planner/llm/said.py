"""What an endpoint hands over: apart from it, so that whoever asks need not import its SDK."""

from typing import Any

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A model's text, and what it cost."""

    text: str
    tokens: int
    detail: dict[str, Any]
    """For the history: which model, which request, how long."""
    cut: bool = False
    """It stopped at the limit of tokens."""
