"""Every page by keyboard alone, in both themes, on a desk and on a phone: what can be done is reached, seen and not lost."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.console.browsing import NARROW, WIDE, Tab
from tests.console.furnished import Furnished, furnish
from tests.console.walking import focused, missed, round_trip, unreadable
from tests.system.harness import QUICK, System

SHOTS = Path(__file__).parents[2] / ".shots"
"""Where a picture of every page is put, if somebody has made the folder: to be looked at."""
SIZES = {"desk": WIDE, "phone": NARROW}
PAGES = {
    "overview": "/",
    "new": "/new",
    "executions": "/executions",
    "chosen status": "/executions?status=COMPLETED&status=FAILED&text=a",
    "completed": "/executions/{completed}",
    "undone, a step": "/executions/{undone}?step=bad",
    "waiting": "/executions/{waiting}",
    "asked, a step": "/executions/{asked}?step=s0&tab=raw",
    "approvals": "/approvals",
    "dead letters": "/dead-letters",
    "schedules": "/schedules",
    "waits": "/waits",
    "tools": "/tools",
    "limits": "/quota",
    "open": "/open",
    "break it": "/break",
    "nowhere": "/nowhere",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[System, Furnished]]:
    """A system of its own, with something of everything, on which nothing moves."""
    async with System(tmp_path_factory.mktemp("furnished"), **QUICK) as running:
        yield running, await furnish(running)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, furnished: tuple[System, Furnished]) -> AsyncIterator[Tab]:
    """A tab upon it."""
    async with await browser.new_context(viewport=WIDE, reduced_motion="reduce") as context:  # type: ignore[arg-type]  # its own TypedDict
        made = Tab(await context.new_page(), furnished[0].processes["ingress"].url + "/")
        yield made
    assert not made.faults, "\n".join(made.faults)


async def arrive(tab: Tab, page: str, there: Furnished, size: str = "desk", theme: str = "light") -> None:
    """On a page, all of it."""
    await tab.page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two words
    await tab.page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]  # its own TypedDict
    await tab.page.goto("about:blank")  # so that what is seen next is this page, and not the one before it
    await tab.go(PAGES[page].format(**vars(there)))
    await expect(tab.page.locator("main h1").or_(tab.page.locator("main .notice")).first).to_be_visible()
    await expect(tab.page.locator(".loading")).to_have_count(0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("page", PAGES)
async def test_tab_reaches_whatever_can_be_operated_and_shows_where_it_is(
    visit: Tab, furnished: tuple[System, Furnished], page: str, size: str
) -> None:
    """There and back, each stop with a ring around it and in sight."""
    await arrive(visit, page, furnished[1], size)
    for key in ("Tab", "Shift+Tab"):
        stops = await round_trip(visit, key)
        assert [stop["name"] for stop in stops if not stop["ring"]] == []
        assert [stop["name"] for stop in stops if not stop["sight"]] == []
        assert await missed(visit) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
async def test_every_text_can_be_read_and_no_page_scrolls_sideways(
    visit: Tab, furnished: tuple[System, Furnished], page: str, theme: str
) -> None:
    """AA, computed from what is drawn; the current page is in sight in the navigation."""
    for size, bounds in SIZES.items():
        await arrive(visit, page, furnished[1], size, theme)
        assert await unreadable(visit) == []
        assert await visit.page.evaluate("document.documentElement.scrollWidth") <= bounds["width"]
        current = visit.page.locator("nav a[aria-current=page]")
        await visit.page.evaluate("scrollTo(0, 0)")
        if await current.count():
            await expect(current).to_be_in_viewport(ratio=0.9)
        if SHOTS.is_dir():
            await visit.page.screenshot(path=SHOTS / f"{page} {theme} {size}.png", full_page=page != "tools")


async def tab_to(tab: Tab, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(100):
        if await focused(tab) == name:
            return
        await tab.press("Tab")
    raise AssertionError(f"Tab does not reach {name!r}, but {await focused(tab)!r}")


async def press_on(tab: Tab, name: str) -> None:
    """Go on with Tab to the button (or link) of this name, and press Enter."""
    await tab_to(tab, name)
    await tab.press("Enter")


async def keeps_focus(tab: Tab) -> None:
    """Something has the focus: whoever types goes on from where they were."""
    assert await focused(tab), "the focus is lost"


async def test_digits_go_to_the_pages_and_the_help_says_so(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """Closed with Escape, the help gives the focus back; each page takes it to its content."""
    await arrive(visit, "overview", furnished[1])
    names = await visit.page.locator("nav a").all_inner_texts()
    for number, name in enumerate(names[:9], 1):
        await visit.press(str(number))
        await expect(visit.page.locator("nav a[aria-current=page]")).to_have_text(name)
        await keeps_focus(visit)
        await visit.press("?")
        help_ = visit.page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(help_.get_by_text(f"go to {name}", exact=True)).to_be_visible()
        await visit.press("Escape")
        await expect(help_).to_have_count(0)
        await keeps_focus(visit)


async def test_words_become_a_running_plan_by_keyboard(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """Typed, shown with Ctrl and Enter, run with Enter; the page of the execution has the focus."""
    await arrive(visit, "new", furnished[1])
    await tab_to(visit, "new-words")
    await visit.page.keyboard.type("Book a table for 2 at 7pm under the name Smith")
    await visit.press("Control+Enter")
    await expect(visit.page.get_by_role("button", name="Run this plan")).to_be_visible()
    assert await focused(visit) == "new-words"
    await press_on(visit, "Run this plan")
    await expect(visit.page.locator(".head .badge")).to_have_text("Completed")
    await keeps_focus(visit)


async def test_a_row_is_found_chosen_acted_upon_and_opened_by_keyboard(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """`j` and `k`, `x` and an action for what is chosen, `/` and words, Enter."""
    system, _ = furnished
    await system.run_plan([{"name": "calm", "sleep": {"ms": 3_600_000}}])
    await arrive(visit, "executions", furnished[1])
    await expect(visit.page.locator("tr.row").first).to_be_visible()
    await visit.press("j", "j", "k")
    rows = visit.page.locator("tr.row")
    await expect(rows.first).to_be_focused()
    await visit.press("x")
    await expect(visit.page.get_by_text("1 chosen")).to_be_visible()
    await press_on(visit, "Cancel")
    dialog = visit.page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await press_on(visit, await dialog.locator("button[type=submit]").inner_text())
    await expect(rows.first.locator(".badge")).to_have_text("Cancelled")
    await keeps_focus(visit)
    await visit.press("/")
    await visit.page.keyboard.type("Smith")
    await expect(rows.filter(has_not_text="Smith")).to_have_count(0)
    await expect(rows.first).to_be_visible()
    await visit.press("Tab", "j")
    await expect(rows.first).to_be_focused()
    await visit.press("Enter")
    await expect(visit.page.get_by_role("treegrid")).to_be_visible()
    await keeps_focus(visit)


async def test_a_slash_searches_from_any_page(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """What is typed next are the words."""
    for page in ("tools", "completed"):
        await arrive(visit, page, furnished[1])
        await visit.press("/")
        await expect(visit.page.get_by_role("searchbox", name="Words or user")).to_be_focused()
        await visit.page.keyboard.type("Smith")
        await expect(visit.page.locator("tr.row").filter(has_not_text="Smith")).to_have_count(0)
        await expect(visit.page.locator("tr.row").first).to_be_visible()


async def test_one_execution_is_looked_at_and_steered_by_keyboard(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """`j` and Enter open a step, arrows turn its tabs, Escape closes it; `p` pauses and resumes, `c` cancels."""
    system, there = furnished
    execution = await system.run_plan([{"name": "calm", "sleep": {"ms": 3_600_000}}, {"name": "more", "sleep": {"ms": 1}}])
    await visit.go(f"/executions/{execution}")
    badge = visit.page.locator(".head .badge")
    await expect(badge).to_have_text("Suspended")
    await visit.press("j", "j", "Enter")
    panel = visit.page.locator(".panel.step")
    await expect(panel.get_by_role("heading", name="calm")).to_be_visible()
    await tab_to(visit, "Input")
    await visit.press("ArrowRight")
    assert await focused(visit) == "Output"
    await visit.press("Escape")
    await expect(panel).to_be_hidden()
    await keeps_focus(visit)
    for key, words in (("p", "Paused"), ("p", "Suspended"), ("c", "Cancelled")):
        await visit.press(key)
        dialog = visit.page.get_by_role("dialog")
        if key == "c":
            await expect(dialog).to_be_visible()
        if await dialog.count():
            await press_on(visit, await dialog.locator("button[type=submit]").inner_text())
        await expect(badge).to_have_text(words)
        await keeps_focus(visit)
    await visit.go(f"/executions/{there.undone}")
    await press_on(visit, "Run again")
    await press_on(visit, await visit.page.get_by_role("dialog").locator("button[type=submit]").inner_text())
    await expect(visit.page.locator(".strip")).to_contain_text("Run again from")
    await keeps_focus(visit)


async def test_what_is_asked_is_answered_by_keyboard(visit: Tab, furnished: tuple[System, Furnished]) -> None:
    """A step and a plan; the focus goes on to what is beside."""
    await arrive(visit, "approvals", furnished[1])
    for name, yes in (("Approve", "Approve"), ("Look and confirm", "Run it")):
        card = visit.page.locator(".card").filter(has=visit.page.get_by_role("button", name=name, exact=True))
        await expect(card).to_have_count(1)
        await press_on(visit, name)
        await expect(visit.page.get_by_role("dialog")).to_be_visible()
        await press_on(visit, yes)
        await expect(card).to_have_count(0)
        await keeps_focus(visit)


async def test_schedules_letters_limits_and_tools_are_worked_by_keyboard(
    visit: Tab, furnished: tuple[System, Furnished]
) -> None:
    """A button that becomes another keeps the focus near; what goes gives it to what is next."""
    await arrive(visit, "schedules", furnished[1])
    await press_on(visit, "Pause")
    await expect(visit.page.get_by_role("button", name="Resume")).to_be_visible()
    await keeps_focus(visit)
    await press_on(visit, "Run now")
    await expect(visit.page.locator(".toast")).to_have_count(2)
    assert await focused(visit) == "Run now"
    await arrive(visit, "dead letters", furnished[1])
    await press_on(visit, "Resend")
    await expect(visit.page.get_by_text("Answer: ")).to_be_visible()
    await keeps_focus(visit)
    await arrive(visit, "waits", furnished[1])
    await visit.press("j", "j", "k")
    await expect(visit.page.locator(".card").first).to_be_focused()
    await arrive(visit, "tools", furnished[1])
    await visit.press("j", "j")
    await press_on(visit, "Arguments")
    await expect(visit.page.locator("details[open]")).to_have_count(1)
    await arrive(visit, "limits", furnished[1])
    await press_on(visit, "Resume")
    await press_on(visit, await visit.page.get_by_role("dialog").locator("button[type=submit]").inner_text())
    await expect(visit.page.get_by_text("Everything may be called.")).to_be_visible()
    await keeps_focus(visit)


async def test_a_file_is_chosen_by_keyboard(visit: Tab, furnished: tuple[System, Furnished], tmp_path: Path) -> None:
    """Enter on the field asks for one; another can be chosen afterwards."""
    system, there = furnished
    file = tmp_path / "one.json"
    url = f"{system.processes['ingress'].url}/api/executions/{there.completed}/export"
    file.write_bytes((await system.client.get(url)).content)
    await arrive(visit, "open", there)
    for _ in range(2):
        async with visit.page.expect_file_chooser() as chooser:
            await press_on(visit, await visit.page.locator("input[type=file]").get_attribute("id") or "")
        await (await chooser.value).set_files(file)
        await expect(visit.page.get_by_role("treegrid")).to_be_visible()
        await keeps_focus(visit)
    for stop in await round_trip(visit):
        assert stop["ring"], stop
