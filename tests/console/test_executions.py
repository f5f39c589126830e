"""The list of executions: live rows, by keyboard alone."""

import asyncio
import re
from typing import Any

from playwright.async_api import Locator, Route, expect
from redis.asyncio import Redis

from tests.console.browsing import Tab
from tests.support.many import fill
from tests.system.harness import System, until, work

MANY = 10_000
BEGUN_MS = 1_700_000_000_000


async def test_executions_are_listed_newest_first_and_opened_by_keyboard(tab: Tab, system: System) -> None:
    """j and k move, Enter opens."""
    older = await system.run_plan(work(1, 0))
    newer = await system.run_plan(work(1, 0))
    await tab.go("/executions")
    rows = tab.page.locator("tr.row")
    await expect(rows.nth(0)).to_have_attribute("data-key", newer)
    await expect(rows.nth(1)).to_have_attribute("data-key", older)
    await tab.press("j", "j", "k")
    await expect(rows.nth(0)).to_be_focused()
    await tab.press("j", "Enter")
    await expect(tab.page).to_have_url(re.compile(f"#/executions/{older}$"))


async def started(system: System, user: str, **plan: Any) -> str:
    """An execution whose user is named so that only one test finds it."""
    answer = await system.post("/api/execute", {"plan": {"steps": work(1, 0), **plan}, "userId": user})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def row_of(tab: Tab, execution: str) -> Locator:
    """The row of one execution."""
    return tab.page.locator(f"tr.row[data-key={execution}]")


