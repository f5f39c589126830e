"""Labelled sentences for one user at one moment, and how an answer is judged by its label.

A row is a sentence and either `steps` (tool and arguments of every step, what else it carries, and for a message that confirms:
of which steps), with `cron` and `intent` for a schedule; or `asks`: the fields that have to be asked.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from shared.planner import Clarification, Planned, Profile, plan_text

NOW = datetime(2026, 3, 11, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
"""A Wednesday."""
USER = Profile(
    name="Alex Morgan",
    phone="+14155550100",
    email="alex@example.com",
    home="1 Main Street",
    timezone="Europe/Berlin",
    party_size=2,
    dinner_time="19:00",
    confirm_by="sms",
    contacts={"Ana": "+14155550199", "wife": "+14155550188", "Ben": "ben@example.com"},
    places={"work": "5 Office Park"},
    event_minutes=90,
)
KEPT = ("approve", "may_fail", "when", "join")


@dataclass(frozen=True)
class Row:
    """One sentence and its label."""

    topic: str
    text: str
    label: dict[str, Any]

    @property
    def held_back(self) -> bool:
        """A third, by the sentence alone."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 3 == 0


@dataclass
class Verdict:
    """How one answer compares with its label."""

    row: Row
    outcome: Literal["right", "asked", "wrong"]
    """`asked`: a question, but not (all of) the right one. `wrong`: a plan that should not be."""
    answer: Any
    arguments: Counter[str] = field(default_factory=Counter)
    """How often each argument was labelled."""
    hits: Counter[str] = field(default_factory=Counter)
    """How often it came out as labelled."""


def rows() -> Iterator[Row]:
    """Every sentence."""
    for path in sorted(Path(__file__).parent.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            label = json.loads(line)
            yield Row(topic=path.stem, text=label.pop("text"), label=label)


def answer(row: Row) -> Planned | Clarification:
    """What the planner makes of a sentence."""
    return plan_text(row.text, profile=USER, now=NOW)


def judge(row: Row) -> Verdict:
    """Compare the planner's answer with the label."""
    found = answer(row)
    asks = row.label.get("asks")
    if isinstance(found, Clarification):
        fields = [question.field for question in found.questions]
        right = asks is not None and set(asks) <= set(fields)
        verdict = Verdict(row, "right" if right else "asked", fields)
        verdict.arguments.update({f"question: {name}": 1 for name in asks or ()})
        verdict.hits.update({f"question: {name}": 1 for name in asks or () if name in fields})
        verdict.arguments.update(argument for step in row.label.get("steps", ()) for argument in _arguments(step))
        return verdict
    got = shown(found)
    if asks is not None:
        return Verdict(row, "wrong", got)
    verdict = Verdict(row, "right" if _plain(got) == _plain(row.label) else "wrong", got)
    _compare(verdict, got["steps"])
    return verdict


def shown(found: Planned) -> dict[str, Any]:
    """A plan as a label would have it."""
    confirms = {source.step: source for source in found.sources if source.argument == "text" and source.origin == "step"}
    steps = []
    for step in found.plan["steps"]:
        if "sleep" in step:
            steps.append({"name": step["name"], "until": step["sleep"]["until"]})
            continue
        args = dict(step["args"])
        if step["name"] in confirms:
            args["text"] = {"confirms": confirms[step["name"]].words.split(", ")}
        kept = {name: True if name == "approve" else step[name] for name in KEPT if name in step}
        steps.append({"name": step["name"], "tool": step["tool"], "args": args, **kept})
    repeated = found.schedule
    return {"steps": steps} | ({"cron": repeated.cron, "intent": repeated.text} if repeated else {})


def _plain(label: dict[str, Any]) -> dict[str, Any]:
    """Without the names of steps, whose order is judged by the validator and by tests of their own."""
    steps = sorted(
        json.dumps({key: value for key, value in step.items() if key != "name"}, sort_keys=True) for step in label["steps"]
    )
    return {**label, "steps": steps}


def _arguments(step: dict[str, Any]) -> list[str]:
    if "until" in step:
        return ["until"]
    return [*step["args"], *(name for name in KEPT if name in step)]


def _compare(verdict: Verdict, got: list[dict[str, Any]]) -> None:
    named = {step["name"]: step for step in got}
    for step in verdict.row.label["steps"]:
        other = named.get(step["name"], {})
        for argument in _arguments(step):
            verdict.arguments[argument] += 1
            own = step["args"].get(argument, step.get(argument)) if "args" in step else step[argument]
            its = other.get("args", {}).get(argument, other.get(argument))
            verdict.hits[argument] += own == its
