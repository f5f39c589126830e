"""The kit believes an honest tool, and catches a lying one at the very point of its lie."""

from typing import Any

import msgspec
import pytest

from shared.machine.plan import Effect
from shared.tools import kit
from shared.tools.registry import Call, Registry, ToolRefused
from tests.tools.garage import PARKED, Garage
from tests.tools.shop import Shop

LIES = {
    "does it again": {"twice", "at once"},
    "answers anew": {"twice"},
    "looks before it locks": {"at once"},
    "tells the second caller no": {"at once"},
    "ignores the body": {"other arguments"},
    "undoes in words only": {"undo", "undo twice"},
    "pays back twice": {"undo twice"},
    "cannot undo again": {"undo twice"},
    "refuses to undo what it never saw": {"undo unknown", "undo first"},
    "forgets what it never saw": {"undo first"},
    "honours no tombstone": {"do after undo"},
    "may be tried again": {"undo first", "do after undo"},
    "says yes": {"probe before"},
    "says never": {"probe after"},
    "tells another story": {"probe after"},
    "forgets the undo": {"probe undone"},
    "guesses in a hurry": {"probe in haste"},
}


def broken(findings: list[kit.Finding]) -> set[str]:
    """The points that are not kept."""
    return {finding.point for finding in findings if finding.verdict == "broken"}


async def test_an_honest_tool_keeps_every_point() -> None:
    """And nothing of the trials stands afterwards."""
    shop = Shop()
    found = await kit.check(shop.sample())

    assert {finding.verdict for finding in found} == {"kept"}
    assert len(found) == 13
    assert not any(shop._standing.values())


@pytest.mark.parametrize(("lie", "caught"), LIES.items(), ids=LIES)
async def test_a_lying_tool_is_caught_at_the_point_of_its_lie(lie: str, caught: set[str]) -> None:
    """At that point at least; a lie may show at others as well."""
    found = await kit.check(Shop(lie).sample())

    assert caught <= broken(found), [finding for finding in found if finding.verdict != "kept"]
    assert all(finding.message for finding in found)


@pytest.mark.parametrize("point", [point for point in kit._POINTS if point not in {"no effect", "undo at once"}])
def test_every_point_has_a_lie_that_only_it_or_few_others_catch(point: str) -> None:
    """A point that nothing fails at would prove nothing."""
    assert any(point in caught for caught in LIES.values())


@pytest.mark.parametrize("lie", ["", "does it again", "ignores the body", "honours no tombstone"])
async def test_a_tool_that_takes_over_and_calls_back_has_to_keep_the_same(lie: str) -> None:
    """A second call with the key must not be taken over as another."""
    found = await kit.check(Shop(lie, later=True).sample())

    assert LIES.get(lie, set()) <= broken(found)
    assert lie or {finding.verdict for finding in found} == {"kept"}


async def test_a_race_of_call_and_undo_is_caught_when_the_effect_stands() -> None:
    """The undo finds nothing yet and the call has looked already."""
    found = await kit.check(Shop("looks before it locks").sample())

    assert "undo at once" in broken(found)


async def test_a_pure_tool_that_has_an_effect_is_caught() -> None:
    """Where somebody counts; where nobody does, it is not judged."""
    told = await kit.check(Shop().sample(Effect.PURE, undo=False))
    untold = await kit.check(Shop().sample(Effect.PURE, undo=False, counted=False))

    assert broken(told) == {"no effect"}
    assert [finding.verdict for finding in untold if finding.point == "no effect"] == ["unclear"]


async def test_a_probe_that_cannot_tell_is_unclear_and_not_a_lie() -> None:
    """It is the third answer."""
    found = await kit.check(Shop("cannot tell").sample())

    assert broken(found) == set()
    assert {finding.point for finding in found if finding.verdict == "unclear"} == {"probe before", "probe after"}


async def test_a_tool_is_asked_only_for_what_it_promises() -> None:
    """An unsafe tool promises nothing, and is not even called."""
    shop = Shop("does it again")

    assert kit.points(shop.sample(Effect.PROBEABLE).registry, "buy") == [
        "undo", "undo twice", "undo unknown", "probe before", "probe after", "probe undone", "probe in haste",
    ]  # fmt: skip
    unsafe = shop.sample(Effect.UNSAFE, undo=False)
    unsafe.registry.add(shop.buy, effect=Effect.UNSAFE)
    assert [finding.verdict for finding in await kit.check(unsafe)] == ["not promised"]
    assert shop._answers == {}