async def test_an_execution_that_begins_appears_without_a_reload(tab: Tab, system: System) -> None:
    """At the top, and its status follows."""
    await started(system, "live-first")
    await tab.go("/executions?text=live-")
    await expect(tab.page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(tab.page.locator("tr.row")).to_have_count(1)
    newer = await started(system, "live-second")
    await expect(tab.page.locator("tr.row").first).to_have_attribute("data-key", newer)
    await expect(row_of(tab, newer).get_by_text("Completed")).to_be_visible()


async def test_the_first_execution_appears_where_nothing_fitted(tab: Tab, system: System) -> None:
    """An empty list is live too."""
    await tab.go("/executions?text=nobody-yet")
    await expect(tab.page.get_by_text("Nothing fits this filter.")).to_be_visible()
    await expect(tab.page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(row_of(tab, await started(system, "nobody-yet"))).to_be_visible()


async def test_filters_stand_in_the_address_and_hold_over_a_reload(tab: Tab, system: System) -> None:
    """Words, statuses and times; going back undoes the latest choice."""
    done = await started(system, "filters-one")
    other = await started(system, "filters-two")
    for execution in (done, other):
        await system.ended(execution, within=20)
    await tab.go("/executions")
    await tab.page.get_by_role("searchbox", name="Words or user").fill("filters-one")
    await expect(tab.page).to_have_url(re.compile(r"text=filters-one"))
    await expect(row_of(tab, other)).to_have_count(0)
    await tab.page.locator("summary").click()
    await tab.page.get_by_label("Completed", exact=True).check()
    await tab.page.get_by_label("Failed", exact=True).check()
    await expect(tab.page).to_have_url(re.compile(r"status=COMPLETED&status=FAILED&text=filters-one$"))
    await expect(row_of(tab, done)).to_be_visible()
    await tab.page.get_by_label("Completed", exact=True).uncheck()
    await expect(tab.page.get_by_text("Nothing fits this filter.")).to_be_visible()
    await tab.page.go_back()
    await expect(row_of(tab, done)).to_be_visible()
    await tab.page.reload()
    await expect(row_of(tab, done)).to_be_visible()
    await expect(tab.page.locator("summary")).to_have_text("Completed, Failed")


async def test_times_of_the_reader_bound_the_list(tab: Tab, system: System) -> None:
    """They are sent with their offset."""
    execution = await started(system, "times-one")
    await tab.go("/executions?text=times-one")
    await expect(row_of(tab, execution)).to_be_visible()
    await tab.page.get_by_label("Created before").fill("2020-01-01T10:00")
    await expect(tab.page).to_have_url(re.compile(r"createdBefore=2020-01-01T\d\d%3A\d\d%3A00.000Z"))
    await expect(tab.page.get_by_text("Nothing fits this filter.")).to_be_visible()
    await tab.page.get_by_label("Created before").fill("")
    await tab.page.get_by_label("Created after").fill("2020-01-01T10:00")
    await expect(row_of(tab, execution)).to_be_visible()
    await tab.page.get_by_role("button", name="Clear").click()
    await expect(tab.page).to_have_url(re.compile(r"#/executions$"))


async def test_a_view_is_saved_by_name_chosen_again_and_removed(tab: Tab, system: System) -> None:
    """This browser remembers it."""
    execution = await started(system, "views-one")
    await tab.go("/executions?text=views-one")
    await tab.page.get_by_role("button", name="Save view").click()
    await tab.page.get_by_label("Name").fill("Mine")
    await tab.press("Enter")
    await tab.page.get_by_role("button", name="Clear").click()
    await expect(tab.page).to_have_url(re.compile(r"#/executions$"))
    await tab.page.reload()
    await tab.page.get_by_label("Saved views").select_option("Mine")
    await expect(tab.page).to_have_url(re.compile(r"text=views-one$"))
    await expect(tab.page.locator("tr.row")).to_have_count(1)
    await expect(row_of(tab, execution)).to_be_visible()
    await tab.page.get_by_role("button", name="Remove view").click()
    await expect(tab.page.get_by_label("Saved views")).to_be_hidden()


async def test_one_action_upon_many_is_asked_with_its_count_and_done(tab: Tab, system: System) -> None:
    """What cannot be is told before; the rows follow; nothing stays chosen."""
    held = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]
    waiting = [await started(system, "bulk-user", steps=held) for _ in range(2)]
    over = await started(system, "bulk-user")
    await system.ended(over, within=20)
    await tab.go("/executions?text=bulk-user")
    for execution in waiting:
        await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
    await tab.page.get_by_label("Choose all that are listed").check()
    actions = tab.page.get_by_role("toolbar", name="Actions")
    await expect(actions.get_by_text("3 chosen")).to_be_visible()
    await actions.get_by_role("button", name="Cancel").click()
    dialog = tab.page.get_by_role("dialog", name="Cancel 2 executions?")
    await expect(dialog.get_by_text("1 execution cannot be")).to_be_visible()
    await dialog.get_by_label("Reason").fill("no longer wanted")
    await dialog.get_by_role("button", name="Cancel 2").click()
    for execution in waiting:
        await expect(row_of(tab, execution).get_by_text("Cancelled")).to_be_visible()
        assert (await system.ended(execution, within=20))["status"] == "CANCELLED"
        assert any("no longer wanted" in str(line) for line in await system.history(execution))
    await expect(row_of(tab, over).get_by_text("Completed")).to_be_visible()
    await expect(actions).to_be_hidden()
    await expect(tab.page.get_by_text("Cancel: 2 executions.")).to_be_visible()


async def test_an_action_that_is_not_confirmed_is_not_done(tab: Tab, system: System) -> None:
    """By keyboard: j, x, and back."""
    held = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]
    execution = await started(system, "unsure-user", steps=held)
    try:
        await tab.go("/executions?text=unsure-user")
        await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
        await tab.press("j", "x")
        await tab.page.get_by_role("toolbar", name="Actions").get_by_role("button", name="Pause").click()
        dialog = tab.page.get_by_role("dialog", name="Pause 1 execution?")
        await dialog.get_by_role("button", name="Back").click()
        await expect(dialog).to_have_count(0)
        await expect(tab.page.get_by_text("1 chosen")).to_be_visible()
        assert (await system.get(execution))["pausedBy"] is None
        assert [line for line in await system.history(execution) if "pause" in line["event"]] == []
    finally:
        await system.post(f"/api/executions/{execution}/cancel", {})
        await system.ended(execution, within=20)


