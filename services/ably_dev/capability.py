"""Who may do what where: Ably's map from channel patterns to operations. Pure."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from services.ably_dev.errors import Refused

Capability: TypeAlias = Mapping[str, Sequence[str]]

EVERYTHING: Capability = {"*": ["*"]}
OPERATIONS = frozenset(
    "subscribe publish presence presence-subscribe history channel-metadata object-subscribe object-publish "
    "annotation-subscribe annotation-publish message-update-any message-update-own message-delete-any message-delete-own "
    "push-subscribe push-admin stats privileged-headers *".split()
)
_shape = msgspec.json.Decoder(dict[str, list[str]])


def parse(text: str) -> Capability:
    """The map that this JSON says; Refused (40000) names what is wrong. An empty text permits everything."""
    if not text:
        return EVERYTHING
    try:
        found = _shape.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Refused(40000, 400, f"the capability is not a JSON map from channels to lists of operations: {error}") from error
    unknown = {word for words in found.values() for word in words} - OPERATIONS
    if unknown:
        raise Refused(40000, 400, f"the capability names operations that do not exist: {', '.join(sorted(unknown))}")
    return found


def permits(capability: Capability, channel: str, operation: str) -> bool:
    """Whether an operation is among those of a pattern that covers the channel."""
    return any(
        operation in operations or "*" in operations for pattern, operations in capability.items() if covers(pattern, channel)
    )


def covers(pattern: str, channel: str) -> bool:
    """`*` stands for a whole segment between colons; as the last one it stands for all that follow, too."""
    wanted, given = pattern.removeprefix("[*]").split(":"), channel.split(":")
    if wanted[-1] == "*":
        wanted, given = wanted[:-1], given[: len(wanted) - 1] if len(given) >= len(wanted) else []
        if len(given) != len(wanted):
            return False
    return len(wanted) == len(given) and all(one in ("*", other) for one, other in zip(wanted, given, strict=True))
