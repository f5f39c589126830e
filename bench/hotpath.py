"""The work that `bench.guard` counts: segments of ten steps by the real interpreter and store, whose server is a tape.

What is in it: deciding, encoding of begins and commits, the line to Redis, decoding of leases and answers, log lines. What is
not: Redis itself, HTTP, the tool.
"""

import asyncio
import os
import pickle
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench.simulated import LIMITS, Instant, Taken
from bench.tape import Recording, replayed
from shared.interpret import Interpreter
from shared.invocation import Delivery
from shared.logs import configure
from shared.machine.status import Status
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Sender

STEPS: Final = 10
WARM: Final = 5


class Still:
    """A Clock (simulated) that stands: no budget runs out, however slowly this is run."""

    def monotonic_ms(self) -> float:
        """See the port."""
        return 1_000.0


async def run(store: RedisStore, execution: str, times: int = 1) -> None:
    """The segment of this execution, so many times."""
    acks = Acks(store)
    interpreter = Interpreter(store=store, sender=Sender(Taken(), acks), tools=Instant(), clock=Still(), limits=LIMITS)
    for _ in range(times):
        answer = await interpreter.run(Delivery(execution=execution), started_ms=1_000.0)
        assert answer.result == Status.COMPLETED, answer
    await acks.close()


async def replay(recording: Recording, times: int) -> None:
    """The same segment again and again, from the tape."""
    await run(RedisStore(replayed(recording.tape), retention_ms=60_000), recording.execution, times)


class Inch(msgspec.Struct, frozen=True):
    """What the yardstick is made of."""

    name: str
    values: dict[str, int]


def yardstick(times: int) -> int:
    """Python of the same kind that never changes: how much a build of Python needs for it scales the count."""
    encode, decode, found = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Inch).decode, 0
    for number in range(times):
        inch = Inch(name=f"s{number % 7}", values={f"k{place}": place + number for place in range(8)})
        again = decode(encode(inch))
        found += sum(value for key, value in sorted(again.values.items()) if key != again.name)
    return found


def part(name: str, recording: Recording) -> None:
    """One of the amounts that are subtracted from each other."""
    kind, _, times = name.partition("-")
    if kind == "yards":
        yardstick(int(times))
    else:
        asyncio.run(replay(recording, int(times)))


def main(recording: Path, pids: Path, names: list[str]) -> None:
    """Each part in a process of its own, forked from this one: what was before it is in all of their counts, and cancels."""
    configure(service="bench", format="json", level="info")
    loaded = pickle.loads(recording.read_bytes())  # noqa: S301 - written by bench.guard a moment ago
    part(f"steps-{WARM}", loaded)
    yardstick(WARM)
    for name in names:
        pid = os.fork()
        if pid == 0:
            part(name, loaded)
            os._exit(0)
        os.waitpid(pid, 0)
        with pids.open("a") as out:
            out.write(f"{name} {pid}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
