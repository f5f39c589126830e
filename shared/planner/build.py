"""From complete requests to a plan: steps, the references between them, a source for every argument, and a sentence about it.

References are made here and nowhere else. Words of the user arrive free of them, so none can be written by a user.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias

from shared.planner import lexicon, moments
from shared.planner.consent import consent
from shared.planner.known import Done, Known, Lean, Sent, Value
from shared.planner.model import Planned, Source
from shared.planner.moments import Clock, Moment

_REFERENCE: Final = re.compile(r"\$\{([a-z0-9_]+)[.}]")
Node: TypeAlias = Done | Sent


def build(done: Sequence[Done], sent: Sequence[Sent], clock: Clock, final: Collection[str] = ()) -> Planned:
    """The plan of complete requests, each after what it leans on.

    `final`: tools whose effects cannot be undone. Their messages come after all that the words do not put behind them.
    """
    plan = _Plan(clock, final)
    for node in _ordered([*done, *sent], final):
        if isinstance(node, Done):
            plan.add_request(node)
        else:
            plan.add_message(node)
    consent(plan.steps, final)
    summary = "; ".join(plan.sentences)
    return Planned(plan={"steps": plan.steps}, sources=tuple(plan.sources), summary=summary[:1].upper() + summary[1:] + ".")


# -- order -----------------------------------------------------------------------------------------------------------------


def _ordered(nodes: list[Node], final: Collection[str]) -> list[Node]:
    """By phase and place in the text, but never before what it leans on, and after what it was said to follow where it can."""
    needs = {at: {other for other, found in enumerate(nodes) if _leans(node, found)} for at, node in enumerate(nodes)}
    for at, node in enumerate(nodes):
        for other, found in enumerate(nodes):
            if node.after is not None and found.number == node.after and at not in _before(other, needs):
                needs[at].add(other)
    for at, node in enumerate(nodes):
        if isinstance(node, Sent) and _tool_of(node) in final:
            needs[at] |= {
                other for other, found in enumerate(nodes) if isinstance(found, Done) and at not in _before(other, needs)
            }
    order: list[Node] = []
    placed: set[int] = set()
    while len(placed) < len(nodes):
        free = [at for at in range(len(nodes)) if at not in placed and needs[at] <= placed]
        first = min(free, key=lambda at: (nodes[at].domain.phase, nodes[at].number, at))
        placed.add(first)
        order.append(nodes[first])
    return order


def _tool_of(sent: Sent) -> str:
    return sent.domain.steps[0].tool


def _leans(node: Node, other: Node) -> bool:
    if isinstance(other, Sent) or node is other:
        return False
    if isinstance(node, Sent):
        if node.about is not None:
            return node.about == other.number
        return node.body is None or other.number < node.number
    return any(isinstance(value, Lean) and value.on == other.number for value in node.values.values())


def _before(at: int, needs: dict[int, set[int]]) -> set[int]:
    """Everything that comes before a node, and the node itself."""
    found, left = {at}, [at]
    while left:
        fresh = needs[left.pop()] - found
        found |= fresh
        left.extend(fresh)
    return found


# -- steps -----------------------------------------------------------------------------------------------------------------


class _Steps:
    """The steps of one request, as `{step:tool.path}` of its row finds them."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def __format__(self, path: str) -> str:
        return self.reference(path)

    def reference(self, path: str) -> str:
        """`tool.path` of the row as a reference of the plan."""
        tool, dot, rest = path.partition(".")
        return f"${{{self.names[tool]}{dot}{rest}}}"

    @property
    def last(self) -> str:
        """What the request comes to."""
        return list(self.names.values())[-1]


class _Branch:
    """A request that was added, or what it is instead."""

    def __init__(self, done: Done, steps: _Steps, said: str) -> None:
        self.done, self.steps, self.said = done, steps, said


