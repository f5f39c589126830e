"""What `doctor` and `setup` say of a model's endpoint: a real server that answers well, strangely, or not at all."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse, Response

from shared.cli import judge_model
from shared.cli.findings import Finding
from shared.cli.reach_model import look_at_model
from shared.http import Json
from tests.services.engine.scripted_model import KEY, completion
from tests.services.engine.support import Taken, configured, receiving
from tests.support.valkey import free_port

LIST = {"data": [{"id": "small"}, {"id": "large"}]}


def endpoint(*, listed: Any = LIST, status: int = 200, speaks: int = 200) -> Callable[[Taken], Awaitable[Response]]:
    """One that lists, and answers to `small`, `large` and the alias `newest`."""

    async def answer(request: Taken) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Json({"error": {"message": f"wrong key {request.headers.get('authorization')}"}}, status_code=401)
        if request.path.endswith("/models"):
            return Json(listed, status_code=status) if listed else PlainTextResponse("no such page", 404)
        known = json.loads(request.body)["model"] in {"small", "large", "newest"}
        return Json(completion("ok") if known else {"error": {"message": "unknown"}}, status_code=speaks if known else 404)

    return answer


async def said(base: str, model: str = "small", key: str = KEY) -> Finding:
    """The verdict."""
    async with httpx.AsyncClient() as client:
        return judge_model.known(base, await look_at_model(client, base, key, model), model)


@pytest.mark.parametrize(
    ("how", "model", "status", "says"),
    [
        ({}, "small", "ok", "knows small"),
        ({}, "newest", "ok", "newest answers"),
        ({"listed": None}, "small", "ok", "small answers"),
        ({"listed": {"models": "many"}}, "small", "ok", "small answers"),
        ({}, "smal", "fail", "does not take the model smal (404)"),
        ({"listed": None}, "smal", "fail", "neither a list of models nor smal"),
        ({"speaks": 429}, "newest", "warn", "did not answer: 429"),
        ({"speaks": 500}, "newest", "warn", "did not answer: 500"),
        ({"speaks": 403}, "newest", "fail", "refuses LLM_API_KEY (403)"),
        ({"status": 503}, "small", "ok", "small answers"),
    ],
)
async def test_a_model_is_known_or_what_is_wrong_is_said(how: dict[str, Any], model: str, status: str, says: str) -> None:
    """Lists leave out aliases, so what is not listed is asked."""
    async with receiving(endpoint(**how)) as here:
        found = await said(f"{here.url}/v1", model)
    assert (found.status, says in found.message) == (status, True), found
    assert bool(found.remedy) == (status != "ok")


async def test_a_name_that_is_nearly_right_is_offered() -> None:
    """A letter too few."""
    async with receiving(endpoint()) as here:
        assert (await said(f"{here.url}/v1", "smal")).remedy == "did you mean small?"


async def test_a_key_that_is_refused_is_told_and_never_shown() -> None:
    """Nor are the endpoint's words, which quote it; and the model is not asked with it."""
    wrong = "sk-wrong-0a1b2c3d4e5f"
    async with receiving(endpoint()) as here:
        found = await said(f"{here.url}/v1", key=wrong)
        assert len(here.taken) == 1
    assert (found.status, found.message.endswith("refuses LLM_API_KEY (401)")) == ("fail", True)
    assert wrong not in f"{found.message}{found.remedy}"


async def test_an_endpoint_that_is_away_may_come_later() -> None:
    """Setup may keep it."""
    found = await said(f"http://127.0.0.1:{free_port()}/v1")
    assert (found.status, found.away) == ("fail", True)
    assert "nothing listens there" in found.message


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, None),
        ({"LLM_MODEL": "small", "LLM_API_KEY": "x"}, None),
        ({"LLM_MODEL": "small"}, "LLM_API_KEY is empty"),
        ({"LLM_API_KEY": "x"}, "LLM_MODEL is empty"),
        ({"LLM_MODEL": "small", "LLM_API_KEY": "x", "PLANNER": "rules"}, "count for nothing"),
    ],
    ids=["none", "a model", "no key", "no name", "switched off"],
)
def test_half_a_model_is_warned_of(settings: dict[str, str], says: str | None) -> None:
    """The rules plan, and somebody thinks that a model does."""
    found = judge_model.unused(configured(**settings))
    assert (found and found.status) == ("warn" if says else None)
    assert found is None or (says or "") in found.message
