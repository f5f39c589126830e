"""Tools: schemas come from signatures, plans pin contracts, and every end of a call is one of four outcomes."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
import pytest
from structlog.testing import capture_logs

from shared import views
from shared.machine.decision import Start
from shared.machine.events import Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Contract, Effect, Retry, Undo
from shared.tools.registry import MAX_RESULT_BYTES, Call, Registry, Runner, ToolNotSent, ToolRefused, ToolUnanswered
from tests.support.executions import intent

Few = Annotated[int, msgspec.Meta(ge=1, le=5)]


class Place(msgspec.Struct):
    """A nested argument."""

    street: str
    number: int = 1


async def visit(
    call: Call, *, place: Place, guests: Few, how: Literal["car", "foot"] = "foot", notes: list[str] | None = None
) -> Any:
    """Visit somebody."""
    return {"street": place.street, "guests": guests, "how": how, "notes": notes, "call": told(call)}


def told(call: Call) -> dict[str, Any]:
    """What it knows of its call."""
    known = {"key": call.key, "attempt": call.attempt, "deadline_s": call.deadline_s, "tenant": call.tenant}
    return known | {"callback_url": call.callback_url}


async def taken_back(call: Call) -> Any:
    """An undo."""
    return {"undone": call.key}


async def asked_about(call: Call) -> Any:
    """A probe."""
    return {"probed": call.key}


async def never_happened(_: Call) -> Any:
    """A probe that says no."""
    raise ToolRefused(NEVER_HAPPENED, "never seen")


def registry(**facts: Any) -> Registry:
    """A registry with `visit`."""
    found = Registry()
    found.add(visit, **({"effect": Effect.IDEMPOTENT} | facts))
    return found


def start(tool: str = "visit", *, args: dict[str, Any] | None = None, undo: bool = False, **other: Any) -> Start:
    """One call to make."""
    made = intent(args={"place": {"street": "Main"}, "guests": 2} if args is None else args, **other)
    if undo:
        made = msgspec.structs.replace(made, key=made.key + ".undo")
    return Start(cell=0, step="a", tool=tool, intent=made, timeout_ms=1_000, undo=undo)


async def outcome(function: Any, deadline_s: float = 5.0, **facts: Any) -> Outcome:
    """What a tool without arguments comes to."""
    found = Registry()
    found.add(function, **({"effect": Effect.IDEMPOTENT} | facts))
    return await Runner(found).run(start(function.__name__, args={}), deadline_s)


def test_the_schema_of_a_tool_is_its_signature() -> None:
    """Names, types, bounds and defaults, for readers of /api/tools."""
    shown = views.tools(registry())

    assert [(tool.name, tool.summary) for tool in shown] == [("visit", "Visit somebody.")]
    schema = shown[0].args["$defs"]["visit_args"]
    assert schema["required"] == ["place", "guests"]
    assert schema["properties"]["guests"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert schema["properties"]["how"] == {"enum": ["car", "foot"], "default": "foot"}
    assert schema["additionalProperties"] is False


def test_a_contract_says_what_plans_rely_on() -> None:
    """Undo `none` unless there is one; the retry policy has a default."""
    retry = Retry(attempts=7)
    times = {"timeout_ms": 100, "settle_ms": 200}
    found = registry(effect=Effect.PROBEABLE, version="3", retry=retry, undo=taken_back, probe=asked_about, **times)

    pinned = found.contracts()["visit"]
    assert pinned == Contract(
        version="3",
        effect=Effect.PROBEABLE,
        timeout_ms=100,
        settle_ms=200,
        retry=retry,
        undo=Undo.TOMBSTONE,
        schema=pinned.schema,
    )
    assert registry().contracts()["visit"].undo is Undo.NONE
    assert registry(undo=taken_back, undo_kind=Undo.SETTLED).contracts()["visit"].undo is Undo.SETTLED
    with pytest.raises(ValueError, match="no probe"):
        registry(effect=Effect.PROBEABLE)


PROBLEMS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("nothing wrong", {"place": {"street": "Main"}, "guests": 2}, []),
    ("one missing", {"guests": 2}, [("args.place", "visit needs this argument")]),
    ("one too many", {"place": {"street": "x"}, "guests": 2, "pets": 1}, [("args.pets", "visit takes no such argument")]),
    ("a wrong type inside", {"place": {"street": 5}, "guests": 2}, [("args.place.street", "Expected `str`")]),
    ("out of bounds", {"place": {"street": "x"}, "guests": 9}, [("args.guests", "at most 5")]),
    ("a wrong word", {"place": {"street": "x"}, "guests": 1, "how": "boat"}, [("args.how", "'boat' is none of these")]),
    ("an item", {"place": {"street": "x"}, "guests": 1, "notes": ["a", 2]}, [("args.notes[1]", "Expected `str`")]),
    ("a reference", {"place": "${a.place}", "guests": "${a.count}"}, []),
    ("a reference inside", {"place": {"street": "${a.street}", "number": "no number"}, "guests": 1}, []),
    ("text where a number belongs", {"place": {"street": "x"}, "guests": "2"}, [("args.guests", "Expected `int`")]),
]


@pytest.mark.parametrize(("args", "expected"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_arguments_are_checked_when_the_plan_is_taken(args: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Place and reason; what refers to a later output is checked when it is known."""
    found = list(registry().check_args("visit", args, "args"))

    assert [problem.at for problem in found] == [at for at, _ in expected]
    assert all(text in problem.message for problem, (_, text) in zip(found, expected, strict=True))


