"""A reader of server-sent events, as a browser's would be: ids, names, data, and what is only a comment."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.waiting import eventually


@dataclass(frozen=True)
class Told:
    """One event. `name` is empty for a message."""

    id: str
    name: str
    data: Any


@dataclass
class Listener:
    """Everything that one connection has brought so far."""

    status: int = 0
    told: list[Told] = field(default_factory=list)
    comments: int = 0
    last_id: str = ""
    over: bool = False
    """The server has ended the stream."""

    @property
    def lines(self) -> list[Any]:
        """The data of the messages."""
        return [one.data for one in self.told if not one.name]

    @property
    def ids(self) -> list[str]:
        """The ids of the messages' lines."""
        return [data["id"] for data in self.lines]

    def named(self, name: str) -> list[Any]:
        """The data of the events of that name."""
        return [one.data for one in self.told if one.name == name]

    def take(self, block: str) -> None:
        """One block between two empty lines."""
        fields: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        self.comments += "" in fields
        self.last_id = fields.get("id", [self.last_id])[-1]
        if "data" in fields:
            data = json.loads("\n".join(fields["data"]))
            self.told.append(Told(fields.get("id", [""])[-1], fields.get("event", [""])[-1], data))

    async def read(self, answer: httpx.Response) -> None:
        """Until the server ends it."""
        rest = ""
        async for text in answer.aiter_text():
            *blocks, rest = (rest + text).split("\n\n")
            for block in blocks:
                self.take(block)
        self.over = True


@asynccontextmanager
async def listening(client: httpx.AsyncClient, url: str, **headers: str) -> AsyncIterator[Listener]:
    """A connection that is read in the background until it is left."""
    found = Listener()
    async with client.stream("GET", url, headers=headers, timeout=None) as answer:
        found.status = answer.status_code
        if answer.status_code != 200:
            await answer.aread()
            raise AssertionError(f"{answer.status_code}: {answer.text}")
        reading = asyncio.create_task(found.read(answer))
        try:
            await eventually(lambda: found.comments, within=60, describe="the stream has begun")
            yield found
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
