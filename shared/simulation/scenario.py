"""From a seed to a run, written out: plans, settings and the explicit list of what goes wrong.

A new step kind is a row in `plans.STEPS`, a new signal a row in SIGNALS, a new fault one in `faults.STREAMS` and _LENGTHS.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from shared.machine.plan import Limited, PlanDraft, StepDraft
from shared.simulation.faults import STREAMS, Fault
from shared.simulation.plans import EVENT, KEY, call, is_plain, plan, sleeping, waiting


class Setting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the deployment of a run is set up."""

    executors: int = 2
    parallel: int = 8
    steps_per_message: int = 0
    stalled: int = 5
    continue_delay_ms: int = 0
    direct: bool = True
    """Whether the watchdog calls executors itself."""
    strict: bool = True
    """Whether barrier writes survive a failover."""
    twice: bool = False
    """Whether a third of the commands to Redis is applied twice."""
    limit: bool = True
    """Whether the platform kills an invocation at its limit (a long-running process is not killed)."""
    qstash: bool = True
    ably: bool = True
    watchdog: bool = True
    confirm: bool = False
    """Whether plans wait until somebody confirms them."""
    words: bool = False
    """Whether plans come as words, which the model plans in their first segment."""
    replans: int = 0
    """How often the model may make a plan anew after a failure."""
    finally_: str = ""
    """What people do with executions that wait for one: `cancel` or `answer`; nothing if empty."""


DELAYS: Final = ("freeze", "slow", "restart", "failover")
"""Faults by which an invocation may take longer than it plans to, or not know what it had planned."""
DEATHS: Final = (*DELAYS, "kill")
"""Faults by which a call may lose its caller."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run, whole: the same scenario gives the same timeline."""

    seed: int
    plans: tuple[PlanDraft, ...]
    setting: Setting = Setting()
    faults: tuple[Fault, ...] = ()

    @property
    def ladder(self) -> bool:
        """Whether QStash's own retries must do: no watchdog, and one crash at most."""
        return not self.setting.watchdog

    @property
    def calm(self) -> bool:
        """Whether nothing happens but what partners may always answer."""
        partners = all(fault.stream == "call" and fault.kind in _ANSWERS for fault in self.faults)
        return partners and all(is_plain(draft) for draft in self.plans)

    @property
    def smooth(self) -> bool:
        """Whether the engine and its channels work all the time; partners and people may do what they like."""
        people = (*SIGNALS, HINT, ANSWER, "duplicate", "late_duplicate")
        fine = self.setting.qstash and not self.setting.twice
        return fine and all(fault.stream == "call" or fault.kind in people for fault in self.faults)

    def has(self, *kinds: str) -> bool:
        """Whether a fault of one of these kinds is in the list; what befalls a call of a tool is none of them."""
        return any(fault.kind in kinds for fault in self.faults if fault.stream != "call")


_ANSWERS: Final = frozenset({"refused", "busy", "busy_for_long"})

SIGNALS: Final[dict[str, Callable[[random.Random, Sequence[str]], Any]]] = {
    "cancel": lambda *_: {"reason": "simulated"},
    "resend": lambda *_: {},
    "pause": lambda *_: {"actor": "somebody"},
    "resume": lambda *_: {"actor": "somebody"},
    "event": lambda dice, _: {"name": dice.choice((EVENT, "stop")), "key": dice.choice(("", KEY)), "data": 7},
    "callback": lambda dice, names: {"step": dice.choice(names), "data": 8},
    "retry": lambda dice, names: {"step": dice.choice(names), "actor": "somebody"},
    "skip": lambda dice, names: {"step": dice.choice(names), "output": {"n": "skipped"}, "actor": "somebody"},
    "edit": lambda dice, names: {"step": dice.choice(names), "args": {"value": 9}, "actor": "somebody"},
}
"""What people send whatever an execution does: kind -> payload, from the dice and the names of the steps."""
ANSWER: Final = "answer"
"""Somebody deals with what an execution waits for just now (see `people`)."""
HINT: Final = "hint"
"""Somebody asks that an execution be looked at, without a reason: it may cause an attempt and nothing else."""

