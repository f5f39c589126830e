"""Rules that every plan is held to, whoever wrote it: limits, sequences, spending, and where a person must say yes. Pure.

`read` makes them of a file's text, `Policies.judge` holds an accepted plan against them. What cannot be known before the run
is taken to be against a rule: a plan that was accepted keeps every one of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

import msgspec

from shared.calls import Called, calls_of, spent
from shared.machine.plan import Approval, Plan, Step
from shared.machine.shapes import Problem
from shared.sequences import too_early
from shared.shaped_file import BadFile, shaped

Globs = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Scalar = str | int | float | bool
Kind = Literal["approval", "confirmation"]


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a value may be; everything that is said holds."""

    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[Scalar, ...] | None = None
    matches: str | None = None
    """A regular expression that the whole text matches."""

    def holds(self, value: Any) -> bool:
        """Whether a value is within it. What is of another kind is not."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        low = self.at_least is None or (number and value >= self.at_least)
        high = self.at_most is None or (number and value <= self.at_most)
        known = self.one_of is None or any(type(one) is type(value) and one == value for one in self.one_of)
        text = self.matches is None or (isinstance(value, str) and re.fullmatch(self.matches, value) is not None)
        return low and high and known and text

    @property
    def words(self) -> str:
        """What is wanted, as a message says it."""
        said = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        said += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        said += [f"one of {', '.join(map(str, self.one_of))}"] if self.one_of is not None else []
        return " and ".join(said + ([f"text that matches {self.matches}"] if self.matches is not None else []))


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    tenants: Globs = ("*",)
    message: str = ""
    """What people are told beside the policy's name."""

    def said(self, text: str) -> str:
        """A message that names the policy."""
        return f"policy {self.name}: {text}" + (f" ({self.message})" if self.message else "")


class Limit(_Rule, frozen=True, kw_only=True):
    """How often tools are called in a plan, together, and with what."""

    tools: Globs
    most_calls: Annotated[int, msgspec.Meta(ge=0)] | None = None
    args: dict[str, Bound] = {}


class Forbid(_Rule, frozen=True, kw_only=True):
    """No call of `first` may come before one of `then`; beside it may be before it."""

    first: Globs
    then: Globs


class Spend(_Rule, frozen=True, kw_only=True):
    """What the calls of a plan may cost together, at worst."""

    most: Annotated[int, msgspec.Meta(ge=0)]
    tools: Globs = ("*",)


class Require(_Rule, frozen=True, kw_only=True):
    """Calls that a person says yes to; all conditions that are given must hold. What is not known yet holds."""

    what: Kind
    tools: Globs = ("*",)
    args: dict[str, Bound] = {}
    standing: bool = False
    """Only what cannot be undone."""
    cost_over: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Only what may cost more than this, of one step."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Where a policy asks for a person."""

    policy: str
    kind: Kind
    at: str
    message: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A plan held against the policies."""

    plan: Plan
    """With the approvals that they ask for."""
    problems: tuple[Problem, ...] = ()
    """Why it is refused."""
    marks: tuple[Mark, ...] = ()

    @property
    def confirmations(self) -> list[Mark]:
        """Why nothing may start before the whole plan is confirmed; empty if it may."""
        return [mark for mark in self.marks if mark.kind == "confirmation"]


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of an installation."""

    limit: tuple[Limit, ...] = ()
    forbid: tuple[Forbid, ...] = ()
    spend: tuple[Spend, ...] = ()
    require: tuple[Require, ...] = ()

    def judge(self, plan: Plan, tenant: str) -> Verdict:
        """What they say of an accepted plan."""
        own = self.of(tenant)
        calls = [*calls_of(plan)] if own.rules else []
        problems = [*_refusals(own, calls)]
        asked, marks = _asked(own, calls)
        problems += [problem for call, rule in asked for problem in _no_place(call, rule)]
        if problems:
            return Verdict(plan=plan, problems=tuple(problems), marks=marks)
        by_path: dict[tuple[str, ...], list[Require]] = {}
        for call, rule in asked:
            by_path.setdefault(call.path, []).append(rule)
        return Verdict(plan=_approved(plan, by_path), marks=marks)

    def of(self, tenant: str) -> "Policies":
        """Those that are about a tenant."""
        return Policies(
            limit=tuple(one for one in self.limit if _any(one.tenants, tenant)),
            forbid=tuple(one for one in self.forbid if _any(one.tenants, tenant)),
            spend=tuple(one for one in self.spend if _any(one.tenants, tenant)),
            require=tuple(one for one in self.require if _any(one.tenants, tenant)),
        )

    def sent(self, tenant: str, tool: str, args: Mapping[str, Any], at: str) -> Iterator[Problem]:
        """What is wrong with arguments that a person gives in place of a plan's."""
        for rule in self.of(tenant).limit:
            if _any(rule.tools, tool):
                for name in rule.args.keys() & args.keys():
                    yield from _bound_problems(rule, name, [args[name]], f"{at}.{name}")

    @property
    def rules(self) -> tuple[Limit | Forbid | Spend | Require, ...]:
        """All of them."""
        return (*self.limit, *self.forbid, *self.spend, *self.require)


