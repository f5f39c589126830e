"""What is left when messages get lost: `make losses`, or `python -m tests.system.losses qstash ably both away --sagas 1000`.

Real processes, one of each service; sagas of eight steps with a message for each step; every tenth cannot succeed.

`qstash`: QStash takes every message and delivers none. `ably`: QStash refuses half of them, and every event on Ably gets lost.
`both`: QStash refuses half and loses half of the rest, and Ably loses half. `away`: QStash refuses everything, Ably works.
`idle`: as `qstash`, twenty sagas at a time, so that the delay of recovery is the watchdog's and not the load's.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from shared.settings import DEV_ABLY_KEY, DEV_TOKEN
from tests.system import report as reports
from tests.system.audit import audit
from tests.system.harness import System
from tests.system.load import UNDONE, WELL, Load, Saga, doomed, job
from tests.system.report import Report

STEPS: Final = 8
FAILING_EACH: Final = 10
SWEEP_MS: Final = 1_000
SLACK_MS: Final = 2_000
"""What the delay of recovery may be above the period of the sweep, at idle."""
SETTINGS: Final = {"STEPS_PER_MESSAGE": "1", "SWEEP_MS": str(SWEEP_MS), "QUOTA_PROFILE": "none"}


class Losses(NamedTuple):
    """Faults of qstash_dev and of ably_dev; and how many sagas are under way at a time (0: as many as asked for)."""

    qstash: Sequence[Mapping[str, Any]]
    ably: Sequence[Mapping[str, Any]]
    at_once: int = 0


LOOK_S: Final = 2.0
"""So that looking on is not most of what the system does."""
NONE: Final = Losses([], [])
HALF: Final = 0.5
WAYS: Final[Mapping[str, Losses]] = {
    "qstash": Losses([{"kind": "drop"}], []),
    "ably": Losses([{"kind": "refuse", "probability": HALF}], [{"kind": "lose"}]),
    "both": Losses(
        [{"kind": "refuse", "probability": HALF}, {"kind": "drop", "probability": HALF}],
        [{"kind": "lose", "probability": HALF}],
    ),
    "away": Losses([{"kind": "refuse"}], []),
    "idle": Losses([{"kind": "drop"}], [], at_once=20),
}


async def run(way: str, sagas: int, *, folder: Path, at_once: int = 200, seed: int = 1, within: float = 600) -> Report:
    """So many sagas under these losses, `at_once` of them under way; every end is looked at."""
    losses, began = WAYS[way], time.monotonic()
    at_once = losses.at_once or at_once
    async with System(folder, **SETTINGS) as system:
        await _lose(system, losses, seed)
        load = Load(system, seed, look_s=LOOK_S)
        await _through(load, sagas, at_once, within)
        machine, fired = reports.machine(), await _fired(system)
        await _lose(system, NONE, seed)  # what is left of messages must be able to go
        found = await audit(system, load.sagas, redis_url=system.environ["REDIS_URL"])
        unfinished = [f"saga {saga.number} {saga.id} has no end: {saga.found}" for saga in load.sagas if not saga.over]
        fields = reports.audited(found)
        fields["findings"] += unfinished
        return Report(
            what=f"losses: {way}, {sagas} sagas of {STEPS} steps, {at_once} at a time, sweep every {SWEEP_MS} ms",
            seed=seed,
            seconds=time.monotonic() - began,
            machine=machine,
            clocks="one clock",
            faults=fired,
            ends=reports.ends(load),
            load=dict(load.counts),
            logs=reports.from_logs(system),
            **fields,
        )


async def _through(load: Load, sagas: int, at_once: int, within: float) -> None:
    """A new saga whenever one has ended, until all have, or the time is over."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with gate:
            await load.start(drawn(number))

    try:
        async with asyncio.timeout(within), asyncio.TaskGroup() as group:
            for number in range(sagas):
                group.create_task(one(number))
    except TimeoutError:
        await load.finish(within=0)


def drawn(number: int) -> Saga:
    """Eight steps; the last one of every tenth is refused by the town."""
    jobs = [job(f"s{n}", *([f"s{n - 1}"] if n else []), seconds=0) for n in range(STEPS)]
    if number % FAILING_EACH:
        return Saga(number, "chain", jobs, WELL)
    return Saga(number, "failing chain", [*jobs[:-1], doomed(f"s{STEPS - 2}")], UNDONE)


async def _lose(system: System, losses: Losses, seed: int) -> None:
    user, _, password = DEV_ABLY_KEY.partition(":")
    answers = await asyncio.gather(
        system.client.put(
            f"{system.processes['qstash_dev'].url}/v2/dev/faults",
            json={"faults": list(losses.qstash), "seed": seed},
            headers={"Authorization": f"Bearer {DEV_TOKEN}"},
        ),
        system.client.put(
            f"{system.processes['ably_dev'].url}/dev/faults",
            json={"faults": list(losses.ably), "seed": seed},
            auth=(user, password),
        ),
    )
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers]


async def _fired(system: System) -> dict[str, int]:
    """How often each loss really happened."""
    user, _, password = DEV_ABLY_KEY.partition(":")
    qstash = await system.client.get(
        f"{system.processes['qstash_dev'].url}/v2/dev/faults", headers={"Authorization": f"Bearer {DEV_TOKEN}"}
    )
    ably = await system.client.get(f"{system.processes['ably_dev'].url}/dev/faults", auth=(user, password))
    both = [("qstash", one) for one in qstash.json()["faults"]] + [("ably", one) for one in ably.json()["faults"]]
    return {f"{name}: {one['kind']} {one.get('probability', 1):.0%}": one["fired"] for name, one in both}


def slow(report: Report) -> bool:
    """Whether recoveries took longer than the sweep's period and the slack. Only idle runs promise it."""
    return report.recovery["all"].p99 > SWEEP_MS + SLACK_MS


def main() -> None:
    """Run what is asked for; exit with 1 if a promise was broken, or recovery was slow at idle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", choices=[*WAYS, []], default=list(WAYS))
    parser.add_argument("--sagas", type=int, default=1_000, help="of each; of `idle` a tenth (1000)")
    parser.add_argument("--at-once", type=int, default=200, help="under way at a time (200)")
    parser.add_argument("--seed", type=int, default=1)
    asked, bad = parser.parse_args(), 0
    for way in asked.ways:
        sagas = asked.sagas // 10 if way == "idle" else asked.sagas
        with TemporaryDirectory() as folder:
            report = asyncio.run(run(way, sagas, folder=Path(folder), at_once=asked.at_once, seed=asked.seed))
        print(reports.rendered(report), flush=True)  # noqa: T201 - a command line
        bad += report.broken
        if way == "idle":
            bad += slow(report)
            told = "above" if slow(report) else "within"
            print(f"p99 {report.recovery['all'].p99} ms is {told} {SWEEP_MS} + {SLACK_MS} ms", flush=True)  # noqa: T201
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
