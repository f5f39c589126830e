"""The guard of the hot path fails for what costs a tenth more, and for nothing less than it says."""

import asyncio

import msgspec
import pytest

from bench.guard import FILE, SEGMENTS, TOLERANCE, YARDS, Cost, base_for, cost, judge
from bench.hotpath import STEPS, replay
from bench.recording import record
from bench.tape import resp

BASE = Cost(instructions=1_000_000, yard=40_000)


@pytest.mark.parametrize(
    ("instructions", "good"),
    [(1_100_000, False), (1_060_000, False), (1_040_000, True), (1_000_000, True), (700_000, True)],
    ids=["a tenth more", "above the tolerance", "within it", "the same", "less"],
)
def test_more_work_than_the_tolerance_fails(instructions: int, *, good: bool) -> None:
    """Less is well, and says that it can be held."""
    said = judge(Cost(instructions=instructions, yard=40_000), BASE, "3.11")

    assert said.good is good
    assert ("--write holds it" in said.text) is (instructions == 700_000)


def test_a_build_of_python_that_needs_more_for_everything_is_no_regression() -> None:
    """The yardstick needs more then as well."""
    assert judge(Cost(instructions=1_200_000, yard=48_000), BASE, "3.11").good


def test_a_version_is_held_to_its_own_base_line_or_to_that_of_its_like() -> None:
    """Python 3.11.7 and 3.11.2 are alike; 3.12 and 3.1 are not."""
    bases = {"3.11.2": BASE, "3.11.7": BASE}

    assert base_for(bases, "3.11.7") == "3.11.7"
    assert base_for(bases, "3.11.9") == "3.11.2"
    assert base_for(bases, "3.12.2") is None
    assert base_for(bases, "3.1.2") is None


def test_start_up_cancels() -> None:
    """What is in both lengths is in neither figure."""
    start = 2_000_000_000
    totals = {f"steps-{times}": start + times * STEPS * 7 for times in SEGMENTS}
    totals |= {f"yards-{times}": start + times * 3 for times in YARDS}

    assert cost(totals) == Cost(instructions=7, yard=3)


def test_the_committed_base_line_can_be_read() -> None:
    """By version of Python, and the tolerance is below a tenth."""
    assert msgspec.json.decode(FILE.read_bytes(), type=dict[str, Cost])
    assert TOLERANCE < 0.1


async def test_a_recorded_execution_can_be_played_again_and_again() -> None:
    """Every command of a segment finds its answer on the tape, each time; the real server is gone."""
    recording = await record()

    async with asyncio.timeout(30):
        await replay(recording, 3)


def test_answers_are_kept_as_the_server_sends_them() -> None:
    """Nested, with nothing and with numbers."""
    assert resp([1, b"a\r\n", None, [b""]]) == b"*4\r\n:1\r\n$3\r\na\r\n\r\n$-1\r\n*1\r\n$0\r\n\r\n"
    with pytest.raises(TypeError, match="float"):
        resp(1.5)
