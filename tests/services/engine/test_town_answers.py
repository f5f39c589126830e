"""The town's tools: every class of answer is the one outcome that it allows to conclude, against the real town."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse, Response

from shared.http import Json
from shared.machine.decision import Start
from shared.machine.events import Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.tools.registry import Registry, Runner
from shared.tools.town import TownTools, register
from tests.services.engine.support import Taken, receiving
from tests.support.executions import intent
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.town.support import JOB, LETTER, MESSAGE, RIDE, TABLE, Town

DOINGS: list[tuple[str, dict[str, Any], str]] = [
    ("reserve_table", TABLE, "reservation_id"),
    ("book_ride", RIDE, "ride_id"),
    ("send_message", MESSAGE, "message_id"),
    ("do_work", JOB, "job_id"),
    ("post_letter", LETTER, "letter_id"),
    ("post_unregistered_letter", LETTER, "letter_id"),
]


@pytest.fixture
async def tools(town: Town) -> AsyncIterator[Runner]:
    """The tools of the default installation, calling the town."""
    async with town.client() as client:
        yield runner(client)


def runner(client: httpx.AsyncClient) -> Runner:
    """The town's tools over a client."""
    registry = Registry()
    register(registry, TownTools(client))
    return Runner(registry)


def start(tool: str, args: dict[str, Any], *, key: str = "k", undo: bool = False, probe: bool = False) -> Start:
    """One call."""
    made = intent(args=args, probe=probe)
    made = type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"key": key + ".undo" * undo})
    return Start(cell=0, step="a", tool=tool, intent=made, timeout_ms=3_000, undo=undo)


async def work(tools: Runner, *, key: str = "k", deadline_s: float = 5.0, **more: Any) -> Outcome:
    """A job of no length."""
    return await tools.run(start("do_work", {"label": "x"}, key=key, **more), deadline_s)


def test_the_effect_classes_are_what_the_town_can_keep() -> None:
    """Pure, idempotent with undo by key, probeable with a settled undo, unsafe without any."""
    registry = Registry()
    register(registry, TownTools(httpx.AsyncClient(verify=False)))  # noqa: S501 - never used
    found = {name: (contract.effect, contract.undo) for name, contract in registry.contracts().items()}

    assert found == {
        "find_table": (Effect.PURE, Undo.NONE),
        "search_restaurants": (Effect.PURE, Undo.NONE),
        "get_weather": (Effect.PURE, Undo.NONE),
        "geocode": (Effect.PURE, Undo.NONE),
        "route": (Effect.PURE, Undo.NONE),
        "reserve_table": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
        "book_ride": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
        "send_message": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
        "cancel_reservation": (Effect.IDEMPOTENT, Undo.NONE),
        "cancel_ride": (Effect.IDEMPOTENT, Undo.NONE),
        "do_work": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
        "do_long_work": (Effect.IDEMPOTENT, Undo.TOMBSTONE),
        "post_letter": (Effect.PROBEABLE, Undo.SETTLED),
        "post_unregistered_letter": (Effect.UNSAFE, Undo.NONE),
    }


@pytest.mark.parametrize(("tool", "args", "answered"), DOINGS, ids=[row[0] for row in DOINGS])
async def test_what_the_town_did_is_done(tools: Runner, town: Town, tool: str, args: dict[str, Any], answered: str) -> None:
    """Each tool once, under its effect key."""
    found = await tools.run(start(tool, args, key="exe.a.1"), 5.0)

    assert isinstance(found, Done)
    assert answered in found.output
    assert await town.applied() == {"exe.a.1": ("happened", 1)}


async def test_the_same_key_again_is_the_first_answer(tools: Runner, town: Town) -> None:
    """One effect."""
    assert await work(tools) == await work(tools)
    assert await town.applied() == {"k": ("happened", 1)}


async def test_finding_a_table_leaves_out_what_was_not_asked(tools: Runner) -> None:
    """Found, or refused because there is none."""
    wanted = {"party_size": 2, "date": "2030-05-02", "time": "19:00"}
    found = await tools.run(start("find_table", wanted), 5.0)
    none = await tools.run(start("find_table", wanted | {"cuisine": "martian"}), 5.0)

    assert isinstance(found, Done)
    assert found.output["restaurant"]
    assert isinstance(none, Refused)
    assert none.retryable is False


async def test_a_refusal_of_the_town_is_refused_for_good(tools: Runner) -> None:
    """404, 409, 410, 422: not done, and trying again cannot help."""
    assert _is_refused(await tools.run(start("reserve_table", TABLE | {"restaurant": "Nowhere"}), 5.0), "unknown_restaurant")
    assert _is_refused(await tools.run(start("reserve_table", TABLE | {"time": "19:70"}), 5.0), "invalid_value")
    assert isinstance(await work(tools), Done)
    assert _is_refused(await tools.run(start("do_work", {"label": "other"}), 5.0), "key_reused")
    await work(tools, key="late", undo=True)
    assert _is_refused(await work(tools, key="late"), "undone")


def _is_refused(found: Outcome, code: str, *, retryable: bool = False) -> bool:
    return isinstance(found, Refused) and (found.code, found.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (404, False), (409, False), (410, False), (422, False), (425, True), (429, True), (500, True), (503, True)],
)
async def test_an_error_that_says_not_applied_is_refused(tools: Runner, town: Town, status: int, *, retryable: bool) -> None:
    """Also a 5xx, if it says so: and then it may be tried again, even for an unsafe tool."""
    await town.turn(fail_next=1, fail_status=status)

    assert _is_refused(await work(tools), "refused_by_knob", retryable=retryable)
    assert await town.applied() == {}


