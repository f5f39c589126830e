"""Valkey's share of a step: `make bench-scripts`, or `python -m bench.scripts`.

The shape of the throughput measure (200 executions of 10 steps) is played once by a real interpreter on the real store, and all
commands that it sends are written down. They are then sent to a fresh Valkey, always so many at once, so that nothing else is
in the measure: processor time of the server, microseconds in scripts, commands inside them, bytes in, out and into the
append-only file, each of one step. With `--count`, instructions too (valgrind), which no other load on the machine can move.

`--code FOLDER` measures another working copy beside this one, in turns, and gives the ratios.
"""

import argparse
import asyncio
import os
import re
import secrets
import socket
import statistics
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import hiredis
import msgspec
from redis import Redis as BlockingRedis
from redis.exceptions import RedisError

from bench.processes import ROOT, free_port, start_valkey
from bench.simulated import CONTRACTS, LIMITS, Taken, there
from shared.clock import SystemClock, new_execution_id
from shared.interpret import Interpreter
from shared.invocation import Delivery
from shared.local.valkey import command
from shared.logs import configure
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth, Created
from shared.quota import Allowance, Limits
from shared.redisdb.client import Client
from shared.redisdb.connect import connect
from shared.redisdb.line import Line, Word
from shared.redisdb.quota import RedisLedger
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Sender

AT_ONCE: Final = 32
"""Commands under way at once, while playing and while sending again."""
ALLOWANCE: Final = Allowance(units=20, floor=3, tail=4)
NO_LIMITS: Final = Limits(day=0, month=0, concurrent=10**9, offset_ms=0)
_LENGTH: Final = struct.Struct("<I")


class Counting:
    """A ToolRunner (simulated): n -> n + 1, at once."""

    async def run(self, start: Start, _deadline_s: float) -> Outcome:
        """See the port."""
        return Done(output=int(start.intent.args["n"]) + 1)


class Recorder(Line):
    """The real line; remembers what it was asked."""

    commands: list[bytes]

    async def ask(self, *words: Word) -> Any:
        """See Line."""
        self.commands.append(_packed(words))
        return await super().ask(*words)

    async def ask_all(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """See Line."""
        several = list(commands)
        self.commands += map(_packed, several)
        return await super().ask_all(several)


def _packed(words: Sequence[Word]) -> bytes:
    found: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type] # its stubs take a tuple of one
    return found


def chain(run: str, steps: int) -> dict[str, Any]:
    """The plan that `bench.installation` submits."""
    return {
        "steps": [
            {
                "name": f"s{n}",
                "tool": "work",
                "args": {"run": run, "n": f"${{s{n - 1}}}" if n else 0},
                "needs": [f"s{n - 1}"] if n else [],
            }
            for n in range(steps)
        ]
    }


async def record(url: str, executions: int, steps: int) -> list[bytes]:
    """What a whole run asks of Redis; the loading of the scripts first."""
    async with connect(url) as redis:
        for _ in range(250):
            if await there(redis):
                break
            await asyncio.sleep(0.02)
        assert isinstance(redis, Client)
        line = Recorder(redis.connection_pool.make_connection)
        line.commands, redis.line = [], line
        store = RedisStore(redis, retention_ms=86_400_000)
        for script in store._scripts.values():  # noqa: SLF001 - a server that knows none answers each with an error first
            await line.ask("SCRIPT", "LOAD", script.text)
        ledger = RedisLedger(redis)
        for script in ledger._scripts.values():  # noqa: SLF001 - likewise
            await line.ask("SCRIPT", "LOAD", script.text)
        acks = Acks(store)
        interpreter = Interpreter(
            store=store, sender=Sender(Taken(), acks), tools=Counting(), clock=SystemClock(), limits=LIMITS
        )
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                execution = await _create(store, ledger, acks, f"run-{number}", steps)
                answer = await interpreter.run(
                    Delivery(execution=execution, segment=0, reason="created"), started_ms=SystemClock().monotonic_ms()
                )
                assert answer.result == Status.COMPLETED, answer
                if account := await store.account(execution):
                    await ledger.settle(execution, account, 0)

        await asyncio.gather(*map(one, range(executions)))
        await acks.close()
        return line.commands


async def _create(store: RedisStore, ledger: RedisLedger, acks: Acks, run: str, steps: int) -> str:
    draft = msgspec.convert(chain(run, steps), PlanDraft)
    most = PlanLimits(steps=1_000, argument_bytes=65_536, step_ms=8_000)
    plan = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))
    blueprint = Blueprint(plan)
    header = Header(
        id=new_execution_id(), tenant="bench", plan=blueprint.hash, status=Status.PLANNED, trace=secrets.token_hex(16)
    )
    await ledger.admit(header.tenant, header.id, ALLOWANCE.units, NO_LIMITS)
    birth = Birth(header=header, plan=plan, cells=blueprint.plan.first_cells(), fields={}, request_hash="", allowance=ALLOWANCE)
    made = await store.create(birth)
    assert isinstance(made, Created)
    assert made.entry is not None
    acks.add(made.entry, f"msg_{secrets.token_hex(12)}")
    return header.id


