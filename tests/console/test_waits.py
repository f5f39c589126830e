"""What waits, and for what."""

import re

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System


async def test_waits_are_listed_by_what_they_wait_for(tab: Tab, system: System) -> None:
    """The choice stands in the address; the page fits a phone."""
    sleeper = await system.run_plan([{"name": "calm", "sleep": {"ms": 600_000}}])
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/waits")
    card = tab.page.get_by_role("listitem").filter(has=tab.page.locator(f"a[href$='{sleeper}']"))
    await expect(card.get_by_text("sleep", exact=True)).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await tab.page.get_by_label("Waits for").select_option("event")
    await expect(tab.page).to_have_url(re.compile(r"#/waits\?reason=event$"))
    await expect(tab.page.get_by_label("Waits for")).to_have_value("event")
    await expect(card).to_have_count(0)
    await tab.page.get_by_label("Waits for").select_option("sleep")
    await expect(card).to_be_visible()
