"""What an endpoint hands over, and what that costs: apart from it, so that whoever asks need not import its SDK."""

from math import ceil
from typing import Any

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A model's text, and what it cost."""

    text: str
    tokens: int
    """Asked and answered together,"""
    asked: int = 0
    """of which the question is so many."""
    detail: dict[str, Any]
    """For the history: which model, which request, how long."""
    cut: bool = False
    """It stopped at the limit of tokens."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a million tokens cost, in the unit that an installation counts in."""

    asked: float = 0
    answered: float = 0

    def micro(self, tokens: int, asked: int) -> int:
        """What a call costs in millionths of the unit, rounded up; `asked` of its tokens are the question."""
        question = min(asked, tokens)
        return ceil(question * self.asked + (tokens - question) * self.answered)
