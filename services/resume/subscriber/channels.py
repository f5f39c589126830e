"""Which channels the engine listens on, and what its token may do there. Pure."""

from typing import Final

from shared.ably import MESH, Capability, tenant_channel
from shared.callers import tenants
from shared.settings import Settings

ONLY: Final = ("subscribe", "history")


def names(settings: Settings) -> tuple[str, ...]:
    """The engine's own channel, one for each tenant, and the narrow ones of ABLY_EVENT_CHANNELS."""
    own = [tenant_channel(tenant) for tenant in sorted(tenants(settings))]
    narrow = [tenant_channel(pair.strip()) for pair in settings.ably_event_channels.split(",") if pair.strip()]
    return tuple(dict.fromkeys([MESH, *own, *narrow]))


def capability(channels: tuple[str, ...]) -> Capability:
    """Hear and read back, on these and no others."""
    return dict.fromkeys(channels, ONLY)
