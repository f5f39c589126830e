"""What every page shares: landmarks, the skip link, shortcuts, themes, the key, a prefix before the path."""

import re

from playwright.async_api import Route, expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, work


async def test_the_bare_address_shows_the_console_with_its_landmarks(tab: Tab) -> None:
    """A reader by ear finds the navigation and the content; the window says where one is."""
    await tab.go("")
    await expect(tab.page.get_by_role("navigation", name="Pages")).to_be_visible()
    await expect(tab.page.get_by_role("main")).to_be_visible()
    await expect(tab.page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(tab.page).to_have_title(re.compile(" · Intention Engine$"))


async def test_the_first_tab_stop_skips_to_the_content(tab: Tab) -> None:
    """And the address stays a route."""
    await tab.go("/executions")
    await expect(tab.page.get_by_role("heading", name="Executions")).to_be_visible()
    await tab.press("Tab")
    await expect(tab.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await tab.press("Enter")
    await expect(tab.page.get_by_role("main")).to_be_focused()
    assert tab.page.url.endswith("#/executions")


async def test_the_navigation_marks_the_page_that_is_shown(tab: Tab) -> None:
    """In words of the tree of accessibility, not by colour alone."""
    await tab.go("/executions")
    await expect(tab.page.locator("nav a[aria-current=page]")).to_have_text("Executions")


async def test_a_page_that_is_not_there_says_so(tab: Tab) -> None:
    """With a way back."""
    await tab.go("/nowhere")
    await expect(tab.page.get_by_text("There is no such page.")).to_be_visible()
    await tab.page.get_by_role("link", name="Back to the start").click()
    await expect(tab.page.get_by_role("heading", level=1)).to_be_visible()


async def test_a_question_mark_shows_what_can_be_pressed(tab: Tab) -> None:
    """Escape closes it, and the focus is where it was."""
    await tab.go("/executions")
    await expect(tab.page.get_by_role("heading", name="Executions")).to_be_visible()
    await tab.press("?")
    dialog = tab.page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(dialog.get_by_text("next row")).to_be_visible()
    await tab.press("Escape")
    await expect(dialog).to_have_count(0)


async def test_the_theme_is_the_systems_until_one_is_chosen(tab: Tab) -> None:
    """The choice outlives a reload."""
    await tab.page.emulate_media(color_scheme="dark")
    await tab.go("/executions")
    button = tab.page.get_by_role("button", name="Theme: as the system")
    await expect(button).to_be_visible()
    ground = "getComputedStyle(document.body).backgroundColor"
    assert await tab.page.evaluate(ground) == "rgb(17, 21, 26)"
    await button.click()
    await expect(tab.page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await tab.page.evaluate(ground) == "rgb(245, 246, 248)"
    await tab.page.reload()
    await expect(tab.page.get_by_role("button", name="Theme: light")).to_be_visible()


async def test_nothing_is_wider_than_a_small_phone(tab: Tab) -> None:
    """The page itself never scrolls sideways."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/executions")
    await expect(tab.page.get_by_role("heading", name="Executions")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


async def test_where_a_key_is_needed_it_is_asked_for_once(tab: Tab, system: System) -> None:
    """It goes into a header, stays in this tab, and what it shows is that tenant's."""
    answer = await system.post(
        "/api/execute", {"plan": {"steps": work(1, 0)}, "userId": "of-acme"}, Authorization="Bearer a-key-for-the-tests"
    )
    assert answer.status_code == 202
    await tab.page.add_init_script(
        "if (!sessionStorage.getItem('intention.key')) sessionStorage.setItem('intention.key', 'a-wrong-one')"
    )
    with tab.expecting(r"status of 401"):
        await tab.go("/executions")
        dialog = tab.page.get_by_role("dialog", name="An API key is needed")
        await expect(dialog.get_by_text("this API key is not known")).to_be_visible()
        await dialog.get_by_label("API key").fill("a-key-for-the-tests")
        await tab.press("Enter")
        await expect(tab.page.get_by_role("cell", name="of-acme")).to_be_visible()
    assert "a-key" not in tab.page.url
    await tab.page.reload()
    await expect(tab.page.get_by_role("cell", name="of-acme")).to_be_visible()


async def test_behind_a_path_prefix_everything_is_found(tab: Tab) -> None:
    """Every address is relative to the page, so a proxy may put it anywhere."""

    async def forwarded(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("/tools/engine/", "/"))

    await tab.page.route(re.compile(r"/tools/engine/"), forwarded)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.url += "tools/engine/"
    await tab.go("/executions")
    await expect(tab.page.get_by_role("heading", name="Executions")).to_be_visible()
    await expect(tab.page.get_by_text("Loading …")).to_have_count(0)
    await expect(tab.page.get_by_text("Live", exact=True)).to_be_visible()
    assert [url for url in asked if not url.startswith(tab.url)] == []


async def test_the_shortcuts_are_shown_and_closed_by_their_buttons(tab: Tab) -> None:
    """For whoever has no keyboard at hand."""
    await tab.go("/executions")
    await tab.page.get_by_role("button", name="Keyboard shortcuts").click()
    dialog = tab.page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(dialog.get_by_text("go to Executions")).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_have_count(0)


async def test_every_page_of_the_navigation_is_opened_with_a_click(tab: Tab) -> None:
    """Each has its heading, and is marked as the one that is shown."""
    await tab.go("")
    links = tab.page.get_by_role("navigation", name="Pages").get_by_role("link")
    for name in await links.all_inner_texts():
        await links.filter(has_text=name).click()
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text(name)
        await expect(links.filter(has_text=name)).to_have_attribute("aria-current", "page")
