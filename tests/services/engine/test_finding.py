"""Lists by filters, open approvals, and one action upon many, on a real store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.machine.status import Status
from shared.search import PAGE, Filter, Found, count, search
from tests.services.engine.site import NOBODY, Site
from tests.services.engine.support import Stage, really
from tests.services.engine.test_actions import ANNA, OTHER, act, again, get, refusing, run, started, work
from tests.services.engine.test_why import why
from tests.support.many import fill


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


async def listed(site: Site, expect: int = 200, **query: Any) -> dict[str, Any]:
    """A page of the list."""
    answer = await site.call("ingress", "GET", "/api/executions", params=query, headers=ANNA)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(site: Site, **query: Any) -> list[str]:
    """The ids of a page."""
    return [row["id"] for row in (await listed(site, **query))["executions"]]


async def bulk(site: Site, expect: int = 202, **body: Any) -> dict[str, Any]:
    """One action upon many."""
    answer = await site.call("ingress", "POST", "/api/executions/bulk", json=body, headers=ANNA)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def zoo(site: Site, stage: Stage) -> tuple[str, str, str]:
    """One that failed, one that waits for approval, one that is completed."""
    failed, asked, done = (
        await started(site, work("a")),
        await started(site, work("b", approve={"message": "sure?"})),
        await started(site, work("c")),
    )
    stage.tools.acts["a"] = refusing()
    for execution in (failed, asked, done):
        await run(stage, execution)
    return failed, asked, done


async def test_filters_of_the_list(site: Site, stage: Stage) -> None:
    """By status, reason, words and time; each alone and together."""
    failed, asked, done = await zoo(site, stage)
    assert await ids(site) == [done, asked, failed]
    assert await ids(site, status="FAILED") == [failed]
    assert await ids(site, status="FAILED,COMPLETED") == [done, failed]
    assert await ids(site, reason="approval") == [asked]
    assert await ids(site, status="FAILED", reason="approval") == []
    assert await ids(site, text="ANONY") == [done, asked, failed]
    assert await ids(site, text="nobody says so") == []
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert await ids(site, createdBefore=soon) == [done, asked, failed]
    assert await ids(site, createdAfter=soon) == []
    assert await ids(site, createdBefore="2001-01-01T00:00:00Z") == []


async def test_pages_end_and_miss_nothing(site: Site, stage: Stage) -> None:
    """Also where one look ends before anything fits."""
    failed, asked, done = await zoo(site, stage)
    seen, page = [], await listed(site, limit=1)
    while page["executions"]:
        seen += [row["id"] for row in page["executions"]]
        page = await listed(site, limit=1, before=page["next"])
    assert seen == [done, asked, failed]
    wanted, before = Filter(status=(Status.FAILED,)), ""
    pages: list[Found] = []
    while not pages or pages[-1].next:
        pages.append(await search(stage.reader, "acme", wanted, before=before, count=5, look=1))
        before = pages[-1].next or ""
    assert [[row["id"] for row in one.rows] for one in pages] == [[], [], [failed], []]


@pytest.mark.parametrize(("count", "summary"), [(1, "1 step"), (2, "2 steps")])
async def test_a_plan_without_words_is_called_by_the_number_of_its_steps(site: Site, count: int, summary: str) -> None:
    """Counted as a person would."""
    plan = {"steps": [work(name) for name in "ab"[:count]]}
    answer = await site.call("ingress", "POST", "/api/execute", json={"plan": plan}, headers=ANNA)
    assert answer.json()["plan"]["summary"] == summary


async def counted(site: Site, expect: int = 200, **query: Any) -> dict[str, Any]:
    """How many fit."""
    answer = await site.call("ingress", "GET", "/api/executions/count", params=query, headers=ANNA)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_it_is_counted_what_fits(site: Site, stage: Stage) -> None:
    """What is another's does not count; a filter that is none is refused with its place."""
    await zoo(site, stage)
    assert (await counted(site))["count"] == 3
    assert (await counted(site, status="FAILED"))["count"] == 1
    assert (await counted(site, text="nobody"))["count"] == 0
    found = await counted(site, status="FAILED,COMPLETED")
    assert (found["count"], found["looked"], found["next"]) == (2, 3, None)
    other = await site.call("ingress", "GET", "/api/executions/count", headers=OTHER)
    assert other.json()["count"] == 0
    assert "BROKEN" in (await counted(site, 400, status="BROKEN"))["error"]["message"]


