"""What these tests stand on: a subscriber with the real client on a real ably_dev, and a door that counts."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from services.resume.subscriber.judging import Pace
from services.resume.subscriber.line import Auth
from services.resume.subscriber.running import Subscriber
from shared.ably import MESH, Capability, api_key, token
from shared.errors import Unavailable
from shared.mesh import CONTINUE, Hint
from shared.redisdb.positions import Positions
from shared.settings import DEV_ABLY_KEY
from shared.settings_load import load
from tests.services.ably_dev.support import Server, settled
from tests.support.waiting import eventually

QUICK: Final = Pace(ping_s=0.2, answer_s=1.0, retry_s=0.1, lost_s=2.0, pause_s=0.02, pause_most_s=0.2)
"""A failed client is replaced after seconds, not half a minute."""
WHOLE: Final[Capability] = {"mesh:*": ["subscribe", "history"]}
_numbers = itertools.count(1)


def event() -> dict[str, Any]:
    """A message that names an execution of its own."""
    number = next(_numbers)
    return {"id": f"ce-{number}", "name": CONTINUE, "data": {"v": 1, "executionId": f"exe_0a_{number:032x}"}}


def named(message: dict[str, Any]) -> str:
    """The execution that it names."""
    return str(message["data"]["executionId"])


class Door:
    """Counts what it is offered and takes."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.hints: list[Hint] = []
        self.away = False
        self.turned_away = 0
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, hint: Hint) -> tuple[str, int | None]:
        """See `shared.door.Door`."""
        await self.open.wait()
        if self.away:
            self.turned_away += 1
            raise Unavailable("Redis does not answer")
        self.hints.append(hint)
        self.taken[hint.execution or f"key {hint.key}"] += 1
        return "woken", 0

    async def has(self, *messages: dict[str, Any], within: float = 20) -> None:
        """Each of these came once, and nothing else came at all."""
        await self.holds([named(message) for message in messages], within=within)

    async def holds(self, executions: list[str], *, within: float = 20) -> None:
        """As `has`."""
        wanted = set(executions)
        await eventually(lambda: wanted <= set(self.taken), within=within, describe=f"{len(wanted)} events at the door")
        assert self.taken == Counter(wanted)


class Heard:
    """A subscriber at work, its door, and the server it listens to."""

    def __init__(self, server: Server, subscriber: Subscriber, door: Door) -> None:
        self.server, self.subscriber, self.door = server, subscriber, door
        self.sent: list[dict[str, Any]] = []

    @property
    def counts(self) -> Any:
        """What the subscriber counts."""
        return self.subscriber.health.counts

    @property
    def rebuilds(self) -> int:
        """Clients replaced so far."""
        return int(self.counts.rebuilds)

    async def up(self, *, within: float = 20) -> None:
        """Connected, attached and caught up."""
        await eventually(self._up, within=within, describe=f"the subscriber is up: {self.subscriber.report()}")

    def _up(self) -> bool:
        report = self.subscriber.report()
        return bool(report["connected"] and not report["behind"])

    async def send(self, channel: str = MESH) -> None:
        """One more event is published."""
        self.sent.append(event())
        await self.server.publish(channel, self.sent[-1])

    async def all_once(self, *, within: float = 20) -> None:
        """Every event that was sent came to the door once."""
        await self.door.has(*self.sent, within=within)

    async def until_rebuilt(self, times: int = 1, *, because: str = "", within: float = 20) -> None:
        """So many clients were replaced, the latest for this reason."""
        await eventually(lambda: self.rebuilds >= times, within=within, describe="the client is replaced")
        assert because in self.subscriber.health.last_rebuild


def issued(capability: Capability = WHOLE, *, life_s: int = 3_600) -> str:
    """A token of the local server's key."""
    return token(api_key(DEV_ABLY_KEY), capability, now_s=time.time(), life_s=life_s)


async def unique(_: Any) -> str:
    """A token that is no other's: two of the same second would be the same text."""
    return issued(life_s=3_600 + next(_numbers))


@asynccontextmanager
async def listening(
    redis: Redis, server: Server, *, door: Door | None = None, auth: Auth | None = None, wait: bool = True, **more: Any
) -> AsyncIterator[Heard]:
    """A subscriber that is up. `more`: `room`, or settings in capitals."""
    environ = {
        "INTENTION_MODE": "local",
        "ABLY_URL": server.url,
        **{name: more.pop(name) for name in list(more) if name.isupper()},
    }
    counted = door or Door()
    subscriber = Subscriber(load(environ), counted.take, Positions(redis), pace=QUICK, auth=auth, **more)
    server.open += 1
    subscriber.start()
    heard = Heard(server, subscriber, counted)
    try:
        if wait:
            await heard.up()
        yield heard
    finally:
        await subscriber.close()
        server.open -= 1
        if not server.open:
            await settled()
