"""What repeats, by hand."""

import re

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, work


async def test_a_schedule_is_run_paused_resumed_and_deleted(tab: Tab, system: System) -> None:
    """Each shows in its card; the page fits a phone."""
    body = {"cron": "0 8 1 1 *", "plan": {"steps": work(1, 0)}, "userId": "who-repeats"}
    assert (await system.post("/api/schedules", body)).status_code == 201
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/schedules")
    card = tab.page.get_by_role("listitem").filter(has_text="who-repeats")
    await card.get_by_role("button", name="Run now").click()
    await expect(card.get_by_role("link")).to_have_attribute("href", re.compile("#/executions/exe_"))
    await card.get_by_role("button", name="Pause").click()
    await expect(card.get_by_text("Paused")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await card.get_by_role("button", name="Resume").click()
    await expect(card.get_by_text("Active")).to_be_visible()
    await card.get_by_role("button", name="Delete").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(card).to_have_count(0)


async def test_a_long_list_is_read_on_with_its_button(tab: Tab, system: System) -> None:
    """Page by page; the plan of each can be looked at."""
    made = [{"cron": "0 8 1 1 *", "plan": {"steps": work(1, 0)}, "userId": f"page-{number}-of-many"} for number in range(51)]
    ids = [(await system.post("/api/schedules", body)).json()["id"] for body in made]
    try:
        await tab.go("/schedules")
        cards = tab.page.get_by_role("list", name="Schedules").locator("> li")
        await expect(cards.first).to_be_visible()
        assert await cards.filter(has_text="page-0-of").count() == 0
        await tab.page.get_by_role("button", name="Show more").click()
        await expect(cards.filter(has_text="page-0-of")).to_be_visible()
        await cards.first.get_by_text("Its plan").click()
        await expect(cards.first.get_by_text("do_work")).to_be_visible()
    finally:
        url = f"{system.processes['ingress'].url}/api/schedules"
        for one in ids:
            await system.client.delete(f"{url}/{one}")
