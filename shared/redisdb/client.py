"""A client of one server, or of a cluster of them: then every command goes to the node that has its keys."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, MovedError, TryAgainError

from shared.redisdb.cluster import AWAY, ELSEWHERE, EVERYWHERE, PAUSES_S, Node, Nodes, Routed, key_of, text_of
from shared.redisdb.line import Line


class Client(Node):
    """What everybody uses."""

    def __init__(self, **options: Any) -> None:
        self.nodes = Nodes()
        super().__init__(**options)

    def _line(self, make: Callable[[], AbstractConnection]) -> Line:
        self.routed = Routed(make, self.nodes)
        return self.routed

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        if not self.nodes.table:
            try:
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py's
            except MovedError:
                await self.routed.learn()
        if text_of(args[0]).upper() in EVERYWHERE:
            return (await asyncio.gather(*(node.execute_command(*args, **options) for node in self.nodes.all)))[0]  # type: ignore[no-untyped-call]
        try:
            return await self.routed.sent_on(lambda: self.nodes.of(args).execute_command(*args, **options))  # type: ignore[no-untyped-call]
        except AskError as error:
            return await _ahead(self.nodes, error, (args, options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: ARG002, FBT001, FBT002 - redis-py's
        """See redis-py. Of a cluster each node does its part in one go; a transaction names keys of one slot only."""
        return Parted(self, transaction=transaction)


async def _sent(node: Node, commands: Sequence[Any], *, transaction: bool = False) -> list[Any]:
    """The answers, errors among them."""
    pipe = node.pipeline(transaction=transaction)
    pipe.command_stack = list(commands)
    found: list[Any] = await pipe.execute(raise_on_error=False)
    return found


async def _ahead(nodes: Nodes, error: AskError, command: Any) -> Any:
    """A command whose key has gone ahead of its slot."""
    found = (await _sent(nodes.at(error.host, error.port), [(("ASKING",), {}), command]))[1]
    if isinstance(found, Exception):
        raise found
    return found


class Parted(Pipeline):
    """A pipeline that goes to several nodes."""

    def __init__(self, client: Client, *, transaction: bool) -> None:
        """`client`: whose nodes they are."""
        super().__init__(client.connection_pool, client.response_callbacks, transaction, None)
        self._nodes = client.nodes
        self._routed = client.routed

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - redis-py's
        """See redis-py."""
        stack = self.command_stack
        if not self._nodes.table:
            found = await self._by_one(raise_on_error=raise_on_error)
            if not any(isinstance(one, MovedError) for one in found):
                return found
            await self._routed.learn()
        try:
            found = await (self._together(stack) if self.is_transaction else self._apart(stack))
        finally:
            await self.reset()  # type: ignore[no-untyped-call] # redis-py's
        if raise_on_error:
            self.raise_first_error(stack, found)
        return found

    async def _by_one(self, *, raise_on_error: bool) -> list[Any]:
        try:
            return await super().execute(raise_on_error)
        except MovedError as error:
            return [error]

    async def _together(self, stack: Sequence[Any]) -> list[Any]:
        """All of one slot, as one transaction."""
        keyed = next((args for args, _ in stack if key_of(args) is not None), ("PING",))
        return await self._routed.sent_on(lambda: _sent(self._nodes.of(keyed), stack, transaction=True))

    async def _apart(self, stack: Sequence[Any]) -> list[Any]:
        """Each command where its key is; what is refused because its slot has moved, again."""
        found: list[Any] = [None] * len(stack)
        left = list(range(len(stack)))
        for pause in PAUSES_S:
            known = self._nodes.learned
            try:
                await self._once(stack, left, found)
            except AWAY:
                if not await self._nodes.learn(self._routed.home, known):
                    raise
            else:
                left = [at for at in left if isinstance(found[at], (*ELSEWHERE, TryAgainError))]
                if not left:
                    break
                await self._nodes.learn(self._routed.home, known)
                for at in left:
                    if isinstance(error := found[at], MovedError):
                        self._nodes.heard(error)
            await asyncio.sleep(pause)
        return found

    async def _once(self, stack: Sequence[Any], left: Sequence[int], found: list[Any]) -> None:
        places = self._places(stack, left)
        parts = await asyncio.gather(*(_sent(node, [stack[at] for at in some]) for node, some in places.items()))
        for some, part in zip(places.values(), parts, strict=True):
            for at, reply in zip(some, part, strict=True):
                found[at] = await _ahead(self._nodes, reply, stack[at]) if type(reply) is AskError else reply

    def _places(self, stack: Sequence[Any], left: Sequence[int]) -> dict[Node, list[int]]:
        """By node, in order. What names no key goes to every node of the others; the last answer is kept."""
        keyed = {at: self._nodes.of(stack[at][0]) for at in left if key_of(stack[at][0]) is not None}
        places: dict[Node, list[int]] = {node: [] for node in keyed.values() or self._nodes.all[:1]}
        for at in left:
            for node in [keyed[at]] if at in keyed else places:
                places[node].append(at)
        return places