_LENGTHS: Final[dict[str, tuple[int, ...]]] = {
    "step.kill": (50, 1_000, 5_000, 30_000),
    "step.freeze": (500, 3_000, 9_000, 12_000, 20_000),
    "command.slow": (300, 2_000, 6_000),
    "command.restart": (200, 1_500, 8_000),
    "command.failover": (5, 20, 60, 400, 1_000),
    "publish.slow": (300, 700, 5_000),
    "message.late": (800, 5_000, 40_000),
    "message.duplicate": (0, 5, 400, 3_000),
    "call.lost": (0, 20, 1_000),
    "call.landed": (0, 20, 1_000),
    "call.late": (20, 1_000),
    "call.very_late": (20, 1_000),
    "call.slow": (100, 900, 2_500, 5_000),
    "model.slow": (1_000, 3_500, 6_000, 60_000),
    "sweep.kill": (1_000, 20_000),
    "sweep.freeze": (5_000, 30_000),
}
"""For how long, by stream and kind, in ms."""
_REACH: Final = {
    "step": 22,
    "command": 7,
    "publish": 2,
    "message": 2,
    "delivery": 2,
    "call": 2,
    "sweep": 2,
    "model": 1,
    "moment": 40,
}
"""Events of a stream for each step of the plans, roughly: where faults are worth placing."""
_WEIGHTS: Final = {"step": 5, "command": 4, "publish": 3, "message": 4, "delivery": 2, "call": 7, "sweep": 1, "moment": 1}
_OFTEN: Final = {"cancel": 9, "pause": 4, "event": 4, "answer": 4, "kill": 14, "freeze": 14}
_RARE: Final = frozenset({"failover", "restart", "resend", "hint", "callback", "retry", "skip", "edit", "resume"})


def of_seed(seed: int, *, strict: bool | None = None) -> Scenario:
    """The scenario of a seed. `strict`: durable barriers whatever the seed says, or never."""
    dice = random.Random(seed * 7_919 + 17)
    theme = dice.random()
    for share, make in _THEMES:
        if theme < share:
            return make(dice, seed)
        theme -= share
    plans = tuple(plan(dice) for _ in range(dice.choice((1, 1, 1, 1, 2))))
    setting = _setting(dice)
    if strict is not None:
        setting = msgspec.structs.replace(setting, strict=strict)
    return _with_ably(Scenario(seed=seed, plans=plans, setting=setting, faults=_faults(dice, plans)))


def _with_ably(scenario: Scenario) -> Scenario:
    """The second channel, by dice of its own: half of the runs have none; where QStash is dead, some have nothing else."""
    dice = random.Random(scenario.seed * 7_919 + 41)
    ably = dice.random() < 0.5
    setting = scenario.setting
    direct = setting.direct if setting.qstash or not ably else dice.random() < 0.5
    count = dice.choice((0, 1, 2, 5)) if ably and (not setting.qstash or scenario.has("refused", "reply_lost", "slow")) else 0
    faults = [
        Fault(
            stream="mesh", kind=dice.choice(STREAMS["mesh"]), at=dice.randrange(1, 8), ms=dice.choice((5, 400, 3_000, 20_000))
        )
        for _ in range(count)
    ]
    chosen = msgspec.structs.replace(setting, ably=ably, direct=direct)
    return msgspec.structs.replace(scenario, setting=chosen, faults=(*scenario.faults, *faults))


def _ladder(dice: random.Random, seed: int) -> Scenario:
    """One crash, and nobody but QStash to notice. A saga of one segment: a continuation that was not sent needs the relay."""
    names = "abc"[: dice.choice((1, 2, 3))]
    tools = [dice.choice(("pure", "idem", "idem_settled", "idem_stands")) for _ in names]
    steps = tuple(StepDraft(name=name, tool=tool) for name, tool in zip(names, tools, strict=True))
    at, away_ms = dice.randrange(1, 16), dice.choice((50, 900, 30_000))  # soon, or after its lease: then another meets that
    crash = Fault(stream="step", kind="kill", at=at, ms=away_ms)
    return Scenario(seed=seed, plans=(PlanDraft(steps=steps),), setting=Setting(watchdog=False, direct=False), faults=(crash,))


