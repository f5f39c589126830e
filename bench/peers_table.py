"""The lines of `bench.peers` as Markdown tables: figures, ratios to ours, settings. Pure."""

import math
from collections.abc import Sequence
from typing import Any, Final

Row = dict[str, Any]
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "ms a step alone": ("sequential", "gap", "p50_ms"),
    "p99": ("sequential", "gap", "p99_ms"),
    "steps/s": ("throughput", "steps_per_s"),
    "CPU-s per 1,000 steps": ("throughput", "cpu_s_per_1000"),
    "start p50 ms": ("submit", "p50_ms"),
    "start p99 ms": ("submit", "p99_ms"),
    "start of 100 steps to the first, ms": ("sequential", "submit_to_first_step_ms"),
    "idle MiB": ("idle", "pss_mib"),
    "idle % of a core": ("idle", "cpu_percent_of_a_core"),
    "fsyncs a step alone": ("fsyncs_per_step_sequential",),
    "fsyncs a step at once": ("fsyncs_per_step_burst",),
    "Redis commands a step": ("per_step", "redis_commands"),
}
MORE_IS_BETTER: Final = frozenset({"steps/s"})
COMPARED: Final = tuple(COLUMNS)[:9]
COUNTED_WHOLE: Final = frozenset({"CPU-s per 1,000 steps", "idle MiB", "idle % of a core"})
"""Of no meaning where only a part of the processes is counted."""
OURS: Final = "intention-engine"


def tables(rows: Sequence[Row]) -> str:
    """Figures, then ratios, then what they were measured with."""
    date = next((row for row in rows if "date" in row), {})
    found = [row for row in rows if "peer" in row]
    head = f"{date.get('date', 'no date')}, {date.get('cores', '?')} cores, medians"
    return "\n\n".join([head, _figures(found), _ratios(found), _settings(found), _floors(found)])


def _figures(rows: Sequence[Row]) -> str:
    lines = [_head(["system", *COLUMNS, "on again after a kill, s", "wrong, lost, again"])]
    for row in rows:
        if "failed" in row:
            lines.append(_line([row["peer"], f"failed: {_flat(row['failed'])}", *[""] * (len(COLUMNS) + 1)]))
        else:
            lines.append(_line([row["peer"], *(_text(cell(row, name)) for name in COLUMNS), again(row), faults(row)]))
    return "\n".join(lines)


def cell(row: Row, name: str) -> float | None:
    """One figure; None where it was not measured."""
    if "uncounted" in row and name in COUNTED_WHOLE:
        return None
    found: Any = row
    for key in COLUMNS[name]:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def again(row: Row) -> str:
    """How long after each kill the execution went on."""
    kills = row.get("crash", [])
    return ", ".join(str(kill.get("goes_on_after_s", f"stuck after {kill.get('stuck_after_s')}")) for kill in kills)


def faults(row: Row) -> str:
    """Wrong results, steps that never ran, and finished steps that ran again (but the one at the kill)."""
    kills = row.get("crash", [])
    wrong = sum(row.get(shape, {}).get("wrong", 0) for shape in ("sequential", "throughput"))
    wrong += sum(not kill.get("value_right", False) for kill in kills)
    missing, twice = (sum(kill.get(key, 0) for kill in kills) for key in ("steps_missing", "of_them_not_the_last"))
    return f"{wrong}, {missing}, {twice + row.get('throughput', {}).get('steps_run_again', 0)}"


def _ratios(rows: Sequence[Row]) -> str:
    lines = ["How many times ours is ahead, of the same durability (below 1: behind).", ""]
    lines.append(_head(["system", "beside", *COMPARED]))
    for row in rows:
        ours = like(rows, row)
        if ours and not row["peer"].startswith(OURS) and "failed" not in row:
            shown = (ratio(row, ours, name) for name in COMPARED)
            lines.append(_line([row["peer"], ours["peer"], *("" if value is None else f"{value:.2g}" for value in shown)]))
    return "\n".join(lines)


def like(rows: Sequence[Row], row: Row) -> Row | None:
    """The row of ours to put beside it: what may lose a second beside what may lose a second."""
    wanted = "everysec" if "everysec" in row.get("durability", "") else "always"
    return next((own for own in rows if own["peer"] == f"{OURS}-{wanted}" and "failed" not in own), None)


def ratio(row: Row, ours: Row, name: str) -> float | None:
    """Above 1 where ours is ahead; None where one of them was not measured, or is nothing."""
    peer, own = cell(row, name), cell(ours, name)
    if not peer or not own:
        return None
    found = own / peer if name in MORE_IS_BETTER else peer / own
    return found if math.isfinite(found) else None


def _settings(rows: Sequence[Row]) -> str:
    lines = [_head(["system", "versions", "durability", "what decides how soon it goes on", "runs", "other load, % of a core"])]
    for row in rows:
        noise = [str(row.get(shape, {}).get("others_percent", "")) for shape in ("sequential", "throughput")]
        durability = "; not counted: ".join(part for part in (row.get("durability", ""), row.get("uncounted", "")) if part)
        runs = str(row.get("throughput", {}).get("runs", ""))
        cells = (row.get("versions", ""), durability, row.get("recovery_settings", ""), runs, " and ".join(filter(None, noise)))
        lines.append(_line([row["peer"], *map(_flat, cells)]))
    return "\n".join(lines)


def _floors(rows: Sequence[Row]) -> str:
    lines = ["The machine before and after each: compare rows by these.", ""]
    lines.append(_head(["system", "a pure Python loop, ms", "4 KiB append and fdatasync, ms"]))
    for row in rows:
        pair = [row.get(key, {}) for key in ("floor", "floor_after")]
        cells = [" to ".join(_text(at.get(key)) for at in pair) for key in ("python_loop_1m_ms", "fdatasync_4k_p50_ms")]
        if "failed" not in row:
            lines.append(_line([row["peer"], *cells]))
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def _head(cells: Sequence[str]) -> str:
    return f"{_line(cells)}\n|{' --- |' * len(cells)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
