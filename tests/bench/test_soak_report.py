"""A soak's report says what grew, what stayed and what became slower, and does not cry at noise."""

from collections.abc import Callable

import pytest

from bench.soak_report import markdown, speeds, verdicts
from bench.soak_watch import Keys, Latency, Process, Sample

PHASES = ["base"] * 6 + ["probe"] + ["load"] * 100 + ["after"] * 6 + ["probe after"]


def soak(memory: Callable[[str, float], float], step_ms: Callable[[str, float], float] = lambda *_: 1.0) -> list[Sample]:
    """An hour in samples; `memory` and `step_ms` of the phase and of the part of the hour that has passed."""
    found = []
    for place, phase in enumerate(PHASES):
        part = place / len(PHASES)
        took = {"p50_ms": step_ms(phase, part), "p99_ms": 2.0}
        latency = Latency(start={"p50_ms": 1.0, "p99_ms": 2.0}, step=took, finished=0, unfinished=0)
        processes = {"executor": Process(pss_mib=memory(phase, part), handles=20, cpu_s=0)}
        found.append(Sample(phase, 3_600 * part, processes, Keys(staying=64, ending=0, used_mib=3), latency))
    return found


def memory_line(samples: list[Sample]) -> tuple[bool, bool]:
    """Whether memory was level under load, and came back after it."""
    return next((found.level, found.back) for found in verdicts(samples) if found.name == "executor: memory, MiB")


def test_memory_that_rises_with_the_load_and_goes_with_it_is_sound() -> None:
    """A plateau under load is no leak."""
    assert memory_line(soak(lambda phase, _: 90 if phase == "load" else 60)) == (True, True)


def test_memory_that_grows_all_the_time_is_told() -> None:
    """Forty MiB an hour: it grows, and it stays."""
    assert memory_line(soak(lambda _, part: 60 + 40 * part)) == (False, False)


def test_memory_that_stays_when_the_load_is_gone_is_told() -> None:
    """A plateau that nothing brings down again."""
    assert memory_line(soak(lambda phase, _: 60 if phase == "base" else 120)) == (True, False)


def test_noise_is_not_growth() -> None:
    """A level series with a few MiB up and down."""
    assert memory_line(soak(lambda _, part: 60 + 3 * (int(part * 1_000) % 2))) == (True, True)


def test_steps_that_get_slower_under_load_are_told() -> None:
    """The late ones take three times as long as the early ones."""
    found = {speed.name: speed for speed in speeds(soak(lambda *_: 60, lambda _, part: 1 + 3 * part))}

    assert not found["step, p50"].level
    assert not found["step, p50"].back
    assert found["start, p50"].level


def test_the_report_names_what_grew() -> None:
    """In words, in the line of the series."""
    samples = soak(lambda _, part: 60 + 40 * part)

    text = markdown({"load": "none"}, verdicts(samples), speeds(samples))

    line = next(line for line in text.splitlines() if "executor: memory" in line)
    assert "**grows**" in line
    assert "**stays higher**" in line
    assert text.startswith("- load: none\n")


@pytest.mark.parametrize("left_out", ["base", "load", "after"])
def test_of_a_soak_that_was_ended_early_it_says_what_there_is(left_out: str) -> None:
    """Nothing is judged from nothing, and nine samples under load are no more than none."""
    all_of_it = soak(lambda *_: 60)
    nine = [sample for sample in all_of_it if sample.phase == left_out == "load"][:9]
    with pytest.raises(ValueError, match=r"ended early: .* there are \d+, \d+ and \d+"):
        verdicts([*(sample for sample in all_of_it if sample.phase != left_out), *nine])
