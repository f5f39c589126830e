"""Policies where plans are taken in: words, plans, schedules, runs once more, and arguments that people give."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingress.main import create as create_ingress
from services.resume.main import create as create_resume
from shared.errors import SettingsError
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import Stage, configured, really
from tests.support.valkey import Valkey

AUTH = {"Authorization": f"Bearer {KEY}"}
PARTY = """
[[limit]]
name = "small-parties"
tools = ["reserve_table"]
args = { party_size = { at_most = 12 } }

[[limit]]
name = "short-labels"
tools = ["do_work"]
args = { label = { matches = ".{1,10}" } }

[[require]]
name = "large-parties"
what = "approval"
tools = ["reserve_table"]
args = { party_size = { at_least = 8 } }

[[require]]
name = "letters-stay"
what = "confirmation"
standing = true

[[require]]
name = "asked-work"
what = "approval"
tools = ["do_work"]
args = { label = { one_of = ["asked"] } }
"""
LETTER = {"name": "letter", "tool": "post_unregistered_letter", "args": {"to": "Ann", "text": "Hello"}}


def table(size: int) -> dict[str, Any]:
    """A reservation."""
    args = {"restaurant": "Luigi", "party_size": size, "date": "2030-05-01", "time": "19:00", "name": "Ann"}
    return {"name": "table", "tool": "reserve_table", "args": args}


def work(label: str, name: str = "work") -> dict[str, Any]:
    """A call of which the answers are a test's."""
    return {"name": name, "tool": "do_work", "args": {"label": label}, "retry": {"attempts": 1}}


@pytest.fixture
async def site(redis: Redis, valkey: Valkey, tmp_path: Path) -> Any:  # noqa: ARG001 - it empties the store
    """The services with policies."""
    path = tmp_path / "policies.toml"
    path.write_text(PARTY)
    async with AsyncExitStack() as stack:
        yield Site(configured(**variables(valkey), POLICIES=str(path)), stack)


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


async def ask(site: Site, method: str, path: str, status: int = 200, **more: Any) -> dict[str, Any]:
    """One request of the tenant's, and its answer."""
    answer = await site.call("ingress", method, path, headers=AUTH, **more)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def run(site: Site, *steps: dict[str, Any]) -> dict[str, Any]:
    """A plan that is taken."""
    return await ask(site, "POST", "/api/execute", 202, json={"plan": {"steps": list(steps)}})


async def test_what_breaks_a_policy_is_refused_wherever_it_comes_from(site: Site) -> None:
    """A plan, a plan to be looked at, words, a schedule."""
    body = {"plan": {"steps": [table(13)]}}
    for path, sent in (
        ("/api/execute", body),
        ("/api/plan", body),
        ("/api/execute", {"intent": "Book a table for 14 at 7pm", "userId": "test-user"}),
        ("/api/schedules", body | {"cron": "0 8 * * *", "timezone": "UTC"}),
    ):
        error = (await ask(site, "POST", path, 422, json=sent))["error"]
        (problem, *_) = error["details"]["problems"]
        assert (error["code"], problem["at"].endswith(".args.party_size")) == ("plan_refused", True)
        assert "policy small-parties" in problem["message"]
        assert "it must be at most 12" in problem["message"]
    assert (await ask(site, "GET", "/api/executions"))["executions"] == []


async def test_an_approval_that_a_policy_adds_is_shown_asked_for_and_not_left_out(site: Site, stage: Stage) -> None:
    """`POST /api/plan` names the same hash, and the step waits."""
    shown = await ask(site, "POST", "/api/plan", json={"plan": {"steps": [work("asked")]}})
    assert [(one["policy"], one["kind"], one["at"]) for one in shown["policies"]] == [
        ("asked-work", "approval", "plan.steps[0]")
    ]
    assert "asked-work" in shown["steps"][0]["approval"]
    taken = await run(site, work("asked"))
    assert taken["plan"]["hash"] == shown["hash"]
    await stage.run(taken["id"])
    found = await ask(site, "GET", f"/api/executions/{taken['id']}")
    assert (found["status"], found["steps"][0]["hold"]["kind"]) == ("SUSPENDED", "approval")
    assert stage.tools.started == []


