"""From words to an execution: what was shown is what runs."""

import re

from playwright.async_api import Route, expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System


async def test_words_are_shown_as_a_plan_and_exactly_that_plan_runs(tab: Tab, system: System) -> None:
    """With undo and price; the execution has the hash that was shown."""
    await tab.go("/new")
    await tab.page.get_by_label("What should be done?").fill("Book a table for 2 at 7pm under the name Smith")
    async with tab.page.expect_response(re.compile("/api/plan$")) as told:
        await tab.press("Control+Enter")
    shown = await (await told.value).json()
    plan = tab.page.get_by_role("region", name="Plan")
    await expect(plan.get_by_text("Messages", exact=True)).to_be_visible()
    await expect(plan.get_by_role("list", name="Steps").locator("> li")).to_have_count(len(shown["steps"]))
    await plan.get_by_role("button", name="Run this plan").click()
    await expect(tab.page).to_have_url(re.compile(r"#/executions/exe_"))
    execution = tab.page.url.rpartition("/")[2]
    await system.done_steps(execution, 1, within=20)
    assert (await system.get(execution))["plan"]["hash"] == shown["hash"]


async def test_a_question_is_answered_by_choosing_a_candidate(tab: Tab) -> None:
    """It goes into the words, in the place of those that were in doubt; the page fits a phone meanwhile."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/new")
    words = tab.page.get_by_label("What should be done?")
    await words.fill("Book a table for 2 at 7 under the name Smith")
    with tab.expecting("status of 422"):
        await tab.page.get_by_role("button", name="Show the plan").click()
        questions = tab.page.get_by_role("alert", name="Questions")
        await questions.get_by_role("button", name="19:00").click()
    await expect(words).to_have_value("Book a table for 2 at 19:00 under the name Smith")
    await expect(tab.page.get_by_role("button", name="Run this plan")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


async def test_other_words_take_the_shown_plan_away(tab: Tab) -> None:
    """So nobody runs what is not on the page any more."""
    await tab.go("/new")
    words = tab.page.get_by_label("What should be done?")
    await words.fill("Book a table for 2 at 7pm under the name Smith")
    await tab.page.get_by_role("button", name="Show the plan").click()
    await expect(tab.page.get_by_role("button", name="Run this plan")).to_be_visible()
    await words.press_sequentially("!")
    await expect(tab.page.get_by_role("button", name="Run this plan")).to_have_count(0)


async def test_an_engine_that_has_too_much_to_do_is_asked_again_by_the_page(tab: Tab) -> None:
    """A few times; then the page says so, with what to do."""
    asked, busy = 0, 2

    async def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        body = {"error": {"code": "busy", "message": "all are at work", "details": {"retryAfter": 0}}}
        await (route.fulfill(status=503, json=body) if asked <= busy else route.continue_())

    await tab.page.route("**/api/plan", answer)
    await tab.go("/new")
    await tab.page.get_by_label("What should be done?").fill("Book a table for 2 at 7pm under the name Smith")
    with tab.expecting("status of 503"):
        await tab.page.get_by_role("button", name="Show the plan").click()
        await expect(tab.page.get_by_role("button", name="Run this plan")).to_be_visible()
    assert asked == busy + 1
    asked, busy = 0, 99
    await tab.page.get_by_label("What should be done?").press_sequentially(" and text me")
    with tab.expecting("status of 503"):
        await tab.page.get_by_role("button", name="Show the plan").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("Nothing was done. Try again in a moment.")
    assert asked == 4