async def test_ten_thousand_executions_are_scrolled_through_with_few_rows_in_the_document(tab: Tab, system: System) -> None:
    """Pages come as they are scrolled to, and what is not seen is not there."""
    redis = Redis.from_url(system.environ["REDIS_URL"])
    try:
        ids = await fill(redis, "many", MANY, user="one-of-many", from_ms=BEGUN_MS)
    finally:
        await redis.aclose()
    await tab.page.add_init_script("sessionStorage.setItem('intention.key', 'a-key-for-many-of-them')")
    await tab.go("/executions")
    rows = tab.page.locator("tr.row")
    await expect(rows.first).to_have_attribute("data-key", ids[-1])
    most = 0

    async def at_the_end() -> bool:
        nonlocal most
        most = max(most, await rows.count())
        await tab.page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
        return await row_of(tab, ids[0]).count() == 1

    await until(at_the_end, within=60, describe="the oldest of ten thousand is listed")
    assert most < 120
    assert await tab.page.locator("*").count() < 3_000
    await expect(row_of(tab, ids[0])).to_have_attribute("aria-rowindex", str(MANY + 1))
    await expect(row_of(tab, ids[-1])).to_have_count(0)
    await tab.page.evaluate("window.scrollTo(0, 0)")
    await expect(row_of(tab, ids[-1])).to_be_visible()


async def test_what_was_missed_while_the_connection_was_away_is_read_again(tab: Tab, system: System) -> None:
    """What was chosen stays chosen."""
    held = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]
    kept = await started(system, "away-user", steps=held)
    ended = await started(system, "away-user", steps=held)
    try:
        await tab.go("/executions?text=away-user")
        for execution in (kept, ended):
            await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
        await row_of(tab, kept).get_by_role("checkbox").check()
        await tab.page.route("**/api/events", lambda route: route.abort())
        with tab.expecting(r"ERR_"):
            await system.restart("ingress")
            await expect(tab.page.get_by_text("Not connected")).to_be_visible()
            await system.post(f"/api/executions/{ended}/cancel", {})
            await system.ended(ended, within=20)
            await tab.page.unroute("**/api/events")
            await expect(row_of(tab, ended).get_by_text("Cancelled")).to_be_visible()
        await expect(row_of(tab, kept).get_by_role("checkbox")).to_be_checked()
    finally:
        await system.post(f"/api/executions/{kept}/cancel", {})
        await system.ended(kept, within=20)


async def choose_whole(tab: Tab, told: str) -> Locator:
    """Choose all that fit the filter; the toolbar of the actions."""
    await tab.page.get_by_role("button", name="All that fit").click()
    actions = tab.page.get_by_role("toolbar", name="Actions")
    await expect(actions.get_by_text(told)).to_be_visible()
    return actions


async def test_one_action_for_all_that_fit_a_filter_is_counted_asked_and_done(tab: Tab, system: System) -> None:
    """Also for those that are not listed; what begins after the count is left alone."""
    held = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]
    waiting = [await started(system, "whole-user", steps=held) for _ in range(3)]
    over = await started(system, "whole-user")
    await system.ended(over, within=20)
    await tab.go("/executions?text=whole-user")
    for execution in waiting:
        await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
    actions = await choose_whole(tab, "4 executions fit this filter")
    later = await started(system, "whole-user", steps=held)
    await expect(row_of(tab, later).get_by_text("Waits: approval")).to_be_visible()
    await expect(actions.get_by_text("4 executions fit this filter")).to_be_visible()
    await actions.get_by_role("button", name="Cancel").click()
    dialog = tab.page.get_by_role("dialog", name="Cancel 3 executions?")
    await expect(dialog.get_by_text("1 execution cannot be")).to_be_visible()
    await dialog.get_by_label("Reason").fill("nobody asked for it")
    await dialog.get_by_role("button", name="Cancel 3").click()
    dialog = tab.page.get_by_role("dialog", name="Cancel: 4 executions")
    await expect(dialog.get_by_text("3 done, 1 refused.")).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()
    await expect(actions).to_be_hidden()
    for execution in waiting:
        assert (await system.ended(execution, within=20))["status"] == "CANCELLED"
        assert any("nobody asked for it" in str(line) for line in await system.history(execution))
    assert (await system.get(later))["status"] == "SUSPENDED"
    await system.post(f"/api/executions/{later}/cancel", {})
    await system.ended(later, within=20)


