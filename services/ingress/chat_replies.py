"""What a conversation answers, for each thing that a message can mean."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.ingress.chat_again import propose, redo, stop, unschedule
from services.ingress.chat_begin import begin, to_model
from services.ingress.chat_standing import deed, end_of_history, shown, standing, worded
from services.ingress.chat_turn import Reply, Turn, said
from shared.api.bodies import Approve, Confirm, Reject
from shared.chat.model import (
    Act,
    Ask,
    Begin,
    Choose,
    Continue,
    Drop,
    Help,
    Meaning,
    Nothing,
    Pending,
    Propose,
    Redo,
    Stop,
    Tell,
)
from shared.planner.domains import DOMAINS

HELP: Final = (
    'I can do something about: {domains}. For example: "Book a table for 2 at 7pm". Ask "status" how things stand, say "yes" '
    'or "no" to what waits for your approval, "never mind" to drop what I asked about, '
    '"cancel it" to cancel what was begun last.'
)


async def carry_out(turn: Turn, meaning: Meaning) -> Reply:
    """Do what the message means, and say so."""
    match meaning:
        case Help() | Nothing() | Drop():
            return _simple(turn, meaning)
        case Tell():
            return await _tell(turn)
        case Ask() | Continue() | Begin():
            return await _requested(turn, meaning)
        case Choose(among=among):
            return _choose(turn, among)
        case Act():
            return await _act(turn, meaning)
        case Stop(execution=execution, schedule=schedule):
            return await unschedule(turn, schedule) if schedule else await stop(turn, execution)
        case Propose():
            return await propose(turn, meaning)
        case Redo():
            return await redo(turn, meaning)


async def _requested(turn: Turn, meaning: Ask | Continue | Begin) -> Reply:
    """Something to be done, or to be known first."""
    match meaning:
        case Begin():
            return await begin(turn, meaning)
        case Continue(words=words, timezone=timezone):
            return await to_model(turn.zoned(timezone), words)
        case Ask():
            asks_model = turn.deps.settings.planners != "rules" and turn.kept.talk.open is None
            return await to_model(turn, turn.words) if asks_model else _ask(turn, meaning)


def _simple(turn: Turn, meaning: Help | Nothing | Drop) -> Reply:
    if isinstance(meaning, Drop):
        dropped = msgspec.structs.replace(turn.kept.talk, open=None)
        return said(turn, "answer", "All right, that is dropped. Nothing was done.", talk=dropped)
    text = meaning.text if isinstance(meaning, Nothing) else HELP.format(domains=", ".join(_domains(turn)))
    return said(turn, "answer", text)


def _domains(turn: Turn) -> list[str]:
    """What requests can be about: of what there are tools for."""
    from shared.planner.forms import book_of  # late: with the words' patterns (see `shared.planner`)

    book = book_of(DOMAINS, frozenset(turn.deps.registry.contracts()))
    return [row.name for row in book.domains if row.name not in book.missing]


# --- asking


def _ask(turn: Turn, ask: Ask) -> Reply:
    found = ask.open
    questions = [msgspec.to_builtins(one) for one in found.questions]
    text = " ".join(filter(None, [ask.note, "" if found.instead else found.questions[0].question]))
    talk = msgspec.structs.replace(turn.kept.talk, open=found if found.lasts else None)
    return said(turn, "clarification", text, {"questions": questions, "words": found.text}, talk=talk)


def _choose(turn: Turn, among: Sequence[Pending]) -> Reply:
    which = "Which one" if len(among) > 1 else "Is it this"
    how = '"yes <step>" or "no <step>"' if len(among) > 1 else '"yes" or "no"'
    text = f"{which}? {'; '.join(worded(one) for one in among)}. Say {how}."
    talk = turn.kept.talk.having_shown(tuple(among))
    return said(turn, "clarification", text, {"waits": [shown(one) for one in among]}, talk=talk)


# --- telling


async def _tell(turn: Turn) -> Reply:
    latest = turn.kept.talk.executions[-1:]
    if not latest:
        return said(turn, "answer", "Nothing was begun in this conversation.")
    told, talk = await standing(turn, latest[0])
    return said(turn, "answer", "", told, talk=talk)


# --- acting


async def _act(turn: Turn, act: Act) -> Reply:
    one = act.pending
    after = await end_of_history(turn, one.execution) if turn.streams else "-"
    action: Approve | Confirm | Reject
    if not act.yes:
        action = Reject(step=one.step)
    else:
        action = Approve(step=one.step, args_hash=one.hash) if one.step else Confirm(plan_hash=one.hash)
    told = await turn.deps.actions.act(one.execution, turn.tenant, action, turn.by)
    text = f"{'Yes' if act.yes else 'No'}: {told.will}."
    reply = said(turn, "acted", text, deed(told, one.execution) | {"waits": [shown(one)]}, status=202)
    return msgspec.structs.replace(reply, execution=one.execution, after=after)
