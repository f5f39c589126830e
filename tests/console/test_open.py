"""An exported execution in the browser: the same page, from a file, without a request and without actions."""

import json
from typing import Any

import pytest
from playwright.async_api import FilePayload, expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System

TABLE = {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
PLAN = [
    {"name": "table", "tool": "reserve_table", "args": TABLE},
    {"name": "all", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": ["a", "b"]}, "needs": ["table"]},
    {"name": "bad", "tool": "reserve_table", "args": TABLE | {"restaurant": "No Such Place"}, "needs": ["all"]},
]


async def exported(system: System) -> bytes:
    """The file of an execution that was undone."""
    execution = await system.run_plan(PLAN)
    await system.ended(execution, within=20)
    answer = await system.client.get(f"{system.processes['ingress'].url}/api/executions/{execution}/export")
    assert answer.status_code == 200, answer.text
    return answer.content


def file(body: bytes) -> FilePayload:
    """As a person chooses it."""
    return {"name": "saved.json", "mimeType": "application/json", "buffer": body}


async def test_a_file_is_shown_without_any_request_and_nothing_can_be_done_to_it(tab: Tab, system: System) -> None:
    """The waterfall with its items, the panel, the line why it waits: all from the file."""
    body = await exported(system)
    await tab.go("/open")
    await expect(tab.page.get_by_role("heading", name="Open a file")).to_be_visible()
    await tab.page.wait_for_load_state("networkidle")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    await tab.page.get_by_label("An exported execution").set_input_files(file(body))
    await expect(tab.page.locator(".head .badge")).to_have_text("Undone")
    await expect(tab.page.get_by_role("status", name="Why it waits")).to_contain_text("It is over: COMPENSATED")
    await expect(tab.page.locator("tr.row[data-key='undo/table'] .sign")).to_have_text("Undone")
    await tab.page.locator("tr.row[data-key='forward/all'] .twist").click()
    await tab.page.locator("tr.row[data-key='forward/all.1']").click()
    panel = tab.page.get_by_role("region", name="all.1")
    await expect(panel.get_by_role("tabpanel")).to_contain_text('"label": "b"')
    await panel.get_by_role("tab", name="Logs").click()
    await expect(panel.get_by_text("Log lines are not in the file.")).to_be_visible()
    await panel.get_by_role("tab", name="Effect").click()
    await expect(panel.get_by_role("tabpanel")).to_contain_text("idempotent")
    await expect(tab.page.locator(".deeds").get_by_role("button")).to_have_count(0)
    await tab.press("c", "a", "r")
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    mine = [url for url in asked if "/api/" in url and not url.endswith("/api/events")]
    assert mine == []


async def test_a_file_is_dropped_and_another_one_opened(tab: Tab, system: System) -> None:
    """Anywhere on the page; on a phone, too."""
    body = await exported(system)
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/open")
    await expect(tab.page.get_by_role("heading", name="Open a file")).to_be_visible()
    script = """(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], "dropped.json", { type: "application/json" }));
      const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector(".open").dispatchEvent(drop);
    }"""
    await tab.page.evaluate(script, body.decode())
    await expect(tab.page.get_by_text("From dropped.json")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    changed: dict[str, Any] = json.loads(body)
    changed["execution"]["text"] = "quite another one"
    await tab.page.get_by_label("Open another").set_input_files(file(json.dumps(changed).encode()))
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("quite another one")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"export": 1, "execut', "This file is no JSON."),
        (b'{"steps": []}', "This is no exported execution"),
        (b"[1]", "This is no exported execution"),
        (b'{"export": 7}', "This file has version 7, and this console reads version 1."),
        (b'{"export": 1, "execution": {}}', "This file is not whole"),
    ],
)
async def test_what_is_no_export_says_what_is_wrong(tab: Tab, body: bytes, words: str) -> None:
    """And what would be one; another file may be chosen at once."""
    await tab.go("/open")
    await tab.page.get_by_label("An exported execution").set_input_files(file(body))
    await expect(tab.page.get_by_role("alert")).to_contain_text(words)
    await expect(tab.page.get_by_label("An exported execution")).to_be_visible()
