"""The Planner port over a model and the rules: one call, read, checked by the one validator; beside it what the rules say."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared.machine import plan as plans
from shared.machine.accept import PlanRefused
from shared.machine.plan import Contract, Plan, PlanDraft
from shared.machine.state import Adopted, Advice, Asked, Flawed, Unreachable
from shared.numbers import counted
from shared.planner import plan_text
from shared.planner.llm import answer, failed
from shared.planner.llm.said import Price, Said
from shared.planner.model import Clarification, Profile
from shared.ports import Stopped, Words

PROMPT: Final = files(__package__).joinpath("prompt.md").read_text(encoding="utf-8")
REPLAN: Final = files(__package__).joinpath("replan.md").read_text(encoding="utf-8")
NO_RULES: Final = Asked(questions=({"field": "plan", "question": "The rules make no other plan.", "candidates": []},))
CHARACTERS_A_TOKEN: Final = 4
NO_PRICE: Final = Price()


class Model(Protocol):
    """What answers (`Endpoint`)."""

    async def ask(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], until_s: float) -> Said | Unreachable:
        """One call."""
        ...


class Described(Protocol):
    """A tool as the model is told of it."""

    @property
    def summary(self) -> str:
        """What it does."""
        ...

    @property
    def args(self) -> type[msgspec.Struct]:
        """What it takes."""
        ...


class Tools(Protocol):
    """What there is (`Registry`)."""

    def contracts(self) -> dict[str, Contract]:
        """By name."""
        ...

    def get(self, name: str) -> Described | None:
        """One of them."""
        ...


class ModelPlanner:
    """See `shared.ports.Planner`."""

    def __init__(
        self,
        *,
        model: Model | None,
        tools: Tools,
        accept: Callable[[PlanDraft, str], tuple[Plan, bool]],
        extend: Callable[[Stopped, PlanDraft, str], tuple[Plan, bool]],
        profile_of: Callable[[str, str], Awaitable[Profile | None]],
        price: Price = NO_PRICE,
    ) -> None:
        """`model` None: only the rules plan. `accept` is the one validator, for a tenant, and says whether
        its policies want the plan confirmed: PlanRefused names what is wrong. `extend` is the same for a next version."""
        self._extend = extend
        self._model = model
        self._tools = tools
        self._accept = accept
        self._profile_of = profile_of
        self._price = price

    async def advise(
        self,
        words: Words,
        *,
        tenant: str,
        call: int,
        model: bool,
        until_s: float,
        problems: Sequence[str],
        before: Flawed | None,
        stopped: Stopped | None = None,
    ) -> Advice:
        """See the port."""
        profile = await self._profile_of(tenant, words.user) or Profile()
        if words.timezone:
            profile = msgspec.structs.replace(profile, timezone=words.timezone)
        now = datetime.fromtimestamp(words.at_ms / 1000, UTC)
        instead = self._by_rules(words.text, profile, now, tenant) if stopped is None else NO_RULES
        if self._model is None or not model:
            why = "the model is not asked any more" if self._model else "no model is configured here"
            return Advice(call=call, said=Unreachable(message=why, retryable=False), instead=instead)
        messages = self._messages(words.text, profile, now, problems, before, stopped)
        found = await self._model.ask(messages, answer.schema(self._tools.contracts()), until_s)
        if isinstance(found, Unreachable):
            asked = _asked(messages)
            return Advice(call=call, said=found, tokens=asked, cost_micro=self._price.micro(asked, asked), instead=instead)
        return Advice(
            call=call,
            said=self._read(found, words.text, profile, tenant, stopped),
            tokens=found.tokens,
            cost_micro=self._price.micro(found.tokens, found.asked),
            detail=found.detail,
            instead=instead,
        )

    def _messages(
        self,
        text: str,
        profile: Profile,
        now: datetime,
        problems: Sequence[str],
        before: Flawed | None,
        stopped: Stopped | None,
    ) -> list[dict[str, str]]:
        """The rules, then all that is data in one document; then what was wrong the last time."""
        said: dict[str, Any] = {
            "tools": self._described(),
            "now": _spoken(now, profile.timezone),
            "profile": answer.shown(profile, text),
            "words": text,
        }
        if stopped is not None:
            said |= failed.told(stopped, failed.hidden(profile))
        messages = [
            {"role": "system", "content": REPLAN if stopped else PROMPT},
            {"role": "user", "content": msgspec.json.encode(said, enc_hook=str).decode()},
        ]
        if before is not None and before.answer:
            messages.append({"role": "assistant", "content": before.answer})
        if problems:
            listed = "\n".join(f"- {problem}" for problem in problems)
            messages.append(
                {"role": "user", "content": f"That answer is not accepted. Mend it, and answer with JSON only:\n{listed}"}
            )
        return messages

    def _described(self) -> list[dict[str, Any]]:
        found = []
        for name, contract in sorted(self._tools.contracts().items()):
            tool = self._tools.get(name)
            if tool is not None:
                facts = {"effect": contract.effect, "undo": contract.undo}
                found.append({"name": name, "does": tool.summary, "args": msgspec.json.schema(tool.args), **facts})
        return found

    def _read(self, said: Said, words: str, profile: Profile, tenant: str, stopped: Stopped | None) -> Adopted | Asked | Flawed:
        if said.cut:
            return answer.flawed(["the answer was cut off at its longest: make a shorter plan"], said.text)
        heard = words if stopped is None else failed.said_before(stopped, words, profile)
        found = answer.read(said.text, words=heard, profile=profile)
        if not isinstance(found, answer.Draft):
            return found
        try:
            if stopped is not None:
                return self._extended(stopped, found, said.text, profile, tenant)
            return self._adopted(found.plan, found.summary, found.sources, tenant)
        except PlanRefused as error:
            return answer.flawed([f"{problem.at}: {problem.message}" for problem in error.problems], said.text)

    def _extended(self, stopped: Stopped, found: answer.Draft, text: str, profile: Profile, tenant: str) -> Adopted | Flawed:
        if names := failed.half_hidden(found.plan, failed.hidden(profile)):
            return answer.flawed([f"{name}: a value such as @phone stands for a whole argument" for name in names], text)
        plan, confirm = self._extend(stopped, found.plan, tenant)
        data = plans.encode(plan)
        fields = {"summary": found.summary} if found.summary else {}
        return Adopted(plan=data, hash=plans.hash_of(data), cells="", fields=fields, confirm=confirm)

    def _adopted(self, draft: PlanDraft, summary: str, sources: Any, tenant: str) -> Adopted:
        plan, confirm = self._accept(draft, tenant)
        data = plans.encode(plan)
        fields = {"summary": summary or counted(len(plan.steps), "step"), "sources": msgspec.json.encode(sources).decode()}
        return Adopted(
            plan=data,
            hash=plans.hash_of(data),
            cells=plan.first_cells(),
            fields=fields,
            timeout_ms=plan.timeout_ms or 0,
            confirm=confirm,
        )

    def _by_rules(self, text: str, profile: Profile, now: datetime, tenant: str) -> Adopted | Asked:
        found = plan_text(text, profile=profile, now=now, tools=self._tools.contracts().keys())
        if isinstance(found, Clarification):
            return Asked(questions=tuple(msgspec.to_builtins(found.questions)))
        if found.schedule is not None:  # whoever takes words makes a schedule of these before anything is planned
            return Asked(questions=({"field": "text", "question": "Leave out when it is to be repeated.", "candidates": []},))
        try:
            return self._adopted(msgspec.convert(found.plan, PlanDraft), found.summary, found.sources, tenant)
        except PlanRefused as error:
            return Asked(questions=({"field": "plan", "question": f"This cannot be done here: {error}", "candidates": []},))


def _asked(messages: Sequence[Mapping[str, str]]) -> int:
    """A guess at what a call without an answer has cost."""
    return sum(len(message["content"]) for message in messages) // CHARACTERS_A_TOKEN


def _spoken(now: datetime, timezone: str) -> dict[str, str]:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    local = now.astimezone(zone)
    return {"time": local.isoformat(timespec="minutes"), "weekday": local.strftime("%A"), "timezone": str(zone)}