@pytest.mark.parametrize("how", ["error", "drop"])
async def test_a_lost_answer_is_unanswered(tools: Runner, town: Town, how: str) -> None:
    """A 500 that says nothing, and a connection that breaks: it happened here, and nobody could know."""
    await town.turn(fail_after_next=1, fail_after_how=how)

    assert isinstance(await work(tools), Unanswered)
    assert await town.applied() == {"k": ("happened", 1)}


async def test_no_answer_in_time_is_unanswered(tools: Runner, town: Town) -> None:
    """The request is held by the town and lands later."""
    await town.turn(land_late_next=1, land_late_ms=1)

    found = await work(tools, deadline_s=0.1)

    assert isinstance(found, Unanswered)

    async def landed() -> bool:
        return await town.applied() == {"k": ("happened", 1)}

    await eventually(landed, describe="the held request lands")


async def test_nobody_there_is_not_sent() -> None:
    """Connection refused: certain that nothing left."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port()}", trust_env=False) as client:
        assert isinstance(await work(runner(client)), NotSent)


async def test_undoing_is_by_key_and_may_be_asked_again(tools: Runner, town: Town) -> None:
    """What happened, and what never did."""
    await work(tools, key="one")

    for key in ("one", "one", "never"):
        found = await work(tools, key=key, undo=True)
        assert isinstance(found, Done)
        assert found.output["state"] == "undone"
    assert {key: state for key, (state, _) in (await town.applied()).items()} == {"one": "undone", "never": "undone"}


async def test_a_probe_says_happened_with_the_result_or_never(tools: Runner) -> None:
    """Asked after the settle time."""
    posted = await tools.run(start("post_letter", LETTER, key="one"), 5.0)
    assert isinstance(posted, Done)

    assert await tools.run(start("post_letter", LETTER, key="one", probe=True), 5.0) == posted
    never = await tools.run(start("post_letter", LETTER, key="two", probe=True), 5.0)
    assert _is_refused(never, NEVER_HAPPENED)


async def test_a_probe_without_an_answer_cannot_tell(tools: Runner, town: Town) -> None:
    """Not `never happened`."""
    await town.turn(fail_after_next=1, fail_after_how="error", only_path="/effects/")

    assert isinstance(await tools.run(start("post_letter", LETTER, probe=True), 5.0), Unanswered)


# answers that the town does not give, but another service might

ANSWERS: list[tuple[str, Response, Outcome]] = [
    (
        "429 with seconds",
        Json({"error": {"code": "busy", "message": "slow down"}}, status_code=429, headers={"Retry-After": "7"}),
        Refused(code="busy", message="slow down", retryable=True, retry_after_ms=7_000),
    ),
    (
        "429 with a date",
        Json(
            {"error": {"code": "busy", "message": "m"}}, status_code=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00"}
        ),
        Refused(code="busy", message="m", retryable=True),
    ),
    (
        "429 with digits that are no number",
        Json({"error": {"code": "busy", "message": "m"}}, status_code=429, headers={"Retry-After": "\xb2"}),
        Refused(code="busy", message="m", retryable=True),
    ),
    (
        "429 with too many digits",
        Json({"error": {"code": "busy", "message": "m"}}, status_code=429, headers={"Retry-After": "9" * 5_000}),
        Refused(code="busy", message="m", retryable=True),
    ),
    ("418 without JSON", PlainTextResponse("teapot", 418), Refused(code="http_418", message="teapot")),
    ("400 with another shape", Json({"error": "no"}, status_code=400), Refused(code="http_400", message='{"error":"no"}')),
    ("400 with a list", Json(["no"], status_code=400), Refused(code="http_400", message='["no"]')),
    ("400 in another encoding", Response(b'{"error": "\xff"}', 400), Refused(code="http_400", message='{"error": "\ufffd"}')),
    ("400 nested without end", Response(b"[" * 20_000, 400), Refused(code="http_400", message="[" * 300)),
    (
        "500, applied",
        Json({"error": {"code": "c", "message": "m"}, "applied": True}, status_code=500),
        Unanswered(message="the town answered 500 without saying whether it was done"),
    ),
    (
        "502 of a proxy",
        PlainTextResponse("bad gateway", 502),
        Unanswered(message="the town answered 502 without saying whether it was done"),
    ),
    (
        "409, applied",
        Json({"error": {"code": "c", "message": "m"}, "applied": True}, status_code=409),
        Unanswered(message="the town answered 409 and says that it was done"),
    ),
]


@pytest.mark.parametrize(("answer", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_any_answer_is_read_as_far_as_it_is_sure(answer: Response, expected: Outcome) -> None:
    """Not done only when it says so, or is a 4xx; a Retry-After that is none is none."""

    async def always(_: Taken) -> Response:
        return answer

    async with receiving(always) as there, httpx.AsyncClient(base_url=there.url, trust_env=False) as client:
        assert await work(runner(client)) == expected
        assert there.taken[0].headers["idempotency-key"] == "k"


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 20_000], ids=["nothing", "no JSON", "no text", "too deep"])
async def test_a_success_that_cannot_be_read_is_unanswered(body: bytes) -> None:
    """With the same key it can be asked again."""

    async def always(_: Taken) -> Response:
        return Response(body, 201)

    async with receiving(always) as there, httpx.AsyncClient(base_url=there.url, trust_env=False) as client:
        assert isinstance(await work(runner(client)), Unanswered)


async def test_many_calls_at_once_all_come_back(tools: Runner, town: Town) -> None:
    """Sixty jobs, each under its own key."""
    found = await asyncio.gather(*(work(tools, key=f"k{number}") for number in range(60)))

    assert all(isinstance(one, Done) for one in found)
    assert set((await town.applied()).values()) == {("happened", 1)}
