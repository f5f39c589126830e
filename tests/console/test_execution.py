"""The page of one execution: what it shows, live, by keyboard, on a phone, and of many steps."""

import json
import re
from typing import Any

from playwright.async_api import Locator, expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, until, work

TABLE = {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
SAGA = [
    {"name": "table", "tool": "reserve_table", "args": TABLE},
    {"name": "job", "tool": "do_work", "args": {"label": "x", "seconds": 0}, "needs": ["table"]},
    {"name": "bad", "tool": "reserve_table", "args": TABLE | {"restaurant": "No Such Place"}, "needs": ["job"]},
]
EVENT = [
    {"name": "ask", "tool": "do_work", "args": {"label": "ask"}},
    {"name": "answer", "wait": {"events": [{"name": "answered"}]}, "needs": ["ask"]},
    {"name": "file", "tool": "do_work", "args": {"label": "file what ${answer.data.by} said"}},
]

UNNAMED = """[...document.querySelectorAll("button, a, input, [role=tab]")]
  .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length)).length"""
LOOKS = """[...document.querySelectorAll(".legend .seg")].map((one) => {
  const { backgroundImage, borderStyle, height } = getComputedStyle(one);
  return [backgroundImage.replace(/rgb[^)]*[)]/g, ""), borderStyle, height].join();
})"""


def row(tab: Tab, name: str, lane: str = "forward") -> Locator:
    """A step's row in the waterfall."""
    return tab.page.locator(f"tr.row[data-key='{lane}/{name}']")


async def tell(system: System, execution: str, event: str, data: Any) -> None:
    """Send it an event."""
    answer = await system.post(f"/api/executions/{execution}/events/{event}", {"data": data})
    assert answer.is_success, answer.text


async def test_it_says_what_it_is_where_it_stands_and_why_it_waits(tab: Tab, system: System) -> None:
    """In words, above everything else; the step that is named can be opened from there."""
    execution = await system.run_plan(EVENT)
    await system.done_steps(execution, 1, within=10)
    await tab.go(f"/executions/{execution}")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Plan of 3 steps")
    await expect(tab.page.locator(".head .badge")).to_have_text("Suspended")
    why = tab.page.get_by_role("status", name="Why it waits")
    await expect(why).to_contain_text("answer waits for the event answered")
    await expect(tab.page.locator(".strip")).to_contain_text(
        re.compile(r"Started.*ago.*Deadline.*none.*Steps.*1 of 3.*Phase.*forward.*Version.*\d")
    )
    await why.get_by_role("button", name="answer").click()
    panel = tab.page.get_by_role("region", name="answer")
    await expect(panel.get_by_text("the event answered")).to_be_visible()
    await expect(tab.page).to_have_url(re.compile(f"#/executions/{execution}\\?step=answer&tab=input$"))


async def test_a_step_that_is_done_appears_without_a_reload(tab: Tab, system: System) -> None:
    """The rows, the status, the counts and the line why it waits all follow."""
    execution = await system.run_plan(EVENT)
    await system.done_steps(execution, 1, within=10)
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, "answer").locator(".sign")).to_have_text("Waits")
    await expect(row(tab, "answer").get_by_role("img")).to_have_attribute("aria-label", re.compile(r"waits .* for answered"))
    await tab.page.evaluate("window.stays = true")
    await tell(system, execution, "answered", {"by": "Ann"})
    await expect(row(tab, "file").locator(".sign")).to_have_text("Done")
    await expect(row(tab, "answer").get_by_role("img")).to_have_attribute("aria-label", re.compile("the event answered came"))
    await expect(tab.page.locator(".head .badge")).to_have_text("Completed")
    await expect(tab.page.locator(".strip")).to_contain_text(re.compile("Steps.*3 of 3"))
    await expect(tab.page.get_by_role("status", name="Why it waits")).to_contain_text("It is over: COMPLETED")
    assert await tab.page.evaluate("window.stays") is True


