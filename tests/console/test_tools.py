"""What steps can do, how long it takes, and a hand on whether it is called."""

import asyncio

from playwright.async_api import Locator, expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, until, work


def card_of(tab: Tab, tool: str) -> Locator:
    """A tool's card."""
    cards = tab.page.get_by_role("list", name="Tools").locator("> li")
    return cards.filter(has=tab.page.get_by_role("heading", name=tool, exact=True))


async def test_tools_are_listed_with_their_effect_and_arguments(tab: Tab) -> None:
    """By keyboard: j goes to the first. The page fits a phone."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/tools")
    card = card_of(tab, "reserve_table")
    await expect(card.get_by_text("idempotent", exact=True)).to_be_visible()
    await card.get_by_text("Arguments").click()
    await expect(card.get_by_text("party_size")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await tab.press("j")
    await expect(tab.page.locator("main .card:focus")).to_have_count(1)


async def test_a_tool_tells_how_long_its_calls_take(tab: Tab, system: System) -> None:
    """Without a reload, some seconds after somebody has called it."""
    await tab.go("/tools")
    card = card_of(tab, "do_work")
    await expect(card.get_by_text("Calls take")).to_be_visible()

    async def measured() -> bool:
        await system.ended(await system.run_plan(work(1, 0)), within=20)  # an executor tells with a segment
        return await card.get_by_text("p95").count() == 1

    await until(measured, within=40, describe="the latency of do_work is shown")
    await expect(card.get_by_text("closed")).to_be_visible()


async def test_a_tool_is_paused_and_resumed_on_its_card(tab: Tab) -> None:
    """With a reason each; the page of limits has both on record."""
    await tab.go("/tools")
    card = card_of(tab, "post_letter")
    await card.get_by_role("button", name="Pause").click()
    dialog = tab.page.get_by_role("dialog", name="Pause post_letter for everybody?")
    await dialog.get_by_label("Reason").fill("no stamps are left")
    await dialog.get_by_role("button", name="Pause").click()
    await expect(card.get_by_text("Paused").first).to_be_visible()
    await expect(card.get_by_text("no stamps are left")).to_be_visible()
    await expect(card.get_by_role("button", name="Resume")).to_be_enabled()
    await card.get_by_role("button", name="Resume").click()
    dialog = tab.page.get_by_role("dialog", name="Call post_letter again?")
    await dialog.get_by_label("Reason").fill("stamps came")
    await dialog.get_by_role("button", name="Resume").click()
    await expect(card.get_by_role("button", name="Pause")).to_be_visible()
    await tab.page.get_by_role("link", name="What was paused, by whom and why").click()
    lines = tab.page.get_by_role("list", name="On record").get_by_role("listitem")
    for reason, what in (("no stamps are left", "Paused"), ("stamps came", "Resumed")):
        await expect(lines.filter(has_text=reason)).to_contain_text(what)
        await expect(lines.filter(has_text=reason)).to_contain_text("post_letter")
        await expect(lines.filter(has_text=reason)).to_contain_text("by local")


async def test_a_circuit_that_opened_is_shown_and_closed_by_hand(tab: Tab, system: System) -> None:
    """The tool does not answer until its circuit opens; what the page says follows by itself."""
    await tab.go("/tools")
    card = card_of(tab, "post_letter")
    await expect(card.get_by_text("closed")).to_be_visible()
    await system.knobs(fail_after_next=1_000, only_path="/letters")
    letter = [{"name": "letter", "tool": "post_letter", "args": {"to": "Ada", "text": "Hello"}, "undo": {"leave": True}}]
    executions = [await system.run_plan(letter) for _ in range(6)]
    try:
        await expect(card.get_by_text("Circuit open")).to_be_visible()
        await expect(card.get_by_text("calls in a row failed")).to_be_visible()
        await system.knobs(fail_after_next=0, only_path="")
        await card.get_by_role("button", name="Close circuit").click()
        await tab.page.get_by_role("dialog").get_by_role("button", name="Close circuit").click()
        await expect(card.get_by_text("Circuit open")).to_have_count(0)
    finally:
        await system.knobs(fail_after_next=0, only_path="")
        await asyncio.gather(*(system.post(f"/api/executions/{one}/cancel", {"undo": False}) for one in executions))
    await tab.go("/quota")
    lines = tab.page.get_by_role("list", name="On record").get_by_role("listitem")
    await expect(lines.filter(has_text="Circuit opened").first).to_contain_text("by itself")
    await expect(lines.filter(has_text="Circuit closed").first).to_contain_text("by local")


async def test_who_is_no_operator_looks_and_presses_nothing(tab: Tab) -> None:
    """A tool is everybody's: with the key of another tenant there is no button, and the states are there all the same."""
    await tab.page.add_init_script("sessionStorage.setItem('intention.key', 'a-key-for-the-tests')")
    await tab.go("/tools")
    card = card_of(tab, "reserve_table")
    await expect(card.get_by_text("closed")).to_be_visible()
    await expect(tab.page.locator("main .card").get_by_role("button")).to_have_count(0)
