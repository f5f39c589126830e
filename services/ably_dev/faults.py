"""Faults on demand: what goes wrong, how often, and whether it does this time. Off unless asked for, and loud while on."""

import random
import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from shared.errors import BadRequest
from shared.logs import get_logger

log = get_logger()

Kind: TypeAlias = Literal[
    "refuse",
    "slow",
    "lose",
    "duplicate",
    "late",
    "no_serial",
    "silence",
    "refuse_connections",
    "hook_lose",
    "hook_duplicate",
    "hook_late",
    "hook_reorder",
    "hook_bad_signature",
]
MEANING: dict[Kind, str] = {
    "refuse": "a publish is refused with `code` and `status`, before or (`after`) it was done",
    "slow": "the answer to a publish (an ACK, too) comes `ms` late",
    "lose": "a message is not sent to a subscriber, whose position moves on all the same",
    "duplicate": "a message is sent to a subscriber twice",
    "late": "a message is sent to a subscriber `ms` late, and those behind it, too",
    "no_serial": "a message is sent without its channelSerial: the next drop loses continuity",
    "silence": "nothing is sent on any connection, not even heartbeats, and nothing heard is answered",
    "refuse_connections": "a websocket is refused with 403 before it is one",
    "hook_lose": "a call of a webhook is not made, and counts as done",
    "hook_duplicate": "a call of a webhook is made twice",
    "hook_late": "a call of a webhook is made `ms` late (of single calls: later ones overtake it)",
    "hook_reorder": "the publishes of a batch stand in it in reverse order",
    "hook_bad_signature": "a call of a webhook carries a signature that does not fit",
}
Deed: TypeAlias = Literal[
    "drop", "disconnect", "disconnect_without_error", "error", "detach", "channel_error", "expire_tokens", "lose_continuity"
]
DEEDS: dict[Deed, str] = {
    "drop": "every websocket is closed with `close` (1000, 1011, …), without a word before it",
    "disconnect": "every connection gets DISCONNECTED with `code` and `status` (a 5xx makes the Python client a zombie)",
    "disconnect_without_error": "the same without an error",
    "error": "every connection gets ERROR: it has failed for good",
    "detach": "every attachment (of `channel`) gets a DETACHED that nobody asked for",
    "channel_error": "every attachment (of `channel`) gets an ERROR",
    "expire_tokens": "every token seen so far has expired; connections that use one are disconnected with 40142",
    "lose_continuity": "the log of `channel` is deleted: whoever is attached is told, whoever comes back cannot resume",
}
MAX_FAULTS = 32


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to misbehave for as long as it is on."""

    kind: Kind
    channel: str = ""
    """A regular expression for the whole name of a channel; empty: all."""
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    """It fires so many times and never again; 0: without end."""
    ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 2_000
    code: int = 50003
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    after: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that goes wrong; empty: nothing does."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0


class Now(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that happens at once, to whoever is here."""

    do: Deed
    channel: str = ""
    code: int = 80003
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 400
    close: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 1011


class Board:
    """The plan in force and how often each of its faults has fired. One for the process."""

    def __init__(self, plan: Plan = Plan()) -> None:  # noqa: B008 - a constant
        self.plan, self._fired, self._dice = Plan(), list[int](), random.Random(0)
        self.change(plan)

    def change(self, plan: Plan) -> None:
        """This plan from now on. BadRequest when it makes no sense; then nothing changes."""
        _check(plan)
        was_on = bool(self.plan.faults)
        self.plan, self._fired, self._dice = plan, [0] * len(plan.faults), random.Random(plan.seed)
        if plan.faults:
            log.warning("faults.on", faults=self.words())
        elif was_on:
            log.warning("faults.off")

    def fires(self, kind: Kind, channel: str = "") -> Fault | None:
        """The fault that strikes now, if one does."""
        for place, fault in enumerate(self.plan.faults):
            if fault.kind == kind and self._strikes(place, fault, channel):
                self._fired[place] += 1
                log.warning("fault.fired", kind=kind, channel=channel, nth=self._fired[place])
                return fault
        return None

    def _strikes(self, place: int, fault: Fault, channel: str) -> bool:
        if fault.channel and not re.fullmatch(fault.channel, channel):
            return False
        if fault.count and self._fired[place] >= fault.count:
            return False
        return fault.probability >= 1 or self._dice.random() < fault.probability

    @property
    def silent(self) -> bool:
        """Whether the server plays dead. Not counted: it is a state."""
        return any(fault.kind == "silence" for fault in self.plan.faults)

    def words(self) -> list[str]:
        """The faults, one line each, ASCII."""
        return [msgspec.json.encode(fault).decode().encode("ascii", "replace").decode() for fault in self.plan.faults]

    def view(self) -> dict[str, Any]:
        """What `GET /dev/faults` answers."""
        rows = zip(self.plan.faults, self._fired, strict=True)
        return {
            "on": bool(self.plan.faults),
            "seed": self.plan.seed,
            "faults": [msgspec.to_builtins(fault) | {"fired": fired} for fault, fired in rows],
            "kinds": MEANING,
            "now": DEEDS,
        }


def _check(plan: Plan) -> None:
    if len(plan.faults) > MAX_FAULTS:
        raise BadRequest(f"a plan has at most {MAX_FAULTS} faults")
    for place, fault in enumerate(plan.faults):
        try:
            re.compile(fault.channel)
        except re.error as error:
            raise BadRequest(f"faults[{place}].channel is not a regular expression: {error}") from error
