"""What is to go wrong, for whom and how often, and whether it does this time. Pure: chance comes from the seed, not from dice.

The n-th event that a fault meets fires or not by a hash of (seed, place in the plan, n): the same plan against the same traffic
does the same again, whatever the other faults do.
"""

import hashlib
import re
from collections.abc import Collection
from typing import Annotated, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from shared.errors import BadRequest

Kind: TypeAlias = Literal["drop", "duplicate", "delay", "reorder", "error", "refuse", "quota", "slow"]

MEANING: dict[Kind, str] = {
    "drop": "a message is lost before it is sent",
    "duplicate": "a delivery is made twice under one id",
    "delay": "a delivery starts `ms` late",
    "reorder": "a delivery starts up to `ms` late, each by another time",
    "error": "a call of this API is answered with a 5xx, before or (`after`) it was done",
    "refuse": "a publish is refused with 400",
    "quota": "a call of this API is answered with 429: the daily quota is used up",
    "slow": "a call of this API waits `ms` before it is done",
}
ON_DELIVERY: frozenset[Kind] = frozenset(("drop", "duplicate", "delay", "reorder"))
REFUSING: frozenset[Kind] = frozenset(("refuse",))
FAILING: frozenset[Kind] = frozenset(("error", "quota"))
SLOWING: frozenset[Kind] = frozenset(("slow",))
DEFAULT_MS: dict[Kind, int] = {"delay": 5_000, "reorder": 2_000, "slow": 2_000, "duplicate": 0}
DEFAULT_STATUS = 500
MAX_FAULTS = 32
MAX_MS = 3_600_000

_TARGET = re.compile(r"[\x21-\x7e]{0,2000}")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to misbehave."""

    kind: Kind
    to: str = ""
    """A URL prefix (`http://h:1/a`) or a host (`h`, `h:1`); empty: everything."""
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    """It fires so many times and never again; 0: without end."""
    ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)] = 0
    status: Annotated[int, msgspec.Meta(ge=500, le=599)] = DEFAULT_STATUS
    after: bool = False
    """Of `error`: the call is done, and only its answer is a lie."""
    calls: Literal["publish", "all"] = "publish"
    """Of `error`, `quota` and `slow`: calls that publish, or every call below /v2."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that goes wrong; empty: nothing does."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    persist: bool = False
    """Goes on after a restart (its counts begin again)."""


class Tally(NamedTuple):
    """What one fault has seen."""

    met: int = 0
    fired: int = 0


class Event(NamedTuple):
    """Something a fault may spoil. Without a destination, only a fault for everything matches."""

    destinations: Collection[str] = ()
    publishes: bool = True


def check(plan: Plan) -> Plan:
    """The plan with its defaults filled in; BadRequest for one that makes no sense."""
    if len(plan.faults) > MAX_FAULTS:
        raise BadRequest(f"a plan has at most {MAX_FAULTS} faults")
    return msgspec.structs.replace(plan, faults=tuple(_checked(place, fault) for place, fault in enumerate(plan.faults)))


def _checked(place: int, fault: Fault) -> Fault:
    name = f"faults[{place}] ({fault.kind})"
    if not _TARGET.fullmatch(fault.to):
        raise BadRequest(f"{name}: `to` is a URL prefix or a host, in printable ASCII")
    if fault.ms and fault.kind not in DEFAULT_MS:
        raise BadRequest(f"{name}: `ms` belongs to {', '.join(DEFAULT_MS)}")
    if (fault.after or fault.status != DEFAULT_STATUS) and fault.kind != "error":
        raise BadRequest(f"{name}: `after` and `status` belong to error")
    if fault.calls == "all" and (fault.kind not in {"error", "quota", "slow"} or fault.to):
        raise BadRequest(f"{name}: `calls` belongs to error, quota and slow, and `all` of them have no `to`")
    return msgspec.structs.replace(fault, ms=fault.ms or DEFAULT_MS.get(fault.kind, 0))


def decide(
    plan: Plan, tallies: tuple[Tally, ...], kinds: Collection[Kind], event: Event
) -> tuple[int | None, tuple[Tally, ...]]:
    """The place of the first fault of these kinds that fires, and what each has seen after it."""
    seen = list(tallies)
    for place, fault in enumerate(plan.faults):
        if fault.kind not in kinds or not concerns(fault, event):
            continue
        met, fired = seen[place]
        fires = fires_now(plan.seed, place, fault, seen[place])
        seen[place] = Tally(met + 1, fired + fires)
        if fires:
            return place, tuple(seen)
    return None, tuple(seen)


def fires_now(seed: int, place: int, fault: Fault, tally: Tally) -> bool:
    """Whether a fault fires on the next event it meets."""
    if fault.count and tally.fired >= fault.count:
        return False
    return fault.probability >= 1 or chance(seed, place, tally.met) < fault.probability


def chance(*what: int) -> float:
    """A number in [0, 1) that depends on nothing else."""
    digest = hashlib.blake2b(repr(what).encode(), digest_size=7).digest()
    return float(int.from_bytes(digest) / (1 << 56))


def concerns(fault: Fault, event: Event) -> bool:
    """Whether the event is of those that the fault is for."""
    if not event.publishes and fault.calls != "all":
        return False
    return not fault.to or any(reaches(fault.to, url) for url in event.destinations)


def reaches(to: str, url: str) -> bool:
    """Whether `to` names this destination."""
    if "://" in to:
        return url.startswith(to)
    try:
        parts = urlsplit(url)
        return to.lower() in {parts.netloc.rpartition("@")[2].lower(), parts.hostname or ""}
    except ValueError:
        return False


def in_words(fault: Fault) -> str:
    """One line for logs, headers and the page; ASCII."""
    words: list[str] = [fault.kind]
    words += [f"probability {fault.probability:.4g}"] if fault.probability < 1 else []
    words += [f"at most {fault.count} times"] if fault.count else []
    words += [f"{fault.ms} ms"] if fault.ms else []
    words += [f"status {fault.status}"] if fault.kind == "error" else []
    words += ["after the call was done"] if fault.after else []
    words += [f"to {fault.to}" if fault.to else "every call" if fault.calls == "all" else "to everybody"]
    return ", ".join(words)
