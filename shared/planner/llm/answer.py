"""What a model may say, and how it is read. Pure; total over any text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from shared.machine import refs
from shared.machine.plan import Approval, Each, PlanDraft, Sleep, StepDraft, WaitFor
from shared.machine.state import Asked, Flawed
from shared.planner.model import Origin, Profile

LONGEST_ANSWER: Final = 65_536
MOST_STEPS: Final = 30
MOST_QUESTIONS: Final = 10
KEPT: Final = 8_000
"""Characters of a flawed answer that are given back to be mended."""
PROBLEMS: Final = 8


class ModelStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step as a model may write it. It consents to nothing, and sets no limits, retries or time-outs: those are people's."""

    name: str
    tool: str = ""
    args: dict[str, Any] = {}
    needs: tuple[str, ...] = ()
    join: Literal["all", "any"] = "all"
    when: str = ""
    may_fail: bool = False
    approve: Approval | None = None
    sleep: Sleep | None = None
    wait: WaitFor | None = None
    map: Each | None = None


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """Which words gave an argument."""

    step: str
    argument: str
    words: str


class ModelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wants to know."""

    field: str
    question: str
    candidates: tuple[str, ...] = ()


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Steps, or questions."""

    steps: tuple[ModelStep, ...] = ()
    summary: str = ""
    sources: tuple[ModelSource, ...] = ()
    questions: tuple[ModelQuestion, ...] = ()


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that a model wrote; whether it is acceptable is the validator's to say."""

    plan: PlanDraft
    summary: str
    sources: tuple[dict[str, str], ...]


_decoder = msgspec.json.Decoder(ModelAnswer)


def read(text: str, *, words: str, profile: Profile) -> Draft | Asked | Flawed:
    """What a model's text says."""
    if len(text) > LONGEST_ANSWER:
        return Flawed(problems=(f"the answer is longer than {LONGEST_ANSWER} characters",))
    try:
        found = _decoder.decode(_json_in(text))
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        return flawed([f"the answer is not the JSON object that is asked for: {error}"], text)
    if bool(found.steps) == bool(found.questions):
        return flawed(["give either steps or questions, and not both or neither"], text)
    if found.questions:
        return Asked(questions=tuple(_question(one) for one in found.questions[:MOST_QUESTIONS]))
    return _draft(found, text, words, profile)


def flawed(problems: Iterable[str], answer: str) -> Flawed:
    """What is wrong, bounded: it is stored, shown and sent again."""
    some = [problem[:300] for problem in problems]
    return Flawed(problems=tuple(some[:PROBLEMS]), answer=answer[:KEPT])


def _json_in(text: str) -> str:
    """The object in a text: models like to wrap it in a fence, or in a sentence."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _question(asked: ModelQuestion) -> dict[str, Any]:
    candidates = [one[:200] for one in asked.candidates[:20]]
    return {"field": asked.field[:100], "question": asked.question[:500], "candidates": candidates}


def _draft(found: ModelAnswer, text: str, words: str, profile: Profile) -> Draft | Flawed:
    if len(found.steps) > MOST_STEPS:
        return flawed([f"{len(found.steps)} steps, but {MOST_STEPS} are the most"], text)
    try:
        if problems := [*_strange_people(found.steps, words), *_strange_values(found.steps, known(profile, words), words)]:
            return flawed(problems, text)
        steps = tuple(_step(step, known(profile, words)) for step in found.steps)
        return Draft(plan=PlanDraft(steps=steps), summary=found.summary[:500], sources=_sources(found, words, profile))
    except refs.BadReference as error:
        return flawed([f"a reference in the arguments is wrong: {error.reason}"], text)
    except RecursionError:
        return flawed(["the arguments are nested too deep"], text)


def _step(step: ModelStep, values: Mapping[str, str]) -> StepDraft:
    plain = {name: getattr(step, name) for name in step.__struct_fields__ if name not in {"args", "map"}}
    each = msgspec.structs.replace(step.map, over=_filled(step.map.over, values)) if step.map else None
    return StepDraft(**plain, args=_filled(step.args, values), map=each)


# --- what the model is not told


def known(profile: Profile, words: str) -> dict[str, str]:
    """What stands for the values of a profile: the model writes the name, and never sees the value."""
    own = {"@name": profile.name, "@phone": profile.phone, "@email": profile.email, "@home": profile.home}
    others = {name: value for _, name, value in _named(profile, words)}
    return {name: value for name, value in (own | others).items() if value}


def shown(profile: Profile, words: str) -> dict[str, Any]:
    """What the model is told of a person: of contacts and places only those that the words name."""
    told: dict[str, Any] = {name.removeprefix("@"): name for name in ("@name", "@phone", "@email", "@home")}
    told = {field: name for field, name in told.items() if getattr(profile, field)}
    if others := {word: name for word, name, _ in _named(profile, words)}:
        told["named"] = others
    plain = ("party_size", "dinner_time", "confirm_by", "event_minutes")
    return told | {field: value for field in plain if (value := getattr(profile, field))}


def _named(profile: Profile, words: str) -> Iterator[tuple[str, str, str]]:
    """(word, what stands for it, value) of the contacts and places that the words name."""
    folded = words.casefold()
    for kind, values in (("contact", profile.contacts), ("place", profile.places)):
        for number, (word, value) in enumerate(values.items(), 1):
            if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", folded):
                yield word, f"@{kind}_{number}", value


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _literal(values[value]) if value in values else value
        case dict():
            return {name: _filled(item, values) for name, item in value.items()}
        case list():
            return [_filled(item, values) for item in value]
        case _:
            return value


def _literal(value: str) -> str:
    """A profile's text holds no references, whatever it looks like."""
    return value.replace("${", "$${")


