"""Words to come back at a time: a sleep, then a message."""

from typing import Final

from shared.planner.domain import Detail, Domain
from shared.planner.domains.message import SEND

REMINDER: Final = Domain(
    name="reminder",
    opens=("remind",),
    nouns=("reminder", "a reminder", "reminders"),
    verbs=("set", "create", "add", "make", "need", "want", "give"),
    phase=3,
    details=(
        Detail(
            name="to", kind="whom", default="me", ask="Whom should be reminded? Please give a phone number or an email address."
        ),
        Detail(name="when", kind="moment", ask="At what time should the reminder come?"),
        Detail(name="text", kind="body", after=("to", "that", "about", "of"), ask="What should the reminder say?"),
    ),
    steps=(SEND,),
    label="the reminder at {time}",
    summary="reminder by {channel} to {to}",
)
