"""How much may still be done, and a hand on what may be called."""

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, work


async def test_a_tool_is_paused_with_a_reason_and_resumed(tab: Tab) -> None:
    """Beside what is left of the messages; the page fits a phone."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/quota")
    await expect(tab.page.get_by_text("Today", exact=True)).to_be_visible()
    await tab.page.get_by_role("button", name="Pause a tool").click()
    dialog = tab.page.get_by_role("dialog")
    await dialog.get_by_label("Tool").fill("post_letter")
    await dialog.get_by_label("Reason").fill("the post is on strike")
    await dialog.get_by_role("button", name="Pause").click()
    card = tab.page.get_by_role("listitem").filter(has_text="the post is on strike")
    await expect(card.get_by_role("heading", name="post_letter")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await card.get_by_role("button", name="Resume").click()
    await tab.page.get_by_role("dialog", name="Call post_letter again?").get_by_role("button", name="Resume").click()
    await expect(tab.page.get_by_text("Everything may be called.")).to_be_visible()


async def test_all_calls_of_ones_own_executions_are_paused_and_resumed(tab: Tab, system: System) -> None:
    """What was begun meanwhile waits, and goes on; the page of tools says so."""
    await tab.go("/quota")
    await tab.page.get_by_role("button", name="Pause all calls").click()
    dialog = tab.page.get_by_role("dialog", name="Pause all calls of your executions?")
    await dialog.get_by_role("button", name="Back").click()
    await expect(tab.page.get_by_text("Everything may be called.")).to_be_visible()
    await tab.page.get_by_role("button", name="Pause all calls").click()
    await dialog.get_by_label("Reason").fill("stocktaking")
    await dialog.get_by_role("button", name="Pause").click()
    card = tab.page.get_by_role("list", name="Closed gates").get_by_role("listitem").filter(has_text="stocktaking")
    try:
        await expect(card.get_by_role("heading", name="All calls of local")).to_be_visible()
        await tab.go("/tools")
        await expect(tab.page.get_by_text("All your calls are paused.")).to_be_visible()
        await tab.page.get_by_role("link", name="Limits", exact=True).last.click()
        await card.get_by_role("button", name="Resume").click()
        await tab.page.get_by_role("dialog", name="Make calls again?").get_by_role("button", name="Resume").click()
        await expect(card).to_have_count(0)
    finally:
        await system.post("/api/tenant/resume", {})
    lines = tab.page.get_by_role("list", name="On record").get_by_role("listitem")
    await expect(lines.first).to_contain_text("Resumed")
    await expect(lines.filter(has_text="stocktaking")).to_contain_text("All calls of local")
    assert (await system.ended(await system.run_plan(work(1, 0)), within=20))["status"] == "COMPLETED"


async def test_the_record_is_read_on_where_it_is_long(tab: Tab, system: System) -> None:
    """Page by page, the latest first."""
    for number in range(12):
        await system.post("/api/tools/do_long_work/pause", {"reason": f"pause {number}"})
        await system.post("/api/tools/do_long_work/resume", {"reason": f"resumption {number}"})
    await tab.go("/quota")
    lines = tab.page.get_by_role("list", name="On record").get_by_role("listitem")
    await expect(lines).to_have_count(20)
    await expect(lines.first).to_contain_text("resumption 11")
    await tab.page.get_by_role("button", name="Show more").click()
    await expect(lines.filter(has_text="pause 0")).to_be_visible()
