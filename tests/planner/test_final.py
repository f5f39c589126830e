"""Messages that cannot be taken back: what they tell of comes first, and what stands is what the words ask for."""

from functools import lru_cache
from typing import Any

import httpx
import msgspec
import pytest

from shared.machine.accept import accept
from shared.machine.events import Done, Refused
from shared.machine.plan import Plan, PlanDraft, Undo
from shared.planner import Planned, plan_text
from shared.settings_load import load
from shared.tools.installation import outbound_of, registry_of
from shared.tools.registry import Registry
from shared.tools.town import TownTools
from tests.machine.play import Play
from tests.planner.corpus import NOW, USER, Row, rows
from tests.planner.validator import LIMITS

FINAL = ("send_message",)
OUTPUT = {
    "restaurant": "Luigi's",
    "reservation_id": "r1",
    "party_size": 2,
    "date": "2026-03-11",
    "time": "19:00",
    "ride_id": "x",
}


@lru_cache
def registry() -> Registry:
    """An installation that sends real e-mail."""
    settings = load(
        {"INTENTION_MODE": "local", "SMTP_URL": "smtp://user:secret-word@127.0.0.1:25", "SMTP_FROM": "a@example.com"}
    )
    return registry_of(settings, outbound_of(settings), TownTools(httpx.AsyncClient()))


def planned(text: str) -> Planned:
    """A plan of words, where messages stand."""
    found = plan_text(text, profile=USER, now=NOW, final=FINAL)
    assert isinstance(found, Planned), found
    return found


def accepted(found: Planned) -> Plan:
    """As that installation takes it; PlanRefused otherwise."""
    draft = msgspec.convert(found.plan, PlanDraft)
    return accept(draft, contracts=registry().contracts(), check_args=registry().check_args, limits=LIMITS)


def messages(text: str) -> list[dict[str, Any]]:
    """The steps that send."""
    return [step for step in planned(text).plan["steps"] if step.get("tool") == "send_message"]


def test_the_installation_of_these_tests_takes_no_message_back() -> None:
    """Or they show nothing."""
    assert registry().contracts()["send_message"].undo is Undo.NONE


@pytest.mark.parametrize("row", [row for row in rows() if "steps" in row.label], ids=lambda row: row.text[:60])
def test_every_plan_of_the_corpus_is_accepted(row: Row) -> None:
    """And asks for what it did ask for: only order and consent differ."""
    found = plan_text(row.text, profile=USER, now=NOW, final=FINAL)
    usual = plan_text(row.text, profile=USER, now=NOW)
    if not isinstance(usual, Planned):
        assert found == usual
        return
    assert isinstance(found, Planned)
    accepted(found)
    assert _said(found) == _said(usual)


def _said(found: Planned) -> list[str]:
    kept = [
        {key: step.get(key) for key in ("tool", "args", "approve", "sleep", "when", "may_fail")} for step in found.plan["steps"]
    ]
    return sorted(msgspec.json.encode(step).decode() for step in kept if step["tool"] or step["sleep"])


def test_a_message_waits_for_what_it_does_not_speak_of() -> None:
    """It could not be taken back if that failed; one message that is last needs no consent."""
    (step,) = messages("Book a table for 2 at 7pm and add it to my calendar")
    assert set(step["needs"]) == {"reserve_table", "create_calendar_event"}
    assert "undo" not in step


def test_of_several_messages_each_stands() -> None:
    """Only one could be last, and the words ask for both."""
    both = messages("Reserve a table for 4 tomorrow at 8pm and text Ana the details")
    assert [step["undo"] for step in both] == [{"leave": True}] * 2
    assert all("reserve_table" in step["needs"] for step in both)


def test_a_message_that_the_words_put_first_goes_first() -> None:
    """It stands by consent, and nothing else does."""
    steps = planned('Text Ana "on my way", then book a taxi to Central Station at 5pm').plan["steps"]
    first = next(step for step in steps if step.get("tool") == "send_message")
    ride = next(step for step in steps if step.get("tool") == "book_ride")
    assert first["name"] in ride["needs"]
    assert first["undo"] == {"leave": True}
    assert "undo" not in ride


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Book a table for 2 at 7pm, if that fails try 8pm", ["send_message_2"]),
        ('Book a table for 2 at 7pm, if that fails try 8pm, and text Ana "see you"', ["send_message", "send_message_3"]),
    ],
)
def test_the_second_choice_is_told_of_when_the_first_has_failed(text: str, sent: list[str]) -> None:
    """Waiting for what failed, or did not come about, holds nothing up."""
    steps = [step | {"tool": "idem"} for step in planned(text).plan["steps"]]
    play = Play(*steps)
    play.wake()
    told: list[str] = []
    while play.calls:
        name = next(iter(play.calls))
        told += [name] if name.startswith("send_message") else []
        play.answer({name: Refused(code="full", message="no table") if name == "reserve_table" else Done(output=OUTPUT)})
    assert play.stands == "COMPLETED"
    assert sorted(told) == sent


def test_without_a_reason_nothing_changes() -> None:
    """Where a message can be taken back, it does not wait for more than it tells of."""
    found = plan_text("Book a table for 2 at 7pm and add it to my calendar", profile=USER, now=NOW)
    assert isinstance(found, Planned)
    (step,) = (step for step in found.plan["steps"] if step.get("tool") == "send_message")
    assert step["needs"] == ["reserve_table"]
