"""What the end of an attempt means, by the effect class of its tool. One small function an outcome."""

from typing import assert_never

import msgspec

from shared.machine import replanning
from shared.machine.draft import Draft
from shared.machine.events import Accepted, Done, NotSent, Refused, Report, Unanswered
from shared.machine.limits import CALLBACK_MS, give_back
from shared.machine.plan import Effect, Retry
from shared.machine.retry import delay_ms
from shared.machine.state import Fault, Hold, Intent
from shared.machine.status import Cell, Reason

NEVER_HAPPENED = "never_happened"
"""The code with which a probe says: it did not happen and never will."""


def take(draft: Draft, report: Report) -> None:
    """Fold one report into the draft."""
    intent = draft.x.intents[report.cell]
    if not intent.probe and not isinstance(report.outcome, Unanswered):  # an unanswered one may work on: its slot runs out
        took_over = isinstance(report.outcome, Accepted)
        give_back(draft, report.cell, intent.attempt, [slot for slot in intent.slots if not (took_over and slot.hold)])
    match report.outcome:
        case Done():
            draft.finish(report, intent, report.outcome.output)
            took = report.ended_ms - report.started_ms
            draft.say(_name(draft, report.cell, "done"), report.cell, intent.attempt, took_ms=took)
        case Refused():
            _refused(draft, report, intent, report.outcome)
        case NotSent():
            _try_again(draft, report, intent, "not_sent", report.outcome.message, doubt=intent.doubt)
        case Unanswered():
            _unanswered(draft, report, intent, report.outcome)
        case Accepted() if intent.probe or draft.layout.is_undo(report.cell):
            _unanswered(draft, report, intent, Unanswered(message="it was taken over, and nobody would call back"))
        case Accepted():
            _accepted(draft, report, intent)
        case _:
            assert_never(report.outcome)


def _accepted(draft: Draft, report: Report, intent: Intent) -> None:
    """It works on, and calls back; its silence is judged like any other when the step's deadline has passed."""
    cell, deadline_ms = report.cell, draft.step(report.cell).deadline_ms
    until_ms = intent.since_ms + deadline_ms if deadline_ms else intent.at_ms + CALLBACK_MS
    before = draft.hold(cell) or Hold(kind=Reason.NONE, since_ms=0)  # what a person approved is for the next attempt too
    hold = msgspec.structs.replace(before, kind=Reason.CALLBACK, since_ms=draft.now_ms, until_ms=until_ms)
    draft.put(cell, Cell.WAITING, hold=hold)
    draft.say(_name(draft, cell, "accepted"), cell, intent.attempt, until_ms=until_ms)


def called_back(draft: Draft, cell: int, outcome: Done | Refused | Unanswered) -> None:
    """A tool that had taken the call over says how it ended."""
    intent = draft.x.intents[cell]
    take(draft, Report(cell=cell, outcome=outcome, started_ms=intent.at_ms, ended_ms=draft.now_ms))


def never_called_back(draft: Draft, cell: int) -> None:
    """It has not called: whether it happened is a matter of the tool's effect class."""
    outcome = Unanswered(message="the tool took the call over and did not call back in time")
    take(draft, Report(cell=cell, outcome=outcome, started_ms=draft.x.intents[cell].at_ms, ended_ms=draft.now_ms))


def adopt(draft: Draft, cell: int) -> None:
    """A dead owner's intent: its request may have landed, may still land, or was never sent."""
    intent = draft.x.intents[cell]
    effect = draft.contract(cell).effect
    message = "the invocation that made this call ended before it could store an answer"
    if draft.layout.is_undo(cell) or effect in {Effect.PURE, Effect.IDEMPOTENT}:
        doubt = effect is not Effect.PURE
        fault = _fault(draft, intent, "owner_lost", message, retry_at_ms=draft.now_ms, doubt=doubt)
        draft.put(cell, Cell.BACKOFF, fault)
    elif effect is Effect.PROBEABLE:
        fault = _fault(draft, intent, "owner_lost", message, retry_at_ms=intent.settle_at_ms, doubt=True)
        draft.put(cell, Cell.SETTLING, fault)
    else:
        draft.put(cell, Cell.UNKNOWN, _fault(draft, intent, "owner_lost", message, doubt=True))
    draft.say(_name(draft, cell, "orphaned"), cell, intent.attempt)


def _refused(draft: Draft, report: Report, intent: Intent, outcome: Refused) -> None:
    if intent.probe and outcome.code == NEVER_HAPPENED:
        _never_happened(draft, report, intent, outcome)
        return
    if _retryable(_policy(draft, report.cell), outcome):
        after = outcome.retry_after_ms
        _try_again(draft, report, intent, outcome.code, outcome.message, doubt=intent.doubt, retry_after_ms=after)
    else:
        _give_up(draft, report, intent, outcome.code, outcome.message, doubt=intent.doubt)
    replanning.note(draft, report.cell, outcome)