async def test_an_action_for_very_many_is_stopped_and_gone_on_with(tab: Tab, system: System) -> None:
    """Each has its turn once; why they were refused is told once with its number. Without a filter it is not offered."""
    count = 1_000
    async with Redis.from_url(system.environ["REDIS_URL"]) as redis:
        await fill(redis, "local", count, user="whole-many", from_ms=BEGUN_MS + 100_000_000)
    await tab.go("/executions")
    await expect(tab.page.locator("tr.row").first).to_be_visible()
    await expect(tab.page.get_by_role("button", name="All that fit")).to_be_hidden()
    await tab.go("/executions?text=whole-many")
    actions = await choose_whole(tab, "1,000 executions fit this filter")
    await actions.get_by_role("button", name="Pause").click()
    dialog = tab.page.get_by_role("dialog", name="Pause up to 1,000 executions?")
    await expect(dialog.get_by_text("Of the newest 200 it could be done to 0.")).to_be_visible()
    pages: list[str] = []
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        pages.append(str((route.request.post_data_json or {})["before"]))
        if len(pages) == 2:
            await held.wait()
        await route.continue_()

    await tab.page.route("**/api/executions/bulk", hold)
    await dialog.get_by_role("button", name="Pause 1,000").click()
    dialog = tab.page.get_by_role("dialog", name="Pause: 1,000 executions")
    await expect(dialog.get_by_text("0 done, 200 refused …")).to_be_visible()
    await dialog.get_by_role("button", name="Stop").click()
    held.set()
    await expect(dialog.get_by_text("Stopped: 0 done, 400 refused.")).to_be_visible()
    await dialog.get_by_role("button", name="Go on").click()
    await expect(dialog.get_by_text("0 done, 1,000 refused.")).to_be_visible()
    await expect(dialog.get_by_role("listitem")).to_have_count(1)
    assert len(pages) == len(set(pages))
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_have_count(0)


async def test_all_that_fit_is_given_up_with_choose_none(tab: Tab, system: System) -> None:
    """And with another filter, or by ticking a row."""
    execution = await started(system, "whole-none")
    await system.ended(execution, within=20)
    await tab.go("/executions?text=whole-none")
    actions = await choose_whole(tab, "1 execution fits this filter")
    await actions.get_by_role("button", name="Choose none").click()
    await expect(actions).to_be_hidden()
    await choose_whole(tab, "1 execution fits this filter")
    await row_of(tab, execution).get_by_role("checkbox").check()
    await expect(actions.get_by_text("1 chosen")).to_be_visible()
    await choose_whole(tab, "1 execution fits this filter")
    await tab.page.get_by_role("button", name="Clear").click()
    await expect(actions).to_be_hidden()


HELD = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]


async def act(tab: Tab, name: str, execution: str, told: str) -> None:
    """Tick one row, press an action, say yes, and wait for what is said of it."""
    await row_of(tab, execution).get_by_role("checkbox").check()
    await tab.page.get_by_role("toolbar", name="Actions").get_by_role("button", name=name, exact=True).click()
    await tab.page.get_by_role("dialog", name=f"{name} 1 execution?").get_by_role("button", name=f"{name} 1").click()
    await expect(tab.page.get_by_text(told).last).to_be_visible()


async def test_what_is_ticked_is_paused_and_resumed(tab: Tab, system: System) -> None:
    """The row says so."""
    execution = await started(system, "ticked-pause", steps=HELD)
    await tab.go("/executions?text=ticked-pause")
    await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
    await act(tab, "Pause", execution, "Pause: 1 execution.")
    await expect(row_of(tab, execution).get_by_text("Paused")).to_be_visible()
    await act(tab, "Resume", execution, "Resume: 1 execution.")
    await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
    await system.post(f"/api/executions/{execution}/cancel", {})
    await system.ended(execution, within=20)


