"""What steps can do."""

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab


async def test_tools_are_listed_with_their_effect_and_arguments(tab: Tab) -> None:
    """By keyboard: j goes to the first. The page fits a phone."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/tools")
    cards = tab.page.get_by_role("list", name="Tools").locator("> li")
    card = cards.filter(has=tab.page.get_by_role("heading", name="reserve_table", exact=True))
    await expect(card.get_by_text("idempotent", exact=True)).to_be_visible()
    await card.get_by_text("Arguments").click()
    await expect(card.get_by_text("party_size")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await tab.press("j")
    await expect(tab.page.locator("main .card:focus")).to_have_count(1)