def _two_holders(dice: random.Random, seed: int) -> Scenario:
    """A failover forgets that somebody holds the execution, while his calls run, and the next message comes."""
    names = "abcd"[: dice.choice((1, 2, 3, 4))]
    steps = tuple(call(dice, name, ()) for name in names)
    faults = [
        Fault(stream="command", kind="failover", at=dice.randrange(3, 16), ms=dice.choice((20, 400, 1_000))),
        *(Fault(stream="call", kind="slow", at=dice.randrange(1, 5), ms=dice.choice((300, 900, 2_500))) for _ in range(3)),
        *(Fault(stream="message", kind="duplicate", at=dice.randrange(1, 3), ms=dice.choice((5, 400, 900))) for _ in range(2)),
    ]
    setting = Setting(strict=dice.random() < 0.5, executors=2, parallel=dice.choice((1, 8)), limit=dice.random() < 0.5)
    return Scenario(seed=seed, plans=(PlanDraft(steps=steps),), setting=setting, faults=tuple(faults))


def _dead_callers(dice: random.Random, seed: int) -> Scenario:
    """Requests that land late, callers that are dead or asleep by then, and somebody who wants it all undone."""
    names = "abc"[: dice.choice((1, 2, 3))]
    tools = [dice.choice(("probe", "probe", "idem_settled", "idem", "unsafe")) for _ in names]
    steps = tuple(StepDraft(name=name, tool=tool) for name, tool in zip(names, tools, strict=True))
    kinds = ("very_late", "very_late", "late", "landed")
    faults = [
        Fault(stream="call", kind=dice.choice(kinds), at=dice.randrange(1, 5), ms=dice.choice((20, 1_000, 2_900)))
        for _ in range(2)
    ]
    kind, ms = dice.choice((("kill", 50), ("kill", 5_000), ("freeze", 12_000), ("freeze", 20_000)))
    faults.append(Fault(stream="step", kind=kind, at=dice.randrange(3, 16), ms=ms))
    if dice.random() < 0.5:
        faults.append(Fault(stream="moment", kind="cancel", at=dice.randrange(1, 200)))
    if dice.random() < 0.3:
        faults.append(Fault(stream="call", kind="refused", at=dice.randrange(1, 6)))
    setting = Setting(executors=2, parallel=dice.choice((1, 8)), limit=dice.random() < 0.5, finally_="cancel")
    return Scenario(seed=seed, plans=(PlanDraft(steps=steps),), setting=setting, faults=tuple(faults))


def _in_line(dice: random.Random, seed: int) -> Scenario:
    """Calls without an answer that must stand in line for their next attempt, and a plan that stops meanwhile."""
    limit = Limited(key="shared", most=1, per_ms=dice.choice((0, 700, 5_000)))
    names = "abc"[: dice.choice((1, 2, 3))]
    tools = [dice.choice(("idem", "idem", "idem_settled", "unsafe_keyed")) for _ in names]
    steps = tuple(StepDraft(name=name, tool=tool, limits=(limit,)) for name, tool in zip(names, tools, strict=True))
    kinds = ("late", "landed", "lost", "busy", "very_late")
    faults = [
        Fault(stream="call", kind=dice.choice(kinds), at=dice.randrange(1, 4), ms=dice.choice((20, 900))) for _ in range(2)
    ]
    faults.append(Fault(stream="moment", kind="cancel", at=dice.randrange(1, 60)))
    draft = PlanDraft(steps=steps, timeout_ms=dice.choice((None, 700, 2_500)))
    return Scenario(seed=seed, plans=(draft,), setting=Setting(limit=dice.random() < 0.5), faults=tuple(faults))


def _paused(dice: random.Random, seed: int) -> Scenario:
    """Pauses and resumes on each other's heels, between any two steps of the code."""
    names = "abcd"[: dice.choice((1, 2, 4))]
    steps = tuple(call(dice, name, names[:number]) for number, name in enumerate(names))
    faults = []
    for _ in range(dice.choice((1, 2, 3))):
        at = dice.randrange(1, 30)
        faults.append(Fault(stream="step", kind="pause", at=at))
        faults.append(Fault(stream="step", kind=dice.choice(("resume", "resume", "cancel")), at=at + dice.randrange(0, 4)))
    if dice.random() < 0.6:  # woken for something else, and resumed under its commit
        faults = [Fault(stream="step", kind="pause", at=dice.randrange(2, 12))]
        faults.append(Fault(stream="moment", kind="resend", at=20))
        faults.append(Fault(stream="step", kind="resume", at=dice.randrange(8, 36)))
    setting = Setting(parallel=dice.choice((1, 8)), finally_=ANSWER)
    return Scenario(seed=seed, plans=(PlanDraft(steps=steps),), setting=setting, faults=tuple(faults))


