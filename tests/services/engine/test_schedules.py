"""Schedules at the edges: what is taken and refused, what a time comes to, and that it comes to it once."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingress.edge import Deps
from shared.accepting import Accepted, Acceptor
from shared.errors import Unavailable, Unprocessable
from shared.machine.accept import Limits
from shared.redisdb import keys
from shared.redisdb.schedules import CLAIM_MS, RedisSchedules
from shared.requests import Execute
from shared.schedules.firing import RETRY_MS, WAIT_MS, Firing, request_of
from shared.schedules.timing import GRACE_MS, Due
from shared.tools.registry import Registry
from tests.services.engine.site import KEY, Site

AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}
WORDS = {"intent": "Book a table for 2 at 7pm", "userId": "test-user", "cron": "0 8 * * *"}
JOB = {"plan": {"steps": [{"name": "a", "tool": "do_work", "args": {"label": "x"}}]}, "cron": "0 8 * * *"}
EIGHT = int(datetime(2030, 5, 1, 8, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000


async def ask(site: Site, method: str, path: str, **more: Any) -> Any:
    """A request of the tenant; its body, of a good answer."""
    answer = await site.call("ingress", method, path, headers=AUTH, **more)
    assert answer.is_success, answer.text
    return answer.json()


async def deps_at(site: Site, now_ms: int) -> Deps:
    """Ingress's parts, with the schedules' clock in the test's hands."""
    deps: Deps = (await site.app("ingress")).state.deps
    deps.schedules.now_ms = now_ms
    return deps