async def test_the_panel_says_what_a_person_was_asked_with_its_references_resolved(tab: Tab, system: System) -> None:
    """While the step waits, and when it is over."""
    first, second = work(2, 0)
    execution = await system.run_plan([first, second | {"approve": {"message": f"${{{first['name']}.label}} is done?"}}])
    asked = f"{first['args']['label']} is done?"
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, second["name"]).locator(".sign")).to_have_text("Waits")
    await row(tab, second["name"]).click()
    panel = tab.page.get_by_role("region", name=second["name"])
    await expect(panel.get_by_text(asked, exact=True)).to_be_visible()
    await system.post(f"/api/executions/{execution}/reject", {"step": second["name"]})
    await system.ended(execution, within=20)
    await expect(row(tab, second["name"]).locator(".sign")).to_have_text("Failed")
    await expect(panel.get_by_text(asked, exact=True)).to_be_visible()


async def test_a_failed_saga_has_an_undo_lane_and_the_panel_says_what_was_done(tab: Tab, system: System) -> None:
    """The error, the effect's class and key, the attempts, the output, and everything as JSON."""
    execution = await system.run_plan(SAGA)
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, "table", "undo").locator(".sign")).to_have_text("Undone")
    await expect(tab.page.locator("tr.lane")).to_have_text(
        [re.compile("Forward · 2 of 3 done · 1 failed"), re.compile("Undo · 2 of 2 undone")]
    )
    await row(tab, "bad").click()
    panel = tab.page.get_by_role("region", name="bad")
    await expect(panel.get_by_text("unknown_restaurant")).to_be_visible()
    await expect(panel.get_by_role("tabpanel", name="Input")).to_contain_text('"restaurant": "No Such Place"')
    await row(tab, "table").click()
    panel = tab.page.get_by_role("region", name="table", exact=True)
    await panel.get_by_role("tab", name="Output").click()
    await expect(panel.get_by_role("tabpanel", name="Output")).to_contain_text('"status": "confirmed"')
    await panel.get_by_role("tab", name="Effect").click()
    await expect(panel.get_by_role("tabpanel", name="Effect")).to_contain_text("idempotent: with the same key it happens once")
    await expect(panel.get_by_role("tabpanel", name="Effect")).to_contain_text(f"{execution}.table.1")
    await tab.press("ArrowLeft")
    await expect(panel.get_by_role("tabpanel", name="Attempts")).to_contain_text("done")
    await expect(panel.get_by_role("tab", name="Attempts")).to_be_focused()
    await panel.get_by_role("tab", name="Raw").click()
    await expect(panel.get_by_role("tabpanel", name="Raw")).to_contain_text('"name": "table"')
    await row(tab, "table", "undo").click()
    await expect(tab.page.get_by_role("region", name="Undo of table")).to_be_visible()
    await expect(tab.page).to_have_url(re.compile(r"\?step=undo%2Ftable&tab=raw$"))
    await tab.page.reload()
    await expect(tab.page.get_by_role("region", name="Undo of table").get_by_role("tabpanel", name="Raw")).to_be_visible()


async def test_what_a_tool_writes_never_becomes_markup(tab: Tab, system: System) -> None:
    """Labels come back as outputs: they are text wherever they are shown."""
    execution = await system.run_plan(
        [{"name": "a", "tool": "do_work", "args": {"label": "<img src=x onerror=alert(1)><b>bold</b>"}}]
    )
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}?step=a&tab=output")
    await expect(tab.page.get_by_role("tabpanel")).to_contain_text("<b>bold</b>")
    assert await tab.page.locator("main img, main b").count() == 0


async def test_a_large_output_is_loaded_when_it_is_asked_for(tab: Tab, system: System) -> None:
    """The page of the execution is quick whatever its steps gave."""
    execution = await system.run_plan([{"name": "a", "wait": {"events": [{"name": "never"}]}}])
    output = [f"line {number}" for number in range(10_000)]
    await system.post(f"/api/executions/{execution}/skip", {"step": "a", "output": output})
    await system.ended(execution, within=20)
    assert (await system.get(execution))["steps"][0]["largeOutput"]["bytes"] > 65_536
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    await tab.go(f"/executions/{execution}?step=a&tab=output")
    load = tab.page.get_by_role("button", name="Load it")
    await expect(load).to_be_visible()
    assert [url for url in asked if url.endswith("/output")] == []
    await load.click()
    await tab.page.get_by_role("button", name=re.compile(r"Show all [\d,]+ characters")).click()
    await expect(tab.page.get_by_role("tabpanel")).to_contain_text('"line 9999"')


