"""What people are asked is answered in the console: steps with their arguments, and whole plans."""

from playwright.async_api import expect

from tests.console.browsing import NARROW, Tab
from tests.system.harness import System, work


async def test_a_step_is_approved_with_the_arguments_that_were_edited(tab: Tab, system: System) -> None:
    """What is no JSON is refused before it is sent."""
    [step] = work(1, 0)
    execution = await system.run_plan([step | {"approve": {"message": "Is the edited one right?"}}])
    await tab.go("/approvals")
    card = tab.page.get_by_role("listitem").filter(has_text="Is the edited one right?")
    await card.get_by_role("button", name="Edit and approve").click()
    dialog = tab.page.get_by_role("dialog")
    await dialog.get_by_label("Arguments").fill("[")
    await dialog.get_by_role("button", name="Approve these").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("This is no JSON")
    await dialog.get_by_label("Arguments").fill('{"label": "edited", "seconds": 0}')
    await dialog.get_by_role("button", name="Approve these").click()
    found = await system.ended(execution, within=20)
    assert found["status"] == "COMPLETED"
    assert "edited" in str(found["steps"])
    await expect(card).to_have_count(0)


async def test_a_step_is_rejected_with_a_note(tab: Tab, system: System) -> None:
    """The note stands in the history; the page fits a phone."""
    await tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # its own TypedDict
    [step] = work(1, 0)
    execution = await system.run_plan([step | {"approve": {"message": "To be refused?"}}])
    await tab.go("/approvals")
    card = tab.page.get_by_role("listitem").filter(has_text="To be refused?")
    await expect(card).to_be_visible()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await card.get_by_role("button", name="Reject").click()
    dialog = tab.page.get_by_role("dialog")
    await dialog.get_by_label("Note").fill("too expensive")
    await dialog.get_by_role("button", name="Reject").click()
    await expect(card).to_have_count(0)
    assert (await system.ended(execution, within=20))["status"] == "FAILED"
    assert "too expensive" in str(await system.history(execution))


async def test_a_plan_that_awaits_a_yes_is_confirmed(tab: Tab, system: System) -> None:
    """After it was looked at."""
    answer = await system.post("/api/execute", {"plan": {"steps": work(1, 0)}, "userId": "who-confirms", "confirm": True})
    assert answer.status_code == 202
    await tab.go("/approvals")
    card = tab.page.get_by_role("listitem").filter(has_text="who-confirms")
    await card.get_by_role("button", name="Look and confirm").click()
    await tab.page.get_by_role("dialog", name="Run this plan?").get_by_role("button", name="Run it").click()
    await expect(card).to_have_count(0)
    assert (await system.ended(answer.json()["id"], within=20))["status"] == "COMPLETED"


async def test_a_step_is_approved_as_it_stands(tab: Tab, system: System) -> None:
    """With the arguments that are shown."""
    [step] = work(1, 0)
    execution = await system.run_plan([step | {"approve": {"message": "Is it right as it stands?"}}])
    await tab.go("/approvals")
    card = tab.page.get_by_role("listitem").filter(has_text="Is it right as it stands?")
    await card.get_by_role("button", name="Approve", exact=True).click()
    dialog = tab.page.get_by_role("dialog")
    await expect(dialog).to_contain_text('"label"')
    await dialog.get_by_role("button", name="Approve").click()
    await expect(card).to_have_count(0)
    assert (await system.ended(execution, within=20))["status"] == "COMPLETED"


async def test_a_plan_that_awaits_a_yes_is_rejected(tab: Tab, system: System) -> None:
    """Nothing of it is done; the note stands in the history."""
    answer = await system.post("/api/execute", {"plan": {"steps": work(1, 0)}, "userId": "who-rejects", "confirm": True})
    await tab.go("/approvals")
    card = tab.page.get_by_role("listitem").filter(has_text="who-rejects")
    await card.get_by_role("button", name="Reject").click()
    dialog = tab.page.get_by_role("dialog", name="Reject this plan?")
    await dialog.get_by_label("Note").fill("not this week")
    await dialog.get_by_role("button", name="Reject").click()
    await expect(card).to_have_count(0)
    execution = answer.json()["id"]
    assert (await system.ended(execution, within=20))["status"] == "REJECTED"
    assert "not this week" in str(await system.history(execution))
    assert await system.effects(execution) == {}