def _strange_values(steps: Sequence[ModelStep], values: Mapping[str, str], words: str) -> Iterator[str]:
    """What the profile lacks; and what a person wrote who did not mean the profile, for it would be told to others."""
    for step, text in _texts(steps):
        if text in values and text in words:
            yield f"{step}: {text} stands in the words themselves; ask what is meant"
        if re.fullmatch(r"@[a-z]+(_[0-9]+)?", text) and text not in values:
            yield f"{step}: {text} is not in the profile; ask for it"


# --- people that nobody named

_MAIL = re.compile(r"[^\s@<>,;:\"'()]+@[^\s@<>,;:\"'()]+\.[^\s@<>,;:\"'()]+")
_PHONE = re.compile(r"\+?\d[\d ().-]{5,}\d")


def _strange_people(steps: Sequence[ModelStep], words: str) -> Iterator[str]:
    """Addresses and telephone numbers that are not in the words: a plan reaches nobody whom nobody named."""
    mails, digits = {one.casefold() for one in _MAIL.findall(words)}, re.sub(r"\D", "", words)
    for step, text in _texts(steps):
        for mail in _MAIL.findall(text):
            if mail.casefold().rstrip(".") not in {one.rstrip(".") for one in mails}:
                yield f"{step}: the address {mail[:80]} is not in the words; ask for it"
        for phone in _PHONE.findall(text):
            if not _is_time(phone) and re.sub(r"\D", "", phone) not in digits:
                yield f"{step}: the number {phone[:40]} is not in the words; ask for it"


def _is_time(text: str) -> bool:
    """Dates look like telephone numbers."""
    return re.match(r"\d{4}-\d{2}-\d{2}", text) is not None


def _texts(steps: Sequence[ModelStep]) -> Iterator[tuple[str, str]]:
    for step in steps:
        for text in _leaves([step.args, step.map.over if step.map else None]):
            yield step.name[:64], text


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list() | tuple():
            for item in value:
                yield from _leaves(item)
        case _:
            return


def _sources(found: ModelAnswer, words: str, profile: Profile) -> tuple[dict[str, str], ...]:
    """Where each argument came from, as far as it can be held against the words."""
    said = {(one.step, one.argument): one.words for one in found.sources if one.words and one.words in words}
    values = known(profile, words)
    rows = []
    for step in found.steps:
        for argument, value in step.args.items():
            origin, text = _origin(value, said.get((step.name, argument), ""), values)
            rows.append({"step": step.name, "argument": argument, "origin": origin, "words": text})
    return tuple(rows)


def _origin(value: Any, words: str, values: Mapping[str, str]) -> tuple[Origin, str]:
    if isinstance(value, str) and value in values:
        return "profile", value.removeprefix("@")
    if found := [".".join((ref.step, *ref.path)) for ref in refs.find(value)]:
        return "step", ", ".join(found)
    return ("text", words[:200]) if words else ("model", "")


# --- what is asked of the model


def schema(tools: Iterable[str]) -> dict[str, Any]:
    """The JSON Schema of an answer; a tool's own arguments are checked by the validator, because references stand in them."""
    step = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "tool": {"enum": ["", *sorted(tools)]},
            "args": {"type": "object"},
            "needs": {"type": "array", "items": {"type": "string"}},
            "join": {"enum": ["all", "any"]},
            "when": {"type": "string"},
            "may_fail": {"type": "boolean"},
            **{name: {"type": ["object", "null"]} for name in ("approve", "sleep", "wait", "map")},
        },
        "required": ["name", "args"],
        "additionalProperties": False,
    }
    source = _texts_of("step", "argument", "words")
    question = _texts_of("field", "question")
    question["properties"]["candidates"] = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": step, "maxItems": MOST_STEPS},
            "summary": {"type": "string"},
            "sources": {"type": "array", "items": source},
            "questions": {"type": "array", "items": question, "maxItems": MOST_QUESTIONS},
        },
        "additionalProperties": False,
    }


def _texts_of(*names: str) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "required": list(names), "additionalProperties": False}
