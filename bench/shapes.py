"""The shapes that every engine is measured in: one long execution, many short ones at once, starts, idleness, and a kill."""

import asyncio
import statistics
import time
from itertools import pairwise
from typing import Any

import msgspec

from bench.installation import SERVICES, Installation
from bench.steplog import Mark
from bench.syncs import Syncs
from bench.usage import busy_s, cpu_s, memory_mib, milliseconds
from shared.redisdb.connect import connect

OURS = ("ingress", "resume", "step_executor")
KILL_STEPS = 100


class Window:
    """What the processes of an installation, this client and everything else took while it was open, in processor seconds."""

    def __init__(self, system: Installation) -> None:
        self._system = system
        self.began_s = time.monotonic()
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        names = ("valkey", *SERVICES)
        each = {name: cpu_s(self._system.pids(name)) for name in names}
        return {**each, "client": time.process_time(), "busy": busy_s()}

    def close(self) -> None:
        """From now on `used` and `others_percent` (of one core) stand."""
        wall, now = time.monotonic() - self.began_s, self._now()
        self.used = {name: now[name] - self._before[name] for name in now}
        busy = self.used.pop("busy")
        self.others_percent = max(0.0, (busy - sum(self.used.values())) / wall * 100)
        self.client_s = self.used.pop("client")
        self.cpu_s = sum(self.used.values())


class Long(msgspec.Struct, kw_only=True):
    """One execution of many steps."""

    gaps_s: list[float]
    first_s: float
    cpu_s: float
    others_percent: float
    wrong: bool


class Burst(msgspec.Struct, kw_only=True):
    """Many executions at once."""

    steps_per_s: float
    starts_s: list[float]
    cpu_s: dict[str, float]
    client_s: float
    others_percent: float
    wrong: int
    again: int
    per_step: dict[str, float]


async def long(system: Installation, tag: str, steps: int) -> Long:
    """The gap between one step's end and the next one's."""
    window = Window(system)
    execution, _ = await system.submit(f"{tag}-0", steps)
    marks = await system.log.until(tag, steps)
    window.close()
    ends = sorted(mark.at_s for mark in marks)
    return Long(
        gaps_s=[after - before for before, after in pairwise(ends)],
        first_s=ends[0] - window.began_s,
        cpu_s=window.cpu_s,
        others_percent=window.others_percent,
        wrong=await system.result(execution, steps) != steps,
    )


async def burst(system: Installation, tag: str, executions: int, steps: int, at_once: int) -> Burst:
    """`at_once` starts in flight; until the last step ended."""
    since, before = await last_event(system), await counters(system)
    window, gate = Window(system), asyncio.Semaphore(at_once)

    async def one(number: int) -> tuple[str, float]:
        async with gate:
            return await system.submit(f"{tag}-{number}", steps)

    started = await asyncio.gather(*(one(number) for number in range(executions)))
    count = executions * steps
    marks = await system.log.until(tag, count)
    wall_s = max(mark.at_s for mark in marks) - window.began_s
    await asyncio.sleep(0.3)  # what is stored behind the last step
    window.close()
    after = await counters(system)
    messages = await messages_since(system, since)
    results = await asyncio.gather(*(system.result(execution, steps) for execution, _ in started))
    each = {name: after[name] - before.get(name, 0) for name in after} | {"messages": messages}
    return Burst(
        steps_per_s=count / wall_s,
        starts_s=[took for _, took in started],
        cpu_s=window.used,
        client_s=window.client_s,
        others_percent=window.others_percent,
        wrong=sum(result != steps for result in results),
        again=len(marks) - count,
        per_step={name: round(value / count, 3) for name, value in each.items()},
    )


async def counters(system: Installation) -> dict[str, float]:
    """Redis's counts since its start."""
    async with connect(f"redis://127.0.0.1:{system.redis_port}/0") as redis:
        stats = await redis.info("stats")
        commands = await redis.info("commandstats")
    return {
        "redis_commands": stats["total_commands_processed"],
        "redis_reads_from_sockets": stats["total_reads_processed"],
        "redis_bytes_in": stats["total_net_input_bytes"],
        "scripts": commands.get("cmdstat_evalsha", {"calls": 0})["calls"],
    }


EVENTS = "qd:{defaultUser}:events"
"""qstash_dev's own log of what became of messages; it keeps about 50,000 events."""


async def last_event(system: Installation) -> str:
    """Where the log ends now."""
    async with connect(f"redis://127.0.0.1:{system.redis_port}/0") as redis:
        found: Any = await redis.xrevrange(EVENTS, count=1)
    return str(found[0][0].decode()) if found else "0-0"


async def messages_since(system: Installation, last: str) -> int:
    """How many messages qstash_dev took after that."""
    async with connect(f"redis://127.0.0.1:{system.redis_port}/0") as redis:
        found: Any = await redis.xrange(EVENTS, min=f"({last}")
    return sum(event[b"s"] == b"CREATED" for _, event in found)


