"""What breaks on purpose, in a browser, on what `intention dev` runs: each button, and the recovery that is shown."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from shared.settings import DEV_TOKEN
from tests.console.browsing import NARROW, WIDE, Tab
from tests.console.walking import missed, round_trip, unreadable
from tests.system.harness import QUICK, until, work
from tests.system.test_local_run import environment, running

CHAIN = work(8, 0.4)


class Dev:
    """A system that its supervisor runs, as its user reaches it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.url = f"http://127.0.0.1:{environ['INGRESS_PORT']}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False)

    async def start(self, steps: list[dict[str, Any]] | None = None) -> str:
        """An execution; its id."""
        body = {"plan": {"steps": steps or CHAIN}, "userId": "break-it"}
        answer = await self.client.post("/api/execute", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str) -> Any:
        """What ingress answers."""
        return (await self.client.get(path)).json()

    async def begun(self, execution: str) -> None:
        """Until its first step is done, and an invocation has it."""

        async def first() -> bool:
            return bool((await self.get(f"/api/executions/{execution}"))["doneSteps"])

        await until(first, within=20, describe=f"{execution} is under way")

    async def completed_once(self, execution: str, steps: int) -> None:
        """It ends well, and the town did each thing exactly once."""

        async def over() -> bool:
            return bool((await self.get(f"/api/executions/{execution}"))["endedAt"])

        await until(over, within=60, describe=f"{execution} ends")
        assert (await self.get(f"/api/executions/{execution}"))["status"] == "COMPLETED"
        town = f"http://127.0.0.1:{self.environ['TOWN_PORT']}/effects"
        rows = (await self.client.get(town, params={"prefix": execution, "limit": 1000})).json()["effects"]
        assert [row["times_applied"] for row in rows] == [1] * steps


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """What `make run` runs, with the limits of a quick platform and one step a message."""
    folder = tmp_path_factory.mktemp("dev")
    environ = environment(folder) | QUICK | {"STEPS_PER_MESSAGE": "1"}
    lasting = running(environ, Path(folder / "dev.log"))
    await asyncio.to_thread(lasting.__enter__)
    made = Dev(environ)
    yield made
    await made.client.aclose()
    await asyncio.to_thread(lasting.__exit__, None, None, None)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, dev: Dev) -> AsyncIterator[Tab]:
    """The page that breaks things, in a tab of its own; afterwards, nothing is broken any more."""
    async with await browser.new_context(viewport=WIDE, reduced_motion="reduce") as context:  # type: ignore[arg-type]  # its own TypedDict
        tab = Tab(await context.new_page(), dev.url + "/")
        await tab.go("/break")
        await expect(panel(tab, "Executor").get_by_text("Runs")).to_be_visible()
        yield tab
    for what in ("qstash", "ably"):
        await dev.client.post(f"/api/local/{what}/mend", json={})
    assert not tab.faults, "\n".join(tab.faults)


def panel(tab: Tab, name: str) -> Locator:
    """One panel of the page."""
    return tab.page.get_by_role("region", name=name, exact=True)


def fact(tab: Tab, name: str, of: str) -> Locator:
    """The value beside a name in a panel."""
    return panel(tab, name).locator(f"dt:text-is('{of}') + dd")


def woken(tab: Tab, by: str) -> Locator:
    """How many executions were woken so."""
    return panel(tab, "What happens").locator(f"[data-by={by}] .number")


CLOCK = re.compile(r"^\d\d:\d\d:\d\d")