async def test_an_action_is_for_what_was_counted_and_for_nothing_that_began_since(site: Site, stage: Stage) -> None:
    """The count says up to when."""
    failed, _, _ = await zoo(site, stage)
    found = await counted(site, status="FAILED")
    stage.tools.acts["a"] = refusing()
    later = await started(site, work("a"))
    await run(stage, later)
    wanted = {"status": ["FAILED"], "createdBefore": found["createdBefore"]}
    assert [one["id"] for one in (await bulk(site, action="retry", filter=wanted))["results"]] == [failed]
    assert (await counted(site, createdBefore=found["createdBefore"]))["createdBefore"] == found["createdBefore"]


async def test_a_count_goes_on_where_it_ended(redis: Redis, stage: Stage) -> None:
    """Each execution is counted once, however short the looks are."""
    await fill(redis, "acme", 2 * PAGE + 50, user="many", from_ms=1_700_000_000_000)
    before: str | None = ""
    seen: list[int] = []
    while before is not None:
        found = await count(stage.reader, "acme", Filter(text="many"), before=before, look=1)
        before, seen = found.next, [*seen, found.count]
    assert seen == [PAGE, PAGE, 50]


@pytest.mark.parametrize(
    ("query", "place"),
    [({"status": "BROKEN"}, "status"), ({"reason": "boredom"}, "reason"), ({"createdAfter": "monday"}, "createdAfter")],
)
async def test_a_filter_that_is_none_is_named(site: Site, query: dict[str, str], place: str) -> None:
    """With what it would take."""
    assert place in (await listed(site, 400, **query))["error"]["message"]


async def test_a_time_without_its_offset_is_refused(site: Site) -> None:
    """Nobody knows whose clock it is."""
    assert "offset" in (await listed(site, 400, createdBefore="2026-01-01T00:00:00"))["error"]["message"]


async def test_open_approvals_of_a_tenant(site: Site, stage: Stage) -> None:
    """What is asked, by which hash it is answered; and nobody else sees it."""
    _, asked, _ = await zoo(site, stage)
    page = (await site.call("ingress", "GET", "/api/approvals", headers=ANNA)).json()
    [one] = page["approvals"]
    assert (one["executionId"], one["step"], one["message"], one["args"]) == (asked, "b", "sure?", {"label": "b"})
    other = await site.call("ingress", "GET", "/api/approvals", headers=OTHER)
    assert other.json() == {"approvals": [], "next": None}
    await act(site, asked, "approve", step=one["step"], argsHash=one["argsHash"])
    assert await run(stage, asked) == "COMPLETED"
    assert (await site.call("ingress", "GET", "/api/approvals", headers=ANNA)).json()["approvals"] == []


async def test_what_a_person_is_asked_has_its_references_resolved_wherever_it_is_shown(site: Site, stage: Stage) -> None:
    """In the list, in the execution, in `why` and in the history; and in a fork, where the result is a copy."""
    old = await started(site, work("a"), work("b", approve={"message": "${a.of} is booked. b, too?"}))
    said = "a is booked. b, too?"
    assert await run(stage, old) == "SUSPENDED"
    await act(site, old, "cancel", undo=False)
    await run(stage, old)
    fork = (await again(site, old, "fork", step="b", acceptEffects=True))["id"]
    assert await run(stage, fork) == "SUSPENDED"
    [one] = (await site.call("ingress", "GET", "/api/approvals", headers=ANNA)).json()["approvals"]
    assert (one["executionId"], one["message"]) == (fork, said)
    assert (await get(site, fork))["steps"][1]["hold"]["message"] == said
    assert f"({said})" in (await why(site, fork))["why"]
    for execution in (old, fork):
        [line] = [line for line in await stage.reader.history(execution, "acme") if line["event"] == "step.approval_asked"]
        assert line["detail"]["message"] == said