NO_POLICIES: Final = Policies()
_A: Final = {"approval": "an approval", "confirmation": "a confirmation of the plan"}


def _any(globs: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


# what is refused


def _refusals(own: Policies, calls: Sequence[Called]) -> Iterator[Problem]:
    for limit in own.limit:
        yield from _limit_problems(limit, [call for call in calls if _any(limit.tools, call.tool)])
    for forbid in own.forbid:
        yield from _sequence_problems(forbid, calls)
    for spend in own.spend:
        yield from _spend_problems(spend, [call for call in calls if _any(spend.tools, call.tool)])


def _limit_problems(rule: Limit, calls: Sequence[Called]) -> Iterator[Problem]:
    total = 0
    for call in calls if rule.most_calls is not None else ():
        if call.count is None:
            text = "how many items this map has is not known before it runs; give the list, or calls in steps of their own"
            yield Problem(f"{call.at}.map.over", rule.said(text))
        total += call.count or 0
        if total > (rule.most_calls or 0):
            text = (
                f"{rule.most_calls} calls of {', '.join(rule.tools)} at most in a plan; leave this one out, or make two plans"
            )
            yield Problem(call.at, rule.said(text))
            break
    for call in calls:
        for name in rule.args:
            yield from _bound_problems(rule, name, call.values(name), f"{call.args_at}.{name}")


def _bound_problems(rule: Limit, name: str, values: Sequence[Any] | None, at: str) -> Iterator[Problem]:
    bound = rule.args[name]
    if values is None:
        yield Problem(at, rule.said(f"write the value and no reference: it must be {bound.words}, also before the plan runs"))
        return
    wrong = next((value for value in values if not bound.holds(value)), None)
    if any(not bound.holds(value) for value in values):
        shown = msgspec.json.encode(wrong).decode()[:80]
        yield Problem(at, rule.said(f"{shown} is not allowed; it must be {bound.words}"))


def _sequence_problems(rule: Forbid, calls: Sequence[Called]) -> Iterator[Problem]:
    """Each call that may come too early, with one that it may come before."""
    firsts = [call for call in calls if _any(rule.first, call.tool)]
    thens = [call for call in calls if _any(rule.then, call.tool)]
    for first, late in too_early(firsts, thens):
        text = f"{first.tool} may not come before {late.tool}, and {first.path[-1]} may come before {late.path[-1]}; "
        yield Problem(first.at, rule.said(text + _remedy(first, late)))


def _remedy(first: Called, late: Called) -> str:
    if first.undo or late.undo:
        return "let another tool undo it, or none"
    return "leave one of them out" if first.path == late.path else f"let it need {late.path[-1]}, or leave one of them out"


def _spend_problems(rule: Spend, calls: Sequence[Called]) -> Iterator[Problem]:
    worst = spent(calls).worst
    if worst is None:
        call = next(call for call in calls if call.count is None and call.each)
        text = "what it costs is not known before it runs; give the list, or calls in steps of their own"
        yield Problem(f"{call.at}.map.over", rule.said(text))
    elif worst > rule.most:
        text = f"the calls may cost {worst}, and {rule.most} is the most for a plan; leave calls out, or give fewer attempts"
        yield Problem("plan.steps", rule.said(text))


# who must say yes


def _asked(own: Policies, calls: Sequence[Called]) -> tuple[list[tuple[Called, Require]], tuple[Mark, ...]]:
    """Calls that need an approval, with what asks for it, and every place where a person is asked for."""
    asked: list[tuple[Called, Require]] = []
    marks: list[Mark] = []
    for call in calls:
        for rule in own.require:
            if _meant(rule, call):
                text = rule.said(f"{call.path[-1]} ({call.tool}) needs {_A[rule.what]}")
                marks.append(Mark(policy=rule.name, kind=rule.what, at=call.at, message=text))
                if rule.what == "approval":
                    asked.append((call, rule))
    return asked, tuple(marks)


def _meant(rule: Require, call: Called) -> bool:
    if not _any(rule.tools, call.tool) or (rule.standing and not call.stands):
        return False
    if rule.cost_over is not None and call.count is not None and call.each * call.count <= rule.cost_over:
        return False
    return all(_may_be(bound, call.values(name)) for name, bound in rule.args.items())


def _may_be(bound: Bound, values: Sequence[Any] | None) -> bool:
    return values is None or any(bound.holds(value) for value in values)


def _no_place(call: Called, rule: Require) -> Iterator[Problem]:
    """A map and an undo cannot be asked about one by one."""
    if call.undo:
        text = f"{call.tool} needs an approval, and an undo waits for nobody; let another tool undo it"
        yield Problem(f"{call.at}.undo.tool", rule.said(text))
    elif call.step.map:
        text = f"{call.tool} needs an approval, and the items of a map have none; make each call a step of its own"
        yield Problem(f"{call.at}.map", rule.said(text))


def _approved(plan: Plan, asked: Mapping[tuple[str, ...], Sequence[Require]], path: tuple[str, ...] = ()) -> Plan:
    if not asked:
        return plan
    return msgspec.structs.replace(plan, steps=tuple(_asking(step, asked, (*path, step.name)) for step in plan.steps))


def _asking(step: Step, asked: Mapping[tuple[str, ...], Sequence[Require]], path: tuple[str, ...]) -> Step:
    if step.child:
        return msgspec.structs.replace(step, child=_approved(step.child, asked, path))
    if path not in asked:
        return step
    own = step.approve or Approval()
    said = [own.message] if own.message else []
    words = [rule.said("asks for this approval") for rule in asked[path]]
    if step.message_refs:
        words = [text.replace("${", "$${") for text in words]  # theirs hold no references, whatever they look like
    said += [text for text in words if text not in own.message]
    return msgspec.structs.replace(step, approve=msgspec.structs.replace(own, message="; ".join(said)))


# the file


def read(text: str, *, is_json: bool) -> Policies:
    """The policies of a file's text. BadFile names the place and what to write."""
    found = shaped(text, Policies, is_json=is_json)
    for problem in _file_problems(found):
        raise BadFile(problem)
    return found


def _file_problems(found: Policies) -> Iterator[str]:
    seen: set[str] = set()
    for at, rule in _placed(found):
        if rule.name in seen:
            yield f"{at}.name: {rule.name} is the name of another policy, too"
        seen.add(rule.name)
        if isinstance(rule, Limit) and rule.most_calls is None and not rule.args:
            yield f"{at}: it limits nothing: give most_calls, or args with bounds"
        for name, bound in rule.args.items() if isinstance(rule, Limit | Require) else ():
            yield from _bound_faults(bound, f"{at}.args.{name}")


def _placed(found: Policies) -> Iterator[tuple[str, Limit | Forbid | Spend | Require]]:
    for kind in found.__struct_fields__:
        for number, rule in enumerate(getattr(found, kind)):
            yield f"{kind}[{number}] ({rule.name})", rule


def _bound_faults(bound: Bound, at: str) -> Iterator[str]:
    if bound == Bound():
        yield f"{at}: give at_least, at_most, one_of or matches"
    if bound.at_least is not None and bound.at_most is not None and bound.at_least > bound.at_most:
        yield f"{at}: nothing is at least {bound.at_least:g} and at most {bound.at_most:g}"
    if bound.matches is not None:
        try:
            re.compile(bound.matches)
        except re.error as error:
            yield f"{at}.matches: {error}"


def misnamed(found: Policies, takes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the policies name and no tool has; `takes`: the arguments of each tool, by its name."""
    for at, rule in _placed(found):
        for field in ("tools", "first", "then"):
            for glob in getattr(rule, field, ()):
                if not any(fnmatchcase(name, glob) for name in takes):
                    yield f"{at}.{field}: no tool is called {glob!r}; there are: {', '.join(sorted(takes))}"
        if isinstance(rule, Limit | Require):
            known = {name for tool, names in takes.items() if _any(rule.tools, tool) for name in names}
            for name in rule.args.keys() - known:
                yield f"{at}.args: none of its tools takes {name!r}; they take: {', '.join(sorted(known)) or 'nothing'}"
