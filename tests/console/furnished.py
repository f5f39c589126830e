"""A system with something of everything on it, for whoever looks at every page."""

from dataclasses import dataclass
from typing import Any, Final

from tests.console.test_letters import die
from tests.system.harness import System, until, work

TABLE: Final = {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
LONG: Final = (
    "Book a table for 12 at 7pm at the restaurant beside the station, tell everybody who comes, and remind me an hour before "
)
FAILING: Final = [
    {"name": "table", "tool": "reserve_table", "args": TABLE},
    {"name": "job", "tool": "do_work", "args": {"label": "x", "seconds": 0}, "needs": ["table"]},
    {"name": "bad", "tool": "reserve_table", "args": TABLE | {"restaurant": "No Such Place"}, "needs": ["job"]},
]
EVENT: Final = [
    *work(1, 0),
    {"name": "answer", "wait": {"events": [{"name": "answered"}], "timeout_ms": 86_400_000}, "needs": ["s0"]},
    {"name": "file", "tool": "do_work", "args": {"label": "file it"}, "needs": ["answer"]},
]
ASKED: Final = [work(1, 0)[0] | {"approve": {"message": "May this job be done, although it takes a while and costs a little?"}}]
ITEMS: Final = {"name": "all", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": ["a", "b", "c"]}}


@dataclass(frozen=True)
class Furnished:
    """Ids of what is there."""

    completed: str
    undone: str
    waiting: str
    asked: str
    paused: str
    unconfirmed: str


async def furnish(system: System) -> Furnished:
    """Executions that ended in several ways and wait for several things, letters, schedules, a pause. Nothing moves then."""
    completed = await system.run_plan(work(6, 0.1))
    mapped = await system.run_plan([*work(1, 0), ITEMS | {"needs": ["s0"]}])
    undone = await system.run_plan(FAILING)
    waiting, asked, paused = [await system.run_plan(steps) for steps in (EVENT, ASKED, EVENT)]
    asleep = await system.run_plan([{"name": "calm", "sleep": {"ms": 3_600_000}}, *work(1, 0)])
    await system.post(f"/api/executions/{paused}/pause", {})
    await _post(system, "/api/execute", {"intent": "Book a table for 2 at 7pm under the name Smith", "userId": "test-user"})
    unconfirmed = await _post(
        system, "/api/execute", {"plan": {"steps": work(3, 0)}, "userId": "a-user-with-quite-a-long-name", "confirm": True}
    )
    await _post(system, "/api/schedules", {"cron": "0 8 1 1 *", "plan": {"steps": work(1, 0)}, "userId": "test-user"})
    kept = await _post(system, "/api/schedules", {"cron": "*/5 * * * *", "intent": LONG, "userId": "test-user"}, ok=False)
    if "id" in kept:
        await system.post(f"/api/schedules/{kept['id']}/pause", {})
    await system.post("/api/tools/post_letter/pause", {"reason": "the post is on strike, and nobody knows until when"})
    for execution in (completed, mapped, undone):
        await system.ended(execution, within=30)
    await die(system, asleep, "msg_furnished")
    await until(lambda: _stands(system, paused, "PAUSED"), within=20, describe="it is paused")
    await until(lambda: _stands(system, waiting, "SUSPENDED"), within=20, describe="it waits")
    return Furnished(completed, undone, waiting, asked, paused, str(unconfirmed["id"]))


async def _post(system: System, path: str, body: dict[str, Any], *, ok: bool = True) -> dict[str, Any]:
    answer = await system.post(path, body)
    assert answer.is_success or not ok, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _stands(system: System, execution: str, status: str) -> bool:
    return bool((await system.get(execution))["status"] == status)
