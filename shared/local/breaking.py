"""Breaks what runs here on purpose, so that its recovery can be watched: kills the executor, has QStash or Ably drop all.

This is the supervisor's. Only it can end a process and start it again; and it outlives whatever it breaks, so that what was
dropped for a while is mended when the while is over. The channels are dropped by the faults that their servers have anyway.
"""

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from typing import Any, Final, assert_never
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec.structs import replace

from shared.background import Background
from shared.clock import now_ms
from shared.errors import Conflict, Unavailable
from shared.local.control import Command, Drop, Kill, Killing, Look, Mend, Outage, Report, What
from shared.local.supervisor import Child, answers
from shared.settings import Settings

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
LOOK_S: Final = 0.05
ALONE: Final = "other faults are on there ({words}): end them first, they are somebody's"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A local server of a channel, and the faults with which it drops everything."""

    name: str
    url: str
    """Of its faults."""
    authorization: str
    faults: tuple[Mapping[str, Any], ...]
    now: Mapping[str, Any] | None = None
    """What happens once, at the beginning."""


def servers(settings: Settings) -> dict[What, Server]:
    """The channels that run on this machine."""
    found: dict[What, Server] = {}
    if urlsplit(settings.qstash_url).hostname in LOOPBACK:
        url = f"http://127.0.0.1:{settings.qstash_dev_port}/v2/dev/faults"
        taken_and_lost = ({"kind": "error", "status": 503}, {"kind": "drop"})
        found["qstash"] = Server(name="QStash", url=url, authorization=f"Bearer {settings.token!s}", faults=taken_and_lost)
    if urlsplit(settings.ably_url).hostname in LOOPBACK:
        url = f"http://127.0.0.1:{settings.ably_dev_port}/dev/faults"
        basic = f"Basic {base64.b64encode(settings.ably_dev_key.encode()).decode()}"
        all_ways = ({"kind": "refuse"}, {"kind": "refuse_connections"}, {"kind": "lose"})
        found["ably"] = Server(name="Ably", url=url, authorization=basic, faults=all_ways, now={"do": "drop"})
    return found


class Breaking:
    """One for a supervisor. `close` ends what it watches; what is dropped ends with the servers themselves."""

    def __init__(self, executor: Child, channels: Mapping[What, Server], client: httpx.AsyncClient) -> None:
        """`client` reaches loopback."""
        self._executor = executor
        self._channels = channels
        self._client = client
        self._killing: Killing | None = None
        self._outages: dict[What, Outage] = {}
        self._ends: dict[What, asyncio.TimerHandle] = {}
        self._background = Background()

    async def perform(self, command: Command) -> Report:
        """Conflict where it cannot be done now; Unavailable where a channel's server does not answer."""
        match command:
            case Kill():
                await self._kill()
            case Drop(what=what, seconds=seconds):
                await self._drop(what, seconds)
            case Mend(what=what):
                await self._mend(what)
            case Look():
                await self._look()
            case _:
                assert_never(command)
        return Report(
            pid=self._executor.pid,
            killing=self._killing,
            here=tuple(self._channels),
            outages=dict(self._outages.items()),
        )

    async def close(self) -> None:
        """Nothing is watched any more."""
        self._killing = None
        for end in self._ends.values():
            end.cancel()
        await self._background.close()

    # --- the executor

    async def _kill(self) -> None:
        pid = self._executor.pid
        if not pid or not await self._executor.kill():
            raise Conflict("the executor is down just now: the supervisor is starting it again")
        self._killing = Killing(killed_ms=now_ms())
        self._background.start(self._until_back(pid, self._killing))

    async def _until_back(self, dead: int, killing: Killing) -> None:
        while self._killing is killing:
            pid = self._executor.pid
            if pid not in {0, dead} and await answers(self._executor.service, self._client):
                self._killing = replace(killing, back_ms=now_ms())
                return
            await asyncio.sleep(LOOK_S)

    # --- the channels

    async def _drop(self, what: What, seconds: float | None) -> None:
        """Of one that is dropped already, only its end is another."""
        outage = self._outages.get(what)
        if outage is None or outage.ended_ms:
            await self._begin(self._server(what))
            outage = Outage(since_ms=now_ms())
        self._cancel_end(what)
        until_ms = 0
        if seconds is not None:
            until_ms = now_ms() + round(seconds * 1000)
            self._ends[what] = asyncio.get_running_loop().call_later(seconds, self._over, what)
        self._outages[what] = replace(outage, until_ms=until_ms)

    async def _begin(self, server: Server) -> None:
        view = await self._ask(server, "GET")
        if view["on"]:
            raise Conflict(ALONE.format(words=", ".join(str(one["kind"]) for one in view["faults"])))
        await self._ask(server, "PUT", body={"faults": server.faults})
        if server.now is not None:
            await self._ask(server, "POST", "/now", server.now)

    def _over(self, what: What) -> None:
        self._background.start(self._end(what))

    async def _mend(self, what: What) -> None:
        server, outage = self._server(what), self._outages.get(what)
        if outage is None or outage.ended_ms:
            raise Conflict(f"{server.name} is not dropped")
        await self._end(what)

    async def _end(self, what: What) -> None:
        self._cancel_end(what)
        with contextlib.suppress(Unavailable):  # a server that is not there has forgotten its faults
            await self._count(what)
            await self._ask(self._server(what), "DELETE")
        outage = self._outages[what]
        self._outages[what] = replace(outage, ended_ms=outage.ended_ms or now_ms())

    def _cancel_end(self, what: What) -> None:
        if end := self._ends.pop(what, None):
            end.cancel()

    async def _look(self) -> None:
        for what, outage in list(self._outages.items()):
            if not outage.ended_ms:
                with contextlib.suppress(Unavailable):
                    await self._count(what)

    async def _count(self, what: What) -> None:
        """What its faults have struck. None of them is on any more where the server was started anew."""
        view = await self._ask(self._server(what), "GET")
        struck = sum(int(one["fired"]) for one in view["faults"])
        outage = self._outages[what]
        ended_ms = outage.ended_ms or (0 if view["on"] else now_ms())
        self._outages[what] = replace(outage, struck=max(struck, outage.struck), ended_ms=ended_ms)

    def _server(self, what: What) -> Server:
        if found := self._channels.get(what):
            return found
        raise Conflict(f"{what} does not run on this machine: only a local server can be told to drop what it gets")

    async def _ask(self, server: Server, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": server.authorization}
        try:
            answer = await self._client.request(method, server.url + path, headers=headers, json=body)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{server.name}'s local server does not answer ({type(error).__name__})") from error
        return found
