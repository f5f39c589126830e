"""For those who own a tenant's executions: ask the engine to look at one, or send it an event, by Ably alone.

    async with TenantPublisher("appid.keyid:secret", "acme") as publisher:
        await publisher.send_event("order.paid", execution="exe_...", data={"sum": 12}, id="payment-17")

The key needs `publish` on `mesh:resume:<tenant>` (or on `mesh:resume:<tenant>:<event>`, with `only`), and no more.
docs/ably-events.md says what is sent. What the engine would not follow is refused here, by the same reader.
"""

import secrets
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from shared import event_ports
from shared.ably import Publisher, api_key, tenant_channel
from shared.errors import BadRequest, IntentionError
from shared.event_ports import NamedEvent
from shared.mesh import CONTINUE, VERSION, Event, Malformed, hints_of
from shared.settings import Settings

WITHIN_S: Final = 5.0


class NotPublished(IntentionError):
    """Ably did not take it; the same call with the same id may be made again."""

    status = 503
    code = "not_published"


class TenantPublisher:
    """Publishes on one tenant's channel. Each method returns the message's id once Ably has it; BadRequest, NotPublished."""

    def __init__(self, key: str, tenant: str, *, only: str = "", url: str = "", within_s: float = WITHIN_S) -> None:
        """`only`: the key is for this event. `url`: another server than the hosted Ably (ably_dev). ValueError for no key."""
        self.channel = tenant_channel(tenant) + (f":{only}" if only else "")
        self._tenant = tenant
        capability = {self.channel: ["publish"]}
        self._publisher = Publisher(Settings(ably_url=url), api_key(key), capability, within_s=within_s)

    async def continue_execution(self, execution: str, *, id: str = "") -> str:  # noqa: A002 - the event's own name
        """Have it looked at. It moves only what can move: no wait ends by this."""
        return await self._publish(Event(execution_id=execution), id)

    async def send_event(
        self,
        name: str,
        *,
        execution: str | None = None,
        key: str | None = None,
        data: Any = None,
        id: str = "",  # noqa: A002 - as above
    ) -> str:
        """To one execution, or to whoever waits for the event under `key`. The same id again changes nothing."""
        named = id or secrets.token_hex(16)
        event_ports.check(NamedEvent(id=named, tenant=self._tenant, name=name, key=key or "", data=data))
        return await self._publish(Event(execution_id=execution, event=name, key=key, data=data, id=named), named)

    async def _publish(self, event: Event, id: str) -> str:  # noqa: A002 - as above
        message = id or secrets.token_hex(16)
        said = {"v": VERSION} | msgspec.to_builtins(event)
        try:
            hints_of(self.channel, message, CONTINUE, said)
        except Malformed as error:
            raise BadRequest(str(error)) from error
        if why := await self._publisher.publish(self.channel, id=message, name=CONTINUE, data=said):
            raise NotPublished(f"{self.channel}: {why}")
        return message

    async def close(self) -> None:
        """Give its connections up."""
        await self._publisher.close()

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `close`."""
        await self.close()