async def test_items_of_a_map_and_a_child_are_folded_until_somebody_looks(tab: Tab, system: System) -> None:
    """The child's own steps stand below it, and lead to its page."""
    execution = await system.run_plan(
        [
            {"name": "all", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": ["a", "b", "c"]}},
            {"name": "sub", "child": {"steps": work(2, 0)}},
        ]
    )
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    await expect(tab.page.locator("tr.row")).to_have_count(3)
    await expect(row(tab, "all")).to_have_attribute("aria-expanded", "false")
    await row(tab, "all").locator(".twist").click()
    await expect(row(tab, "all.2")).to_have_attribute("aria-level", "3")
    await row(tab, "all.1").click()
    await expect(tab.page.get_by_role("region", name="all.1").get_by_role("tabpanel")).to_contain_text('"label": "b"')
    await row(tab, "sub").locator(".twist").click()
    inner = tab.page.locator("tr.row[data-key='forward/sub|forward/s1']")
    await expect(inner.locator(".sign")).to_have_text("Done")
    await inner.click()
    await expect(tab.page.get_by_role("region", name="s1").get_by_role("tabpanel")).to_contain_text('"label": "job 1"')
    await row(tab, "sub").locator(".name").click()
    child = (await system.get(execution))["steps"][1]["child"]["id"]
    await tab.page.get_by_role("region", name="sub").get_by_role("link").click()
    await expect(tab.page).to_have_url(re.compile(f"#/executions/{child}$"))
    await tab.page.locator(".strip").get_by_role("link").click()
    await expect(tab.page).to_have_url(re.compile(f"#/executions/{execution}$"))


async def test_it_is_read_by_keyboard_alone(tab: Tab, system: System) -> None:
    """j, k and the arrows move, Enter opens, the arrows fold, Escape goes back to the row."""
    execution = await system.run_plan(SAGA)
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, "bad")).to_be_visible()
    await tab.press("j", "j")
    await expect(row(tab, "table")).to_be_focused()
    await tab.press("ArrowDown", "k", "Enter")
    await expect(tab.page.get_by_role("region", name="table", exact=True)).to_be_visible()
    await expect(row(tab, "table")).to_have_attribute("aria-selected", "true")
    await tab.press("Escape")
    await expect(tab.page.locator(".panel.step")).to_be_hidden()
    await expect(row(tab, "table")).to_be_focused()
    await tab.press("ArrowLeft")
    lane = tab.page.locator("tr.lane").first
    await expect(lane).to_be_focused()
    await tab.press("ArrowLeft")
    await expect(lane).to_have_attribute("aria-expanded", "false")
    await expect(row(tab, "table")).to_have_count(0)
    await tab.press("End")
    await expect(row(tab, "table", "undo")).to_be_focused()
    await tab.press("?")
    await expect(tab.page.get_by_role("dialog").get_by_text("zoom in").first).to_be_visible()