async def scheduled(site: Site, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A new schedule, made the day before it first fires (EIGHT)."""
    await deps_at(site, EIGHT - DAY_MS + 1)
    found: dict[str, Any] = await ask(site, "POST", "/api/schedules", json=body | more)
    return found


async def fired(site: Site, now_ms: int) -> int:
    """A round at that moment; how many times were settled."""
    return await (await deps_at(site, now_ms)).firing.sweep()


async def seen(site: Site, schedule: dict[str, Any]) -> Any:
    """The schedule as it is shown now."""
    return await ask(site, "GET", schedule["links"]["self"])


async def executions(site: Site) -> list[Any]:
    """The tenant's executions, newest first."""
    found: list[Any] = (await ask(site, "GET", "/api/executions"))["executions"]
    return found


async def end(redis: Redis, execution: str) -> None:
    """It is over."""
    await redis.hset(keys.record(execution), "status", "COMPLETED")


async def test_a_schedule_is_stored_and_shown(site: Site) -> None:
    """By itself and in the list; its zone is the user's unless it is named."""
    first = await scheduled(site, WORDS)
    assert (first["status"], first["nextAt"], first["timezone"]) == ("active", "2030-05-01T08:00:00.000+00:00", "UTC")
    assert (first["overlap"], first["missed"], first["runs"], first["lastError"]) == ("skip", "skip", 0, None)
    assert await seen(site, first) == first
    second = await scheduled(site, JOB, timezone="Asia/Tokyo", overlap="queue", missed="once", cron=" 30  9 * * * ")
    assert (second["cron"], second["nextAt"]) == ("30 9 * * *", "2030-05-01T00:30:00.000+00:00")
    assert second["plan"]["steps"][0]["tool"] == "do_work"
    assert (await ask(site, "GET", "/api/schedules"))["schedules"] == [second, first]
    page = await ask(site, "GET", "/api/schedules?limit=1")
    assert (page["schedules"], page["next"]) == ([second], second["id"])
    assert (await ask(site, "GET", f"/api/schedules?limit=1&before={page['next']}"))["schedules"] == [first]
    assert await executions(site) == []


async def test_another_tenants_schedule_does_not_exist(site: Site) -> None:
    """Not to be read, stopped, run or deleted."""
    made = await scheduled(site, WORDS)
    base = made["links"]["self"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")):
        answer = await site.call("ingress", method, base + path, headers=OTHER)
        assert answer.status_code == 404, path
        assert answer.json()["error"]["code"] == "not_found"
    assert (await site.call("ingress", "GET", "/api/schedules", headers=OTHER)).json() == {"schedules": [], "next": None}
    assert await seen(site, made) == made


async def test_words_are_planned_when_it_fires_for_its_moment_in_its_zone(site: Site) -> None:
    """At eight in Tokyo `at 7pm` is seven in the evening of that day there; the execution names where it came from."""
    made = await scheduled(site, WORDS, timezone="Asia/Tokyo")
    at = int(datetime.fromisoformat(made["nextAt"]).timestamp() * 1000)
    assert await fired(site, at - 1) == 0
    assert await fired(site, at + 900) == 1

    now = await seen(site, made)
    found = await ask(site, "GET", f"/api/executions/{now['lastExecution']}")
    assert "Wednesday 1 May 2030 at 19:00" in found["plan"]["summary"]
    assert (now["runs"], now["lastScheduledFor"], now["nextAt"][:10]) == (1, made["nextAt"], "2030-05-01")
    assert await fired(site, at + 1_800) == 0
    assert len(await executions(site)) == 1


async def test_a_process_that_dies_after_creating_makes_no_second_one(site: Site) -> None:
    """Before its word came into the schedule: whoever takes the time again finds what was made."""
    made = await scheduled(site, JOB)
    deps = await deps_at(site, EIGHT)
    due = Due(fire_ms=EIGHT, next_ms=EIGHT + DAY_MS, missed=0)
    taken = await deps.schedules.claim(made["id"], planned_ms=EIGHT, due=due)
    assert taken is not None
    key = f"{made['id']}@2030-05-01T08:00:00Z"
    first = await deps.acceptor.take("acme", request_of(await deps.schedules.get(made["id"], "acme")), key)

    assert await fired(site, EIGHT + CLAIM_MS - 1) == 0
    assert await fired(site, EIGHT + CLAIM_MS) == 1
    assert (await seen(site, made))["lastExecution"] == first.execution
    assert len(await executions(site)) == 1


async def test_a_question_when_it_fires_is_kept_and_shown(site: Site) -> None:
    """The user took the phone number back: no execution, the question on the schedule, and the next time goes on."""
    made = await scheduled(site, WORDS, intent="Book a table for 2 at 7pm and text me the confirmation")
    await ask(site, "PUT", "/api/users/test-user/profile", json={"name": "Ann"})
    assert await fired(site, EIGHT) == 1

    now = await seen(site, made)
    assert (now["failures"], now["runs"], now["nextAt"][:10]) == (1, 0, "2030-05-02")
    assert now["lastError"]["code"] == "clarification_needed"
    assert now["lastError"]["scheduledFor"] == "2030-05-01T08:00:00Z"
    assert now["lastError"]["details"]["questions"]
    assert await executions(site) == []
    answer = await site.call("ingress", "POST", made["links"]["run"], headers=AUTH)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "clarification_needed"
    assert (await seen(site, made))["failures"] == 2


async def test_overlap_skip_leaves_a_time_out_while_the_last_one_runs(site: Site, redis: Redis) -> None:
    """And runs the next one after its end."""
    made = await scheduled(site, JOB)
    assert [await fired(site, EIGHT + day * DAY_MS) for day in range(2)] == [1, 1]
    now = await seen(site, made)
    assert (now["runs"], now["skipped"]) == (1, 1)
    await end(redis, now["lastExecution"])
    await fired(site, EIGHT + 2 * DAY_MS)
    assert (await seen(site, made))["runs"] == 2


async def test_overlap_queue_waits_for_the_last_one(site: Site, redis: Redis) -> None:
    """In order, under the key of its own time; it is looked again every few seconds."""
    made = await scheduled(site, JOB, overlap="queue")
    assert [await fired(site, EIGHT + day * DAY_MS) for day in range(3)] == [1, 0, 0]
    now = await seen(site, made)
    assert [time[:10] for time in now["waiting"]] == ["2030-05-02", "2030-05-03"]
    await end(redis, now["lastExecution"])
    assert await fired(site, EIGHT + 2 * DAY_MS + WAIT_MS) == 1
    now = await seen(site, made)
    assert (now["runs"], now["lastScheduledFor"][:10], len(now["waiting"])) == (2, "2030-05-02", 1)
    await redis.delete(keys.record(now["lastExecution"]))  # over and purged
    assert await fired(site, EIGHT + 2 * DAY_MS + 2 * WAIT_MS) == 1
    assert (await seen(site, made))["runs"] == 3


async def test_overlap_parallel_starts_whatever_runs(site: Site) -> None:
    """Two at a time."""
    made = await scheduled(site, JOB, overlap="parallel")
    assert [await fired(site, EIGHT + day * DAY_MS) for day in range(2)] == [1, 1]
    assert (await seen(site, made))["runs"] == 2
    assert {row["status"] for row in await executions(site)} == {"PLANNED"}


@pytest.mark.parametrize(("missed", "runs", "skipped"), [("skip", 0, 1), ("once", 1, 0)])
async def test_times_at_which_nobody_ran(site: Site, missed: str, runs: int, skipped: int) -> None:
    """A hundred days: at most one run, for the last of them; the next is in the future."""
    made = await scheduled(site, JOB, missed=missed)
    late = EIGHT + 100 * DAY_MS + GRACE_MS + 1
    assert await fired(site, late) == runs
    now = await seen(site, made)
    assert (now["runs"], now["skipped"], now["nextAt"][:10]) == (runs, skipped, "2030-08-10")
    assert (now["lastScheduledFor"] or "")[:10] == ("2030-08-09" if runs else "")
    assert await fired(site, late) == 0


async def test_pause_resume_delete(site: Site) -> None:
    """Nothing comes of a paused one, nor is it caught up on; a deleted one is gone."""
    made = await scheduled(site, JOB, missed="once")
    paused = await ask(site, "POST", made["links"]["pause"])
    assert (paused["status"], paused["nextAt"]) == ("paused", None)
    assert await fired(site, EIGHT + DAY_MS) == 0
    for _ in range(2):
        resumed = await ask(site, "POST", made["links"]["resume"])
        assert (resumed["status"], resumed["nextAt"][:10]) == ("active", "2030-05-03")
    assert await fired(site, EIGHT + DAY_MS) == 0
    assert (await ask(site, "DELETE", made["links"]["self"]))["result"] == "deleted"
    assert (await site.call("ingress", "GET", made["links"]["self"], headers=AUTH)).status_code == 404
    assert await fired(site, EIGHT + 5 * DAY_MS) == 0
    assert await executions(site) == []


async def test_run_now_obeys_the_overlap_and_moves_no_time(site: Site, redis: Redis) -> None:
    """Started, skipped, waiting; also of a paused one."""
    made = await scheduled(site, JOB)
    await ask(site, "POST", made["links"]["pause"])
    first = await site.call("ingress", "POST", made["links"]["run"], headers=AUTH)
    assert (first.status_code, first.json()["result"]) == (202, "started")
    assert (await ask(site, "GET", first.json()["links"]["execution"]))["status"] == "PLANNED"
    again = await site.call("ingress", "POST", made["links"]["run"], headers=AUTH)
    assert (again.status_code, again.json()["executionId"]) == (200, None)
    assert "still runs" in again.json()["result"]
    now = await seen(site, made)
    assert (now["runs"], now["skipped"], now["nextAt"]) == (1, 1, None)

    queued = await scheduled(site, JOB, overlap="queue")
    started = await ask(site, "POST", queued["links"]["run"])
    await deps_at(site, EIGHT - 5)
    waits = await site.call("ingress", "POST", queued["links"]["run"], headers=AUTH)
    assert (waits.status_code, waits.json()["result"]) == (202, "waiting for its turn")
    await end(redis, started["executionId"])
    assert await fired(site, EIGHT - 5 + WAIT_MS) == 1, "the time that has come meanwhile waits for what waited"
    now = await seen(site, queued)
    assert (now["runs"], len(now["waiting"])) == (2, 1)


class Away(Acceptor):
    """An acceptor whose store is away."""

    async def take(self, tenant: str, request: Execute, key: str, *, at: datetime | None = None) -> Accepted:
        """See Acceptor."""
        raise Unavailable(f"no {tenant} {key} {at} {request.user_id}")


class Broken(Acceptor):
    """An acceptor with a fault of ours."""

    async def take(self, tenant: str, request: Execute, key: str, *, at: datetime | None = None) -> Accepted:
        """See Acceptor."""
        raise RuntimeError(f"no {tenant} {key} {at} {request.user_id}")


async def test_a_neighbour_that_is_away_delays_and_a_fault_of_ours_is_told(site: Site) -> None:
    """The first is tried again; the second is on the schedule, without its text."""
    made = await scheduled(site, JOB)
    deps = await deps_at(site, EIGHT)
    away = Away.__new__(Away)
    assert await Firing(deps.schedules, away, deps.reader).sweep() == 0
    now = await seen(site, made)
    assert (len(now["waiting"]), now["failures"], now["lastError"]) == (1, 0, None)
    await deps_at(site, EIGHT + RETRY_MS)
    assert await Firing(deps.schedules, Broken.__new__(Broken), deps.reader).sweep() == 1
    now = await seen(site, made)
    assert (now["failures"], now["lastError"]["code"]) == (1, "internal")
    assert "RuntimeError" not in json.dumps(now)


async def test_the_rounds_of_the_resume_service_start_what_is_due(site: Site, redis: Redis) -> None:
    """And so do the looks that every request to ingress pays for."""
    deps: Deps = (await site.app("ingress")).state.deps
    deps.watchdog._lazy_at = math.inf  # none of ingress's own before the sweep
    made = await ask(site, "POST", "/api/schedules", json=JOB | {"overlap": "parallel"})
    real = RedisSchedules(redis)
    await real.set_state(made["id"], "acme", "active", next_ms=await real.now())
    assert (await site.signed("resume", "/api/mesh/sweep", b"")).json()["moved"] >= 1
    assert (await seen(site, made))["runs"] == 1

    await real.set_state(made["id"], "acme", "active", next_ms=await real.now())
    for _ in range(2_000):
        deps.watchdog._lazy_at = -2.0
        await deps.watchdog.lazily()
        if (await real.get(made["id"], "acme")).runs == 2:
            break
    assert (await seen(site, made))["runs"] == 2


@pytest.mark.parametrize(
    ("change", "status", "at"),
    [
        ({"cron": "daily"}, 400, "$.cron"),
        ({"cron": "0 8 31 2 *"}, 400, "$.cron"),
        ({"cron": 5}, 400, "$.cron"),
        ({"timezone": "Mars/Base"}, 400, "$.timezone"),
        ({"overlap": "never"}, 400, "$.overlap"),
        ({"missed": "twice"}, 400, "$.missed"),
        ({"intent": "x"}, 400, "$"),
        ({"plan": None}, 400, "$"),
        ({"plan": None, "intent": ""}, 400, "$.intent"),
        ({"every": "day"}, 400, "$.every"),
        ({"plan": {"steps": [{"name": "a", "tool": "fly"}]}}, 422, "plan.steps[0].tool"),
        ({"plan": {"steps": [{"name": "a"}]}}, 422, "plan.steps[0].tool"),
        ({"plan": None, "intent": "Book a ride"}, 422, ""),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place_and_nothing_is_stored(
    site: Site, redis: Redis, change: dict[str, Any], status: int, at: str
) -> None:
    """Also words that would be asked about at the first time: the person is here now."""
    answer = await site.call("ingress", "POST", "/api/schedules", json=JOB | change, headers=AUTH)
    assert answer.status_code == status, answer.text
    details = answer.json()["error"]["details"]
    places = [details.get("at"), *(problem["at"] for problem in details.get("problems", ()))]
    assert at in places if at else details["questions"]
    assert [name async for name in redis.scan_iter("ie:{p*") if b":sch" in name or b":sdx" in name] == []


@pytest.mark.parametrize("path", ["?limit=0", "?before=x", "?limit=501"])
async def test_a_page_that_cannot_be_is_400(site: Site, path: str) -> None:
    """It names its parameter."""
    answer = await site.call("ingress", "GET", f"/api/schedules{path}", headers=AUTH)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["at"] in path


# -- words that say themselves when they repeat -----------------------------------------------------------------------------

EVERY_FRIDAY = {"intent": "every Friday at 6pm book a table for 2 at 8pm", "userId": "test-user"}


async def test_words_that_repeat_become_a_schedule(site: Site) -> None:
    """201 with what it will come to; nothing runs before its time, and then the words without their times do."""
    await deps_at(site, EIGHT)  # a Wednesday
    made = await site.call("ingress", "POST", "/api/execute", headers=AUTH, json=EVERY_FRIDAY)
    body = made.json()
    assert (made.status_code, made.headers["Location"]) == (201, body["links"]["self"])
    assert (body["cron"], body["timezone"], body["intent"]) == ("0 18 * * FRI", "UTC", "book a table for 2 at 8pm")
    assert body["nextAt"] == "2030-05-03T18:00:00.000+00:00"
    assert "table for 2" in body["summary"].lower()
    assert body["sources"]
    assert await executions(site) == []
    friday = int(datetime(2030, 5, 3, 18, tzinfo=UTC).timestamp() * 1000)
    assert await fired(site, friday) == 1
    (run,) = await executions(site)
    assert run["text"] == "book a table for 2 at 8pm"


async def test_words_that_repeat_are_taken_once_for_a_key(site: Site) -> None:
    """And the key is not good for others."""
    await deps_at(site, EIGHT)
    headers = AUTH | {"Idempotency-Key": "k1"}
    first, second = [
        (await site.call("ingress", "POST", "/api/execute", headers=headers, json=EVERY_FRIDAY)).json() for _ in range(2)
    ]
    assert (first["id"], first["repeated"], second["repeated"]) == (second["id"], False, True)
    assert len((await ask(site, "GET", "/api/schedules"))["schedules"]) == 1
    other = EVERY_FRIDAY | {"intent": "every Friday at 6pm book a table for 2 at 9pm"}
    answer = await site.call("ingress", "POST", "/api/execute", headers=headers, json=other)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_zone_said_beside_the_words_is_the_schedules(site: Site) -> None:
    """The chat takes them too."""
    await deps_at(site, EIGHT)
    body = {"message": 'every day at 7am text me "good morning"', "userId": "test-user"}
    made = await ask(site, "POST", "/api/chat", json=body | {"context": {"timezone": "Asia/Tokyo"}})
    assert (made["timezone"], made["nextAt"]) == ("Asia/Tokyo", "2030-05-01T22:00:00.000+00:00")


@pytest.mark.parametrize("more", [{"confirm": True}, {"priority": "low"}])
async def test_what_a_schedule_cannot_keep_is_refused(site: Site, more: dict[str, Any]) -> None:
    """Its plans are made when their time comes."""
    answer = await site.call("ingress", "POST", "/api/execute", headers=AUTH, json=EVERY_FRIDAY | more)
    assert answer.status_code == 400
    assert (await ask(site, "GET", "/api/schedules"))["schedules"] == []


async def test_words_that_repeat_are_not_repeated_by_a_cron_expression(site: Site) -> None:
    """It would be said twice when."""
    answer = await site.call("ingress", "POST", "/api/schedules", headers=AUTH, json=EVERY_FRIDAY | {"cron": "0 8 * * *"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "words_repeat")


async def test_the_moment_of_the_words_may_be_given(site: Site) -> None:
    """With its offset; without one it is no moment."""
    words = {"intent": "Book a table for 2 in 90 minutes", "userId": "test-user"}
    made = await ask(site, "POST", "/api/execute", json=words | {"context": {"now": "2030-05-01T12:00:00+02:00"}})
    assert made["plan"]["steps"][0]["args"] == {"party_size": 2, "date": "2030-05-01", "time": "11:30"}
    for wrong in ("2030-05-01T12:00:00", "noon"):
        answer = await site.call("ingress", "POST", "/api/execute", headers=AUTH, json=words | {"context": {"now": wrong}})
        assert (answer.status_code, "now" in answer.text) == (400, True)


async def test_what_no_tool_is_there_for_is_asked_about(site: Site) -> None:
    """A domain whose tools are not registered is not planned with."""
    deps = await deps_at(site, EIGHT)
    acceptor = Acceptor(
        store=deps.store,
        sender=deps.sender,
        registry=Registry(),
        profiles=deps.profiles,
        limits=Limits(steps=100, argument_bytes=65_536, step_ms=8_000),
        background=deps.background,
        quota=deps.quota,
    )
    with pytest.raises(Unprocessable) as refused:
        await acceptor.draft("t", Execute(intent="Book a table for 2 at 7pm", user_id="test-user"))
    assert [question["field"] for question in refused.value.details["questions"]] == ["tool"]
