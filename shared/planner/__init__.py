"""From words to a plan. Text is data: it never becomes code, a tool name outside the registry, or an expression.

`plan_text` is pure: the time comes in, nothing is read and nothing is sent. What the words, the profile and the stated rules
do not settle is asked. The words it knows are in `lexicon.py` and in the rows of `domains/`, their order in `grammar.py`; the
other modules hold none.
"""

from collections.abc import Collection
from datetime import datetime

from shared.planner.domain import Domain
from shared.planner.model import Clarification, Origin, Planned, Profile, Question, Repeated, Source

__all__ = ["Clarification", "Origin", "Planned", "Profile", "Question", "Repeated", "Source", "plan_text"]


def plan_text(
    text: str,
    *,
    profile: Profile,
    now: datetime,
    tools: Collection[str] | None = None,
    final: Collection[str] = (),
    domains: tuple[Domain, ...] = (),
) -> Planned | Clarification:
    """See `shared.planner.pipeline`. Without `domains` all that there are."""
    from shared.planner import pipeline  # late: its patterns take 100 ms and 5 MiB, and many a process never reads words
    from shared.planner.domains import DOMAINS

    rows = domains or DOMAINS
    return pipeline.plan_text(text, profile=profile, now=now, tools=tools, final=final, domains=rows)
