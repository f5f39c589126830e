"""The page at the start: counts with their lists, the oldest wait, the minutes, channels and quota, without a reload."""

import re
from typing import Any

from playwright.async_api import Locator, Route, expect

from tests.console.browsing import NARROW, WIDE, Tab
from tests.system.harness import System, until, work

HELD = [work(1, 0)[0] | {"approve": {"message": "Shall it go on?"}}]


def region(tab: Tab, name: str) -> Locator:
    """One panel of the page."""
    return tab.page.get_by_role("region", name=name)


async def count_of(tab: Tab, status: str) -> int:
    """What the overview says stands there."""
    row = region(tab, "Executions by status").locator(f"li[data-key={status}] .number")
    return int((await row.inner_text()).replace(",", "")) if await row.count() else 0


async def test_the_overview_counts_by_status_and_leads_to_the_list_of_each(tab: Tab, system: System) -> None:
    """A count is a link to what it counts."""
    await system.ended(await system.run_plan(work(1, 0)), within=20)
    await tab.go("")
    link = region(tab, "Executions by status").get_by_role("link", name="Completed")
    await expect(link).to_be_visible()
    assert await count_of(tab, "COMPLETED") >= 1
    await link.click()
    await expect(tab.page).to_have_url(re.compile(r"#/executions\?status=COMPLETED$"))
    await expect(tab.page.locator("tr.row").first).to_be_visible()


async def test_the_overview_counts_what_ends_while_it_is_looked_at(tab: Tab, system: System) -> None:
    """The feed tells, the page reads again."""
    await system.ended(await system.run_plan(work(1, 0)), within=20)
    await tab.go("")
    await expect(tab.page.get_by_text("Live", exact=True)).to_be_visible()
    row = region(tab, "Executions by status").locator("li[data-key=COMPLETED] .number")
    await expect(row).to_be_visible()
    before = await count_of(tab, "COMPLETED")
    await system.ended(await system.run_plan(work(1, 0)), within=20)
    await expect(row).to_have_text(f"{before + 1:,}")


async def nothing_waits(system: System) -> None:
    """What other tests left waiting on the system that they share is cancelled."""
    url = f"{system.processes['ingress'].url}/api/executions"

    async def none() -> bool:
        found = (await system.client.get(url, params={"status": "SUSPENDED,PAUSED,AWAITING_CONFIRMATION"})).json()["executions"]
        for one in found:
            await system.post(f"/api/executions/{one['id']}/cancel", {})
        return not found

    await until(none, within=20, describe="nothing waits")


async def test_the_oldest_wait_is_named_with_its_reason_and_a_link(tab: Tab, system: System) -> None:
    """And it is gone once nothing waits any more."""
    await nothing_waits(system)
    execution = await system.run_plan(HELD)
    try:
        await tab.go("")
        panel = region(tab, "Waiting")
        await expect(panel.get_by_text("approval")).to_be_visible()
        await expect(panel.locator(f"a[href='#/executions/{execution}']")).to_be_visible()
    finally:
        await system.post(f"/api/executions/{execution}/cancel", {})
    await expect(panel.get_by_text("Nothing waits.")).to_be_visible()
    await expect(panel.get_by_role("link")).to_have_count(0)


async def test_the_latest_minutes_are_told_in_bars_and_in_words(tab: Tab, system: System) -> None:
    """Thirty bars, and a name that says what they show."""
    await system.ended(await system.run_plan(work(1, 0)), within=20)
    await tab.go("")
    picture = tab.page.get_by_role("img", name=re.compile(r"^Ended by minute: [1-9]\d* in 30 minutes"))
    await expect(picture).to_be_visible()
    await expect(picture.locator("rect")).to_have_count(30)


async def test_channels_and_quota_are_what_the_engine_says(tab: Tab) -> None:
    """A channel that is away says why; what is left of the quota is a number and a meter."""

    async def worse(route: Route) -> None:
        answer = await route.fetch()
        told: dict[str, Any] = await answer.json()
        told["channels"]["qstash"] |= {"there": False, "error": "it refuses connections", "waitingMessages": 3}
        told["quota"]["day"] |= {"limit": 1000, "spent": 900, "reserved": 0, "left": 100}
        await route.fulfill(response=answer, json=told)

    await tab.page.route("**/api/overview", worse)
    await tab.go("")
    channel = tab.page.locator("[data-channel=qstash]")
    await expect(channel).to_contain_text("it refuses connections, 3 messages wait")
    await expect(channel.locator(".badge")).to_have_text("Away")
    day = tab.page.locator("[data-window=day]")
    await expect(day).to_contain_text("100 of 1,000 left")
    await expect(day.get_by_role("meter")).to_have_attribute("aria-label", "Messages left: today")
    assert await day.get_by_role("meter").evaluate("meter => meter.value / meter.max") == 0.1


async def test_an_overview_that_cannot_be_read_says_so_and_comes_back(tab: Tab) -> None:
    """Try again is enough."""
    refuse = True

    async def answer(route: Route) -> None:
        if not refuse:
            return await route.continue_()
        error = {"error": {"code": "unavailable", "message": "the store does not answer"}}
        return await route.fulfill(status=503, json=error)

    await tab.page.route("**/api/overview", answer)
    with tab.expecting("status of 503"):
        await tab.go("")
        await expect(tab.page.get_by_role("alert")).to_contain_text("The store does not answer.")
    refuse = False
    await tab.page.get_by_role("button", name="Try again").click()
    await expect(region(tab, "Channels")).to_be_visible()
    await expect(tab.page.get_by_role("alert")).to_have_count(0)


async def test_the_overview_fits_a_small_phone(tab: Tab) -> None:
    """The page never scrolls sideways."""
    for size in (NARROW, WIDE):
        await tab.page.set_viewport_size(size)  # type: ignore[arg-type]  # its own TypedDict
        await tab.go("")
        await expect(region(tab, "Channels")).to_be_visible()
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


async def test_the_links_of_what_waits_lead_to_it(tab: Tab, system: System) -> None:
    """To the oldest, and to the list of all."""
    await nothing_waits(system)
    execution = await system.run_plan(HELD)
    try:
        await tab.go("")
        await region(tab, "Waiting").locator(f"a[href='#/executions/{execution}']").click()
        await expect(tab.page.locator(".head .badge")).to_have_text("Suspended")
        await tab.go("")
        await region(tab, "Waiting").get_by_role("link", name="All that wait").click()
        await expect(tab.page.locator(f"tr.row[data-key={execution}]")).to_be_visible()
        await expect(tab.page.locator("summary")).to_have_text("3 statuses")
    finally:
        await system.post(f"/api/executions/{execution}/cancel", {})
    await system.ended(execution, within=20)
