"""How much may still be done, and a hand on what may be called."""

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab


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
    await expect(tab.page.get_by_text("Everything may be called.")).to_be_visible()
