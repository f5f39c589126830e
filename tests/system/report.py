"""What a run of faults tells: how many of each, what became of the executions, how long they stood still."""

import os
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tests.system.audit import Audit
from tests.system.harness import System
from tests.system.load import Load
from tests.system.verdicts import Recovery

COUNTED = {
    "execution.resent": "re-sends by the watchdog",
    "hint.sent": "hints published on Ably",
    "hint.not_sent": "hints that Ably did not take",
    "resume.received": "hints that the resume services took",
    "mesh.connected": "times that a subscriber connected",
    "mesh.rebuilt": "times that a subscriber's client was replaced",
    "circuit.opened": "circuits opened",
    "message.sent": "messages that QStash took",
    "message.relayed": "messages and commands that the relay brought",
    "message.saved": "messages saved by a direct call",
    "message.not_sent": "messages that QStash did not take at first",
    "message.dead": "dead letters",
    "fault.fired": "faults that the dev servers carried out",
    "segment.lost": "holders that learnt that they had lost their execution",
    "signature.refused": "signatures refused",
}
"""Event in the logs -> what it is called in a report."""


class Delays(msgspec.Struct, frozen=True):
    """Of some recoveries, in ms."""

    count: int
    median: int
    p99: int
    most: int


class Report(msgspec.Struct, kw_only=True):
    """One run. `faults`, `ends`, `logs` and `load` count by name."""

    what: str
    seed: int
    seconds: float
    machine: str
    clocks: str
    faults: dict[str, int]
    ends: dict[str, int]
    load: dict[str, int]
    logs: dict[str, int]
    executions: int
    segments: int
    recovery: dict[str, Delays]
    findings: list[str]

    @property
    def broken(self) -> bool:
        """Whether a promise was."""
        return bool(self.findings)


def delays(recovered: Iterable[Recovery]) -> dict[str, Delays]:
    """Of all, and by cause."""
    by: dict[str, list[int]] = {}
    for one in recovered:
        for name in ("all", one.cause):
            by.setdefault(name, []).append(one.ms)
    return {name: Delays(len(ms), round(statistics.median(ms)), percentile(ms, 99), max(ms)) for name, ms in by.items()}


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest value that so many in a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def machine() -> str:
    """What else the numbers depend on."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load average {one:.1f} (1 min), {five:.1f} (5 min)"


def from_logs(system: System) -> dict[str, int]:
    """How often the processes' logs tell of each of these."""
    counts: Counter[str] = Counter()
    for process in system.processes.values():
        for line in process.log().splitlines():
            for event, name in COUNTED.items():
                counts[name] += f'"event":"{event}"' in line
    return dict(+counts)


def ends(load: Load) -> dict[str, int]:
    """How the executions of each kind ended."""
    counts = Counter(f"{saga.kind}: {saga.found.get('status', 'not accepted')}" for saga in load.sagas)
    return dict(sorted(counts.items()))


def rendered(report: Report) -> str:
    """For people."""
    took = report.logs.get("messages that QStash took", 0)
    each = took / report.executions if report.executions else 0.0
    told = [
        f"{report.what}, seed {report.seed}: {report.seconds:.0f} s; {report.machine}; {report.clocks}",
        _block("faults", report.faults),
        _block("executions by kind and end", report.ends),
        _block("load", report.load),
        _block("logs", report.logs),
        f"{report.executions} executions (children too), {report.segments} segments, {each:.2f} messages each",
        "delay of recovery, from the last sign of life to the segment that took it up (ms):",
        *(
            f"  {name}: n {d.count}, median {d.median}, p99 {d.p99}, most {d.most}"
            for name, d in sorted(report.recovery.items())
        ),
        *(f"VIOLATION (seed {report.seed}): {finding}" for finding in report.findings),
        f"{len(report.findings)} promises broken" if report.broken else "no promise broken",
    ]
    return "\n".join(told)


def _block(title: str, counts: Mapping[str, int]) -> str:
    return "\n".join([f"{title} ({sum(counts.values())}):", *(f"  {counts[name]:5} {name}" for name in sorted(counts))])


def encoded(report: Report) -> bytes:
    """As JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def audited(audit: Audit) -> dict[str, Any]:
    """The fields that an audit gives."""
    return {
        "executions": audit.executions,
        "segments": audit.segments,
        "recovery": delays(audit.recovered),
        "findings": [str(finding) for finding in audit.findings],
    }