async def syncs(system: Installation, tag: str, executions: int, steps: int, at_once: int) -> float:
    """fsync and fdatasync calls a step, of everything."""
    async with Syncs(system.pids(), system.folder / f"{tag}.strace") as counted:
        await burst(system, tag, executions, steps, at_once)
    return round(counted.count / (executions * steps), 3)


async def starts(system: Installation, count: int) -> dict[str, float]:
    """How long a start takes until its 202, one at a time."""
    took = []
    for number in range(count):
        took.append((await system.submit(f"start-{number}", 1))[1])
        await asyncio.sleep(0.005)
    await system.log.until("start", count)
    return {**milliseconds(took), "n": count}


async def requests(system: Installation, count: int, at_once: int) -> dict[str, float]:
    """What ingress takes: starts of one step, then reads of an execution, so many at once, by one client."""
    gate, ids = asyncio.Semaphore(at_once), [""] * count

    async def start(number: int) -> float:
        async with gate:
            ids[number], took = await system.submit(f"flood-{number}", 1)
            return took

    async def read(number: int) -> float:
        async with gate:
            began = time.perf_counter()
            async with system.session.get(f"{system.urls['ingress']}/api/executions/{ids[number]}") as answer:
                await answer.read()
            return time.perf_counter() - began

    found: dict[str, float] = {"at_once": at_once, "n": count}
    for name, one in (("starts", start), ("reads", read)):
        began = time.perf_counter()
        took = await asyncio.gather(*(one(number) for number in range(count)))
        found |= {f"{name}_per_s": round(count / (time.perf_counter() - began))}
        found |= {f"{name}_{key}": value for key, value in milliseconds(took).items()}
        await system.log.until("flood", count)
    return found


async def idle(system: Installation, seconds: float) -> dict[str, float]:
    """Memory, and what doing nothing takes of a core: of everything, and of the three services."""
    before, ours, began = cpu_s(system.pids()), cpu_s(system.pids(*OURS)), time.monotonic()
    await asyncio.sleep(seconds)
    wall = time.monotonic() - began
    return {
        "pss_mib": round(memory_mib(system.pids())),
        "services_pss_mib": round(memory_mib(system.pids(*OURS))),
        "cpu_percent_of_a_core": round((cpu_s(system.pids()) - before) / wall * 100, 2),
        "services_cpu_percent": round((cpu_s(system.pids(*OURS)) - ours) / wall * 100, 2),
    }


async def kill(system: Installation, tag: str) -> dict[str, Any]:
    """The executor killed in an execution of 100 steps of 10 ms, and started again at once."""
    execution, _ = await system.submit(f"{tag}-0", KILL_STEPS, pause_ms=10)
    await system.log.until(tag, 30, every_s=0.001)
    killed_s = time.monotonic()
    system.kill("step_executor")
    done = {mark.n for mark in system.log.ended(tag)}
    dead = {mark.pid for mark in system.log.ended(tag)}
    system.start("step_executor")
    right = await system.result(execution, KILL_STEPS) == KILL_STEPS
    marks = system.log.ended(tag)
    on_s = min((mark.at_s for mark in system.log.begun(tag) if mark.pid not in dead), default=0.0) - killed_s
    return {"goes_on_after_s": round(on_s, 2), "value_right": right, **_repeats(marks, done)}


def _repeats(marks: list[Mark], done: set[int]) -> dict[str, int]:
    ends = [mark.n for mark in marks]
    return {
        "done_at_kill": len(done),
        "finished_steps_run_again": len(ends) - len(set(ends)),
        "of_them_not_the_last": sum(ends.count(n) > 1 for n in done - {max(done)}),
        "steps_missing": KILL_STEPS - len(set(ends)),
    }


def summary(runs: list[Burst], executions: int, steps: int, at_once: int) -> dict[str, Any]:
    """Medians over runs, in the peers' words."""
    thousand = executions * steps / 1_000
    each = {name: statistics.median(run.cpu_s[name] for run in runs) / thousand for name in runs[0].cpu_s}
    return {
        "executions": executions,
        "steps": steps,
        "runs": len(runs),
        "at_once": at_once,
        "steps_per_s": round(statistics.median(run.steps_per_s for run in runs)),
        "all_runs": [round(run.steps_per_s) for run in runs],
        "cpu_s_per_1000": round(statistics.median(sum(run.cpu_s.values()) for run in runs) / thousand, 3),
        "of_it": {name: round(value, 3) for name, value in each.items()},
        "client_cpu_s_per_1000": round(statistics.median(run.client_s for run in runs) / thousand, 3),
        "others_percent": round(statistics.median(run.others_percent for run in runs)),
        "submit": milliseconds([took for run in runs for took in run.starts_s]),
        "wrong": sum(run.wrong for run in runs),
        "steps_run_again": sum(run.again for run in runs),
    }
