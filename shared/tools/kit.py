"""Whether a tool keeps what its effect class promises: for its author, before an execution relies on it.

Every point is tried under fresh keys and through the engine's own runner, so an answer means here what it means in a segment.
A tool that takes a call over, to call back later, counts as having done it: a second call with the key must not do it again.
The calls are real: they have effects where the tool has, and what can be undone is undone afterwards.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from shared.machine.decision import Start
from shared.machine.events import Accepted, Done, Outcome, Refused
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.machine.state import Intent
from shared.tools.registry import Call, Registry, Runner, Tool

Verdict = Literal["kept", "broken", "unclear", "not promised"]
Standing = Callable[[str], Awaitable[int]]
"""How many effects of a key stand in the world now: what makes a second effect visible behind a right answer."""

AT_ONCE: Final = 4
MOST_ARGUMENTS: Final = 10
"""Of the sample, that are changed one after the other: each costs a few calls."""
HASTE_S: Final = 0.001
"""No time to ask anybody: whoever is given it cannot know."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one point came to."""

    point: str
    verdict: Verdict
    message: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A tool, and arguments with which it has its effect every time."""

    registry: Registry
    name: str
    args: Mapping[str, Any]
    other_args: Mapping[str, Any] | None = None
    """Different arguments that would be done as well; what they leave as it is has other values derived from `args`."""
    standing: Standing | None = None

    @property
    def tool(self) -> Tool:
        """The registered tool; KeyError if there is none of that name."""
        if (tool := self.registry.get(self.name)) is None:
            raise KeyError(f"there is no tool {self.name}")
        return tool


class Broken(AssertionError):
    """A point is not kept, or could not be tried."""


class _Lie(Exception):
    """The tool does not do what it promises."""


class _Unclear(Exception):
    """The point could not be tried."""


def points(registry: Registry, name: str) -> list[str]:
    """What the tool promises by its effect class, its undo and its probe: names for `demand`, in order."""
    tool = Sample(registry=registry, name=name, args={}).tool
    return [point for point, (applies, _) in _POINTS.items() if applies(tool)]


async def check(sample: Sample) -> list[Finding]:
    """Try every point, one after the other; what is not promised is said once."""
    found = [await check_point(sample, point) for point in points(sample.registry, sample.name)]
    if not found:
        message = f"{sample.tool.contract.effect.value}, without undo: it promises nothing, and a doubt is left to a person"
        found.append(Finding(point="nothing", verdict="not promised", message=message))
    return found


async def check_point(sample: Sample, point: str) -> Finding:
    """Try one point; `point` is one of `points`."""
    _, attempt = _POINTS[point]
    trial = _Trial(sample)
    try:
        said = await attempt(trial)
    except _Lie as error:
        return Finding(point=point, verdict="broken", message=str(error))
    except _Unclear as error:
        return Finding(point=point, verdict="unclear", message=str(error))
    finally:
        await trial.clean()
    return Finding(
        point=point, verdict="kept", message=said + ("" if trial.counted else "; by its answers: nobody counts effects")
    )


async def demand(sample: Sample, point: str) -> None:
    """For a test: Broken unless the point is kept."""
    finding = await check_point(sample, point)
    if finding.verdict != "kept":
        raise Broken(f"{sample.name}, {point}, {finding.verdict}: {finding.message}")


class _Trial:
    """One point's calls, under keys of its own."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._runner = Runner(sample.registry)
        self._keys: list[str] = []
        self.tool = sample.tool
        self.names = _in_turn(sample.args, sample.other_args or {})
        self.counted = sample.standing is not None

    def key(self) -> str:
        """A key that nobody has used."""
        self._keys.append(f"kit.{secrets.token_hex(12)}")
        return self._keys[-1]

    async def do(self, key: str, args: Mapping[str, Any] | None = None) -> Outcome:
        """The effect."""
        return await self._run(self._start(key, self._sample.args if args is None else args))

    async def done(self, key: str) -> Any:
        """The output of a first call, which has to succeed for anything else to be seen."""
        return _output(await self.do(key))

    async def undo(self, key: str) -> Outcome:
        """Take it back."""
        return await self._run(self._start(f"{key}.undo", {}, undo=True))

    async def undone(self, key: str) -> None:
        """An undo always succeeds: whatever the key was, nothing of it stands afterwards."""
        if not isinstance(outcome := await self.undo(key), Done):
            raise _Lie(f"an undo has to succeed for any key, at any time; this one came to {_said(outcome)}")

    async def probe(self, key: str) -> Outcome:
        """Ask what became of it."""
        return await self._run(self._start(key, {}, probe=True))

    async def hasty_probe(self, key: str) -> Outcome:
        """Ask without giving time to find out; the time-out is the tool's, not the runner's."""
        return await Runner(_hasty(self.tool)).run(self._start(key, {}, probe=True), self._deadline_s)

    async def stands(self, key: str, expected: int, when: str) -> None:
        """So many effects of the key, if anybody counts them."""
        if self._sample.standing is not None and (found := await self._sample.standing(key)) != expected:
            raise _Lie(f"{when}, {found} effects of its key stand instead of {expected}")

    async def others(self) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
        """(argument, all arguments with another value of it) for each in turn; None where no other value is done.

        They are done under a key of their own: a refusal under a taken one is then about the key.
        """
        args, given = self._sample.args, self._sample.other_args
        for name in self.names[:MOST_ARGUMENTS]:
            yield name, await self._first_done(_derived(self.tool, args, name, given or {}))
        if given is not None and given != args:
            yield "all of other_args", await self._first_done(iter([given]))

    async def _first_done(self, candidates: Iterator[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        found = None
        for candidate in candidates:
            if isinstance(await self.do(self.key(), candidate), Done | Accepted):
                found = candidate
                break
        await self.clean()
        return found

    async def clean(self) -> None:
        """Take back what may stand. Nothing is concluded from it."""
        while self._keys:
            key = self._keys.pop(0)
            if self.tool.undo is not None:
                await self.undo(key)

    @property
    def _deadline_s(self) -> float:
        return self.tool.contract.timeout_ms / 1000

    async def _run(self, start: Start) -> Outcome:
        return await self._runner.run(start, self._deadline_s)

    def _start(self, key: str, args: Mapping[str, Any], *, undo: bool = False, probe: bool = False) -> Start:
        intent = Intent(
            attempt=1, key=key, args=dict(args), args_hash="", at_ms=0, sent_by_ms=0, settle_at_ms=0, probe=probe
        )  # fmt: skip
        return Start(
            cell=0, step="kit", tool=self.tool.name, intent=intent, timeout_ms=self.tool.contract.timeout_ms, undo=undo
        )


# what is tried


async def _changes_nothing(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    if not trial.counted:
        raise _Unclear("a pure tool has no effect, and nobody counts effects here")
    await trial.stands(key, 0, "after a call of a pure tool")
    return "a call leaves nothing behind"


async def _twice(trial: _Trial) -> str:
    key = trial.key()
    first = await trial.done(key)
    _same(first, await trial.do(key), "called again with its key")
    await trial.stands(key, 1, "called twice")
    return "called twice, it did it once and gave the same answer"


async def _at_once(trial: _Trial) -> str:
    key = trial.key()
    outcomes = await asyncio.gather(*(trial.do(key) for _ in range(AT_ONCE)))
    settled = await trial.do(key)
    answer = _output(settled)
    for outcome in outcomes:
        if isinstance(outcome, Done | Accepted):
            _same(answer, outcome, f"called {AT_ONCE} times at once")
        elif isinstance(outcome, Refused) and not outcome.retryable:
            raise _Lie(
                f"called {AT_ONCE} times at once, it did it, and told one caller for good that it did not: {_said(outcome)}"
            )
    await trial.stands(key, 1, f"called {AT_ONCE} times at once")
    return f"called {AT_ONCE} times at once, it did it once"


async def _other_body(trial: _Trial) -> str:
    refused: list[str] = []
    done: list[str] = []
    untried: list[str] = []
    async for name, other in trial.others():
        if other is None:
            untried.append(name)
            continue
        (done if await _takes(trial, name, other) else refused).append(name)
        await trial.clean()
    if done:
        raise _Lie(f"called with another {' or '.join(done)} under a key that is taken, it says done instead of refusing")
    if not refused or "all of other_args" in untried:
        raise _Unclear("no other arguments were found that it does: give some")
    said = f"under a key that is taken, another value is refused of {', '.join(refused)}"
    said += f"; not tried, because no other value was done: {', '.join(untried)}" if untried else ""
    return said + (f"; {MOST_ARGUMENTS} were tried at most" if len(trial.names) > MOST_ARGUMENTS else "")


async def _takes(trial: _Trial, name: str, other: Mapping[str, Any]) -> bool:
    """Whether a taken key, which stands for one effect, is answered with success for other arguments."""
    key = trial.key()
    await trial.done(key)
    outcome = await trial.do(key, other)
    if isinstance(outcome, Done | Accepted):
        return True
    _for_good(outcome, f"another {name} under a key that is taken")
    await trial.stands(key, 1, f"after another {name} under its key")
    return False


async def _undo(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    await trial.undone(key)
    await trial.stands(key, 0, "after the undo")
    return "after the undo nothing stands"


async def _undo_twice(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    await trial.undone(key)
    await trial.undone(key)
    await trial.stands(key, 0, "undone twice")
    return "undone twice, it was taken back once"


async def _undo_unknown(trial: _Trial) -> str:
    key = trial.key()
    await trial.undone(key)
    await trial.stands(key, 0, "after the undo of a key that was never used")
    return "the undo of a key that was never used succeeds"


async def _undo_first(trial: _Trial) -> str:
    key = trial.key()
    await trial.undone(key)
    await _refuses(trial, key, "a call that arrives after its undo")
    return "a call that arrives after its undo is refused"


async def _do_after_undo(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    await trial.undone(key)
    await _refuses(trial, key, "a call that is repeated after its undo")
    return "a call that is repeated after its undo is refused"


async def _undo_at_once(trial: _Trial) -> str:
    key = trial.key()
    _, undone = await asyncio.gather(trial.do(key), trial.undo(key))
    if not isinstance(undone, Done):
        raise _Lie(f"an undo beside its call has to succeed; this one came to {_said(undone)}")
    await _refuses(trial, key, "a call after an undo that ran beside the first one")
    return "call and undo at once: nothing stands, whoever comes first"


async def _probe_before(trial: _Trial) -> str:
    key = trial.key()
    outcome = await trial.probe(key)
    if isinstance(outcome, Done):
        raise _Lie("asked about a key that was never used, it says that it happened")
    if not _is_never(outcome):
        raise _Unclear(f"asked about a key that was never used, it cannot tell: {_said(outcome)}")
    await trial.stands(key, 0, "after a question")
    return "asked about a key that was never used, it says never"


async def _probe_after(trial: _Trial) -> str:
    key = trial.key()
    answer = await trial.done(key)
    outcome = await trial.probe(key)
    if _is_never(outcome):
        raise _Lie("asked about what it did, it says that it never happened: the engine would do it again")
    if not isinstance(outcome, Done):
        raise _Unclear(f"asked about what it did, it cannot tell: {_said(outcome)}")
    _same(answer, outcome, "asked about what it did")
    await trial.stands(key, 1, "after a question")
    return "asked about what it did, it gives the answer of then"


async def _probe_undone(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    await trial.undone(key)
    if isinstance(await trial.probe(key), Done):
        raise _Lie("asked about what was taken back, it says that it happened")
    return "asked about what was taken back, it does not say that it happened"


async def _probe_in_haste(trial: _Trial) -> str:
    key = trial.key()
    await trial.done(key)
    if _is_never(outcome := await trial.hasty_probe(key)):
        raise _Lie(f"with no time to find out it says never of what it did, instead of not answering: {_said(outcome)}")
    return "with no time to find out it does not say never"


async def _refuses(trial: _Trial, key: str, what: str) -> None:
    outcome = await trial.do(key)
    if isinstance(outcome, Done | Accepted):
        raise _Lie(f"{what} is done instead of refused: its effect would be left standing")
    _for_good(outcome, what)
    await trial.stands(key, 0, f"after {what}")


def _for_good(outcome: Outcome, what: str) -> None:
    if not isinstance(outcome, Refused):
        raise _Lie(f"{what} has to be refused; it came to {_said(outcome)}")
    if outcome.retryable:
        raise _Lie(f"{what} has to be refused for good; it says that trying again may help: {_said(outcome)}")


def _same(answer: Any, outcome: Outcome, when: str) -> None:
    if not isinstance(outcome, Done | Accepted):
        raise _Lie(f"{when}, it came to {_said(outcome)} instead of the first answer")
    if outcome.output != answer:
        raise _Lie(f"{when}, it gives another answer: {_short(outcome.output)} instead of {_short(answer)}")


def _output(outcome: Outcome) -> Any:
    if not isinstance(outcome, Done | Accepted):
        raise _Unclear(f"the sample arguments were not done: {_said(outcome)}")
    return outcome.output


def _is_never(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.code == NEVER_HAPPENED


def _said(outcome: Outcome) -> str:
    if isinstance(outcome, Done | Accepted):
        return f"{type(outcome).__name__.lower()}, {_short(outcome.output)}"
    code = f" {outcome.code}" if isinstance(outcome, Refused) else ""
    return f"{type(outcome).__name__.lower()}{code} ({outcome.message[:200]})"


def _short(output: Any) -> str:
    text = msgspec.json.encode(output).decode()
    return text if len(text) <= 120 else f"{text[:117]}..."


def _hasty(tool: Tool) -> Registry:
    """The tool alone, its probe called without time."""

    async def hasty(call: Call) -> Any:
        return await tool.probe(msgspec.structs.replace(call, deadline_s=HASTE_S)) if tool.probe else None

    registry = Registry()
    contract = tool.contract
    registry.add(
        tool.function,
        effect=contract.effect,
        timeout_ms=contract.timeout_ms,
        undo=tool.undo,
        undo_kind=contract.undo,
        probe=hasty,
    )
    return registry


def _in_turn(args: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Arguments in the order in which they are changed: texts first, because other values more often mean something."""
    return sorted([*args, *(given.keys() - args.keys())], key=lambda name: not isinstance(args.get(name), str))


def _derived(tool: Tool, args: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments with another value of one of them, of the right type: the value that was given, or some like its own."""
    own = args.get(name)
    for changed in (given[name],) if name in given and given[name] != own else _changed(own):
        candidate = {**args, name: changed}
        try:
            msgspec.convert(candidate, tool.args)
        except msgspec.ValidationError:
            continue
        yield candidate


def _changed(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, str):  # of a date, a time or a number in writing the last digit
        last = f"{value[:-1]}{(int(value[-1]) + 1) % 10}" if value[-1:].isascii() and value[-1:].isdigit() else ""
        return (f"{value} 2", last) if last else (f"{value} 2",)
    return (value + 1, value - 1) if isinstance(value, int | float) else ()


def _pure(tool: Tool) -> bool:
    return tool.contract.effect is Effect.PURE


def _by_key(tool: Tool) -> bool:
    return tool.contract.effect is Effect.IDEMPOTENT


def _undoes(tool: Tool) -> bool:
    return tool.undo is not None


def _leaves_tombstones(tool: Tool) -> bool:
    return tool.undo is not None and tool.contract.undo is Undo.TOMBSTONE


def _can_be_asked(tool: Tool) -> bool:
    return tool.probe is not None


def _both(tool: Tool) -> bool:
    return _can_be_asked(tool) and _undoes(tool)


_POINTS: Final[dict[str, tuple[Callable[[Tool], bool], Callable[[_Trial], Awaitable[str]]]]] = {
    "no effect": (_pure, _changes_nothing),
    "twice": (_by_key, _twice),
    "at once": (_by_key, _at_once),
    "other arguments": (_by_key, _other_body),
    "undo": (_undoes, _undo),
    "undo twice": (_undoes, _undo_twice),
    "undo unknown": (_undoes, _undo_unknown),
    "undo first": (_leaves_tombstones, _undo_first),
    "do after undo": (_leaves_tombstones, _do_after_undo),
    "undo at once": (_leaves_tombstones, _undo_at_once),
    "probe before": (_can_be_asked, _probe_before),
    "probe after": (_can_be_asked, _probe_after),
    "probe undone": (_both, _probe_undone),
    "probe in haste": (_can_be_asked, _probe_in_haste),
}