async def test_a_message_that_refers_to_no_step_is_refused_with_its_place(site: Site) -> None:
    """Nothing is stored."""
    steps = [work("a", approve={"message": "${zz.q} ok?"})]
    answer = await site.call("ingress", "POST", "/api/execute", json={"plan": {"steps": steps}}, headers=ANNA)
    assert answer.status_code == 422
    [problem] = answer.json()["error"]["details"]["problems"]
    assert problem == {"at": "plan.steps[0].approve.message", "message": "there is no step 'zz' to refer to"}
    assert await ids(site) == []


async def test_one_action_upon_all_that_fit(site: Site, stage: Stage) -> None:
    """First said, then done; what does not fit is refused by itself, and each is noted."""
    failed, asked, done = await zoo(site, stage)
    said = await bulk(site, 200, action="retry", filter={"status": ["FAILED", "COMPLETED"]}, dryRun=True)
    assert (said["done"], said["refused"]) == (1, 1)
    assert (await get(site, failed))["status"] == "FAILED"
    stage.tools.acts.clear()
    told = await bulk(site, action="retry", filter={"status": ["FAILED", "COMPLETED"]}, actor="ben")
    assert {row["id"]: row["result"] for row in told["results"]} == {failed: "done", done: "refused"}
    assert await run(stage, failed) == "COMPLETED"
    lines = await stage.reader.history(failed, "acme")
    assert [line["detail"]["by"] for line in lines if line["event"] == "execution.reopened"] == ["acme/ben"]
    body: dict[str, Any] = {"action": "cancel", "filter": {"ids": [asked]}, "with": {"reason": "late"}}
    told = await bulk(site, **body)
    assert (told["done"], told["next"]) == (1, None)
    assert await run(stage, asked) == "CANCELLED"


async def test_a_bulk_restart_that_is_sent_again_restarts_nothing_twice(site: Site, stage: Stage) -> None:
    """Consent to what stands is asked for here too."""
    _, _, done = await zoo(site, stage)
    refused = await bulk(site, action="restart", filter={"ids": [done]})
    assert refused["results"][0]["code"] == "effects_stand"
    body: dict[str, Any] = {"action": "restart", "filter": {"ids": [done]}, "with": {"acceptEffects": True}}
    first, second = await bulk(site, **body), await bulk(site, **body)
    assert first["results"][0]["new"] == second["results"][0]["new"]


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"action": "pause", "filter": {}}, 422, "$.filter"),
        ({"action": "cancel", "filter": {"text": " "}}, 422, "empty_filter"),
        ({"action": "cancel", "filter": {"text": "\u00a0\t\n", "status": [], "ids": []}}, 422, "empty_filter"),
        ({"action": "cancel", "filter": {"text": ""}, "dryRun": True}, 422, "empty_filter"),
        ({"action": "skip", "filter": {"status": ["FAILED"]}}, 400, "$.action"),
        ({"action": "pause", "filter": {"status": ["FAILED"]}, "with": {"x": 1}}, 422, "$.with"),
        ({"action": "pause", "filter": {"status": ["FAILED"]}, "limit": 1_000}, 400, "$.limit"),
        ({"action": "pause", "filter": {"ids": [NOBODY]}}, 404, "there is no execution"),
        ({"action": "pause", "filter": {"ids": [" "]}}, 404, "there is no execution"),
    ],
)
async def test_a_bulk_request_that_cannot_be_meant_is_refused(
    site: Site, body: dict[str, Any], status: int, place: str
) -> None:
    """As a whole, before anything is done."""
    assert place in str(await bulk(site, status, **body))
