"""The pytest plugin: a plan of one's own with fakes of one's own tools."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.machine.plan import Effect
from shared.simulation.plugin import Run, Simulate
from shared.tools.registry import Call, Registry

ROOT = Path(__file__).parents[2]
PLAN = {"steps": [{"name": "a", "tool": "post"}, {"name": "b", "tool": "post", "needs": ["a"]}]}


class Office:
    """A post office; one that does not look at keys is `careless`."""

    careless = False

    def __init__(self) -> None:
        self.posted: Counter[str] = Counter()

    def registry(self) -> Registry:
        """Its one tool."""

        async def post(call: Call) -> Any:
            """Post a letter."""
            if self.careless or not self.posted[call.key]:
                self.posted[call.key] += 1
            return {"n": len(self.posted)}

        found = Registry()
        found.add(post, effect=Effect.IDEMPOTENT)
        return found


class Careless(Office):
    """Says that it is idempotent, and is not."""

    careless = True


def posted_once(run: Run[Any]) -> None:
    """What the owner of the plan wants to be true."""
    assert set(run.world.posted.values()) <= {1}


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    """To the letter, in a pytest of its own."""
    page = (ROOT / "docs/simulation.md").read_text(encoding="utf8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "test_shop.py").write_text(example, encoding="utf8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "shared.simulation.plugin", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{example.count('def test_')} passed" in done.stdout


def test_a_lying_fake_is_found_by_the_seeds_and_told_with_its_timeline() -> None:
    """The note says which seed, which faults, and what happened."""
    with pytest.raises(AssertionError) as caught:
        Simulate().seeds(PLAN, Careless, count=60, check=posted_once)
    note = caught.value.__notes__[0]
    assert "seed" in note
    assert "attempt 2" in note


def test_an_honest_fake_passes_the_same_seeds() -> None:
    """The finding above is the fake's fault."""
    runs = Simulate().seeds(PLAN, Office, count=60, check=posted_once)
    assert {run.status for run in runs} > {"COMPLETED"}


def test_outputs_and_undone_steps_can_be_asked_for() -> None:
    """What a check may want to know."""
    run = Simulate()(PLAN, Office)
    assert (run.status, run.outputs) == ("COMPLETED", {"a": {"n": 1}, "b": {"n": 2}})


def test_a_fault_that_there_is_not_is_refused() -> None:
    """A typo would test nothing."""
    with pytest.raises(ValueError, match="there is no fault 'lots'"):
        Simulate.fault("call", "lots", 1)
