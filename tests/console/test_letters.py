"""Dead letters, by hand: sent again or forgotten, one by one or all that are listed."""

import base64
import json
import time

from playwright.async_api import expect

from shared import signing
from shared.settings import DEV_CURRENT_KEY
from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, work


async def die(system: System, execution: str, message: str) -> None:
    """QStash tells that it gave a message up."""
    source = json.dumps({"executionId": execution, "segment": 0}).encode()
    callback = {
        "status": 502,
        "body": base64.b64encode(b"the gateway gave up").decode(),
        "retried": 3,
        "dlqId": f"dlq-{message}",
        "sourceMessageId": message,
        "sourceBody": base64.b64encode(source).decode(),
    }
    raw, url = json.dumps(callback).encode(), f"{system.processes['resume'].url}/api/engine/failed"
    token = signing.sign_call(issuer="Upstash", url=url, body=raw, key=DEV_CURRENT_KEY, now=time.time(), jti=message)
    answer = await system.client.post(url, content=raw, headers={"Upstash-Signature": token})
    assert answer.json() == {"result": "noted"}, answer.text


async def test_a_letter_is_resent_and_discarded_and_the_rest_in_one_go(tab: Tab, system: System) -> None:
    """What it says is shown; many are asked about with their number, and the page fits a phone."""
    waits = [{"name": "calm", "sleep": {"ms": 600_000}}, *work(1, 0)]
    executions = [await system.run_plan(waits) for _ in range(3)]
    for number, execution in enumerate(executions):
        await die(system, execution, f"msg_letters_{number}")
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    await tab.go("/dead-letters")
    cards = tab.page.get_by_role("list", name="Dead letters").get_by_role("listitem")
    await expect(cards).to_have_count(3)
    first = cards.filter(has_text="msg_letters_0")
    await expect(first.get_by_text("the gateway gave up")).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await first.get_by_role("button", name="Resend").click()
    await expect(tab.page.get_by_text("Answer: resent.")).to_be_visible()
    await first.get_by_role("button", name="Discard").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    await expect(first).to_have_count(0)
    await tab.page.get_by_role("button", name="Discard 2").click()
    dialog = tab.page.get_by_role("dialog", name="Discard 2 letters?")
    await dialog.get_by_role("button", name="Discard").click()
    await expect(tab.page.get_by_text("Nothing has died.")).to_be_visible()


async def test_all_letters_that_are_listed_are_resent(tab: Tab, system: System) -> None:
    """After their number was asked; a no leaves them alone."""
    waits = [{"name": "calm", "sleep": {"ms": 600_000}}, *work(1, 0)]
    executions = [await system.run_plan(waits) for _ in range(2)]
    for number, execution in enumerate(executions):
        await die(system, execution, f"msg_resent_{number}")
    await tab.go("/dead-letters")
    button = tab.page.get_by_role("button", name="Resend 2")
    await button.click()
    dialog = tab.page.get_by_role("dialog", name="Resend 2 letters?")
    await dialog.get_by_role("button", name="Back").click()
    await expect(dialog).to_have_count(0)
    await button.click()
    await dialog.get_by_role("button", name="Resend").click()
    await expect(tab.page.get_by_text("Resent: 2 of 2.")).to_be_visible()
    for execution in executions:
        await system.post(f"/api/executions/{execution}/cancel", {})
        await system.ended(execution, within=20)
    await system.post("/api/dlq/discard", {"all": True})
