"""One message of a conversation with all that it comes with, and what is answered to it."""

from typing import Any

import msgspec

from services.ingress.edge import Deps
from shared.chat.model import Talk
from shared.redisdb.talks import Kept
from shared.requests import Context, Execute


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message, with all that it comes with."""

    deps: Deps
    tenant: str
    user: str
    words: str
    context: Context
    confirm: bool
    key: str
    hash: str
    conversation: str
    kept: Kept
    by: str
    streams: bool

    def zoned(self, timezone: str = "") -> "Turn":
        """With the time zone in which the words that it answers were said, unless it brings its own."""
        found = self.kept.talk.open
        zone = self.context.timezone or timezone or (found.timezone if found else "")
        return msgspec.structs.replace(self, context=msgspec.structs.replace(self.context, timezone=zone))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what is remembered after it."""

    body: dict[str, Any]
    talk: Talk
    status: int = 200
    place: str = ""
    asked: Execute | None = None
    """What was begun."""
    execution: str = ""
    """Which a stream goes on to tell of,"""
    after: str = "-"
    """from behind this line of its history."""


def said(
    turn: Turn, kind: str, text: str, more: dict[str, Any] | None = None, *, talk: Talk | None = None, status: int = 200
) -> Reply:
    """An answer in words, with what it is about. `talk`: what is remembered, if that changes."""
    body = {"conversationId": turn.conversation, "kind": kind, "text": text} | (more or {})
    return Reply(body=body, talk=turn.kept.talk if talk is None else talk, status=status)
