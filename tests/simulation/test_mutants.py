"""Mutants are real: each changes the engine as it is today, and the simulator notices. `make mutants` judges all of them."""

import pytest

from tests.simulation.mutants.__main__ import BROKEN, SURVIVED, judge
from tests.simulation.mutants.loading import DoesNotApply, Patch, changed, source_of
from tests.simulation.mutants.mutants import MUTANTS, Mutant

QUICK = (
    "what a commit kept is applied last",
    "a cancel is taken in and forgotten",
    "no due index",
    "no fence: neither owner nor version is compared",
)


def _by_module(mutant: Mutant) -> dict[str, list[Patch]]:
    found: dict[str, list[Patch]] = {}
    for patch in mutant.patches:
        found.setdefault(patch.module, []).append(patch)
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_the_engine_as_it_is(mutant: Mutant) -> None:
    """One whose text is gone must be written anew: it guards a rule that still holds. What it becomes is Python."""
    for module, patches in _by_module(mutant).items():
        source = source_of(module).read_text(encoding="utf8")
        compile(changed(source, patches), module, "exec")


def test_a_patch_that_does_not_apply_says_so() -> None:
    """It would otherwise survive for ever, or be noticed for nothing."""
    with pytest.raises(DoesNotApply, match="0 times"):
        changed("a = 1", [Patch("m", "b = 2", "b = 3")])


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.name in QUICK], ids=lambda mutant: mutant.name)
def test_the_simulator_notices_a_mutant(mutant: Mutant) -> None:
    """A few of them, within a hundred seeds; an engine as it is passes those."""
    verdict = judge(mutant, 100)
    assert verdict.check not in {SURVIVED, BROKEN}, verdict


def test_there_are_many_and_no_two_have_the_same_name() -> None:
    """The child process finds its mutant by name."""
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 30