class _Plan:
    """The steps of one plan while they are added; a step may only lean on those before it."""

    def __init__(self, clock: Clock, final: Collection[str]) -> None:
        self.clock = clock
        self.final = final
        self.steps: list[dict[str, Any]] = []
        self.sources: list[Source] = []
        self.sentences: list[str] = []
        self.branches: dict[int, list[_Branch]] = {}
        self.last: dict[int, list[str]] = {}
        """By the number of what was said: the steps it comes to."""

    # -- requests --

    def add_request(self, done: Done) -> None:
        """A request and what it is instead, with the sentences about them."""
        if done.variant is None:
            self.branches[done.number] = [self._branch(done, {})]
        else:
            first = self._branch(done, {"may_fail": True})
            last = first.steps.last
            second = self._branch(done.variant, {"when": f"failed({last}) or skipped({last})"})
            self.branches[done.number] = [first, second]
        self.last[done.number] = [branch.steps.last for branch in self.branches[done.number]]
        sentences = [self._sentence(branch.done) for branch in self.branches[done.number]]
        approved = bool(done.request.approve)
        self.sentences.append(lexicon.SUMMARY_APPROVAL.format(sentence=sentences[0]) if approved else sentences[0])
        self.sentences.extend(lexicon.SUMMARY_ALTERNATIVE.format(sentence=sentence) for sentence in sentences[1:])

    def _branch(self, done: Done, extra: dict[str, Any]) -> _Branch:
        names: dict[str, str] = {}
        steps = _Steps(names)
        shapes = done.domain.steps
        for number, shape in enumerate(shapes):
            args = {argument: known for argument, source in shape.args if (known := self._argument(done, steps, source))}
            own = dict(extra) if number == 0 or "may_fail" in extra else {}
            if done.request.approve and number == len(shapes) - 1:
                own["approve"] = {"message": self._sentence(done)[:200]}
            names[shape.tool] = self.add(shape.tool, args, needs=self._needs(done) if number == 0 else (), extra=own)
        return _Branch(done, steps, self._told(done, steps))

    def _needs(self, done: Done) -> list[str]:
        """What it leans on without a reference, and what it was said to follow."""
        leaned = [self.branches[value.on][0].steps.last for value in done.values.values() if isinstance(value, Lean)]
        return [*leaned, *(self.last.get(done.after, []) if done.after is not None else [])]

    def _argument(self, done: Done, steps: _Steps, source: str) -> Known[Any] | None:
        if source.startswith("step:"):
            path = source.removeprefix("step:")
            reference = steps.reference(path)
            return Known(value=reference, origin="step", words=reference[2:-1])
        value = done.values.get(source)
        return self._known(value) if value is not None else None

    def _known(self, value: Value) -> Known[Any]:
        if isinstance(value, Known):
            return value
        branch = self.branches[value.on][0]
        if value.path:
            reference = branch.steps.reference(value.path)
            return Known(value=reference, origin="step", words=reference[2:-1])
        text = value.template.format(step=branch.steps, **self._plain(branch.done))
        return Known(value=text, origin="step", words=branch.steps.last)

    def _plain(self, done: Done) -> dict[str, Any]:
        return {name: self._known(value).value for name, value in done.values.items()}

    def _told(self, done: Done, steps: _Steps) -> str:
        return done.domain.confirmation.format(step=steps, **self._plain(done)) if done.domain.confirmation else ""

    def _sentence(self, done: Done) -> str:
        shown = {name: value.value if isinstance(value, Known) else value.words for name, value in done.values.items()}
        optional = [name for name, detail in _optional(done) if name in done.values]
        shown["wishes"] = "".join(f", {name} {shown[name]}" for name in optional)
        if done.moment is not None:
            shown["moment"] = moments.spoken(done.moment.local)
            shown["day"] = moments.spoken_day(done.moment.local.date())
        return done.domain.summary.format(**shown)

    # -- messages --

    def add_message(self, sent: Sent) -> None:
        """It waits for what was said before it; without words of its own it tells of that (or, said first, of all)."""
        told = self._told_of(sent)
        waits = [step for branches in told for branch in branches for step in [branch.steps.last]]
        follows = [step for step in (self.last.get(sent.after, []) if sent.after is not None else []) if step not in waits]
        alternatives = any(len(branches) > 1 for branches in told)
        rest = [branches for branches in self.branches.values() if branches not in told] if _tool_of(sent) in self.final else []
        if sent.body is not None:
            waits, told = [step.steps.last for branches in [*told, *rest] for step in branches], [*told, *rest]
            alternatives = any(len(branches) > 1 for branches in told)
            text = Known[str](value=sent.body, origin="text", words=sent.body)
            self._post(sent, text, [*waits, *follows], joined=len(told) if alternatives else 0)
        else:
            for branches in _worlds(told):
                said = " ".join(branch.said for branch in branches)
                steps = [branch.steps.last for branch in branches]
                text = Known[str](value=said, origin="step", words=", ".join(steps))
                self._post(sent, text, [*steps, *follows, *self._others(sent, steps)], joined=0)
        sentence = sent.domain.summary if sent.body is not None or sent.moment else lexicon.SUMMARY_CONFIRMATION
        sentence = sentence.format(channel=sent.channel.value, to=sent.to.value)
        if sent.moment is not None:
            sentence = lexicon.SUMMARY_LATER.format(sentence=sentence, moment=moments.spoken(sent.moment.local))
        asked_first = sent.letter is not None and sent.letter.approve
        self.sentences.append(lexicon.SUMMARY_APPROVAL.format(sentence=sentence) if asked_first else sentence)

    def _others(self, sent: Sent, steps: Collection[str]) -> list[str]:
        """What else was requested by then, if what is sent stands: also what did not come about is over by then."""
        if _tool_of(sent) not in self.final:
            return []
        lasts = [branch.steps.last for branches in self.branches.values() for branch in branches]
        return [last for last in lasts if last not in steps]

    def _told_of(self, sent: Sent) -> list[list[_Branch]]:
        """The requests it waits for."""
        if sent.about is not None:
            return [self.branches[sent.about]] if sent.about in self.branches else []
        before = [branches for number, branches in self.branches.items() if number < sent.number]
        if sent.body is not None:
            return before
        return _worth_telling(before) or _worth_telling(list(self.branches.values()))

    def _post(self, sent: Sent, text: Known[str], needs: Sequence[str], *, joined: int) -> None:
        extra: dict[str, Any] = {"join": joined} if joined and needs else {}
        if sent.moment is not None:
            needs, extra = [self._sleep(sent.moment, text, needs, extra)], {}
        if sent.letter is not None and sent.letter.approve:
            extra["approve"] = {"message": sent.domain.summary.format(channel=sent.channel.value, to=sent.to.value)[:200]}
        args: dict[str, Known[Any]] = {"to": sent.to, "channel": sent.channel, "text": text}
        name = self.add(sent.domain.steps[0].tool, args, needs=needs, extra=extra)
        self.last.setdefault(sent.number, []).append(name)

    def _sleep(self, moment: Moment, text: Known[str], needs: Sequence[str], extra: dict[str, Any]) -> str:
        """Let time pass until a moment, after what the message tells of."""
        until = self.clock.instant(moment.local).astimezone(self.clock.zone).isoformat(timespec="seconds")
        words = " ".join(dict.fromkeys([moment.date_words, moment.time_words]))
        name = self._name(lexicon.STEP_SLEEP)
        named = _REFERENCE.findall(text.value)
        self.steps.append({"name": name, "sleep": {"until": until}, "needs": list(dict.fromkeys([*needs, *named])), **extra})
        self.sources.append(Source(step=name, argument="until", origin=moment.time_origin, words=words))
        return name

    # -- one step --

    def add(
        self, tool: str, args: dict[str, Known[Any]], *, needs: Iterable[str] = (), extra: dict[str, Any] | None = None
    ) -> str:
        """Add a call; it needs what it refers to and what it is told to wait for. Returns its name."""
        name = self._name(tool)
        values = {argument: known.value for argument, known in args.items()}
        named = [step for value in values.values() if isinstance(value, str) for step in _REFERENCE.findall(value)]
        needed = list(dict.fromkeys([*needs, *named]))
        self.steps.append({"name": name, "tool": tool, "args": values, "needs": needed, **(extra or {})})
        self.sources.extend(
            Source(step=name, argument=argument, origin=known.origin, words=known.words) for argument, known in args.items()
        )
        return name

    def _name(self, tool: str) -> str:
        """The tool's own name; the second time with a number."""
        earlier = sum(step.get("tool", lexicon.STEP_SLEEP) == tool for step in self.steps)
        return f"{tool}_{earlier + 1}" if earlier else tool


def _optional(done: Done) -> list[tuple[str, Any]]:
    """The details that need not be said, in the order of the arguments."""
    details = {
        detail.name: detail for detail in done.domain.details if not detail.ask and not detail.profile and not detail.default
    }
    named = [argument for argument, _ in done.domain.steps[0].args] if done.domain.steps else []
    return [(name, details[name]) for name in named if name in details]


def _worth_telling(told: list[list[_Branch]]) -> list[list[_Branch]]:
    """What was booked; only where nothing was, what was looked up or entered."""
    said = [branches for branches in told if branches[0].said]
    return [branches for branches in said if branches[0].done.domain.booking] or said


def _worlds(told: list[list[_Branch]]) -> list[list[_Branch]]:
    """One message for each way it can come; those of ways that did not come are skipped, because they refer to nothing."""
    worlds: list[list[_Branch]] = [[]]
    for branches in told:
        worlds = [[*world, branch] for world in worlds for branch in branches]
    return worlds
