"""The list of executions: live rows, by keyboard alone."""

import re

from playwright.async_api import expect

from tests.console.browsing import Tab
from tests.system.harness import System, work


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
