"""Prints the tables of docs/scaling.md: `make scale`. Counts only: with one seed they come out alike.

The shapes are played for real on a Valkey of its own; then a crowd of executions is drawn, and what they ask of each key,
partition, node and executor is the shapes' share times their number. Ten million take a few minutes and some 100 MiB.
"""

import argparse
import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.processes import start_valkey
from bench.scale import nodes
from bench.scale.crowd import Crowd
from bench.scale.fleet import Fleet
from bench.scale.footprint import SHAPES, Footprint, Weight, measure, weigh
from bench.scale.heat import Heat, summary
from bench.scale.idle import Idle, executor_look, fill, resume_round
from bench.scale.played import MIX, PER_S, Played, play
from bench.simulated import there
from shared.logs import configure
from shared.redisdb.connect import connect
from tests.support.waiting import eventually

NODES = (1, 3, 12, 64)
TENANTS = 1_000
TEN_KEYS = ",".join(f"tenant{number}:key-of-tenant-number-{number:09d}" for number in range(10))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """As Markdown has it."""
    print("| " + " | ".join(heads) + " |")
    print("| --- |" + " ---: |" * (len(heads) - 1))
    for row in rows:
        print(
            "| "
            + " | ".join(f"{cell:,.2f}".removesuffix(".00") if isinstance(cell, float) else _text(cell) for cell in row)
            + " |"
        )
    print(flush=True)