async def test_what_is_ticked_is_undone(tab: Tab, system: System) -> None:
    """What it did is taken back."""
    table = {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
    execution = await started(system, "ticked-undo", steps=[{"name": "table", "tool": "reserve_table", "args": table}])
    await system.ended(execution, within=20)
    await tab.go("/executions?text=ticked-undo")
    await act(tab, "Undo", execution, "Undo: 1 execution.")
    await expect(row_of(tab, execution).get_by_text("Undone")).to_be_visible()
    assert [row["standing"] for row in await system.effect_rows(execution)] == [0]


async def test_what_is_ticked_is_tried_again_and_restarted(tab: Tab, system: System) -> None:
    """A retry of what failed fails again; a restart is a new execution, which appears."""
    bad = {"restaurant": "No Such Place", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
    execution = await started(system, "ticked-retry", steps=[{"name": "table", "tool": "reserve_table", "args": bad}])
    await system.ended(execution, within=20)
    await tab.go("/executions?text=ticked-retry")
    await act(tab, "Retry", execution, "Retry: 1 execution.")

    async def twice() -> bool:
        return [line["event"] for line in await system.history(execution)].count("execution.ended") == 2

    await until(twice, within=20, describe="it fails again")
    await expect(row_of(tab, execution).get_by_text("Failed")).to_be_visible()
    await act(tab, "Restart", execution, "Restart: 1 execution.")
    await expect(tab.page.locator("tr.row")).to_have_count(2)


async def test_a_list_that_cannot_be_read_says_so_and_is_read_again(tab: Tab, system: System) -> None:
    """With its button, once the engine answers."""
    execution = await started(system, "again-user")
    await system.ended(execution, within=20)

    async def away(route: Route) -> None:
        body = {"error": {"code": "store_unavailable", "message": "Redis does not answer", "details": {}}}
        await route.fulfill(status=503, json=body)

    await tab.page.route("**/api/executions?**", away)
    with tab.expecting("status of 503"):
        await tab.go("/executions?text=again-user")
        await expect(tab.page.get_by_role("alert")).to_contain_text("Redis does not answer.")
    await tab.page.unroute("**/api/executions?**")
    await tab.page.get_by_role("button", name="Try again").click()
    await expect(row_of(tab, execution)).to_be_visible()


async def test_an_action_for_all_that_fit_goes_on_after_the_engine_was_away(tab: Tab, system: System) -> None:
    """It says what is wrong; what was done is not done again."""
    executions = [await started(system, "whole-away", steps=HELD) for _ in range(2)]
    await tab.go("/executions?text=whole-away")
    for execution in executions:
        await expect(row_of(tab, execution).get_by_text("Waits: approval")).to_be_visible()
    actions = await choose_whole(tab, "2 executions fit this filter")
    await actions.get_by_role("button", name="Cancel").click()
    question = tab.page.get_by_role("dialog", name="Cancel 2 executions?")
    await expect(question).to_be_visible()

    async def away(route: Route) -> None:
        body = {"error": {"code": "store_unavailable", "message": "Redis does not answer", "details": {}}}
        await route.fulfill(status=503, json=body)

    await tab.page.route("**/api/executions/bulk", away)
    dialog = tab.page.get_by_role("dialog", name="Cancel: 2 executions")
    with tab.expecting("status of 503"):
        await question.get_by_role("button", name="Cancel 2").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Redis does not answer.")
    await expect(dialog.get_by_text("Stopped: 0 done, 0 refused.")).to_be_visible()
    await tab.page.unroute("**/api/executions/bulk")
    await dialog.get_by_role("button", name="Go on").click()
    await expect(dialog.get_by_text("2 done, 0 refused.")).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()
    for execution in executions:
        assert (await system.ended(execution, within=20))["status"] == "CANCELLED"
