"""RedisStores that show what a method hides: raw replies, every byte stored, and what sending a command twice does."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis

from shared.gate_ports import Policy
from shared.redisdb.base import Commanding
from shared.redisdb.events import RedisEvents
from shared.redisdb.gates import RedisGates
from shared.redisdb.schedules import RedisSchedules
from shared.redisdb.slots import RedisSlots
from shared.redisdb.store import RedisStore

STRICT = "#!lua\n"
"""Before a script: a server in cluster mode refuses it every key of another slot, also one that is not under its KEYS."""


C = TypeVar("C", bound=Commanding)


def held_to_one_slot(commands: C) -> C:
    """The same, whose scripts are strict from now on."""
    for script in commands._scripts.values():
        if not script.text.startswith(STRICT):
            script.text = STRICT + script.text
            script.digest = hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
    return commands


class Call(NamedTuple):
    """One Lua command as it went over the wire. `again`: the reply when it was sent a second time."""

    name: str
    keys: list[str]
    args: list[Any]
    reply: Any
    again: Any = None

    @property
    def codes(self) -> tuple[int, int]:
        """The first number of both replies."""
        return self.reply[0], self.again[0]


async def everything(redis: Any) -> dict[str, Any]:
    """All that is stored, by key. The ids of stream entries are times and are left out; their order is not."""
    found: dict[str, Any] = {}
    for name in sorted([key async for key in redis.scan_iter(count=1000)]):
        match await redis.type(name):
            case b"hash":
                value: Any = await redis.hgetall(name)
            case b"zset":
                value = await redis.zrange(name, 0, -1, withscores=True)
            case b"list":
                value = await redis.lrange(name, 0, -1)
            case b"stream":
                value = [fields for _, fields in await redis.xrange(name)]
            case _:
                value = await redis.get(name)
        found[name.decode()] = value
    return found


class Recording(RedisStore):
    """Keeps every command with its raw reply."""

    def __init__(self, redis: Redis, *, retention_ms: int, now_ms: int) -> None:
        """As the store's own, with the clock in the test's hands."""
        super().__init__(redis, retention_ms=retention_ms, now_ms=now_ms)
        self.redis = redis
        self.log: list[Call] = []

    @property
    def last(self) -> Call:
        """The latest command."""
        return self.log[-1]

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        reply = await super()._run(name, names, args, barrier=barrier, timed=timed)
        self.log.append(Call(name, names, list(args), reply))
        return reply


class Twice(Recording):
    """Sends every command twice with the same arguments, as the client does after a lost reply: nothing may change by it."""

    filling = False
    """While it is set, commands go out once: for a test that needs a thousand of them first."""

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        reply = await super()._run(name, names, args, barrier=barrier, timed=timed)
        # A relay that claims twice gets the next ones, which is what it asks for: the claim that nobody got lapses.
        if self.filling or (name in {"relay_claim", "relay_back"} and len(reply) == args[0]):
            return reply
        once = await everything(self.redis)
        again = await super()._run(name, names, args, barrier=barrier, timed=timed)
        assert await everything(self.redis) == once, f"{name}, sent twice, changed what is stored"
        self.log[-2:] = [Call(name, names, list(args), reply, again)]
        self.calls[name] -= 1
        return reply


class Doubled(Commanding):
    """Put before a set of commands: sends every one of them twice with the same arguments: nothing may change by it."""

    filling = False
    """While it is set, commands go out once."""

    def __init__(self, redis: Redis, *, now_ms: int) -> None:
        """As the set's own, with the clock in the test's hands."""
        super().__init__(redis, now_ms=now_ms)
        self.redis = redis
        self.log: list[Call] = []

    @property
    def codes(self) -> tuple[int, int]:
        """The latest command's return codes."""
        return self.log[-1].codes

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        reply = await super()._run(name, names, args, barrier=barrier, timed=timed)
        if self.filling or (name == "take_due" and len(reply) == args[0]):  # as in Twice
            return reply
        once = await everything(self.redis)
        again = await super()._run(name, names, args, barrier=barrier, timed=timed)
        assert await everything(self.redis) == once, f"{name}, sent twice, changed what is stored"
        self.log.append(Call(name, names, list(args), reply, again))
        return reply


class TwiceSchedules(Doubled, RedisSchedules):
    """The store of schedules, every command twice."""


class TwiceEvents(Doubled, RedisEvents):
    """Events by key, every command twice."""


class TwiceSlots(Doubled, RedisSlots):
    """Slots, every command twice."""


class TwiceGates(Doubled, RedisGates):
    """Gates, every command twice."""

    def __init__(self, redis: Redis, policy: Policy, *, now_ms: int) -> None:
        """As the set's own, with the clock in the test's hands."""
        RedisGates.__init__(self, redis, policy, now_ms=now_ms)
        self.redis = redis
        self.log = []
