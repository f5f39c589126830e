"""What the tests take from the official client, in one place because it ships no types."""

from ably import AblyException, AblyRealtime, AblyRest  # type: ignore[import-untyped]
from ably.transport.defaults import Defaults  # type: ignore[import-untyped]
from ably.types.capability import Capability  # type: ignore[import-untyped]
from ably.types.channeloptions import ChannelOptions  # type: ignore[import-untyped]
from ably.types.message import Message  # type: ignore[import-untyped]

__all__ = ["AblyException", "AblyRealtime", "AblyRest", "Capability", "ChannelOptions", "Defaults", "Message"]