async def test_the_time_is_zoomed_by_keys_buttons_wheel_and_drag(tab: Tab, system: System) -> None:
    """And 0 shows all of it again."""
    execution = await system.run_plan(work(3, 0.2))
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    bar = row(tab, "s0").locator(".seg.run")
    await expect(bar).to_be_visible()

    async def width() -> float:
        box = await bar.bounding_box()
        return box["width"] if box else 0

    async def becomes(than: float, *, wider: bool) -> float:
        async def changed() -> bool:
            return (await width() > than * 1.2) if wider else (await width() < than * 0.9)

        await until(changed, within=10, describe="the bar is drawn anew")
        return await width()

    first = await width()
    await tab.press("+")
    await tab.press("<", "<", "<")
    zoomed = await becomes(first, wider=True)
    await tab.page.get_by_role("button", name="Zoom out").click()
    await becomes(zoomed, wider=False)
    await tab.press("0")
    track = await row(tab, "s0").locator(".track").bounding_box()
    assert track is not None
    await tab.page.mouse.move(track["x"] + 2, track["y"] + 9)
    await tab.page.keyboard.down("Control")
    await tab.page.mouse.wheel(0, -300)
    await tab.page.keyboard.up("Control")
    await becomes(first, wider=True)
    await tab.press("0")
    await tab.page.mouse.move(track["x"], track["y"] + 9)
    await tab.page.mouse.down()
    await tab.page.mouse.move(track["x"] + track["width"] / 4, track["y"] + 9)
    await tab.page.mouse.up()
    await becomes(first, wider=True)
    await expect(tab.page.locator(".panel.step")).to_be_hidden()
    await tab.page.get_by_role("button", name="Show all of it").click()
    await becomes(first * 1.3, wider=False)


async def test_of_500_steps_only_what_is_seen_is_in_the_document(tab: Tab, system: System) -> None:
    """Scrolling from end to end keeps few nodes, and never draws twice in a frame."""
    steps = [
        {"name": f"s{n}", "tool": "do_work", "args": {"label": f"job {n}"}, "needs": [f"s{n - 10}"] if n >= 10 else []}
        for n in range(500)
    ]
    execution = await system.run_plan(steps)
    await system.ended(execution, within=60)
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, "s0")).to_be_visible()
    await expect(tab.page.locator("table")).to_have_attribute("aria-rowcount", "502")
    script = """async () => {
      const body = document.querySelector('.fall tbody:not(.pad)');
      let most = 0, changes = 0, frames = 0;
      const watch = new MutationObserver((found) => { changes += found.filter(({ type }) => type === 'childList').length; });
      watch.observe(body, { childList: true });
      for (let y = 0; y < document.documentElement.scrollHeight; y += 200) {
        window.scrollTo(0, y);
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        frames += 2;
        most = Math.max(most, document.querySelectorAll('.fall *').length);
      }
      return { most, changes, frames };
    }"""
    found = await tab.page.evaluate(script)
    assert found["most"] < 1_500
    assert found["changes"] < 20 * found["frames"]  # 7 rows come and 7 go in two frames; 40 that are moved would be too many
    await expect(row(tab, "s499")).to_be_in_viewport()
    assert await tab.page.locator("tr.row").count() < 60
    await tab.page.evaluate("window.scrollTo(0, 0)")
    await tab.press("j", "End")
    await expect(row(tab, "s499")).to_be_focused()


async def test_nothing_is_wider_than_a_small_phone(tab: Tab, system: System) -> None:
    """Not the page, not the panel over it; the chosen row is not behind the panel."""
    execution = await system.run_plan(SAGA)
    await system.ended(execution, within=20)
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go(f"/executions/{execution}")
    await expect(row(tab, "bad")).to_be_visible()
    wide = "document.documentElement.scrollWidth"
    assert await tab.page.evaluate(wide) <= NARROW["width"]
    await row(tab, "bad").click()
    await expect(tab.page.get_by_role("region", name="bad")).to_be_visible()
    for name in ("Input", "Output", "Attempts", "Effect", "Raw"):
        await tab.page.get_by_role("tab", name=name).click()
        assert await tab.page.evaluate(wide) <= NARROW["width"], name
    shown = await row(tab, "bad").bounding_box()
    panel = await tab.page.locator(".panel.step").bounding_box()
    assert shown is not None
    assert panel is not None
    assert shown["y"] + shown["height"] <= panel["y"] + 1


async def test_the_waterfall_is_a_tree_of_rows_with_words_for_every_bar(tab: Tab, system: System) -> None:
    """Roles, levels and text: nothing is told by colour alone."""
    execution = await system.run_plan(SAGA)
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    tree = tab.page.get_by_role("treegrid", name="Steps, and what they did when")
    await expect(tree.get_by_role("row", name=re.compile("^Failed bad reserve_table"))).to_have_attribute("aria-level", "2")
    await expect(tree.get_by_role("img", name=re.compile("failed after"))).to_have_count(1)
    await expect(tab.page.get_by_role("list", name="What the bars mean").get_by_role("listitem")).to_have_text(
        ["in line", "runs", "back-off", "waits", "failed"]
    )
    assert await tab.page.evaluate(UNNAMED) == 0
    assert len(set(await tab.page.evaluate(LOOKS))) == 5


