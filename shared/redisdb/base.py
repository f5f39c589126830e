"""What every set of commands on Redis does alike: the clock, the barrier, and one error for a Redis that is away."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb.connect import line_of
from shared.redisdb.line import Word
from shared.redisdb.lua import BARRIER_MS, Script


class Commanding:
    """Runs Lua commands of `shared.redisdb`; each is atomic, touches one tag and may be sent twice."""

    def __init__(self, redis: Redis, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`strict`: what is answered for waits until it is on disk. `now_ms`: tests only."""
        self._redis = redis
        self._line = line_of(redis)
        self._strict = strict
        self.now_ms = now_ms
        self.calls: dict[str, int] = defaultdict(int)
        """Script calls by name, for metrics and for the tests that count round trips."""
        self._scripts: dict[str, Script] = {}

    def load(self, *names: str) -> None:
        """Read these scripts at once, so that a missing one stops the start-up."""
        self._scripts |= {name: Script("shared.redisdb", name) for name in names}

    async def now(self) -> int:
        """Unix ms by the server's clock."""
        if self.now_ms is not None:
            return self.now_ms
        seconds, micros = await self._read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        """`timed`: the script's first argument is the clock. `barrier`: in strict mode the answer waits for the disk."""
        self.calls[name] += 1
        full, script = self._timed(args) if timed else [*args], self._scripts[name]
        try:
            if not (barrier and self._strict):
                return await script.run_on(self._line, names, full)
            reply, synced = await script.run_durably(self._redis, names, full)
        except (RedisError, OSError) as error:
            raise away(error) from error
        if not synced:
            raise Unavailable(f"Redis did not confirm within {BARRIER_MS} ms that the write is on disk; try again")
        return reply

    def _timed(self, args: Sequence[Any]) -> list[Any]:
        """With the clock before them; empty: the server's."""
        return ["" if self.now_ms is None else self.now_ms, *args]

    def _as_command(self, name: str, names: Sequence[str], args: Sequence[Any]) -> tuple[Word, ...]:
        """A script for whoever sends it along with others. NoScriptError where the server does not know it."""
        self.calls[name] += 1
        return self._scripts[name].words(names, self._timed(args))

    async def _read(self, *words: Word) -> Any:
        """The raw reply to a command that only reads."""
        return await self._plain(self._line.ask(*words))

    async def _read_all(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """The raw replies to all of these, in one round trip."""
        found: list[Any] = await self._plain(self._line.ask_all(commands))
        return found

    async def _now_and_any(self, names: Sequence[str]) -> tuple[int, bool]:
        """The clock, and whether any of these keys is there: what a round that finds nothing costs. One round trip.

        A cluster does not answer for keys of several slots: then they are taken to be there.
        """
        try:
            time, there = await self._read_all([("TIME",), ("EXISTS", *names)])
        except Unavailable as error:
            if "CROSSSLOT" not in str(error.__cause__):
                raise
            return await self.now(), True
        return int(time[0]) * 1000 + int(time[1]) // 1000 if self.now_ms is None else self.now_ms, bool(there)

    async def _plain(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise away(error) from error


def away(error: Exception) -> Unavailable:
    """What is told of a Redis that does not answer."""
    return Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable")
