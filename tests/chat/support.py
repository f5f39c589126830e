"""Conversations without a store: what each message means, and what is remembered after it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.chat.model import Ask, Begin, Meaning, Open, Pending, Talk
from shared.chat.understand import understand
from shared.planner import Clarification, Planned, plan_text
from shared.profiles import SEED

NOW = int(datetime(2026, 3, 11, 12, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


def read(words: str, at_ms: int) -> Planned | Clarification:
    """The rules, for the user of the examples."""
    return plan_text(words, profile=SEED, now=datetime.fromtimestamp(at_ms / 1000, UTC))


def meant(words: str, talk: Talk | None = None, pending: Sequence[Pending] = (), *, now_ms: int = NOW) -> Meaning:
    """What a message means."""
    return understand(words, talk or Talk(), pending, read, now_ms=now_ms)


def after(*turns: str, now_ms: int = NOW) -> Meaning:
    """What the last of these means, each of which is asked about or begins something."""
    found: Meaning | None = None
    talk = Talk()
    for words in turns:
        found = meant(words, talk, now_ms=now_ms)
        talk = Talk(open=found.open if isinstance(found, Ask) and found.open.lasts else None)
    assert found is not None
    return found


def begun(*turns: str) -> str:
    """The summary of the plan that the last of these begins."""
    found = after(*turns)
    assert isinstance(found, Begin), found
    return found.planned.summary.partition(";")[0]


def asked(*turns: str) -> Open:
    """What is open after the last of these."""
    found = after(*turns)
    assert isinstance(found, Ask), found
    return found.open
