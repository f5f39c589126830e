"""From words to a plan. Text is data: it never becomes code, a tool name outside the registry, or an expression.

`plan_text` is pure: the time comes in, nothing is read and nothing is sent. What the words, the profile and the stated rules
do not settle is asked. The words it knows are in `lexicon.py` and in the rows of `domains/`, their order in `grammar.py`; the
other modules hold none.
"""

from typing import TYPE_CHECKING, Any

from shared.planner.model import Clarification, Origin, Planned, Profile, Question, Repeated, Source

if TYPE_CHECKING:
    from shared.planner.pipeline import plan_text

__all__ = ["Clarification", "Origin", "Planned", "Profile", "Question", "Repeated", "Source", "plan_text"]


def __getattr__(name: str) -> Any:
    """`plan_text`, when it is first asked for: whoever wants the shapes only does not load numbering plans and time zones."""
    if name != "plan_text":
        raise AttributeError(name)
    from shared.planner.pipeline import plan_text

    return plan_text
