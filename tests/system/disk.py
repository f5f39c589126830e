"""What a machine that goes down leaves of the store's append-only file: what was synced, and nothing behind it."""

from pathlib import Path

from redis.asyncio import Redis

from tests.system.harness import System, until


class Disk:
    """The disk under a system's Valkey."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._synced = 0

    async def every_second(self) -> None:
        """`appendfsync everysec`, as hosted services have it."""
        await self._ask(fsync="everysec")

    async def stall(self) -> None:
        """From now on nothing reaches the disk: what is written until then may be there after a power cut, nothing else will.

        The file is measured when no sync is under way any more, so no later write can have been synced.
        """
        async with Redis.from_url(self._system.environ["REDIS_URL"]) as client:
            await client.config_set("appendfsync", "no")

            async def quiet() -> bool:
                return bool((await client.info("persistence"))["aof_pending_bio_fsync"] == 0)

            await until(quiet, within=10, describe="no sync is under way")
        self._synced = self._file().stat().st_size

    async def lose_power(self) -> None:
        """The server dies, what was not synced is gone, and the server comes back with the rest."""
        await self._system.kill("valkey")
        with self._file().open("r+b") as file:
            file.truncate(self._synced)
        await self._system.start("valkey")
        await self.every_second()

    async def _ask(self, *, fsync: str) -> None:
        async with Redis.from_url(self._system.environ["REDIS_URL"]) as client:
            await client.config_set("appendfsync", fsync)

    def _file(self) -> Path:
        [found] = (self._system.folder / "valkey" / "appendonlydir").glob("*.incr.aof")
        return found