async def test_without_anybody_who_counts_the_findings_say_so() -> None:
    """A second effect behind the right answer stays unseen then."""
    found = await kit.check(Shop("does it again").sample(counted=False))

    assert "twice" not in broken(found)
    assert all("nobody counts" in finding.message for finding in found if finding.verdict == "kept")


@pytest.mark.parametrize("args", [{"what": 5}, {}], ids=["a wrong type", "nothing"])
async def test_arguments_that_are_not_done_are_unclear(args: dict[str, Any]) -> None:
    """Nothing can be concluded from a refusal of the sample."""
    found = await kit.check_point(Shop().sample(args=args), "twice")

    assert found.verdict == "unclear"
    assert "bad_arguments" in found.message


async def test_other_arguments_can_be_given_and_have_to_be_done_themselves() -> None:
    """A refusal that is not about the key proves nothing."""
    fine = await kit.check_point(Shop().sample(other_args={"what": "milk"}), "other arguments")
    unfit = await kit.check_point(Shop().sample(other_args={"what": 5}), "other arguments")

    assert (fine.verdict, unfit.verdict) == ("kept", "unclear")


@pytest.mark.parametrize("deaf", ["lot", "plate", "hours"])
async def test_an_argument_that_a_tool_does_not_compare_is_named(deaf: str) -> None:
    """Each is changed in turn, under keys of its own: a tool with one hole is caught wherever it is."""
    garage = Garage(deaf=deaf)
    found = await kit.check_point(garage.sample(), "other arguments")

    text = f"called with another {deaf} under a key that is taken, it says done instead of refusing"
    assert (found.verdict, found.message) == ("broken", text)
    assert garage.parked == {}


async def test_what_was_tried_is_said() -> None:
    """And what could not be, because every other value of it is refused by itself."""
    found = await kit.check_point(Garage().sample(), "other arguments")
    picky = await kit.check_point(Garage(lots=("A1",)).sample(), "other arguments")
    given = await kit.check_point(Garage(lots=("A1", "B7")).sample(other_args={**PARKED, "lot": "B7"}), "other arguments")

    assert found.message.startswith("under a key that is taken, another value is refused of lot, plate, hours;")
    assert "refused of plate, hours; not tried, because no other value was done: lot;" in picky.message
    assert "refused of lot, plate, hours, all of other_args;" in given.message
    assert {one.verdict for one in (found, picky, given)} == {"kept"}


async def test_of_many_arguments_some_are_tried() -> None:
    """Every one costs calls."""
    names = [f"n{number}" for number in range(kit.MOST_ARGUMENTS + 2)]
    known: dict[str, dict[str, int]] = {}

    async def add_up(call: Call, **numbers: int) -> int:
        """Add them up."""
        if known.setdefault(call.key, numbers) != numbers:
            raise ToolRefused("key_reused", "other numbers have this key")
        return sum(numbers.values())

    registry = Registry()
    registry.add(add_up, effect=Effect.IDEMPOTENT, args=msgspec.defstruct("Numbers", [(name, int) for name in names]))
    sample = kit.Sample(registry=registry, name="add_up", args=dict.fromkeys(names, 1))
    found = await kit.check_point(sample, "other arguments")
    assert (found.verdict, len(known)) == ("kept", 2 * kit.MOST_ARGUMENTS)
    assert "of n0, n1," in found.message
    assert f"; {kit.MOST_ARGUMENTS} were tried at most;" in found.message


async def test_a_demand_fails_unless_the_point_is_kept() -> None:
    """Also when it could not be tried: a test that skips in silence proves nothing."""
    await kit.demand(Shop().sample(), "twice")
    with pytest.raises(kit.Broken, match="twice, broken: called again"):
        await kit.demand(Shop("answers anew").sample(), "twice")
    with pytest.raises(kit.Broken, match="unclear"):
        await kit.demand(Shop("cannot tell").sample(), "probe after")


def test_an_unknown_tool_is_named() -> None:
    """Not an attribute error somewhere else."""
    with pytest.raises(KeyError, match="there is no tool sell"):
        kit.points(Shop().sample().registry, "sell")
