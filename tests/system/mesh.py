"""The subscriber under every fault there is: `make mesh`, or `python -m tests.system.mesh --minutes 10 --seed 1`.

Real processes: Valkey, ably_dev, the resume service. Events are published steadily, each for an execution of its own, and each
until the server says that it has it. Meanwhile ably_dev misbehaves in random ways, is stopped, killed and started again, and
Valkey is stopped. At the end every event must have been handled, once: the service's log has one `mesh.handled` for each.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from shared.ably import MESH
from shared.mesh import CONTINUE
from shared.settings import DEV_ABLY_KEY
from tests.system.harness import MODULES, System, until

EVERY_S: Final = 0.1
NEEDED: Final = {name: MODULES[name] for name in ("ably_dev", "resume")}
CHANNELS: Final = (MESH, f"{MESH}:local", f"{MESH}:local:paid")
SETTINGS: Final = {"ABLY_PING_MS": "500", "ABLY_EVENT_CHANNELS": "local:paid", "SWEEP_MS": "60000"}
_KEY = httpx.BasicAuth(*DEV_ABLY_KEY.split(":", 1))


class Mesh(System):
    """What the second channel needs, and nothing else."""

    modules = NEEDED


class Run:
    """One run: events and faults, and what came of them."""

    def __init__(self, system: System, seed: int) -> None:
        self.system, self.dice = system, random.Random(seed)
        self.sent: set[str] = set()
        self.faults: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        self._number = 0

    # events

    async def publish(self) -> None:
        """Steadily, until it is cancelled; never while another has the turn."""
        dice = random.Random(self.dice.random())
        while True:
            async with self._turn:
                self._number += 1
                await self._publish(dice.choice(CHANNELS), self._number)
            await asyncio.sleep(EVERY_S)

    async def _publish(self, channel: str, number: int) -> None:
        known = f"ce-{number}"
        self.sent.add(known)
        data = {"v": 1, "executionId": f"exe_0a_{number:032x}", **({} if channel == MESH else {"event": "paid"})}
        await self._until_taken(channel, {"id": known, "name": CONTINUE, "data": data})

    async def _until_taken(self, channel: str, message: dict[str, Any]) -> None:
        while True:
            try:
                if (await self._ably("POST", f"/channels/{channel}/messages", [message])).status_code == 201:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(EVERY_S)

    async def _ably(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = self.system.processes["ably_dev"].url + path
        return await self.system.client.request(method, url, json=body, auth=_KEY, timeout=3)

    def received(self) -> Counter[str]:
        """How often each event's message was handled."""
        return Counter(line["id"] for line in self.system.events("resume", "mesh.handled"))

    # faults

    async def misbehave(self, until_s: float) -> None:
        """One fault after the other until then (monotonic seconds), at random distances."""
        kinds = list(self._kinds())
        while time.monotonic() < until_s:
            name, deed = self.dice.choice(kinds)
            self.faults[name] += 1
            await deed()
            await asyncio.sleep(self.dice.choice([0.0, 0.5, 1.0, 3.0]))

    def _kinds(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        channel = CHANNELS[0]
        return [
            ("socket closed 1000", lambda: self._now("drop", close=1000)),
            ("socket closed 1011", lambda: self._now("drop", close=1011)),
            ("DISCONNECTED 400", lambda: self._now("disconnect", code=80003, status=400)),
            ("DISCONNECTED 503 (zombie)", lambda: self._now("disconnect", code=50003, status=503)),
            ("DISCONNECTED without error (zombie)", lambda: self._now("disconnect_without_error")),
            ("connection ERROR", lambda: self._now("error", code=50000, status=500)),
            ("unasked DETACHED", lambda: self._now("detach")),
            ("channel ERROR", lambda: self._now("channel_error", channel=self.dice.choice(CHANNELS))),
            ("token expired (40142)", lambda: self._now("expire_tokens")),
            ("no channelSerial, then a drop", self._no_serial),
            ("lost continuity", lambda: self._lose(channel)),
            ("messages twice", lambda: self._while({"kind": "duplicate"}, 2)),
            ("messages late", lambda: self._while({"kind": "late", "ms": 1500, "probability": 0.5}, 2)),
            ("server silent", lambda: self._while({"kind": "silence"}, self.dice.uniform(1, 6))),
            ("connections refused", self._refused),
            ("server stopped (SIGSTOP)", lambda: self._stop("ably_dev", self.dice.uniform(1, 8))),
            ("server killed (SIGKILL)", self._kill),
            ("Redis stopped (SIGSTOP)", lambda: self._stop("valkey", self.dice.uniform(0.5, 4))),
        ]

    async def _now(self, do: str, **more: Any) -> None:
        await self._try("POST", "/dev/faults/now", {"do": do, **more})

    async def _while(self, fault: dict[str, Any], seconds: float) -> None:
        await self._try("PUT", "/dev/faults", {"faults": [fault]})
        await asyncio.sleep(seconds)
        await self._try("DELETE", "/dev/faults")

    async def _try(self, method: str, path: str, body: Any = None) -> None:
        """The server may be busy with the fault before."""

        async def done() -> bool:
            try:
                return (await self._ably(method, path, body)).is_success
            except httpx.HTTPError:
                return False

        await until(done, within=20, describe=f"{path} {body}")

    async def _no_serial(self) -> None:
        await self._while({"kind": "no_serial"}, 0.5)
        await self._now("drop", close=1011)

    async def _refused(self) -> None:
        await self._try("PUT", "/dev/faults", {"faults": [{"kind": "refuse_connections"}]})
        await self._now("drop", close=1011)
        await asyncio.sleep(self.dice.uniform(1, 5))
        await self._try("DELETE", "/dev/faults")

    async def _lose(self, channel: str) -> None:
        """With the log goes what nobody has heard yet, so everything must have been heard."""
        async with self._turn:
            await self.all_received(within=60)
            await self._now("lose_continuity", channel=channel)

    async def _stop(self, name: str, seconds: float) -> None:
        process = self.system.processes[name]
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.signal(signal.SIGCONT)

    async def _kill(self) -> None:
        await self.system.kill("ably_dev")
        await asyncio.sleep(self.dice.uniform(0, 3))
        await self.system.start("ably_dev")

    # the end

    async def all_received(self, *, within: float) -> None:
        """Every event that was taken is handled, once."""
        sent = set(self.sent)

        async def there() -> bool:
            return sent <= set(self.received())

        await until(there, within=within, describe=f"{len(sent)} events are handled")
        twice = [known for known, times in self.received().items() if times > 1]
        assert not twice, f"handled twice: {twice[:10]}"

    async def health(self) -> dict[str, Any]:
        """Of the subscriber."""
        answer = await self.system.client.get(f"{self.system.processes['resume'].url}/api/health/mesh")
        found: dict[str, Any] = answer.json()
        return found


async def run(folder: Path, *, seconds: float, seed: int) -> str:
    """One run; its report. AssertionError when something was lost or came twice."""
    async with Mesh(folder, **SETTINGS) as system:
        this = Run(system, seed)
        await until(lambda: _up(this), within=30, describe="the subscriber is up")
        publisher = asyncio.create_task(this.publish())
        await this.misbehave(time.monotonic() + seconds)
        async with this._turn:  # the event under way is published to its end
            publisher.cancel()
        await until(lambda: _up(this), within=60, describe="the subscriber is up again")
        await this.all_received(within=60)
        health = await this.health()
    return report(this, health, seconds, seed)


async def _up(this: Run) -> bool:
    try:
        health = await this.health()
    except httpx.HTTPError:
        return False
    return bool(health["connected"] and not health["behind"] and not health["waiting"])


def report(this: Run, health: dict[str, Any], seconds: float, seed: int) -> str:
    """What happened, for people."""
    counts = health["counts"]
    again = f"({counts['catchUpsFailed']} more failed at first)"
    lines = [
        f"mesh, seed {seed}, {seconds:.0f} s: {len(this.sent)} events, each handled exactly once",
        f"{sum(this.faults.values())} faults:",
        *(f"{number:5d}  {name}" for name, number in sorted(this.faults.items())),
        f"{health['rebuilds']} clients replaced, {counts['catchUps']} catch-ups {again}",
        f"{counts['caughtUp']} events came by a catch-up only, {counts['duplicates']} messages came again and were recognised",
        f"{counts['retried']} hints were offered again because Redis was away",
    ]
    return "\n".join(lines)


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the processes")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        try:
            print(asyncio.run(run(asked.keep or Path(folder), seconds=60 * asked.minutes, seed=asked.seed)))  # noqa: T201
        except (AssertionError, TimeoutError) as error:
            print(f"mesh, seed {asked.seed}: BROKEN: {error}")  # noqa: T201 - a command line
            sys.exit(1)


if __name__ == "__main__":
    main()