async def test_what_an_approval_sends_instead_is_held_to_the_limits_too(site: Site, stage: Stage) -> None:
    """So is an edit."""
    taken = await run(site, work("asked"))
    await stage.run(taken["id"])
    (step,) = (await ask(site, "GET", f"/api/executions/{taken['id']}"))["steps"]
    said = {"step": "work", "argsHash": step["hold"]["argsHash"]}
    path = f"/api/executions/{taken['id']}/approve"
    refused = await ask(site, "POST", path, 422, json=said | {"args": {"label": "much too long a label"}})
    assert "policy short-labels" in refused["error"]["details"]["problems"][0]["message"]
    await ask(site, "POST", path, 202, json=said | {"args": {"label": "short"}})
    await stage.run(taken["id"])
    assert [one.intent.args for one in stage.tools.started] == [{"label": "short"}]


async def test_a_plan_that_a_policy_wants_confirmed_does_not_begin(site: Site) -> None:
    """The 202 says why; an ordinary plan begins."""
    taken = await run(site, LETTER)
    assert taken["status"] == "AWAITING_CONFIRMATION"
    assert [(one["policy"], one["kind"]) for one in taken["policies"]] == [("letters-stay", "confirmation")]
    assert "policies" not in await run(site, work("a"))
    said = await ask(site, "POST", f"/api/executions/{taken['id']}/confirm", 202, json={"planHash": taken["plan"]["hash"]})
    assert said["result"] == "accepted"
    assert (await run(site, work("a")))["status"] == "PLANNED"


async def test_a_plan_is_held_to_the_policies_of_now_when_it_runs_again(redis: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """Refused, or with what they ask for: a restart and a fork."""
    stage = really(redis)
    async with AsyncExitStack() as stack:
        before = Site(configured(**variables(valkey)), stack)
        long = (await run(before, work("a label that is too long")))["id"]
        asked = (await run(before, work("first", "first"), work("asked") | {"needs": ["first"]}))["id"]
        letter = (await run(before, work("first", "first"), LETTER | {"needs": ["first"]}))["id"]
        for execution in (long, asked, letter):
            await stage.run(execution)
            assert (await ask(before, "GET", f"/api/executions/{execution}"))["status"] == "COMPLETED"
        path = tmp_path / "policies.toml"
        path.write_text(PARTY)
        now = Site(configured(**variables(valkey), POLICIES=str(path)), stack)
        yes = {"acceptEffects": True}
        refused = await ask(now, "POST", f"/api/executions/{long}/restart", 422, json=yes)
        assert refused["error"]["code"] == "plan_refused"
        for body in ("restart", "fork"):
            more = yes | ({"step": "work"} if body == "fork" else {})
            again = (await ask(now, "POST", f"/api/executions/{asked}/{body}", 202, json=more))["id"]
            await stage.run(again)
            found = await ask(now, "GET", f"/api/executions/{again}")
            assert (found["status"], found["steps"][1]["hold"]["kind"]) == ("SUSPENDED", "approval")
            more = yes | ({"step": "letter"} if body == "fork" else {})
            again = (await ask(now, "POST", f"/api/executions/{letter}/{body}", 202, json=more))["id"]
            assert (await ask(now, "GET", f"/api/executions/{again}"))["status"] == "AWAITING_CONFIRMATION"


@pytest.mark.parametrize("create", [create_ingress, create_resume])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[limit]", "it is no TOML"),
        ("[[limit]]\nname = 'p'\ntools = ['reserve_tabel']\nmost_calls = 1", "no tool is called 'reserve_tabel'"),
        (
            "[[limit]]\nname = 'p'\ntools = ['reserve_table']\nargs = { size = { at_most = 1 } }",
            "none of its tools takes 'size'",
        ),
    ],
)
def test_a_file_that_is_wrong_stops_the_start_up(create: Any, text: str, said: str, tmp_path: Path, valkey: Valkey) -> None:
    """In one line with the file, the place and the remedy."""
    path = tmp_path / "policies.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        create(configured(**variables(valkey), POLICIES=str(path)))
    assert f"POLICIES={path}: " in str(refused.value)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_stops_it_too(valkey: Valkey) -> None:
    """With its name."""
    with pytest.raises(SettingsError, match=r"POLICIES=nowhere\.toml cannot be read"):
        create_ingress(configured(**variables(valkey), POLICIES="nowhere.toml"))
