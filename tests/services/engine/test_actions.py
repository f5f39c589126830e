"""Operator actions over HTTP, on a real store; the executor is an interpreter with simulated tools."""

from typing import Any

import pytest
from redis.asyncio import Redis

from shared.machine.decision import Start
from shared.machine.events import Done, Outcome, Refused, Unanswered
from tests.services.engine.site import KEY, NOBODY, Site
from tests.services.engine.support import Stage, really

ANNA = {"Authorization": f"Bearer {KEY}", "X-Actor": "anna"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}


def work(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    """A call of one attempt."""
    return {"name": name, "tool": "do_work", "args": {"label": name}, "needs": list(needs), "retry": {"attempts": 1}} | more


async def started(site: Site, *steps: dict[str, Any]) -> str:
    """A new execution."""
    answer = await site.call("ingress", "POST", "/api/execute", json={"plan": {"steps": list(steps)}}, headers=ANNA)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def get(site: Site, execution: str) -> dict[str, Any]:
    """As ingress shows it."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}", headers=ANNA)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def act(site: Site, execution: str, action: str, expect: int = 202, **body: Any) -> dict[str, Any]:
    """An action; its answer."""
    answer = await site.call("ingress", "POST", f"/api/executions/{execution}/{action}", json=body, headers=ANNA)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def run(stage: Stage, execution: str) -> str:
    """One delivery; the status then."""
    await stage.run(execution)
    return (await stage.header(execution))["status"]


async def audit(stage: Stage, execution: str) -> list[tuple[str, str]]:
    """(event, by) of the lines that name somebody."""
    lines = await stage.reader.history(execution, "acme")
    return [(line["event"], line["detail"]["by"]) for line in lines if "by" in line.get("detail", {})]


def refusing(code: str = "no") -> Any:
    """The other side says no."""

    async def refuse(_: Start, __: float) -> Outcome:
        return Refused(code=code, message="no")

    return refuse


def refusing_undo(step: str) -> Any:
    """Does all but take back `step`."""

    async def answer(start: Start, _: float) -> Outcome:
        return Refused(code="no", message="gone") if start.undo and start.step == step else Done(output={})

    return answer


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


async def test_paused_and_resumed(site: Site, stage: Stage) -> None:
    """Who did it ends in the history; a second action is judged by what arrived before it, seen or not."""
    execution = await started(site, work("a"))
    answer = await act(site, execution, "pause")
    assert (answer["result"], answer["by"]) == ("accepted", "acme/anna")
    refused = await act(site, execution, "pause", 409)
    assert refused["error"]["code"] == "moot"
    assert await run(stage, execution) == "PAUSED"
    await act(site, execution, "resume", actor="ben")
    assert await run(stage, execution) == "COMPLETED"
    assert await audit(stage, execution) == [
        ("execution.pausing", "acme/anna"),
        ("execution.paused", "acme/anna"),
        ("execution.resumed", "acme/ben"),
    ]


async def test_what_has_nothing_to_act_upon_is_refused_with_the_place(site: Site, stage: Stage) -> None:
    """Nothing is stored."""
    execution = await started(site, work("a"))
    before = await stage.events(execution)
    refused = (await act(site, execution, "retry", 409, step="a"))["error"]
    assert refused["message"] == "a waits for no next attempt"
    assert refused["details"] == {"status": "PLANNED", "reason": None, "version": 0, "step": "a", "stepStatus": "READY"}
    assert (await act(site, execution, "skip", 409, step="zz"))["error"][
        "message"
    ] == "there is no step 'zz': its first steps are a"
    assert (await act(site, execution, "pause", 409, version=7))["error"]["code"] == "version_conflict"
    assert await stage.events(execution) == before


@pytest.mark.parametrize("action", ["pause", "cancel", "retry", "compensate"])
async def test_another_tenants_execution_is_not_there(site: Site, action: str) -> None:
    """As one that never was."""
    execution = await started(site, work("a"))
    for one in (execution, NOBODY, "exe_zz"):
        answer = await site.call("ingress", "POST", f"/api/executions/{one}/{action}", json={}, headers=OTHER)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("action", "body", "status", "place"),
    [
        ("edit", {"step": "a", "args": {"wrong": 1}}, 422, "$.args.wrong"),
        ("edit", {"step": "a", "args": {"label": 5}}, 422, "$.args.label"),
        ("edit", {"step": "a", "args": {"label": "${b.x}"}}, 422, "$.args.label"),
        ("edit", {"step": "a"}, 400, "args"),
        ("skip", {"step": "a", "output": "x" * 300_000}, 413, "$.output"),
        ("skip", {"output": 1}, 400, "step"),
        ("pause", {"extra": 1}, 400, "extra"),
        ("settle", {"step": "a", "happened": "yes"}, 400, "$.happened"),
        ("approve", {"step": "a"}, 400, "argsHash"),
        ("pause", {"actor": "a\nb"}, 400, "printable"),
        ("retry", {}, 422, "$.step"),
    ],
)
async def test_bad_input_is_named(site: Site, action: str, body: dict[str, Any], status: int, place: str) -> None:
    """With its place."""
    execution = await started(site, work("a"))
    assert place in str(await act(site, execution, action, status, **body))


async def test_edited_then_approved(site: Site, stage: Stage) -> None:
    """The step runs with what was approved, and the history says who said so."""
    execution = await started(site, work("a", approve={"message": "sure?"}), work("b", "a", args={"label": "x"}))
    assert await run(stage, execution) == "SUSPENDED"
    [step, _] = (await get(site, execution))["steps"]
    assert (step["hold"]["kind"], step["hold"]["args"]) == ("approval", {"label": "a"})
    await act(site, execution, "approve", 409, step="a", argsHash="0" * 32)
    await act(site, execution, "approve", step="a", argsHash=step["hold"]["argsHash"], args={"label": "other"}, note="ok")
    assert await run(stage, execution) == "COMPLETED"
    assert stage.tools.started[0].intent.args == {"label": "other"}
    assert ("step.approved", "acme/anna") in await audit(stage, execution)


async def test_a_failed_execution_is_retried_by_whoever_saw_it(site: Site, stage: Stage) -> None:
    """Blindly it is not."""
    execution = await started(site, work("a"))
    stage.tools.acts["a"] = refusing()
    assert await run(stage, execution) == "FAILED"
    version = (await get(site, execution))["version"]
    assert (await act(site, execution, "retry", 422, step="a"))["error"]["code"] == "version_required"
    assert (await act(site, execution, "retry", 409, step="a", version=version - 1))["error"]["code"] == "version_conflict"
    assert "FAILED" in (await act(site, execution, "pause", 409, version=version))["error"]["message"]
    assert (await act(site, execution, "pause", 409))["error"]["code"] == "moot"
    answer = await act(site, execution, "retry", step="a", version=version)
    assert answer["will"] == "it is EXECUTING again (retry: a)"
    stage.tools.acts.clear()
    assert await run(stage, execution) == "COMPLETED"
    assert [one.intent.key[-4:] for one in stage.tools.started] == [".a.1", ".a.2"]
    assert ("execution.reopened", "acme/anna") in await audit(stage, execution)


async def test_a_failed_step_is_edited_or_skipped(site: Site, stage: Stage) -> None:
    """And the plan goes on behind it."""
    for action, more in (("edit", {"args": {"label": "better"}}), ("skip", {"output": {"n": 1}})):
        execution = await started(site, work("a"), work("b", "a"))
        stage.tools.acts["a"] = refusing()
        assert await run(stage, execution) == "FAILED"
        stage.tools.acts.clear()
        await act(site, execution, action, step="a", version=(await get(site, execution))["version"], **more)
        assert await run(stage, execution) == "COMPLETED"
        assert stage.tools.started[-1].step == "b"


async def test_a_completed_execution_is_compensated_now(site: Site, stage: Stage) -> None:
    """In reverse."""
    execution = await started(site, work("a"), work("b", "a"))
    assert await run(stage, execution) == "COMPLETED"
    await act(site, execution, "compensate", version=(await get(site, execution))["version"])
    assert await run(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["a", "b", "undo b", "undo a"]


async def test_a_failed_compensation_is_continued_or_dealt_with(site: Site, stage: Stage) -> None:
    """What was undone and what is left is listed."""
    execution = await started(site, work("a"), work("b", "a"), work("c", "b"))
    stage.tools.otherwise, stage.tools.acts["c"] = refusing_undo("a"), refusing()
    assert await run(stage, execution) == "COMPENSATION_FAILED"
    found = await get(site, execution)
    assert found["undo"] == {"done": ["b"], "failed": ["a"], "left": [], "unknown": [], "open": [], "more": False}
    await act(site, execution, "retry", step="a", version=found["version"])
    assert await run(stage, execution) == "COMPENSATION_FAILED"
    await act(site, execution, "skip", step="a", version=(await get(site, execution))["version"])
    assert await run(stage, execution) == "COMPENSATED"
    assert ("undo.skipped_by", "acme/anna") in await audit(stage, execution)
    assert (await get(site, execution))["steps"][0]["undo"]["by"] == "acme/anna"


async def test_a_cancel_that_leaves_everything_and_an_undo_after_all(site: Site, stage: Stage) -> None:
    """What stands can still be taken back."""
    execution = await started(site, work("a"), {"name": "w", "wait": {"events": [{"name": "go"}]}, "needs": ["a"]})
    assert await run(stage, execution) == "SUSPENDED"
    assert (await act(site, execution, "cancel", undo=False))["undo"] is False
    assert await run(stage, execution) == "CANCELLED"
    assert ("execution.cancelled_by", "acme/anna") in await audit(stage, execution)
    await act(site, execution, "compensate", version=(await get(site, execution))["version"])
    assert await run(stage, execution) == "COMPENSATED"
    assert stage.tools.names == ["a", "undo a"]


async def lost(_: Start, __: float) -> Outcome:
    """No answer."""
    return Unanswered(message="no answer")


def letter(name: str, *needs: str) -> dict[str, Any]:
    """A call that can neither be repeated, nor asked about, nor taken back."""
    args = {"to": "Ann", "text": "hello"}
    one = {"attempts": 1}
    undo = {"leave": True}
    return {
        "name": name, "tool": "post_unregistered_letter", "args": args, "needs": list(needs), "retry": one, "undo": undo
    }  # fmt: skip


async def test_a_person_settles_what_nobody_knows(site: Site, stage: Stage) -> None:
    """The execution goes on as the person says."""
    execution = await started(site, letter("a"), work("b", "a"))
    stage.tools.acts["a"] = lost
    assert await run(stage, execution) == "SUSPENDED"
    assert (await get(site, execution))["reason"] == "unknown effect"
    await act(site, execution, "settle", step="a", happened=True, output={"posted": True})
    assert await run(stage, execution) == "COMPLETED"
    assert (await get(site, execution))["steps"][0]["output"] == {"posted": True}
    assert ("step.settled", "acme/anna") in await audit(stage, execution)


async def test_a_person_settles_what_the_undo_could_not_reach(site: Site, stage: Stage) -> None:
    """While a request may still land nobody says that it did not happen; that it happened may be said at once."""
    execution = await started(site, letter("a") | {"undo": None})
    stage.tools.acts["a"] = lost
    assert await run(stage, execution) == "SUSPENDED"
    await act(site, execution, "cancel")
    assert await run(stage, execution) == "COMPENSATION_FAILED"
    found = await get(site, execution)
    assert (found["undo"]["left"], found["undo"]["unknown"]) == (["a"], ["a"])
    refused = await act(site, execution, "settle", 409, step="a", happened=False, version=found["version"])
    assert "may still land" in refused["error"]["message"]
    await act(site, execution, "settle", step="a", happened=True, version=found["version"])
    assert await run(stage, execution) == "COMPENSATION_FAILED"
    assert (await get(site, execution))["undo"]["unknown"] == []


async def test_what_is_shown_of_a_map_and_of_children(site: Site, stage: Stage) -> None:
    """Counts with the step, items by the page, a link to the child; the output of the whole."""
    each = work("m", map={"over": [1, 2, 3], "concurrency": 2})
    child = {"name": "c", "child": {"steps": [work("x")]}}
    execution = await started(site, each, child)
    stage.tools.acts["m.1"] = lost
    await run(stage, execution)
    mapped, kid = (await get(site, execution))["steps"]
    assert mapped["items"]["total"] == 3
    page = await site.call("ingress", "GET", f"{mapped['items']['path']}?first=1&limit=1", headers=ANNA)
    assert [one["name"] for one in page.json()["items"]] == ["m.1"]
    assert (page.json()["total"], page.json()["next"]) == (3, 2)
    assert kid["hold"]["kind"] == "child"
    assert kid["child"]["path"].endswith(kid["hold"]["child"])
    gone = await site.call("ingress", "GET", f"/api/executions/{execution}/steps/c/items", headers=ANNA)
    assert gone.status_code == 404


async def again(site: Site, execution: str, action: str, expect: int = 202, key: str = "", **body: Any) -> dict[str, Any]:
    """A restart or a fork; its answer."""
    headers = ANNA | ({"Idempotency-Key": key} if key else {})
    answer = await site.call("ingress", "POST", f"/api/executions/{execution}/{action}", json=body, headers=headers)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_restart_is_another_execution_with_keys_of_its_own(site: Site, stage: Stage) -> None:
    """Whoever asks is told what stands, and says that it may."""
    old = await started(site, work("a"), work("b", "a"))
    assert (await again(site, old, "restart", 409))["error"]["code"] == "still_running"
    assert await run(stage, old) == "COMPLETED"
    refused = (await again(site, old, "restart", 409))["error"]
    assert (refused["code"], refused["details"]["standing"]) == ("effects_stand", ["a", "b"])
    told = await again(site, old, "restart", acceptEffects=True, key="once")
    assert (told["from"], told["by"], told["standing"]) == (old, "acme/anna", ["a", "b"])
    repeated = await again(site, old, "restart", acceptEffects=True, key="once")
    assert (repeated["id"], repeated["repeated"]) == (told["id"], True)
    assert (await again(site, old, "fork", 409, key="once", acceptEffects=True, step="b"))["error"]["code"] == (
        "idempotency_conflict"
    )
    assert await run(stage, told["id"]) == "COMPLETED"
    assert [one.intent.key for one in stage.tools.started[-2:]] == [f"{told['id']}.a.1", f"{told['id']}.b.1"]
    assert (await get(site, told["id"]))["origin"]["from"] == old
    assert ("execution.restarted", "acme/anna") in await audit(stage, told["id"])


async def test_a_fork_takes_the_results_along(site: Site, stage: Stage) -> None:
    """And only the rest is called."""
    old = await started(site, work("a"), work("b", args={"label": "${a.of}"}), work("c"))
    assert await run(stage, old) == "COMPLETED"
    told = await again(site, old, "fork", step="b", acceptEffects=True)
    assert (told["given"], told["step"]) == (["a", "c"], "b")
    stage.tools.started.clear()
    assert await run(stage, told["id"]) == "COMPLETED"
    assert [(one.step, one.intent.args) for one in stage.tools.started] == [("b", {"label": "a"})]
    assert (await again(site, old, "fork", 422, step="zz", acceptEffects=True))["error"]["code"] == "no_such_step"
    for action in ("restart", "fork"):
        body = {"step": "b"} if action == "fork" else {}
        answer = await site.call("ingress", "POST", f"/api/executions/{old}/{action}", json=body, headers=OTHER)
        assert answer.status_code == 404