def _confirmed(dice: random.Random, seed: int) -> Scenario:
    """Plans that nobody runs before a person has said yes to them; persons say no as well, cancel, pause, or come too late."""
    names = "abc"[: dice.choice((1, 2, 3))]
    steps = tuple(call(dice, name, names[:number]) for number, name in enumerate(names))
    draft = PlanDraft(steps=steps, timeout_ms=dice.choice((None, None, 900, 20_000)))
    kinds = ("answer", "answer", "pause", "resume", "cancel", "resend", "hint")
    faults = [
        Fault(stream="moment", kind=dice.choice(kinds), at=dice.randrange(1, 60)) for _ in range(dice.choice((0, 1, 2, 4)))
    ]
    if dice.random() < 0.5:
        faults.append(_fault(dice, "command", _kind(dice, "command"), len(names), 1))
    setting = Setting(confirm=True, qstash=dice.random() < 0.9, finally_=dice.choice((ANSWER, ANSWER, "")))
    return Scenario(seed=seed, plans=(draft,), setting=setting, faults=tuple(faults))


def _worded(dice: random.Random, seed: int) -> Scenario:
    """Words that a model plans, while it and everybody else may fail, and people change their minds."""
    names = "abc"[: dice.choice((1, 2, 3))]
    steps = tuple(call(dice, name, names[:number]) for number, name in enumerate(names))
    draft = PlanDraft(steps=steps, timeout_ms=dice.choice((None, None, None, 900, 20_000)))
    streams = [dice.choice(("model", "model", "model", "step", "command", "message")) for _ in range(dice.choice((0, 1, 2, 4)))]
    faults = [_fault(dice, stream, _kind(dice, stream), 1, 1) for stream in streams]
    if dice.random() < 0.15:  # as often as it is asked
        kind = dice.choice(("busy", "flawed", "slow"))
        faults = [Fault(stream="model", kind=kind, at=at, ms=60_000) for at in range(1, 9)]
    kinds = ("answer", "pause", "resume", "cancel", "event", "resend", "hint")
    faults += [
        Fault(stream="moment", kind=dice.choice(kinds), at=dice.randrange(1, 40)) for _ in range(dice.choice((0, 0, 1, 3)))
    ]
    setting = Setting(
        words=True,
        confirm=dice.random() < 0.3,
        qstash=dice.random() < 0.9,
        strict=dice.random() < 0.8,
        finally_=dice.choice((ANSWER, ANSWER, "cancel", "")),
    )
    return Scenario(seed=seed, plans=(draft,), setting=setting, faults=tuple(faults))


def _replanned(dice: random.Random, seed: int) -> Scenario:
    """Plans of which a partner refuses a step, and other ones that a model makes, while everybody may fail or interfere."""
    names = "abcd"[: dice.choice((2, 3, 3, 4))]
    steps = tuple(call(dice, name, names[:number]) for number, name in enumerate(names))
    draft = PlanDraft(steps=steps, timeout_ms=dice.choice((None, None, None, None, 4_000, 30_000)))
    faults = [
        Fault(stream="call", kind="refused", at=dice.randrange(1, len(names) + 3)) for _ in range(dice.choice((1, 1, 2, 3)))
    ]
    streams = [dice.choice(("model", "model", "step", "command", "message", "call")) for _ in range(dice.choice((0, 1, 2, 4)))]
    faults += [_fault(dice, stream, _kind(dice, stream), len(names), 1) for stream in streams]
    if dice.random() < 0.5:
        faults.append(Fault(stream="model", kind=dice.choice(("more", "fewer", "again")), at=dice.choice((1, 1, 2))))
    kinds = ("answer", "answer", "pause", "resume", "cancel", "resend", "hint", "skip", "edit")
    faults += [
        Fault(stream=dice.choice(("moment", "step")), kind=dice.choice(kinds), at=dice.randrange(1, 40))
        for _ in range(dice.choice((0, 0, 1, 2)))
    ]
    setting = Setting(
        replans=dice.choice((1, 1, 2)),
        words=dice.random() < 0.3,
        confirm=dice.random() < 0.2,
        parallel=dice.choice((1, 8)),
        steps_per_message=dice.choice((0, 0, 1)),
        qstash=dice.random() < 0.9,
        strict=dice.random() < 0.8,
        finally_=dice.choice((ANSWER, ANSWER, ANSWER, "cancel", "")),
    )
    return Scenario(seed=seed, plans=(draft,), setting=setting, faults=tuple(faults))


