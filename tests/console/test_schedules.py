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
