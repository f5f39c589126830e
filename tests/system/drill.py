"""What takes too long for the suite: `make drill`, or `python -m tests.system.drill saga --seeds 1-10 --nap-ms 30000`.

Real processes. `saga`: the saga of `tests/system/saga.py` under eight kills, once for each seed; `power`: the same with strict
durability and power cuts. `map`: 1,000 items at the town, with three kills of the executor. `plan`: 10,000 steps at the town.
One line a run; the exit code is 1 if anything was not as promised.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.system import saga
from tests.system.disk import Disk
from tests.system.harness import QUICK, System, until
from tests.system.kills import POWER, drawn

KILLS = 8
ALL = ("saga", "power", "map", "plan")
LINES = 55


async def one_saga(seed: int, nap_ms: int) -> str:
    """The saga of `tests/system/saga.py` under eight kills."""
    with TemporaryDirectory() as folder:
        async with System(Path(folder), **QUICK) as system:
            seats, began = await saga.seats_left(system), time.monotonic()
            kills = drawn(seed, KILLS, lines=LINES)
            found, killed = await saga.run(system, seed, kills, nap_ms=nap_ms, within=240)
            took = time.monotonic() - began
            await saga.check(system, found, seats)
    names = [kill.name for kill in killed]
    told = ", ".join(f"{name} {names.count(name)}x" for name in sorted(set(names)))
    ended = f"{found['status']} after {took:.1f} s, {found['segment']} segments"
    return f"saga, seed {seed}, sleep {nap_ms} ms: {ended}; killed {told}"


async def one_power_cut(seed: int, nap_ms: int) -> str:
    """The same saga with `DURABILITY=strict` on a Redis that syncs every second, under four kills and three power cuts."""
    with TemporaryDirectory() as folder:
        async with System(Path(folder), **QUICK, DURABILITY="strict") as system:
            disk = Disk(system)
            await disk.every_second()
            seats, began = await saga.seats_left(system), time.monotonic()
            cuts = drawn(seed, 3, lines=LINES, names=[POWER])
            kills = sorted([*drawn(seed, 4, lines=LINES), *cuts])
            found, killed = await saga.run(system, seed, kills, nap_ms=nap_ms, within=240, disk=disk)
            took = time.monotonic() - began
            await saga.check(system, found, seats)
    return f"power, seed {seed}: {found['status']} after {took:.1f} s; {', '.join(kill.name for kill in killed)}"


async def one_map(items: int) -> str:
    """Every item once."""
    step = {"name": "m", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": [str(n) for n in range(items)]}}
    with TemporaryDirectory() as folder:
        async with System(Path(folder)) as system:
            began = time.monotonic()
            execution = await system.run_plan([step])
            for part in (1, 2, 3):
                await some_effects(system, execution, items * part // 4)
                await system.restart("step_executor")
            found = await system.ended(execution, within=300)
            rows, took = await system.effect_rows(execution), time.monotonic() - began
            assert found["status"] == "COMPLETED", found
            assert [row["times_applied"] for row in rows] == [1] * items
    return f"map, {items} items: COMPLETED after {took:.1f} s with 3 kills, {found['segment']} segments"


async def one_plan(steps: int) -> str:
    """As many steps as a plan may have, sixteen side by side."""
    plan = [
        {"name": f"s{n}", "tool": "do_work", "args": {"label": f"job {n}"}, "needs": [f"s{n - 16}"] if n >= 16 else []}
        for n in range(steps)
    ]
    size = len(json.dumps({"plan": {"steps": plan}}))
    with TemporaryDirectory() as folder:
        async with System(Path(folder)) as system:
            began = time.monotonic()
            execution = await system.run_plan(plan)
            accepted = time.monotonic() - began
            found = await system.ended(execution, within=600)
            took = time.monotonic() - began
            rows, messages = await system.effect_rows(execution), found["segment"]
            assert found["status"] == "COMPLETED", found
            assert [row["times_applied"] for row in rows] == [1] * steps
    return (
        f"plan, {steps} steps: {size / 1e6:.2f} MB, accepted after {accepted:.2f} s, COMPLETED after {took:.1f} s, "
        f"{messages} segments, {steps / took:.0f} steps/s"
    )


async def some_effects(system: System, execution: str, count: int) -> None:
    """Wait until the town has so many."""

    async def enough() -> bool:
        return len(await system.effect_rows(execution)) >= count

    await until(enough, within=120, describe=f"{count} effects")


def numbers(text: str) -> Sequence[int]:
    """`3`, or `1-10`."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def asked_for() -> Iterator[tuple[str, Coroutine[Any, Any, str]]]:
    """What the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*ALL, []], default=ALL)
    parser.add_argument("--seeds", type=numbers, default=numbers("1-10"))
    parser.add_argument("--nap-ms", type=int, default=30_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=10_000)
    asked = parser.parse_args()
    if "saga" in asked.what:
        yield from ((f"saga, seed {seed}", one_saga(seed, asked.nap_ms)) for seed in asked.seeds)
    if "power" in asked.what:
        yield from ((f"power, seed {seed}", one_power_cut(seed, asked.nap_ms)) for seed in asked.seeds)
    if "map" in asked.what:
        yield "map", one_map(asked.items)
    if "plan" in asked.what:
        yield "plan", one_plan(asked.steps)


def main() -> None:
    """Run what is asked for."""
    broken = 0
    for name, run in asked_for():
        try:
            print(asyncio.run(run), flush=True)  # noqa: T201 - a command line
        except (AssertionError, TimeoutError) as error:
            broken += 1
            print(f"{name}: BROKEN: {type(error).__name__} {error}", flush=True)  # noqa: T201 - a command line
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
