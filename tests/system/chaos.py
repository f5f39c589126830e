"""Everything at once: `make chaos ARGS="--minutes 5 --seed 1"`. docs/chaos.md says what and why.

Real processes: three executors, two resume services, ingress, the dev servers, the town and Valkey, with a proxy in every line.
A steady stream of sagas, and random troubles from the seed. When they are over, everything must end, and be as it was promised.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system import report as reports
from tests.system.audit import Audit, Finding, audit
from tests.system.fleet import SKEW_S, Fleet
from tests.system.load import Load, Saga
from tests.system.report import Report
from tests.system.trouble import Troubles, drawn
from tests.system.verdicts import Story

CALM_S = 240
"""After the last trouble. The longest wait of an undo between two attempts is a minute."""
SETTINGS = {
    "STEPS_PER_MESSAGE": "3",  # so that there are many messages to lose
    "QUOTA_CONCURRENT": "80",  # so that new work is refused while much stands still
    "BREAKER_OPEN_MS": "1000",
    "BREAKER_OPEN_MOST_MS": "4000",  # a town that was bad for long is asked again soon
}


async def run(
    seed: int, seconds: float, *, folder: Path, a_second: float = 2.0, every_s: float = 1.2, calm_s: float = CALM_S
) -> Report:
    """One run of `seconds` with `a_second` new sagas and a trouble in `every_s`, then at most `calm_s` for all to end."""
    async with Fleet(folder, seed, skewed=True, **SETTINGS) as fleet:
        load, troubles, began = Load(fleet, seed), Troubles(fleet), time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.flow(seconds=seconds, a_second=a_second))
            group.create_task(troubles.run(drawn(seed, seconds, every_s=every_s)))
        machine = reports.machine()
        await fleet.all_ready()
        open_ones = await load.finish(within=calm_s)
        found = await audit(fleet, load.sagas, redis_url=fleet.redis_url)
        found.findings.extend(await _stuck(fleet, open_ones))
        found.findings.extend(Finding(f"{name} was found dead") for name in troubles.died)
        took_s = time.monotonic() - began
        return _report(fleet, load, troubles, found, seed=seed, seconds=took_s, machine=machine)


async def _stuck(fleet: Fleet, sagas: list[Saga]) -> list[Finding]:
    """Those without an end, with what `why` says of them."""
    found = []
    for saga in sagas:
        if not saga.id:
            found.append(Finding(f"saga {saga.number} ({saga.kind}) was never accepted"))
            continue
        why = (await fleet.client.get(f"{fleet.processes['ingress'].url}/api/executions/{saga.id}/why")).json()
        story = Story(saga.found, await fleet.history(saga.id), await fleet.effect_rows(saga.id))
        found.append(Finding(f"saga {saga.number} ({saga.kind}) has no end: {why['why']} broken: {why['broken']}", story))
    return found


def _report(fleet: Fleet, load: Load, troubles: Troubles, found: Audit, *, seed: int, seconds: float, machine: str) -> Report:
    clocks = f"clocks off by up to {SKEW_S:.0f} s: " + ", ".join(f"{name} {off:+}" for name, off in fleet.skew.items())
    return Report(
        what="chaos",
        seed=seed,
        seconds=seconds,
        machine=machine,
        clocks=clocks,
        faults=dict(troubles.done),
        ends=reports.ends(load),
        load=dict(load.counts),
        logs=reports.from_logs(fleet),
        **reports.audited(found),
    )


def main() -> None:
    """Run it, tell it, and exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long there are troubles (5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--a-second", type=float, default=2.0, help="new sagas (2)")
    parser.add_argument("--every", type=float, default=1.2, help="seconds between two troubles (1.2)")
    parser.add_argument("--json", type=Path, help="write the report there, too")
    parser.add_argument("--keep", type=Path, help="keep the data and logs of all processes in this folder")
    asked = parser.parse_args()
    with TemporaryDirectory() as passing:
        folder = asked.keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(asked.seed, asked.minutes * 60, folder=folder, a_second=asked.a_second, every_s=asked.every))
    print(reports.rendered(report), flush=True)  # noqa: T201 - a command line
    if asked.json:
        asked.json.write_bytes(reports.encoded(report))
    sys.exit(1 if report.broken else 0)


if __name__ == "__main__":
    main()