async def test_kill_executor_shows_when_it_died_and_came_back_and_what_it_held(page: Tab, dev: Dev) -> None:
    """Each execution that it held is named, with when it went on and by what; all of them end well."""
    steps = work(6, 1.0)
    executions = [await dev.start(steps) for _ in range(3)]
    for execution in executions:
        await dev.begun(execution)
    pid = await fact(page, "Executor", "Process").inner_text()

    async def held_by_it() -> bool:
        why = await dev.get(f"/api/executions/{executions[-1]}/why")
        return any(one["kind"] == "invocation" for one in why["waits"])

    await until(held_by_it, within=20, describe="an invocation has it")
    await page.page.get_by_role("button", name="Kill executor").click()
    await expect(fact(page, "Executor", "Killed at")).to_have_text(CLOCK)
    await expect(fact(page, "Executor", "Back at")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d \(after "))
    assert await fact(page, "Executor", "Process").inner_text() != pid
    log = panel(page, "What happens")
    await expect(log.get_by_text(re.compile("The executor was killed"))).to_be_visible()
    await expect(log.get_by_text("The executor is back")).to_be_visible()

    held = panel(page, "What the killed executor held")
    found = (await dev.get("/api/local"))["executor"]["held"]
    assert found
    assert {one["id"] for one in found} <= set(executions)
    for one in found:
        row = held.locator(f"li[data-key={one['id']}]")
        await expect(row).to_contain_text(re.compile(r"went on after .*, woken by (?:a|an|the) "))
        await expect(row.get_by_text("Completed")).to_be_visible(timeout=60_000)
    for execution in executions:
        await dev.completed_once(execution, len(steps))


async def test_drop_qstash_shows_it_away_and_back_and_that_ably_woke_what_waited(page: Tab, dev: Dev) -> None:
    """Until it is mended: it is refused, the engine notices, events of Ably carry the work, and then messages do again."""
    await panel(page, "QStash").get_by_role("combobox").select_option("")
    await page.page.get_by_role("button", name="Drop QStash").click()
    await expect(fact(page, "QStash", "The engine says")).to_have_text(re.compile("^it is away: "))
    await page.page.get_by_role("button", name="Count anew").click()
    execution = await dev.start()
    await dev.completed_once(execution, len(CHAIN))
    await expect(woken(page, "ably")).not_to_have_text("0")
    await expect(panel(page, "What happens").get_by_text("woken by an event of Ably").first).to_be_visible()

    await page.page.get_by_role("button", name="Mend QStash").click()
    await expect(fact(page, "QStash", "Mended at")).to_have_text(CLOCK)
    await expect(fact(page, "QStash", "Refused or lost")).to_have_text(re.compile(r"^[1-9]"))
    await expect(fact(page, "QStash", "The engine says")).to_have_text("it is there")
    await page.page.get_by_role("button", name="Count anew").click()
    await dev.completed_once(await dev.start(), len(CHAIN))
    await expect(woken(page, "qstash")).not_to_have_text("0")


async def test_drop_ably_shows_it_away_and_back_and_messages_go_on(page: Tab, dev: Dev) -> None:
    """For a time that was chosen: it ends by itself."""
    await panel(page, "Ably").get_by_role("combobox").select_option("10")
    await page.page.get_by_role("button", name="Drop Ably").click()
    await expect(fact(page, "Ably", "The engine says")).to_have_text(re.compile("^it is away: its subscriber is "))
    await expect(panel(page, "Ably").get_by_text(re.compile(r"Dropped \(\d+ s left\)"))).to_be_visible()
    await page.page.get_by_role("button", name="Count anew").click()
    await dev.completed_once(await dev.start(), len(CHAIN))
    await expect(woken(page, "qstash")).not_to_have_text("0")
    await expect(fact(page, "Ably", "Mended at")).to_have_text(CLOCK)
    await expect(fact(page, "Ably", "The engine says")).to_have_text("it is there", timeout=40_000)
    await expect(page.page.get_by_role("button", name="Drop Ably")).to_have_attribute("aria-pressed", "false")


async def test_with_both_dropped_the_watchdog_wakes_what_waits(page: Tab, dev: Dev) -> None:
    """And the page counts it."""
    for name in ("QStash", "Ably"):
        await panel(page, name).get_by_role("combobox").select_option("")
        await page.page.get_by_role("button", name=f"Drop {name}").click()
        await expect(page.page.get_by_role("button", name=f"Mend {name}")).to_be_visible()
    await page.page.get_by_role("button", name="Count anew").click()
    execution = await dev.start(work(3, 0))
    await dev.completed_once(execution, 3)
    await expect(woken(page, "watchdog")).not_to_have_text("0")


async def test_the_buttons_are_on_the_overview_and_beside_one_execution_too(page: Tab, dev: Dev) -> None:
    """What is broken there is seen on the page of all; an execution's page says what its killed executor cost it."""
    execution = await dev.start()
    await page.go(f"/executions/{execution}")
    strip = panel(page, "Break it")
    await dev.begun(execution)
    await strip.get_by_role("button", name="Kill executor").click()
    await expect(strip.get_by_text(re.compile("Down"))).to_be_visible()
    await expect(strip.get_by_text("Runs")).to_be_visible()
    await expect(page.page.locator(".execution > .head .badge")).to_have_text("Completed", timeout=60_000)
    await page.go("")
    await strip.get_by_role("button", name="Drop QStash").click()
    await expect(page.page.locator("[data-channel=qstash]")).to_contain_text("QStash answered 503")
    await strip.get_by_role("button", name="Mend QStash").click()
    await expect(strip.get_by_role("button", name="Drop QStash")).to_be_visible()
    await dev.completed_once(execution, len(CHAIN))


async def test_what_the_page_starts_to_be_watched_ends_well(page: Tab, dev: Dev) -> None:
    """One press, three executions."""
    await page.page.get_by_role("button", name="Start three executions").click()
    await expect(page.page.get_by_text("Three executions run.")).to_be_visible()
    found = (await dev.get("/api/executions?text=break-it&limit=3"))["executions"]
    assert len(found) == 3
    for one in found:
        steps = (await dev.get(f"/api/executions/{one['id']}"))["steps"]
        await dev.completed_once(one["id"], sum(step["tool"] == "do_work" for step in steps))


async def test_faults_that_somebody_else_has_put_on_are_left_alone(page: Tab, dev: Dev) -> None:
    """The refusal says which, and nothing is changed."""
    url = f"http://127.0.0.1:{dev.environ['QSTASH_DEV_PORT']}/v2/dev/faults"
    headers = {"Authorization": f"Bearer {DEV_TOKEN}"}
    await dev.client.put(url, json={"faults": [{"kind": "delay", "ms": 5}]}, headers=headers)
    try:
        with page.expecting("status of 409"):
            await page.page.get_by_role("button", name="Drop QStash").click()
            await expect(page.page.get_by_text(re.compile("Other faults are on there \\(delay\\)"))).to_be_visible()
        assert [one["kind"] for one in (await dev.client.get(url, headers=headers)).json()["faults"]] == ["delay"]
    finally:
        await dev.client.delete(url, headers=headers)


async def test_the_page_is_worked_by_keyboard_and_read_in_both_themes_on_a_phone_too(page: Tab) -> None:
    """Whatever is on it is reached, ringed and in sight; a button keeps the focus while it works; no text is faint."""
    for size in (NARROW, WIDE):
        await page.page.set_viewport_size(size)  # type: ignore[arg-type]  # its own TypedDict
        stops = await round_trip(page)
        assert [stop for stop in stops if not (stop["ring"] and stop["sight"])] == []
        assert await missed(page) == []
        assert await page.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    button = page.page.get_by_role("button", name="Drop Ably")
    await button.focus()
    await page.press("Enter")
    await expect(page.page.get_by_role("button", name="Mend Ably")).to_be_focused()
    for theme in ("light", "dark"):
        await page.page.emulate_media(color_scheme=theme)
        assert await unreadable(page) == []
    await page.press("Enter")
    await expect(button).to_be_focused()


async def test_nobody_else_can_break_anything(dev: Dev) -> None:
    """A form of another site is refused; so is a channel that is none, and a time that is no time."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await dev.client.post("/api/local/executor/kill", content=b"a=b", headers=form)).status_code == 415
    for page in ({"Origin": "https://example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await dev.client.post("/api/local/executor/kill", headers=page)).status_code == 401
        assert (await dev.client.post("/api/local/qstash/drop", json={}, headers=page)).status_code == 401
    assert (await dev.client.post("/api/local/moon/drop", json={})).status_code == 404
    for seconds in (0, -1, 601, "x"):
        assert (await dev.client.post("/api/local/qstash/drop", json={"seconds": seconds})).status_code == 400
    assert (await dev.client.post("/api/local/qstash/mend")).status_code == 409
    ably = base64.b64encode(b"somebody:else").decode()
    assert (await dev.client.get("/api/local", headers={"Authorization": f"Basic {ably}"})).status_code == 401
