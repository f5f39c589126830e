"""The few phrases that a conversation itself understands. Everything else is for the planner."""

import re
from typing import Final

YES: Final = frozenset(
    "yes|y|yeah|yep|yes please|ok|okay|sure|approve|approved|confirm|confirmed|go ahead|do it|yes do it|yes go ahead".split("|")
)
NO: Final = frozenset("no|n|nope|no thanks|reject|rejected|decline|don't|dont|do not|don't do it|do not do it".split("|"))
DROP: Final = frozenset("never mind|nevermind|forget it|forget that|start over".split("|"))
STOP: Final = frozenset(
    "cancel|cancel it|cancel that|cancel this|please cancel it|stop it|cancel the booking|cancel my booking".split("|")
)
HELP: Final = frozenset(
    "help|what can you do|what can i ask|what can you do for me|what do you do|how does this work|who are you".split("|")
)
THANKS: Final = frozenset(
    "thanks|thank you|thanks a lot|thank you very much|many thanks|great thanks|perfect thanks|cheers".split("|")
)
_ABOUT: Final = (
    r"(?:it|that|this|things|everything|(?:my|the) (?:booking|bookings|reservation|table|ride|taxi|request|order|message"
    r"|reminder|plan|execution))"
)
TELL: Final = re.compile(
    rf"status|what(?:'s| is) the status(?: of {_ABOUT})?|status of {_ABOUT}|how (?:is|are) {_ABOUT} going"
    rf"|how(?:'s| is) it going|is {_ABOUT} (?:done|ready|booked|confirmed|finished)(?: yet)?|what happened(?: to {_ABOUT})?"
    rf"|what(?:'s| is) happening(?: with {_ABOUT})?|where(?:'s| is| are) {_ABOUT}|any news"
)
LEAVE_OUT: Final = frozenset("leave it out|leave that out|leave out|without it|without that|skip it|nothing|drop it".split("|"))
_THING: Final = r"(?:it|that|this|the (?:booking|reservation|table|ride|taxi|reminder|message|meeting|entry))"
_MARK: Final = r"(?:(?:no|sorry|oops|actually)[, .!]+|wait[,.!]+\s*)"
_FILL: Final = r"(?:(?:oh|hmm|please|can you|could you)[, .!]+)"
CORRECTION: Final = re.compile(
    rf"(?:(?:{_MARK}|{_FILL})*(?:(?:make|change|move) {_THING}(?: (?:to|for(?= \d)))?|i meant|let's (?:do|make it|say))\s+"
    rf"|{_FILL}*{_MARK}(?:{_MARK}|{_FILL})*(?:(?:better|rather)\s+)?)(?P<what>\S.*?)(?:,? (?:instead|please))*[ .!?]*",
    re.IGNORECASE | re.DOTALL,
)
_NAMED: Final = re.compile(r"(yes|approve|confirm|ok|okay|no|reject|decline)[, ]+(?:to |for )?(?P<name>[a-z0-9_.-]{1,80})")


def plain(words: str) -> str:
    """Small letters, single blanks, no full stop, question or exclamation mark at the end."""
    return " ".join(words.replace("\u2019", "'").casefold().replace(",", " ").split()).strip(" .!?")


def consent(words: str) -> tuple[bool, str] | None:
    """A yes (True) or no, and which step it names; None if it is neither."""
    said = plain(words)
    if said in YES | NO:
        return said in YES, ""
    named = _NAMED.fullmatch(said)
    return (named[1] in YES, named["name"]) if named else None


def correction(words: str) -> str:
    """What the latest request should say instead ("actually make it 8pm": "8pm"); empty if it is no such thing."""
    found = CORRECTION.fullmatch(" ".join(words.replace("\u2019", "'").split()))
    return found["what"] if found else ""