async def test_a_tool_gets_its_arguments_typed_and_its_call() -> None:
    """The key of the effect, the attempt, the deadline."""
    found = await Runner(registry()).run(start(attempt=3), 1.5)

    assert found == Done(
        output={
            "street": "Main",
            "guests": 2,
            "how": "foot",
            "notes": None,
            "call": {"key": intent("a").key, "attempt": 3, "deadline_s": 1.5, "callback_url": "", "tenant": ""},
        }
    )


async def test_arguments_that_turn_out_wrong_are_refused_before_the_call() -> None:
    """A reference gave another type than the tool takes: nothing was done, for certain."""
    found = await Runner(registry()).run(start(args={"place": {"street": "x"}, "guests": "many"}), 1.0)

    assert isinstance(found, Refused)
    assert (found.code, found.retryable) == ("bad_arguments", False)
    assert "$.guests" in found.message


async def test_a_tool_that_reads_an_answer_wrongly_has_still_called() -> None:
    """A validation error from inside the tool says nothing about what the other side did: never a refusal."""

    async def misreads(_: Call) -> Any:
        return msgspec.json.decode(b'{"street": 5}', type=Place)

    found = await outcome(misreads)

    assert isinstance(found, Unanswered)


async def test_each_way_to_end_is_one_outcome() -> None:
    """Refused, not sent, unanswered, raised, too slow; no exception reaches the segment."""

    async def refuses(_: Call) -> Any:
        raise ToolRefused("full", "no table", retryable=True, retry_after_ms=700)

    async def not_sent(_: Call) -> Any:
        raise ToolNotSent("nobody there")

    async def unanswered(_: Call) -> Any:
        raise ToolUnanswered("no word")

    async def raises(_: Call) -> Any:
        raise KeyError("odd")

    async def too_slow(_: Call) -> Any:
        await asyncio.Event().wait()

    async def own_time_out(_: Call) -> Any:
        raise TimeoutError

    assert await outcome(refuses) == Refused(code="full", message="no table", retryable=True, retry_after_ms=700)
    assert await outcome(not_sent) == NotSent(message="nobody there")
    assert await outcome(unanswered) == Unanswered(message="no word")
    with capture_logs() as logs:
        assert await outcome(raises) == Unanswered(message="KeyError: 'odd'")
    assert [line["event"] for line in logs] == ["tool.raised"]
    assert await outcome(too_slow, 0.01) == Unanswered(message="no answer within 0.0 s")
    assert isinstance(await outcome(own_time_out), Unanswered)


async def test_a_call_that_is_cancelled_stays_cancelled() -> None:
    """The segment gave it up: that is not an outcome."""

    async def endless(_: Call) -> Any:
        await asyncio.Event().wait()

    task = asyncio.create_task(outcome(endless))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


OUTPUTS: list[tuple[str, Any, Any]] = [
    ("a struct", Place(street="Main"), {"street": "Main", "number": 1}),
    ("nothing", None, None),
    ("a set", {1}, [1]),
    ("a huge number", 2**80, 2**80),
    ("almost too large", "x" * (MAX_RESULT_BYTES - 2), "x" * (MAX_RESULT_BYTES - 2)),
    ("too large", "x" * (MAX_RESULT_BYTES - 1), {"left_out": True, "bytes": MAX_RESULT_BYTES + 1, "limit": MAX_RESULT_BYTES}),
]


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in OUTPUTS], ids=[row[0] for row in OUTPUTS])
async def test_an_output_is_kept_as_json_or_left_out_when_it_is_too_large(value: Any, expected: Any) -> None:
    """It happened either way."""

    async def gives(_: Call) -> Any:
        return value

    assert await outcome(gives) == Done(output=expected)


@pytest.mark.parametrize(
    "value",
    [object(), {(1, 2): 3}, {None: 1}, "\ud800", {"inside": ["\udfff"]}, [[object()]]],
    ids=["an object", "a tuple as a name", "None as a name", "half a character", "one inside", "an object inside"],
)
async def test_an_output_that_cannot_be_stored_is_left_out_because_it_happened(value: Any) -> None:
    """Not a crash of the segment, and not a second call."""

    async def gives(_: Call) -> Any:
        return value

    found = await outcome(gives)

    assert isinstance(found, Done)
    assert found.output["left_out"] is True
    msgspec.json.encode(found)


async def test_an_undo_is_called_with_the_key_of_the_effect() -> None:
    """Without `.undo`, which is the engine's own mark."""
    found = await Runner(registry(undo=taken_back)).run(start(undo=True), 1.0)

    assert found == Done(output={"undone": intent("a").key})
    assert await Runner(registry()).run(start(undo=True), 1.0) == Refused(code="no_undo", message="visit cannot be undone")


async def test_a_probe_asks_and_never_calls() -> None:
    """Also when this release has no probe any more: then nobody can tell, and a person must."""
    facts: dict[str, Any] = {"effect": Effect.PROBEABLE}
    probing = start(probe=True)

    assert await Runner(registry(probe=asked_about, **facts)).run(probing, 1.0) == Done(output={"probed": intent("a").key})
    refused = await Runner(registry(probe=never_happened, **facts)).run(probing, 1.0)
    assert isinstance(refused, Refused)
    assert refused.code == NEVER_HAPPENED
    assert isinstance(await Runner(registry()).run(probing, 1.0), Unanswered)


async def test_a_tool_of_another_release_is_refused_for_now() -> None:
    """The plan pins contracts, not code; while a release is rolled out, the next process may have it."""
    found = await Runner(registry()).run(start("teleport"), 1.0)

    assert isinstance(found, Refused)
    assert (found.code, found.retryable) == ("no_such_tool", True)