def recorded(code: Path, executions: int, steps: int, folder: Path) -> list[bytes]:
    """The same of another working copy, in a process of its own."""
    into = folder / "commands"
    with TemporaryDirectory() as data, start_valkey(Path(data), "everysec") as valkey:
        words = [sys.executable, str(Path(__file__)), "--record", valkey.url, str(into)]
        size = ["--executions", str(executions), "--steps", str(steps)]
        subprocess.run([*words, *size], cwd=code, env={**os.environ, "PYTHONPATH": str(code)}, check=True)
    return list(_read(into.read_bytes()))


def _read(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def send(port: int, commands: Sequence[bytes]) -> None:
    """All of them, AT_ONCE at a time, as the line would: each group waits for the answers of the one before."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = hiredis.Reader()
        for start in range(0, len(commands), AT_ONCE):
            some = commands[start : start + AT_ONCE]
            line.sendall(b"".join(some))
            for _ in some:
                while (reply := reader.gets()) is False:
                    reader.feed(line.recv(65_536))
                assert not isinstance(reply, Exception), reply


class Server:
    """A fresh Valkey, on its own or under valgrind."""

    def __init__(self, folder: Path, fsync: str, before: Sequence[str] = ()) -> None:
        self.port = free_port()
        words = [fsync if word == "always" else word for word in command(port=self.port, folder=folder)]
        self._process = subprocess.Popen([*before, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.redis = BlockingRedis(port=self.port, socket_timeout=60)
        while not self._there():
            pass

    def _there(self) -> bool:
        try:
            return bool(self.redis.ping())
        except (OSError, RedisError):
            return False

    def counts(self) -> dict[str, float]:
        """What it has done since its start."""
        cpu, stats, kept = self.redis.info("cpu"), self.redis.info("stats"), self.redis.info("persistence")
        each: dict[str, Any] = self.redis.info("commandstats")
        inside = sum(one["calls"] for name, one in each.items() if name != "cmdstat_evalsha")
        return {
            "cpu us": (cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6,
            "us in scripts": each.get("cmdstat_evalsha", {"usec": 0})["usec"],
            "scripts": each.get("cmdstat_evalsha", {"calls": 0})["calls"],
            "commands inside": inside,
            "bytes in": stats["total_net_input_bytes"],
            "bytes out": stats["total_net_output_bytes"],
            "bytes to the AOF": kept["aof_current_size"],
        }

    def end(self) -> str:
        """What it said meanwhile."""
        self.redis.close()
        self._process.terminate()
        return self._process.communicate(timeout=120)[1].decode()


@contextmanager
def fresh(fsync: str, before: Sequence[str] = ()) -> Iterator[Server]:
    """Until the block ends."""
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), fsync, before)
        try:
            yield server
        finally:
            server.end()


def cost(commands: Sequence[bytes], loading: int, fsync: str, steps: int) -> dict[str, float]:
    """Of a step."""
    with fresh(fsync) as server:
        send(server.port, commands[:loading])
        before = server.counts()
        send(server.port, commands[loading:])
        after = server.counts()
    return {name: (after[name] - before[name]) / steps for name in after}


def instructions(commands: Sequence[bytes], loading: int, steps: int) -> float:
    """Of a step, by callgrind: those of the whole run less those of its first half, which have the start in them."""
    half = loading + (len(commands) - loading) // 2
    share = (len(commands) - half) / (len(commands) - loading)
    return (_counted(commands) - _counted(commands[:half])) / (steps * share)


def _counted(commands: Sequence[bytes]) -> int:
    with TemporaryDirectory() as folder:
        words = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out")
        server = Server(Path(folder) / "data", "everysec", words)
        send(server.port, commands)
        found = re.search(r"Collected : (\d+)", server.end())
    assert found is not None
    return int(found[1])


def compare(codes: Sequence[Path], words: argparse.Namespace) -> None:
    """A table a durability; medians, and of two working copies the ratios of the second to the first."""
    steps = words.executions * words.steps
    with TemporaryDirectory() as folder:
        plays = [recorded(code, words.executions, words.steps, Path(folder)) for code in codes]
    loads = [sum(b"SCRIPT" in one[:30] for one in play) for play in plays]
    for fsync in words.fsync:
        found: list[list[dict[str, float]]] = [[] for _ in codes]
        for _ in range(words.rounds):
            for number, play in enumerate(plays):
                found[number].append(cost(play, loads[number], fsync, steps))
        _print(fsync, [{name: statistics.median(run[name] for run in runs) for name in runs[0]} for runs in found])
    if words.count:
        counted = [{"instructions": instructions(play, load, steps)} for play, load in zip(plays, loads, strict=True)]
        _print("callgrind", counted)


def _print(title: str, columns: Sequence[dict[str, float]]) -> None:
    print(title)
    for name in columns[0]:
        values = "".join(f"{column[name]:12,.2f}" for column in columns)
        ratio = f"{columns[1][name] / columns[0][name]:8.3f}" if len(columns) == 2 and columns[0][name] else ""
        print(f"  {name:18}{values}{ratio}", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--fsync", nargs="+", default=["always", "everysec"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", action="store_true", help="count instructions too (needs valgrind)")
    parser.add_argument("--code", type=Path, help="another working copy; its figures come first")
    parser.add_argument("--record", nargs=2, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.record:
        url, into = words.record
        configure(service="bench", format="json", level="error")
        commands = asyncio.run(record(url, words.executions, words.steps))
        Path(into).write_bytes(b"".join(_LENGTH.pack(len(one)) + one for one in commands))
    else:
        compare([*([words.code] if words.code else []), ROOT], words)


if __name__ == "__main__":
    main()
