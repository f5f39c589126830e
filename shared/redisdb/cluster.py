"""Which node of a cluster a command goes to.

A cluster shows itself by a `MOVED`; any other server, and a proxy before a cluster, is asked everything, as ever. All keys of a
command lie in one slot: that is what the tags in their names are for (docs/keyspace.md). redis-py's own client for clusters has
no scripts in pipelines.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.redisdb.line import Line, Word

T = TypeVar("T")

SLOTS: Final = 16_384
PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Before a command that was sent on is asked again: a slot that is moving has two nodes for a while."""
AWAY: Final = (RedisConnectionError, RedisTimeoutError)
ELSEWHERE: Final = (MovedError, ClusterDownError)
EVERYWHERE: Final = frozenset({"FLUSHALL", "FLUSHDB", "SCRIPT LOAD", "SCRIPT FLUSH", "CONFIG SET", "CONFIG RESETSTAT"})
_NO_KEY: Final = frozenset(
    "AUTH CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG ECHO HELLO INFO KEYS PING RANDOMKEY SCAN SCRIPT TIME WAIT WAITAOF".split()
) | {word.partition(" ")[0] for word in EVERYWHERE}


class Node(Redis):
    """One server: redis-py's client, whose scripts share one line; all else has a connection of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.line = self._line(self.connection_pool.make_connection)

    def _line(self, make: Callable[[], AbstractConnection]) -> Line:
        return Line(make)

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See redis-py. May be sent twice."""
        return await self.line.ask("EVALSHA", sha, numkeys, *keys_and_args)

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See redis-py. May be sent twice."""
        return await self.line.ask("EVAL", script, numkeys, *keys_and_args)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's
        """See redis-py; waits for what is under way."""
        await self.line.aclose()
        await super().aclose(close_connection_pool)


def key_of(words: Sequence[Any]) -> bytes | None:
    """The first key of a command; None if it has none."""
    name = text_of(words[0]).upper()
    if name in {"EVALSHA", "EVAL"}:
        return _bytes(words[3]) if int(words[2]) else None
    if name == "XREAD":
        return _bytes(words[[text_of(word).upper() for word in words].index("STREAMS") + 1])
    if name == "MEMORY USAGE":
        return _bytes(words[1])
    if name.partition(" ")[0] in _NO_KEY or len(words) < 2:
        return None
    return _bytes(words[1])


def text_of(word: Any) -> str:
    """A word of a command, or of an answer."""
    return word.decode() if isinstance(word, bytes) else str(word)


def _bytes(word: Any) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def _nobody(host: str, port: int) -> Node:
    raise RedisConnectionError(f"{host}:{port} belongs to a cluster, and this client knows no way there")


class Nodes:
    """Which node has which slot."""

    def __init__(self) -> None:
        """Knows none."""
        self.open_node: Callable[[str, int], Node] = _nobody
        """How to reach one, by host and port."""
        self._nodes: dict[str, Node] = {}
        self.table: list[str] = []
        """By slot: the name of the node that has it. Empty of a server that is no cluster."""
        self._learning = asyncio.Lock()
        self.learned = 0
        """How often the table was read."""

    @property
    def all(self) -> list[Node]:
        """Every node that has slots."""
        return [self._nodes[name] for name in dict.fromkeys(self.table) if name]

    def of(self, words: Sequence[Any]) -> Node:
        """Who is asked this; any of them, if it names no key."""
        key = key_of(words)
        name = next(filter(None, self.table)) if key is None else self.table[key_slot(key)]
        if not name:
            raise ClusterDownError(f"no node has the slot of {words[0]} {key!r}")
        return self._nodes[name]

    def at(self, host: str, port: int) -> Node:
        """A node by its address; without a host it is at home's."""
        name = f"{host}:{port}"
        if name not in self._nodes:
            self._nodes[name] = self.open_node(host, port)
        return self._nodes[name]

    async def learn(self, home: Line, known: int) -> bool:
        """Read who has what, of whoever answers first, unless that was done since `known`. Whether that is news."""
        async with self._learning:
            if self.learned != known:
                return True
            before = list(self.table)
            lines = (*(node.line for node in self._nodes.values()), home)
            asked = [asyncio.ensure_future(line.ask("CLUSTER", "SLOTS")) for line in lines]
            for answer in asyncio.as_completed(asked):
                with suppress(RedisError, OSError):  # no cluster, or one of it that is away
                    self._take(await answer)
                    break
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            return self.table != before

    def heard(self, error: MovedError) -> None:
        """A node says who has a slot: it may know better than whoever was asked for the table."""
        if self.table:
            self.at(error.host, error.port)
            self.table[error.slot_id] = f"{error.host}:{error.port}"

    def _take(self, found: Any) -> None:
        table = [""] * SLOTS
        for first, last, (host, port, *_), *_ in found:
            self.at(text_of(host), int(port))
            table[first : last + 1] = [f"{text_of(host)}:{port}"] * (last + 1 - first)
        if any(table):
            self.table = table
            self.learned += 1

    async def aclose(self) -> None:
        """Close all."""
        for node in self._nodes.values():
            await node.aclose()


class Routed(Line):
    """The line of a client: one connection to each node."""

    def __init__(self, make: Callable[[], AbstractConnection], nodes: Nodes) -> None:
        """`make`: connections to whom the client was given; all there is, if that is no cluster."""
        super().__init__(make)
        self._alone = super().ask
        self.nodes = nodes
        self.home = Line(make)
        """Asked who has what, when nobody else answers."""

    async def ask(self, *words: Word) -> Any:
        """See the base."""
        if not self.nodes.table:
            try:
                return await self._alone(*words)
            except MovedError:
                await self.learn()
        try:
            return await self.sent_on(lambda: self.nodes.of(words).line.ask(*words))
        except AskError as error:  # its slot is moving, and this key has gone ahead
            return (await self.nodes.at(error.host, error.port).line.ask_all([("ASKING",), words]))[1]

    async def ask_all(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """See the base; one round trip to each node."""
        wanted = list(commands)
        if not self.nodes.table:
            try:
                return await super().ask_all(wanted)
            except MovedError:
                await self.learn()
        try:
            return await self.sent_on(lambda: self._all(wanted))
        except AskError:
            return [await self.ask(*words) for words in wanted]

    async def _all(self, wanted: Sequence[Sequence[Word]]) -> list[Any]:
        places: dict[Node, list[int]] = defaultdict(list)
        for place, words in enumerate(wanted):
            places[self.nodes.of(words)].append(place)
        parts = await asyncio.gather(*(node.line.ask_all([wanted[at] for at in some]) for node, some in places.items()))
        found: list[Any] = [None] * len(wanted)
        for some, part in zip(places.values(), parts, strict=True):
            for at, reply in zip(some, part, strict=True):
                found[at] = reply
        return found

    async def learn(self) -> bool:
        """Read who has what."""
        return await self.nodes.learn(self.home, self.nodes.learned)

    async def sent_on(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives, once it has come to the right node."""
        for pause in PAUSES_S:
            known = self.nodes.learned
            try:
                return await call()
            except ELSEWHERE as error:
                await self.nodes.learn(self.home, known)
                if isinstance(error, MovedError):
                    self.nodes.heard(error)
            except TryAgainError:
                pass
            except AWAY:  # perhaps another has taken its place
                if not await self.nodes.learn(self.home, known):
                    raise
            await asyncio.sleep(pause)
        return await call()

    async def aclose(self) -> None:
        """See the base."""
        await super().aclose()
        await self.home.aclose()
        await self.nodes.aclose()
