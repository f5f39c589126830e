"""docs/operations.md: what goes wrong has a section, every section says the same five things, and is found from the top."""

import re

import pytest

from shared.machine.status import TERMINAL, Reason, Status
from tests.support.project import ROOT

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf8")
ALERTS = ROOT / "examples/telemetry/alerts.yml"
TOP = PAGE.partition("\n## ")[0]
LABELS = ["Symptom", "See it", "Cause", "Cure", "Cured when"]


def sections() -> dict[str, str]:
    """Of the runbook: title to text."""
    runbook = "".join(re.findall(r"^## Runbook.*?(?=^## (?!Runbook))", PAGE, re.DOTALL | re.MULTILINE))
    return dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", runbook, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("title", sections())
def test_a_section_says_what_is_seen_how_why_and_when_it_is_over(title: str) -> None:
    """And is named at the top; how to see it is something to type or to ask."""
    said = re.findall(r"^- \*\*(.+?)\*\*: (.+?)(?=^- \*\*|\Z)", sections()[title], re.DOTALL | re.MULTILINE)
    assert [label for label, _ in said] == LABELS
    assert "`" in dict(said)["See it"]
    assert f"[{title}](#" in TOP


@pytest.mark.skipif(not ALERTS.exists(), reason="there are no alerts yet")
def test_every_alert_leads_to_a_section() -> None:
    """And no other is named."""
    table = TOP.partition("| an alert")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"alert: (\w+)", ALERTS.read_text(encoding="utf8"))) == sorted(re.findall(r"Intention\w+", table))


def test_whatever_an_execution_may_wait_for_has_its_section() -> None:
    """By the names that `intention get` shows; and so has every status that somebody may not have wanted."""
    table = TOP.partition("| an execution is |")[2]
    asked = {reason.value for reason in Reason if reason} | {*TERMINAL, Status.PAUSED, Status.AWAITING_CONFIRMATION}
    asked -= {Status.COMPENSATED}
    assert [name for name in sorted(asked) if not re.search(rf"\b{name}\b", table)] == []
