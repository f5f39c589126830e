"""Bad input gets an error that names the place and the remedy, and stores nothing."""

from typing import Any

import pytest
from redis.asyncio import Redis

from tests.system.harness import System, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


JSON = {"Content-Type": "application/json"}


def step(name: str, **more: Any) -> dict[str, Any]:
    """A step that would be fine."""
    return {"name": name, "tool": "do_work", "args": {"label": "x"}, **more}


CYCLE = [step("a", needs=["b"]), step("b", needs=["c"]), step("c", needs=["a"])]
REFUSED: list[tuple[str, Any, int, str, str]] = [
    ("too many steps", {"plan": {"steps": work(51, 0)}}, 422, "plan.steps", "MAX_PLAN_STEPS is 50"),
    ("a cycle", {"plan": {"steps": CYCLE}}, 422, "plan.steps", "wait for each other"),
    ("no steps", {"plan": {"steps": []}}, 422, "plan.steps", "at least one step"),
    ("unknown tool", {"plan": {"steps": [step("a", tool="teleport")]}}, 422, "plan.steps[0].tool", "no tool 'teleport'"),
    (
        "reference to no step",
        {"plan": {"steps": [step("a", args={"label": "${b.x}"})]}},
        422,
        "plan.steps[0].args.label",
        "no step 'b'",
    ),
    (
        "open reference",
        {"plan": {"steps": [step("a", args={"label": "${a"})]}},
        422,
        "plan.steps[0].args.label",
        "not closed",
    ),
    ("need of no step", {"plan": {"steps": [step("a", needs=["z"])]}}, 422, "plan.steps[0].needs", "no step 'z'"),
    ("same name twice", {"plan": {"steps": [step("a"), step("a")]}}, 422, "plan.steps[1].name", "earlier step"),
    (
        "an argument of 1 MB",
        {"plan": {"steps": [step("a", args={"label": "x" * 1_000_000})]}},
        422,
        "plan.steps[0].args",
        "MAX_ARGUMENT_BYTES",
    ),
    (
        "wrong type of an argument",
        {"plan": {"steps": [step("a", args={"label": "x", "seconds": "long"})]}},
        422,
        "plan.steps[0].args.seconds",
        "Expected `float`",
    ),
    ("missing argument", {"plan": {"steps": [step("a", args={})]}}, 422, "plan.steps[0].args.label", "needs this argument"),
    (
        "unknown argument",
        {"plan": {"steps": [step("a", args={"label": "x", "colour": 1})]}},
        422,
        "plan.steps[0].args.colour",
        "no such argument",
    ),
    (
        "a step longer than an invocation",
        {"plan": {"steps": [step("a", timeout_ms=60_000)]}},
        422,
        "plan.steps[0].timeout_ms",
        "one invocation",
    ),
    ("wrong type in the plan", {"plan": {"steps": [step("a", needs="b")]}}, 400, "$.plan.steps[0].needs", "array"),
    ("wrong type of userId", {"intent": "Book a table", "userId": 7}, 400, "$.userId", "Expected `str`"),
    ("unknown field", {"intnt": "Book a table"}, 400, "$.intnt", "did you mean intent?"),
    ("nothing asked", {"userId": "ann"}, 400, "$", "exactly one of intent, input or plan"),
    ("two things asked", {"intent": "x", "plan": {"steps": [step("a")]}}, 400, "$", "exactly one"),
    ("another plan without a model", {"intent": "Book a table", "replan": {}}, 422, "$.replan", "no model is set here"),
    ("too many other plans", {"intent": "Book a table", "replan": {"most": 9}}, 400, "$.replan.most", "at most 3"),
    ("not an object", [1, 2], 400, "$", "Expected `object`"),
]


@pytest.mark.parametrize(("body", "status", "at", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_a_bad_plan_names_its_place_and_stores_nothing(  # the columns of the table
    system: System, body: Any, status: int, at: str, says: str
) -> None:
    """One error shape; the place in `details`."""
    redis = Redis.from_url(system.environ["REDIS_URL"])
    before = {key async for key in redis.scan_iter("ie:*:x:*")}
    answer = await system.post("/api/execute", body)

    error = answer.json()["error"]
    assert answer.status_code == status, answer.text
    places = [problem["at"] for problem in error["details"].get("problems", [])] or [error["details"]["at"]]
    assert at in places
    assert says in str(error)
    assert {key async for key in redis.scan_iter("ie:*:x:*")} == before
    await redis.aclose()


async def test_invalid_json_is_told_as_such(system: System) -> None:
    """Not a 500, not a guess."""
    url = system.processes["ingress"].url
    answer = await system.client.post(f"{url}/api/execute", content=b'{"intent": ', headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


async def test_a_body_beyond_the_limit_is_413(system: System) -> None:
    """Read no further than the limit."""
    url = system.processes["ingress"].url
    answer = await system.client.post(f"{url}/api/execute", content=b"x" * 5_000_000, headers=JSON)

    assert answer.status_code == 413


async def test_the_same_key_and_body_is_the_same_execution_and_another_body_a_conflict(system: System) -> None:
    """Idempotency-Key, before planning and after the end."""
    body = {"plan": {"steps": work(1, 0)}, "userId": "ann"}
    first = await system.post("/api/execute", body, **{"Idempotency-Key": "k-1"})
    second = await system.post("/api/execute", body, **{"Idempotency-Key": "k-1"})
    other = await system.post("/api/execute", {**body, "userId": "bob"}, **{"Idempotency-Key": "k-1"})

    assert (first.status_code, second.status_code, other.status_code) == (202, 202, 409)
    assert first.json()["id"] == second.json()["id"]
    assert second.json()["repeated"] is True
    assert other.json()["error"]["code"] == "idempotency_conflict"
    await system.ended(first.json()["id"], within=20)


async def test_what_is_not_there_is_404(system: System) -> None:
    """Unknown ids, and ids that are none."""
    url = system.processes["ingress"].url
    for execution in ("exe_00_" + "0" * 32, "nonsense", "exe_ff_" + "0" * 32):
        answer = await system.client.get(f"{url}/api/executions/{execution}")

        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


async def test_a_wrong_api_key_is_401_even_from_a_trusted_address(system: System) -> None:
    """Who sends a key means it."""
    url = system.processes["ingress"].url
    answer = await system.client.get(f"{url}/api/executions", headers={"Authorization": "Bearer wrong"})

    assert answer.status_code == 401


async def test_what_the_words_leave_out_is_asked_and_nothing_is_stored(system: System) -> None:
    """422 with the questions."""
    answer = await system.post("/api/execute", {"intent": "Book a table", "userId": "nobody-we-know"})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "clarification_needed"
    assert {question["field"] for question in answer.json()["error"]["details"]["questions"]} >= {"party_size", "time"}


async def test_a_body_that_does_not_say_it_is_json_is_refused(system: System) -> None:
    """What a web page can send to a reader's own machine without being asked must not start anything."""
    url = system.processes["ingress"].url
    body = b'{"plan": {"steps": [{"name": "a", "tool": "do_work", "args": {"label": "x"}}]}}'
    answer = await system.client.post(f"{url}/api/execute", content=body, headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["message"]