def _text(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def footprints(found: Sequence[Footprint], weights: Sequence[Weight]) -> None:
    """What one execution costs."""
    rows: list[tuple[str, list[float]]] = [
        ("messages", [one.messages for one in found]),
        ("segments", [one.segments for one in found]),
        ("scripts", [one.scripts for one in found]),
        ("commands from outside, scripts included", [one.commands for one in found]),
        ("commands inside the server", [one.inner for one in found]),
        ("KiB to the server", [one.bytes_in / 1_024 for one in weights]),
        ("KiB from the server", [one.bytes_out / 1_024 for one in weights]),
        ("KiB of append-only file", [one.aof / 1_024 for one in weights]),
        ("KiB kept before the first step", [sum(one.born.values()) / 1_024 for one in weights]),
        ("KiB kept while it sleeps", [sum(one.asleep.values()) / 1_024 for one in weights]),
        ("KiB kept when it is over", [sum(one.ended.values()) / 1_024 for one in weights]),
    ]
    table(["of one execution", *(shape.name for shape in SHAPES)], [[name, *cells] for name, cells in rows])


def hot_keys(heat: Heat) -> None:
    """The hottest key of each kind."""
    rows = [(f"`{hot.name}`", hot.scope, round(hot.touches), hot.touches / heat.executions) for hot in heat.hottest()[:14]]
    table(["hottest key of its kind", "one for each", "commands", "for each execution of the run"], rows)


def on_nodes(heats: Sequence[tuple[str, Heat]]) -> None:
    """The busiest node, in means."""
    rows: list[list[Any]] = []
    for count in NODES:
        even, cut = nodes.by_slots(count), nodes.by_partitions(count)
        row: list[Any] = [count, f"{_most(even, count)}, {count - len(set(even.values()))} with none", f"{_most(cut, count)}"]
        for _, heat in heats:
            row += [
                heat.busiest(even, count, partial(nodes.evenly, nodes=count)),
                heat.busiest(cut, count, nodes.cutter(cut)),
            ]
        rows.append(row)
    heads = ["nodes", "most partitions of a node: slots even", "slots cut"]
    table([*heads, *(f"busiest node in means, {name}: {how}" for name, _ in heats for how in ("even", "cut"))], rows)
    growing = ((2, 3), (3, 4), (11, 12), (12, 13), (63, 64))
    rows = [
        [f"{before} to {after}", nodes.moved(nodes.by_slots(before), nodes.by_slots(after)), _grown(before, after)]
        for before, after in growing
    ]
    table(["a node more", "partitions moved: slots even", "moved as few as there can be"], rows)


def _most(homes: nodes.Homes, count: int) -> int:
    return max(list(homes.values()).count(node) for node in range(count))


def _grown(before: int, after: int) -> int:
    homes = nodes.by_partitions(before)
    return nodes.moved(homes, nodes.grown(homes, after))


def executors(played: Played) -> None:
    """What came of executors that came or went."""
    heads = ["what happens", "executors", "left", "leases in flight", "taken over", "of them at once", "the others after s"]
    rows = [[e.what, e.executors, e.left, e.leases, e.orphaned, e.at_once, e.waited_s] for e in played.events]
    table(heads, rows)


async def real(url: str, redis: Any) -> tuple[list[Footprint], list[Weight], list[tuple[str, Idle]]]:
    """What is played on a real Valkey."""
    found, weights = [], []
    for shape in SHAPES:
        await redis.flushall()
        found.append(await measure(redis, shape))
        await redis.flushall()
        weights.append(await weigh(redis, shape))
    await redis.flushall()
    idle = [("a sweep of the resume service, nothing stored", await resume_round(url, redis))]
    for count in (1_000, 100_000):
        await fill(redis, count, "local")
        idle.append((f"the same, {count:,} executions stored", await resume_round(url, redis)))
    idle.append(("the same, 11 tenants", await resume_round(url, redis, api_keys=TEN_KEYS)))
    idle.append(("an executor's look, with a request, once a second at most", await executor_look(url, redis)))
    return found, weights, idle


async def main(executions: int, seed: int, fleet: int) -> None:
    """All tables."""
    configure(service="bench", format="json", level="error")
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "everysec") as valkey:
        async with connect(valkey.url) as redis:
            await eventually(lambda: there(redis), within=20, describe="Valkey is there")
            found, weights, idle = await real(valkey.url, redis)
    footprints(found, weights)
    table(["of one round", "commands from outside", "keys touched"], [[name, one.commands, one.inner] for name, one in idle])
    crowds = (
        ("Zipf", Crowd(seed=seed, tenants=TENANTS)),
        ("one tenant with 90 %", Crowd(seed=seed, tenants=TENANTS, whale=0.9)),
    )
    played = [(name, play(one, Fleet(seed=seed, executors=fleet), found, executions=executions)) for name, one in crowds]
    for name, one in played:
        print(f"{name}: {executions:,} executions of {TENANTS:,} tenants, {PER_S:,} a second, shares of the shapes {MIX}\n")
        load = summary(one.heat)
        print(f"commands inside the server, a partition: {load['mean']:,.0f}")
        print(f"the busiest partition has {load['most']:.4f} means, the idlest {load['least']:.4f}")
        ledgers = one.heat.of_ledgers()
        share = max(ledgers.values()) / (sum(ledgers.values()) + sum(one.heat.of_partitions().values()))
        print(f"of all commands, the busiest tenant's quota: {share:.2%}")
        messages = one.heat.sum_of([each.messages for each in found])
        steps = one.heat.sum_of([shape.steps for shape in SHAPES])
        print(
            f"{messages:,.0f} messages for {steps:,.0f} steps: {messages / steps:.3f} a step; {one.fleet.segments:,} segments\n"
        )
        hot_keys(one.heat)
    on_nodes([(name, one.heat) for name, one in played])
    executors(played[0][1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--executors", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--ranges", type=int, help="print the slots of so many nodes that share the partitions evenly, and no more"
    )
    words = parser.parse_args()
    if words.ranges:
        cut = nodes.ranges(nodes.by_partitions(words.ranges))
        print("\n".join(f"node {number}: CLUSTER ADDSLOTSRANGE {first} {last}" for number, (first, last) in enumerate(cut)))
    else:
        asyncio.run(main(words.executions, words.seed, words.executors))