def _stopped_parents(dice: random.Random, seed: int) -> Scenario:
    """A plan that stops while its child sleeps, waits or works, or before the child is born."""
    inner = tuple(dice.choice((call, waiting, sleeping))(dice, name, "ab"[:number]) for number, name in enumerate("ab"))
    steps = (StepDraft(name="a", tool=dice.choice(("idem", "pure"))), StepDraft(name="b", child=PlanDraft(steps=inner)))
    faults = [Fault(stream=dice.choice(("step", "moment")), kind="cancel", at=dice.randrange(1, 40))]
    if dice.random() < 0.5:
        faults.append(Fault(stream="call", kind="refused", at=dice.randrange(1, 4)))
    if dice.random() < 0.5:
        faults.append(_fault(dice, "command", _kind(dice, "command"), 4, 1))
    return Scenario(seed=seed, plans=(PlanDraft(steps=steps),), faults=tuple(faults))


_THEMES: Final[Sequence[tuple[float, Callable[[random.Random, int], Scenario]]]] = (
    (0.03, _ladder),
    (0.09, _two_holders),
    (0.07, _dead_callers),
    (0.05, _in_line),
    (0.05, _paused),
    (0.05, _stopped_parents),
    (0.04, _confirmed),
    (0.04, _worded),
    (0.06, _replanned),
)
"""Runs about one thing that chance alone would meet too seldom: (share of the seeds, maker)."""


def around(draft: PlanDraft, seed: int) -> Scenario:
    """A seed's setting and faults around one plan of somebody's own."""
    dice = random.Random(seed * 7_919 + 29)
    return Scenario(seed=seed, plans=(draft,), setting=_setting(dice), faults=_faults(dice, (draft,)))


def _setting(dice: random.Random) -> Setting:
    qstash = dice.random() < 0.9
    return Setting(
        executors=dice.choice((1, 2, 2, 3)),
        parallel=dice.choice((1, 2, 8, 8)),
        steps_per_message=dice.choice((0, 0, 0, 1, 2)),
        continue_delay_ms=dice.choice((0, 0, 0, 1_500)),
        direct=not qstash or dice.random() < 0.7,
        strict=dice.random() < 0.7,
        twice=dice.random() < 0.1,
        limit=dice.random() < 0.5,
        qstash=qstash,
        finally_=dice.choice(("", "cancel", ANSWER, ANSWER, ANSWER)),
    )


def _faults(dice: random.Random, plans: Sequence[PlanDraft]) -> tuple[Fault, ...]:
    """A mixture mostly; once in a while many of one kind, because what happens five times in a row has rules of its own."""
    size = sum(len(plan.steps) for plan in plans)
    streams = [stream for stream, weight in _WEIGHTS.items() for _ in range(weight)]
    if dice.random() < 0.15:
        stream = dice.choice(streams)
        kind = _kind(dice, stream)
        return tuple(_fault(dice, stream, kind, size, len(plans)) for _ in range(dice.choice((6, 10, 16, 24))))
    count = dice.choice((0, 1, 1, 2, 2, 3, 4, 5, 7, 10, 14))
    mixture = [dice.choice(streams) for _ in range(count)]
    return tuple(_fault(dice, stream, _kind(dice, stream), size, len(plans)) for stream in mixture)


def _kind(dice: random.Random, stream: str) -> str:
    return dice.choice([kind for kind in STREAMS[stream] for _ in range(_OFTEN.get(kind, 1 if kind in _RARE else 2))])


def _fault(dice: random.Random, stream: str, kind: str, size: int, plans: int) -> Fault:
    reach = _REACH[stream] * size + 4
    at = 1 + int(reach * dice.random() ** 1.5)
    length = dice.choice(_LENGTHS.get(f"{stream}.{kind}", (0,)))
    return Fault(
        stream=stream, kind=kind, at=at, ms=length, target=dice.randrange(plans) if kind in {*SIGNALS, HINT, ANSWER} else 0
    )
