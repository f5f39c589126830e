"""Everything that a person does to an execution from its page: offered where it fits, sent with the version seen."""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Locator, Route, expect

from tests.console.browsing import Tab
from tests.system.harness import System, until, work

TABLE = {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
ASKS = [
    {"name": "draft", "tool": "do_work", "args": {"label": "draft"}},
    {
        "name": "pay",
        "tool": "do_work",
        "args": {"label": "pay 5 euros"},
        "needs": ["draft"],
        "approve": {"message": "5 euros?"},
    },
]
WAITS = [
    {"name": "table", "tool": "reserve_table", "args": TABLE},
    {"name": "answer", "wait": {"events": [{"name": "answered"}]}, "needs": ["table"]},
]
REFUSED = [
    {"name": "table", "tool": "reserve_table", "args": TABLE | {"restaurant": "No Such Place"}},
    {"name": "plan", "tool": "do_work", "args": {"label": "plan the evening"}, "needs": ["table"]},
]
LETTER = [
    {"name": "letter", "tool": "post_unregistered_letter", "args": {"to": "Ann", "text": "hello"}},
    {"name": "reply", "wait": {"events": [{"name": "replied"}]}, "needs": ["letter"]},
]


async def shown(tab: Tab, execution: str, status: str, step: str = "") -> None:
    """Its page, once it says this status."""
    await tab.go(f"/executions/{execution}" + (f"?step={step}" if step else ""))
    await becomes(tab, status)


async def becomes(tab: Tab, status: str) -> None:
    """The page says this status, without a reload."""
    await expect(tab.page.locator(".head .badge")).to_have_text(status)


def deeds(tab: Tab) -> Locator:
    """What can be done to the whole."""
    return tab.page.get_by_role("group", name="What can be done")


def of_step(tab: Tab, words: str) -> Locator:
    """What can be done to the chosen step."""
    return tab.page.locator(".panel.step .deeds").get_by_role("button", name=words, exact=True)


async def answer(tab: Tab, yes: str, **fields: str | bool) -> None:
    """Fill the question in and say yes."""
    dialog = tab.page.get_by_role("dialog")
    for label, value in fields.items():
        field = dialog.locator(f"[name={label}]")
        if isinstance(value, bool):
            await field.set_checked(value)
        else:
            await field.fill(value)
    await dialog.get_by_role("button", name=yes, exact=True).click()


async def lines(system: System, execution: str, event: str) -> list[dict[str, Any]]:
    """Lines of one kind in the history."""
    return [line for line in await system.history(execution) if line["event"] == event]


async def refused(system: System) -> str:
    """An execution that has failed."""
    execution = await system.run_plan(REFUSED)
    assert (await system.ended(execution, within=20))["status"] == "FAILED"
    return execution


# --- plans


async def asked(system: System) -> str:
    """A plan that waits for a yes."""
    told = await system.post("/api/execute", {"plan": {"steps": work(2, 0)}, "confirm": True})
    return str(told.json()["id"])


async def test_a_plan_is_confirmed_with_a(tab: Tab, system: System) -> None:
    """The question shows what begins; its steps can be looked at before, with their arguments."""
    execution = await asked(system)
    await shown(tab, execution, "Awaits a yes", "s1")
    await expect(tab.page.get_by_role("tabpanel")).to_contain_text('"label": "job 1"')
    await tab.press("a")
    await expect(tab.page.get_by_role("dialog", name="Confirm the plan?").get_by_text("s1: do_work")).to_be_visible()
    await tab.press("Enter")
    await becomes(tab, "Completed")
    assert len(await lines(system, execution, "plan.confirmed")) == 1


async def test_a_plan_is_turned_down(tab: Tab, system: System) -> None:
    """With a note for the history."""
    execution = await asked(system)
    await shown(tab, execution, "Awaits a yes")
    await deeds(tab).get_by_role("button", name="Turn it down").click()
    await answer(tab, "Turn it down", note="not today")
    await becomes(tab, "Rejected")
    (line,) = await lines(system, execution, "plan.rejected")
    assert line["detail"]["message"] == "not today"


# --- approvals


async def test_a_step_is_approved_by_keyboard_alone(tab: Tab, system: System) -> None:
    """`a` finds the only step that asks; the question shows exactly what will be called."""
    execution = await system.run_plan(ASKS)
    await shown(tab, execution, "Suspended")
    await tab.press("a")
    await expect(tab.page.get_by_role("dialog", name="Approve pay?").get_by_text('"label": "pay 5 euros"')).to_be_visible()
    await tab.press("Tab", "Shift+Tab", "o", "k", "Enter")
    await becomes(tab, "Completed")
    (line,) = await lines(system, execution, "step.approved")
    assert line["detail"]["message"] == "ok"


async def test_other_arguments_are_approved(tab: Tab, system: System) -> None:
    """What is no JSON is not sent; what is sent is what is called."""
    execution = await system.run_plan(ASKS)
    await shown(tab, execution, "Suspended", "pay")
    await of_step(tab, "Edit and approve").click()
    await answer(tab, "Approve these", args='{"label": ')
    await expect(tab.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This is no JSON")
    await answer(tab, "Approve these", args='{"label": "pay 4 euros"}')
    await becomes(tab, "Completed")
    assert (await system.get(execution))["steps"][1]["output"]["label"] == "pay 4 euros"


async def test_a_step_is_rejected(tab: Tab, system: System) -> None:
    """What was done before is undone."""
    execution = await system.run_plan(ASKS)
    await shown(tab, execution, "Suspended", "pay")
    await of_step(tab, "Reject").click()
    await answer(tab, "Reject", note="too dear")
    await becomes(tab, "Undone")
    assert "too dear" in (await system.get(execution))["steps"][1]["error"]["message"]


async def test_what_changed_meanwhile_is_not_approved_but_looked_at_again(tab: Tab, system: System) -> None:
    """The version that was seen is sent: another's word comes first, and this one is told so."""
    execution = await system.run_plan([*ASKS, {"name": "nap", "wait": {"events": [{"name": "e"}]}, "needs": ["pay"]}])
    await shown(tab, execution, "Suspended", "pay")
    await of_step(tab, "Approve").click()
    dialog = tab.page.get_by_role("dialog", name="Approve pay?")
    await expect(dialog).to_be_visible()
    hold = (await system.get(execution))["steps"][1]["hold"]
    other = await system.post(f"/api/executions/{execution}/approve", {"step": "pay", "argsHash": hold["argsHash"]})
    assert other.status_code == 202
    await system.done_steps(execution, 2, within=20)
    with tab.expecting("status of 409"):
        await answer(tab, "Approve", note="mine")
        await expect(tab.page.get_by_role("alert")).to_have_text(
            re.compile("It changed meanwhile: look again. Nothing was done.")
        )
    await tab.page.get_by_role("button", name="Look again").click()
    await expect(tab.page.get_by_role("alert")).to_have_count(0)
    await expect(of_step(tab, "Approve")).to_have_count(0)
    assert len(await lines(system, execution, "step.approved")) == 1


# --- as it runs


async def test_it_is_paused_and_resumed_with_p(tab: Tab, system: System) -> None:
    """Each button gives way to the other."""
    execution = await system.run_plan(WAITS)
    await shown(tab, execution, "Suspended")
    await tab.press("p")
    await becomes(tab, "Paused")
    await expect(tab.page.get_by_role("status", name="Why it waits")).to_contain_text("has paused it")
    await deeds(tab).get_by_role("button", name="Resume").click()
    await becomes(tab, "Suspended")
    await expect(deeds(tab).get_by_role("button", name="Pause")).to_be_visible()


async def test_it_is_cancelled_with_c_and_undone(tab: Tab, system: System) -> None:
    """The undo lane appears on the page as it happens."""
    execution = await system.run_plan(WAITS)
    await system.done_steps(execution, 1, within=20)
    await shown(tab, execution, "Suspended")
    await tab.press("c")
    await answer(tab, "Cancel it", reason="changed my mind")
    await becomes(tab, "Undone")
    await expect(tab.page.locator("tr.row[data-key='undo/table'] .sign")).to_have_text("Undone")
    (line,) = await lines(system, execution, "execution.cancelled_by")
    assert line["detail"]["message"] == "changed my mind"
    assert await deeds(tab).get_by_role("button", name="Cancel").count() == 0


async def test_it_is_cancelled_without_an_undo_and_undone_later(tab: Tab, system: System) -> None:
    """What stands is named before it is taken back."""
    execution = await system.run_plan(WAITS)
    await system.done_steps(execution, 1, within=20)
    await shown(tab, execution, "Suspended")
    await deeds(tab).get_by_role("button", name="Cancel").click()
    await answer(tab, "Cancel it", undo=False)
    await becomes(tab, "Cancelled")
    assert [row["standing"] for row in await system.effect_rows(execution)] == [1]
    await deeds(tab).get_by_role("button", name="Undo what it did").click()
    await expect(tab.page.get_by_role("dialog").get_by_role("listitem")).to_have_text(["table"])
    await answer(tab, "Undo it")
    await becomes(tab, "Undone")
    assert [row["standing"] for row in await system.effect_rows(execution)] == [0]


async def test_a_back_off_is_cut_short_with_r(tab: Tab, system: System) -> None:
    """Of the only step that backs off."""
    await system.knobs(fail_next=1, only_path="/jobs")
    retry = {"attempts": 3, "base_ms": 600_000, "cap_ms": 600_000}
    execution = await system.run_plan([{"name": "a", "tool": "do_work", "args": {"label": "x"}, "retry": retry}])
    await shown(tab, execution, "Suspended")
    await expect(tab.page.locator("tr.row[data-key='forward/a'] .sign")).to_have_text("To be tried again")
    await tab.press("r")
    await answer(tab, "Try again")
    await becomes(tab, "Completed")


async def test_a_waiting_step_is_skipped_with_an_output(tab: Tab, system: System) -> None:
    """The plan goes on with it."""
    steps = [*WAITS, {"name": "file", "tool": "do_work", "args": {"label": "${answer.data.by}"}}]
    execution = await system.run_plan(steps)
    await shown(tab, execution, "Suspended", "answer")
    await of_step(tab, "Skip").click()
    await answer(tab, "Skip it", output='{"data": {"by": "Ann"}}')
    await becomes(tab, "Completed")
    assert (await system.get(execution))["steps"][2]["input"]["label"] == "Ann"


async def test_an_unknown_effect_is_settled(tab: Tab, system: System) -> None:
    """The panel asks for it; the plan goes on with what the person says."""
    await system.knobs(fail_after_next=1, only_path="/letters")
    execution = await system.run_plan([{**LETTER[0], "undo": {"leave": True}}])
    await shown(tab, execution, "Suspended", "letter")
    await system.knobs(fail_after_next=0, only_path="")
    await expect(tab.page.locator("tr.row[data-key='forward/letter'] .sign")).to_have_text("Unknown")
    await of_step(tab, "Say whether it happened").click()
    await answer(tab, "That is so", happened=True, output='{"posted": true}')
    await becomes(tab, "Completed")
    assert (await system.get(execution))["steps"][0]["output"] == {"posted": True}


# --- when it is over


async def test_what_failed_is_tried_again_with_r(tab: Tab, system: System) -> None:
    """It fails again, and the new attempt is there to be looked at."""
    execution = await refused(system)
    await shown(tab, execution, "Failed")
    await tab.press("r")
    await answer(tab, "Try again")
    await until(lambda: _ended_twice(system, execution), within=20, describe="it fails again")
    await becomes(tab, "Failed")
    await tab.page.locator("tr.row[data-key='forward/table']").click()
    await tab.page.get_by_role("tab", name="Attempts").click()
    await expect(tab.page.get_by_role("tabpanel").locator("tbody tr")).to_have_count(2)


async def _ended_twice(system: System, execution: str) -> bool:
    return len(await lines(system, execution, "execution.ended")) == 2


async def test_the_input_of_what_failed_is_edited(tab: Tab, system: System) -> None:
    """What the tool does not take is refused in its words, and what was typed is kept."""
    execution = await refused(system)
    await shown(tab, execution, "Failed", "table")
    await of_step(tab, "Edit and retry").click()
    with tab.expecting("status of 422"):
        await answer(tab, "Use these", args=json.dumps(TABLE | {"party_size": "many"}))
        await expect(tab.page.get_by_role("alert")).to_contain_text("party_size")
    await tab.page.get_by_role("button", name="Ask again").click()
    await expect(tab.page.get_by_role("dialog").locator("[name=args]")).to_have_value(re.compile("many"))
    await answer(tab, "Use these", args=json.dumps(TABLE))
    await becomes(tab, "Completed")
    assert await system.effects(execution) == {"table": 1, "plan": 1}


async def test_what_failed_is_skipped(tab: Tab, system: System) -> None:
    """As if it had given what the person says."""
    execution = await refused(system)
    await shown(tab, execution, "Failed", "table")
    await of_step(tab, "Skip").click()
    await answer(tab, "Skip it", output='{"reference": "by phone"}')
    await becomes(tab, "Completed")


async def test_what_could_not_be_undone_is_dealt_with(tab: Tab, system: System) -> None:
    """It is named on the page; a person's word ends it."""
    execution = await system.run_plan(LETTER)
    await system.done_steps(execution, 1, within=20)
    await system.post(f"/api/executions/{execution}/cancel", {})
    await system.ended(execution, within=20)
    await shown(tab, execution, "Undo failed", "letter")
    await expect(tab.page.get_by_text("letter stands, and cannot be undone.")).to_be_visible()
    await of_step(tab, "I have dealt with it").click()
    await answer(tab, "I have")
    await becomes(tab, "Undone")


async def test_it_runs_again_only_with_consent_to_what_stands(tab: Tab, system: System) -> None:
    """Without it, it says what stands; with it, the page of the new execution is shown."""
    execution = await system.run_plan([WAITS[0]])
    await system.ended(execution, within=20)
    await shown(tab, execution, "Completed")
    await deeds(tab).get_by_role("button", name="Run again").click()
    await expect(tab.page.get_by_role("dialog").get_by_role("listitem")).to_have_text(["table"])
    with tab.expecting("status of 409"):
        await answer(tab, "Run again")
        await expect(tab.page.get_by_role("alert")).to_contain_text("What table did still stands")
    await tab.page.get_by_role("button", name="Ask again").click()
    await answer(tab, "Run again", acceptEffects=True)
    await expect(tab.page.locator(".strip")).to_contain_text("Run again from")
    await becomes(tab, "Completed")
    assert execution not in tab.page.url


async def test_it_is_forked_from_a_step(tab: Tab, system: System) -> None:
    """What came before is given, and not called again."""
    execution = await system.run_plan(
        [WAITS[0], {"name": "job", "tool": "do_work", "args": {"label": "x"}, "needs": ["table"]}]
    )
    await system.ended(execution, within=20)
    await shown(tab, execution, "Completed", "job")
    await of_step(tab, "Run again from here").click()
    await answer(tab, "Run again", acceptEffects=True)
    await expect(tab.page.locator(".strip")).to_contain_text("Fork of")
    await becomes(tab, "Completed")
    fork = tab.page.url.rpartition("/")[2]
    assert await system.effects(fork) == {"job": 1}


async def test_it_is_exported_as_a_file(tab: Tab, system: System) -> None:
    """Named after the execution; it is what the API gives, and what the page for files opens."""
    execution = await refused(system)
    await shown(tab, execution, "Failed")
    async with tab.page.expect_download() as saved:
        await deeds(tab).get_by_role("button", name="Export").click()
    file = await saved.value
    assert file.suggested_filename == f"{execution}.json"
    path = await file.path()
    assert json.loads(path.read_bytes())["execution"]["status"] == "FAILED"
    await tab.go("/open")
    await tab.page.get_by_label("An exported execution").set_input_files(path)
    await becomes(tab, "Failed")


# --- with the mouse alone, what is tested above with a key


async def test_a_plan_is_confirmed_with_its_button(tab: Tab, system: System) -> None:
    """Then it runs."""
    execution = await asked(system)
    await shown(tab, execution, "Awaits a yes")
    await deeds(tab).get_by_role("button", name="Confirm the plan").click()
    await answer(tab, "Confirm the plan")
    await becomes(tab, "Completed")


async def test_a_step_is_approved_with_its_button(tab: Tab, system: System) -> None:
    """The note is in the history."""
    execution = await system.run_plan(ASKS)
    await shown(tab, execution, "Suspended", "pay")
    await of_step(tab, "Approve").click()
    await answer(tab, "Approve", note="cheap enough")
    await becomes(tab, "Completed")
    assert "cheap enough" in str(await system.history(execution))


async def test_it_is_paused_with_its_button(tab: Tab, system: System) -> None:
    """And resumed with the one that stands in its place."""
    execution = await system.run_plan(WAITS)
    await shown(tab, execution, "Suspended")
    await deeds(tab).get_by_role("button", name="Pause").click()
    await becomes(tab, "Paused")
    await deeds(tab).get_by_role("button", name="Resume").click()
    await becomes(tab, "Suspended")
    await system.post(f"/api/executions/{execution}/cancel", {})
    await becomes(tab, "Undone")


async def backing_off(tab: Tab, system: System) -> str:
    """The page of a step that is tried again in ten minutes only."""
    await system.knobs(fail_next=1, only_path="/jobs")
    retry = {"attempts": 3, "base_ms": 600_000, "cap_ms": 600_000}
    execution = await system.run_plan([{"name": "a", "tool": "do_work", "args": {"label": "x"}, "retry": retry}])
    await shown(tab, execution, "Suspended", "a")
    await expect(tab.page.locator("tr.row[data-key='forward/a'] .sign")).to_have_text("To be tried again")
    return execution


async def test_a_back_off_is_cut_short_with_its_button(tab: Tab, system: System) -> None:
    """At once."""
    await backing_off(tab, system)
    await of_step(tab, "Retry now").click()
    await answer(tab, "Try again")
    await becomes(tab, "Completed")


async def test_the_input_of_what_backs_off_is_edited(tab: Tab, system: System) -> None:
    """It is called with that, at once."""
    execution = await backing_off(tab, system)
    await of_step(tab, "Edit the input").click()
    await answer(tab, "Use these", args='{"label": "edited", "seconds": 0}')
    await becomes(tab, "Completed")
    assert (await system.get(execution))["steps"][0]["input"]["label"] == "edited"


@pytest.mark.parametrize("whole", [True, False], ids=["all that failed", "the step that failed"])
async def test_what_failed_is_tried_again_with_its_button(tab: Tab, system: System, *, whole: bool) -> None:
    """It is tried, and fails again."""
    execution = await refused(system)
    await shown(tab, execution, "Failed", "" if whole else "table")
    button = deeds(tab).get_by_role("button", name="Retry what failed") if whole else of_step(tab, "Retry")
    await button.click()
    await answer(tab, "Try again")
    await until(lambda: _ended_twice(system, execution), within=20, describe="it fails again")
    await becomes(tab, "Failed")


@pytest.mark.parametrize("whole", [True, False], ids=["all that could not", "the step that could not"])
async def test_what_could_not_be_undone_is_tried_again(tab: Tab, system: System, *, whole: bool) -> None:
    """The town takes back what it had refused to."""
    execution = await system.run_plan(WAITS)
    await system.done_steps(execution, 1, within=20)
    await system.knobs(fail_next=1_000, fail_status=409, only_path="/effects/")
    await system.post(f"/api/executions/{execution}/cancel", {})
    assert (await system.ended(execution, within=40))["status"] == "COMPENSATION_FAILED"
    await system.knobs(fail_next=0, fail_status=503, only_path="")
    await shown(tab, execution, "Undo failed", "" if whole else "table")
    await (deeds(tab).get_by_role("button", name="Retry the undo") if whole else of_step(tab, "Retry the undo")).click()
    await answer(tab, "Try again")
    await becomes(tab, "Undone")
    assert [row["standing"] for row in await system.effect_rows(execution)] == [0]


async def test_an_unknown_effect_is_said_not_to_have_happened(tab: Tab, system: System) -> None:
    """Not while a late request may still land: it says until when, and is asked again then. It may be called again."""
    await system.knobs(fail_after_next=1, only_path="/letters")
    execution = await system.run_plan([{**LETTER[0], "undo": {"leave": True}}])
    await shown(tab, execution, "Suspended", "letter")
    await system.knobs(fail_after_next=0, only_path="")
    await expect(tab.page.locator("tr.row[data-key='forward/letter'] .sign")).to_have_text("Unknown")
    await of_step(tab, "Say whether it happened").click()
    alert = tab.page.get_by_role("alert")
    with tab.expecting("status of 409"):
        await answer(tab, "That is so", happened=False)
        await expect(alert).to_contain_text("may still land until")
    until_at = datetime.fromisoformat(str(await alert.locator("time").get_attribute("datetime")))

    async def passed() -> bool:
        return datetime.now(UTC) > until_at

    await until(passed, within=20, describe="no request can land any more")
    await alert.get_by_role("button", name="Ask again").click()
    await answer(tab, "That is so", happened=False)
    await expect(of_step(tab, "Say whether it happened")).to_have_count(0)
    await system.ended(execution, within=20)


async def test_a_question_that_is_not_answered_changes_nothing(tab: Tab, system: System) -> None:
    """Back, and nothing was asked of the engine."""
    execution = await system.run_plan(WAITS)
    await shown(tab, execution, "Suspended", "answer")
    sent: list[str] = []
    tab.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    for button in (deeds(tab).get_by_role("button", name="Cancel"), of_step(tab, "Skip")):
        await button.click()
        await tab.page.get_by_role("dialog").get_by_role("button", name="Back").click()
        await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    assert sent == []
    await system.post(f"/api/executions/{execution}/cancel", {})
    await system.ended(execution, within=20)


async def test_a_key_pressed_while_an_answer_is_awaited_is_not_lost(tab: Tab, system: System) -> None:
    """The answer to a pause is slow: another deed waits for it, and the same one is a double click."""
    execution = await system.run_plan(WAITS)
    await shown(tab, execution, "Suspended")
    answered, pauses = asyncio.Event(), asyncio.Queue[Route]()

    async def slowly(route: Route) -> None:
        pauses.put_nowait(route)
        await answered.wait()
        await route.continue_()

    await tab.page.route("**/pause", slowly)
    await tab.press("p", "p", "c")
    await pauses.get()
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    answered.set()
    await expect(tab.page.get_by_role("dialog")).to_contain_text("Cancel this execution?")
    assert pauses.empty()
    await answer(tab, "Cancel it")
    await becomes(tab, "Undone")