async def test_an_execution_that_is_not_there_says_so(tab: Tab) -> None:
    """With the engine's own words."""
    with tab.expecting("status of 404"):
        await tab.go("/executions/exe_00_01a205a6f0177d188cd35078ad49f795")
        await expect(tab.page.get_by_role("alert")).to_contain_text("There is no execution exe_00_")


async def test_what_is_shown_is_copied(tab: Tab, system: System) -> None:
    """The id, and the whole of a value; that it was done is told, and the telling can be sent away."""
    await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    execution = await system.run_plan([{"name": "a", "tool": "do_work", "args": {"label": "to be copied"}}])
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}?step=a&tab=input")
    await tab.page.get_by_role("button", name="Copy the id").click()
    told = tab.page.locator(".toast").filter(has_text="Copied.")
    await expect(told).to_have_count(1)
    assert await tab.page.evaluate("navigator.clipboard.readText()") == execution
    await told.get_by_role("button", name="Dismiss").click()
    await expect(told).to_have_count(0)
    await tab.page.get_by_role("tabpanel").get_by_role("button", name="Copy").first.click()
    await expect(told).to_have_count(1)
    assert json.loads(await tab.page.evaluate("navigator.clipboard.readText()"))["label"] == "to be copied"


async def test_a_browser_that_does_not_let_a_page_copy_is_told_of(tab: Tab, system: System) -> None:
    """With what helps; it stays until somebody sends it away."""
    execution = await system.run_plan(work(1, 0))
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    await tab.page.evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error('no')); 0")
    await tab.page.get_by_role("button", name="Copy the id").click()
    told = tab.page.locator(".toast").filter(has_text="Select the text instead.")
    await told.get_by_role("button", name="Dismiss").click()
    await expect(told).to_have_count(0)


async def test_a_step_is_opened_turned_over_and_closed_by_its_buttons(tab: Tab, system: System) -> None:
    """Every tab of its panel; the address follows."""
    execution = await system.run_plan([{"name": "a", "tool": "do_work", "args": {"label": "seen from all sides"}}])
    await system.ended(execution, within=20)
    await tab.go(f"/executions/{execution}")
    await row(tab, "a").click()
    panel = tab.page.get_by_role("region", name="a", exact=True)
    tabs = panel.get_by_role("tab")
    names = await tabs.all_inner_texts()
    assert names == ["Input", "Output", "Attempts", "Effect", "Logs", "Raw"]
    for name in names:
        await tabs.filter(has_text=name).click()
        await expect(tabs.filter(has_text=name)).to_have_attribute("aria-selected", "true")
        await expect(panel.get_by_role("tabpanel")).not_to_be_empty()
        await expect(tab.page).to_have_url(re.compile(f"step=a&tab={name.lower()}$"))
    await panel.get_by_role("button", name="Close the step").click()
    await expect(panel).to_be_hidden()
    await expect(tab.page).to_have_url(re.compile(f"#/executions/{execution}$"))


async def test_a_long_history_is_read_from_its_end_and_more_when_it_is_asked_for(tab: Tab, system: System) -> None:
    """The latest lines first come into the document; the first one with a click."""
    execution = await system.run_plan(work(150, 0))
    await system.ended(execution, within=40)
    lines = len(await system.history(execution))
    assert lines > 200
    await tab.go(f"/executions/{execution}")
    await tab.page.get_by_text("History", exact=True).click()
    shown = tab.page.locator(".history li")
    await expect(shown).to_have_count(200)
    await tab.page.get_by_role("button", name="Show earlier lines").click()
    await expect(shown).to_have_count(lines)
    await expect(tab.page.get_by_role("button", name="Show earlier lines")).to_be_hidden()
