"""Lua files as typed-method material: loaded once as package data, run by digest, loaded again when a server forgot them.

Every script must bear being applied twice: redis-py re-sends by itself after a lost connection.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError

from shared.redisdb.connect import line_of
from shared.redisdb.keys import disk_mark
from shared.redisdb.line import Line

BARRIER_MS: Final = 500
"""`everysec` confirms after 50 to 200 ms, and under load a little later."""
MARK_MS: Final = 60_000
INCLUDE = "--@include "


def read(package: str, name: str) -> str:
    """The text of `lua/<name>.lua` in `package`, with its `--@include <name>` lines replaced by the files they name."""
    folder = resources.files(package) / "lua"
    lines = (folder / f"{name}.lua").read_text(encoding="utf8").splitlines()
    return "\n".join(
        (folder / f"{line.removeprefix(INCLUDE).strip()}.lua").read_text(encoding="utf8") if line.startswith(INCLUDE) else line
        for line in lines
    )


class Script:
    """One Lua command. `run` is one round trip, two when the server restarted since the last call."""

    def __init__(self, package: str, name: str) -> None:
        """Reads the file at once, so that a missing script stops the start-up."""
        self.name = name
        self.text = read(package, name)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: Sequence[str], args: Sequence[Any]) -> tuple[Any, ...]:
        """The command, for a server that knows the script."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    async def run(self, redis: Redis, keys: list[str], args: list[Any]) -> Any:
        """The script's raw reply, over the line of a client."""
        return await self.run_on(line_of(redis), keys, args)

    async def run_on(self, line: Line, keys: list[str], args: list[Any]) -> Any:
        """The script's raw reply, over the line that a process's commands share."""
        try:
            return await line.ask("EVALSHA", self.digest, len(keys), *keys, *args)
        except NoScriptError:
            return await line.ask("EVAL", self.text, len(keys), *keys, *args)

    async def run_durably(self, redis: Redis, keys: list[str], args: list[Any]) -> tuple[Any, bool]:
        """The reply, and whether all that it rests on reached this server's disk within BARRIER_MS. One round trip."""
        pipe = redis.pipeline(transaction=False)
        pipe.evalsha(self.digest, len(keys), *keys, *args)
        wait_for_disk(pipe, keys[0])
        reply, *waited = await pipe.execute(raise_on_error=False)
        if isinstance(reply, NoScriptError):
            await redis.script_load(self.text)
            return await self.run_durably(redis, keys, args)
        for answer in (reply, *waited):
            if isinstance(answer, Exception):
                raise answer
        return reply, bool(waited[-1][0])


def wait_for_disk(pipe: Pipeline, beside: str) -> None:
    """Wait until all that the server of the key `beside` holds now is on its disk; the last answer is (1 or 0, ...).

    WAITAOF waits for writes of its own connection only. A command that finds its work done (a repeated create, a signal that
    came before) writes nothing, and what it answers for may not be on disk yet; so the mark is written first.
    """
    pipe.set(disk_mark(beside), 1, px=MARK_MS)
    pipe.execute_command("WAITAOF", 1, 0, BARRIER_MS)
