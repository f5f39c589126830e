"""What a message means in a conversation. Pure: the planner is handed in, and nothing is read or sent.

`understand` is the one way in. It never guesses: what could mean two things is asked about, and a yes counts only for the very
arguments or plan that the conversation has shown.
"""

from shared.chat.model import (
    Act,
    Ask,
    Begin,
    Choose,
    Drop,
    Help,
    Meaning,
    Nothing,
    Open,
    Pending,
    Read,
    Shown,
    Stop,
    Talk,
    Tell,
)
from shared.chat.understand import understand

__all__ = [
    "Act",
    "Ask",
    "Begin",
    "Choose",
    "Drop",
    "Help",
    "Meaning",
    "Nothing",
    "Open",
    "Pending",
    "Read",
    "Shown",
    "Stop",
    "Talk",
    "Tell",
    "understand",
]
