"""The table of peers compares like with like, and tells what failed."""

from typing import Any

from bench.peers_table import faults, like, ratio, tables


def row(peer: str, durability: str, *, steps: float, ms: float, **more: Any) -> dict[str, Any]:
    """A line as a peer prints it, short."""
    return {
        "peer": peer,
        "durability": durability,
        "throughput": {"steps_per_s": steps, "cpu_s_per_1000": 1.0},
        "sequential": {"gap": {"p50_ms": ms, "p99_ms": 2 * ms}},
        **more,
    }


STRONG = row("intention-engine-always", "appendfsync always", steps=3_000, ms=1.0)
WEAK = row("intention-engine-everysec", "appendfsync everysec", steps=6_000, ms=0.5)
PEER = row("celery-everysec-late", "Redis appendonly, appendfsync everysec", steps=600, ms=2.0)


def test_a_peer_that_may_lose_a_second_is_put_beside_ours_that_may() -> None:
    """And anything else beside our strongest."""
    assert like([STRONG, WEAK, PEER], PEER) is WEAK
    assert like([STRONG, WEAK], row("dbos", "PostgreSQL 15 defaults", steps=1, ms=1)) is STRONG


def test_ratios_are_above_one_where_ours_is_ahead() -> None:
    """More steps a second are better, fewer milliseconds are."""
    assert ratio(PEER, WEAK, "steps/s") == 10
    assert ratio(PEER, WEAK, "ms a step alone") == 4
    assert ratio(PEER, WEAK, "idle MiB") is None


def test_what_is_counted_in_part_only_is_not_compared() -> None:
    """The processor time of a worker without its server says nothing."""
    part = {**PEER, "uncounted": "its server"}

    assert ratio(part, WEAK, "CPU-s per 1,000 steps") is None
    assert ratio(part, WEAK, "steps/s") == 10
    assert "its server" in tables([STRONG, WEAK, part])


def test_a_peer_that_failed_is_in_the_table_with_its_reason() -> None:
    """And in no comparison."""
    text = tables([{"date": "today", "cores": 2, "runs": 1}, STRONG, {"peer": "temporal", "failed": "no | server\nhere"}])

    assert "| temporal | failed: no / server here |" in text
    assert text.startswith("today, 2 cores, medians")
    assert text.count("| temporal |") == 2


def test_wrong_values_lost_steps_and_repeats_are_counted_over_all_shapes() -> None:
    """A kill's last step may run again; one before it may not."""
    kill = {"value_right": False, "steps_missing": 2, "finished_steps_run_again": 4, "of_them_not_the_last": 3}

    assert faults({**PEER, "crash": [kill, {"value_right": True}]}) == "1, 2, 3"
