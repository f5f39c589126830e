"""A text message or an email: literal words, or the confirmation of what was asked for before it."""

from typing import Final

from shared.planner import lexicon
from shared.planner.domain import Detail, Domain, StepShape

SEND: Final = StepShape(
    tool="send_message", args=(("to", "to"), ("channel", "channel"), ("text", "text")), came="{channel} to {to}"
)

MESSAGE: Final = Domain(
    name="message",
    opens=lexicon.MESSAGE_VERBS,
    phase=3,
    details=(
        Detail(
            name="to",
            kind="whom",
            ask="Who should get the message? Please give a phone number or an email address.",
        ),
        Detail(name="when", kind="moment"),
        Detail(
            name="text",
            kind="body",
            after=("that", "saying", "to say", "saying that", "to say that"),
            ask="What should the message say?",
        ),
    ),
    steps=(SEND,),
    label="the message at {time}",
    summary="message by {channel} to {to}",
)