def _retryable(policy: Retry, outcome: Refused) -> bool:
    """As the tool says, unless the step knows better."""
    if outcome.code in policy.never_on:
        return False
    return outcome.retryable or outcome.code in policy.retry_on


def _never_happened(draft: Draft, report: Report, intent: Intent, outcome: Refused) -> None:
    """Call again, if attempts are left: a tool that never answers must not be called for ever."""
    draft.say("step.never_happened", report.cell, intent.attempt)
    if intent.attempt >= _policy(draft, report.cell).attempts:
        draft.say("step.failed", report.cell, intent.attempt, code=outcome.code, message=outcome.message)
        draft.fail(report.cell, _fault(draft, intent, outcome.code, outcome.message))
    else:
        draft.put(report.cell, Cell.BACKOFF, _fault(draft, intent, outcome.code, outcome.message, retry_at_ms=draft.now_ms))


def _unanswered(draft: Draft, report: Report, intent: Intent, outcome: Unanswered) -> None:
    cell, effect = report.cell, draft.contract(report.cell).effect
    if draft.layout.is_undo(cell) or effect in {Effect.PURE, Effect.IDEMPOTENT}:
        doubt = effect is not Effect.PURE
        _try_again(draft, report, intent, "unanswered", outcome.message, doubt=doubt)
    elif effect is Effect.PROBEABLE and not intent.probe:
        fault = _fault(draft, intent, "unanswered", outcome.message, retry_at_ms=intent.settle_at_ms, doubt=True)
        draft.put(cell, Cell.SETTLING, fault)
        draft.say("step.settling", cell, intent.attempt, until_ms=intent.settle_at_ms)
    elif intent.probe:  # asking has no effect, so a moment's silence need not be a person's business
        _try_again(draft, report, intent, "unanswered", outcome.message, doubt=True)
    else:
        _unknown(draft, cell, intent, "unanswered", outcome.message)


def _unknown(draft: Draft, cell: int, intent: Intent, code: str, message: str) -> None:
    """Nobody can say: the plan does not stop for it, but it cannot complete before a person has spoken."""
    draft.put(cell, Cell.UNKNOWN, _fault(draft, intent, code, message, doubt=True))
    draft.say("step.unknown", cell, intent.attempt, message=message)


def _try_again(
    draft: Draft,
    report: Report,
    intent: Intent,
    code: str,
    message: str,
    *,
    doubt: bool,
    retry_after_ms: int | None = None,
) -> None:
    cell = report.cell
    policy = _policy(draft, cell)
    tries = intent.asked if intent.probe else intent.attempt
    if tries >= policy.attempts:
        _give_up(draft, report, intent, code, message, doubt=doubt)
        return
    wait = delay_ms(policy, execution=draft.header.id, cell=cell, attempt=tries, retry_after_ms=retry_after_ms)
    if _past_deadline(draft, cell, intent, draft.now_ms + wait):
        _give_up(draft, report, intent, "deadline", f"no time is left to try again after: {message}", doubt=doubt)
        return
    fault = _fault(draft, intent, code, message, retry_at_ms=draft.now_ms + wait, doubt=doubt)
    draft.put(cell, Cell.SETTLING if intent.probe else Cell.BACKOFF, fault)
    draft.say(_name(draft, cell, "retried"), cell, intent.attempt, code=code, message=message, wait_ms=wait)


def _past_deadline(draft: Draft, cell: int, intent: Intent, at_ms: int) -> bool:
    """Whether the step as a whole may take no longer. Probes and undos go on: they find out, or take back."""
    deadline_ms = draft.step(cell).deadline_ms
    forward = not intent.probe and not draft.layout.is_undo(cell)
    return bool(deadline_ms) and forward and at_ms > intent.since_ms + deadline_ms


def _give_up(draft: Draft, report: Report, intent: Intent, code: str, message: str, *, doubt: bool) -> None:
    """No attempt is left. With a doubtful effect the cell is UNKNOWN, not FAILED: undoing must reach it by its key."""
    cell, undo = report.cell, draft.layout.is_undo(report.cell)
    if intent.probe:  # the question went wrong, not the step
        _unknown(draft, cell, intent, code, message)
        return
    fault = _fault(draft, intent, code, message, doubt=doubt)
    draft.say(_name(draft, cell, "failed"), cell, intent.attempt, code=code, message=message)
    if doubt and not undo:
        draft.doubt(cell, fault)
    else:
        draft.fail(cell, fault)


def _policy(draft: Draft, cell: int) -> Retry:
    return draft.policy(cell)


def _fault(draft: Draft, intent: Intent, code: str, message: str, *, retry_at_ms: int = 0, doubt: bool = False) -> Fault:
    return Fault(
        attempt=intent.attempt,
        code=code,
        message=message[:1000],
        at_ms=draft.now_ms,
        retry_at_ms=retry_at_ms,
        since_ms=intent.since_ms,
        asked=intent.asked,
        doubt=doubt,
    )


def _name(draft: Draft, cell: int, what: str) -> str:
    return f"undo.{what}" if draft.layout.is_undo(cell) else f"step.{what}"
