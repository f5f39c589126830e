"""The mutants. Text of the engine, and what it becomes; guards that back each other up are taken away together."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.simulation.mutants.loading import Patch

STORE, RELAY, DOG = "shared.memory", "shared.relay", "shared.watchdog"
DELIVERY, SEGMENT, CALL = "shared.interpret", "shared.segment", "shared.tool_calls"
DECIDE, STARTING, OUTCOMES = "shared.machine.decide", "shared.machine.starting", "shared.machine.outcomes"
UNDOING, STATE, DRAFT = "shared.machine.undoing", "shared.machine.state", "shared.machine.draft"
ASKING, REPLANNING = "shared.machine.asking", "shared.machine.replanning"
TOWN, SIGNALS = "shared.simulation.town", "shared.machine.signals"


class Mutant(NamedTuple):
    """One fault of the engine."""

    name: str
    patches: tuple[Patch, ...]


def _one(name: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, (Patch(module, old, new),))


_OWNER = Patch(STORE, "(record.owner, record.ver) != (lease.owner, ver)", "False")
_DUE = "overdue = await self._store.overdue_everywhere(limit=PER_PARTITION, late_ms=self.late_ms)"
_NO_MORE_DUE = Patch(DOG, _DUE, "overdue: list[str] = []")
_NO_RELAY = Patch(DOG, "partitions = await self._store.waiting_entries()", "partitions: list[str] = []")

STORE_MUTANTS: Sequence[Mutant] = (
    Mutant("no fence: neither owner nor version is compared", (_OWNER,)),
    _one("version without owner", STORE, "(record.owner, record.ver) != (lease.owner, ver)", "record.ver != ver"),
    _one("owner without version", STORE, "(record.owner, record.ver) != (lease.owner, ver)", "record.owner != lease.owner"),
    _one(
        "the fence is not raised",
        STORE,
        "record.fence, record.ver = record.fence + 1, record.ver + 1\n            record.head(stalled",
        "record.ver = record.ver + 1\n            record.head(stalled",
    ),
    Mutant(
        "a live lease is given away",
        (Patch(STORE, "return NoLease(why=No.HELD, ms=record.lease_until - now)", "pass"),),
    ),
    Mutant(
        "a lease never ends",
        (
            Patch(
                STORE,
                "return NoLease(why=No.HELD, ms=record.lease_until - now)\n        return None",
                "return NoLease(why=No.HELD, ms=record.lease_until - now)\n"
                "        return NoLease(why=No.HELD, ms=1_000) if record.owner else None",
            ),
        ),
    ),
    _one("no stale-segment rule", STORE, "if 0 <= segment < header.segment:", "if False:"),
    Mutant(
        "no terminal rule",
        (Patch(STORE, "return NoLease(why=No.TERMINAL, watched=record.watched_ms > now)", "pass"),),
    ),
    _one("a wait ends early", STORE, "if header.status is Status.SUSPENDED and record.caught_up and waits:", "if False:"),
    _one(
        "a commit does not look into the inbox",
        STORE,
        'moved = len(record.inbox) > seen and going.kind != "none"',
        "moved = False",
    ),
    _one(
        "no inbox check in suspend",
        STORE,
        'moved = len(record.inbox) > seen and going.kind != "none"',
        'moved = len(record.inbox) > seen and going.kind not in {"none", "suspend"}',
    ),
    _one(
        "no inbox check at the end",
        STORE,
        'moved = len(record.inbox) > seen and going.kind != "none"',
        'moved = len(record.inbox) > seen and going.kind not in {"none", "end"}',
    ),
    _one(
        "a commit sent twice is not recognised",
        STORE,
        "if record.last and record.last[:2] == (lease.owner, ver):  # sent twice: the first answer",
        "if False:",
    ),
    _one(
        "the segment is raised by acquire",
        STORE,
        "record.head(stalled=record.header.stalled + 1)",
        "record.head(stalled=record.header.stalled + 1, segment=record.header.segment + 1)",
    ),
    _one("the segment is never raised", STORE, "record.head(segment=record.header.segment + 1)", "pass"),
    Mutant(
        "a signal wakes nobody",
        (
            Patch(
                STORE,
                "        record.epoch += 1\n        part.due.set(execution, now + WATCH_MS)\n        return Accepted(",
                "        return Accepted(entry=None)\n"
                "        record.epoch += 1\n"
                "        part.due.set(execution, now + WATCH_MS)\n"
                "        return Accepted(",
            ),
        ),
    ),
    _one(
        "what is over takes signals", STORE, '        if record.terminal:\n            return NotAccepted(why="terminal")\n', ""
    ),
    _one(
        "due is not armed at birth",
        STORE,
        "part.due.set(header.id, now + (min(birth.timeout_ms or REST_MS, REST_MS) if rests else WATCH_MS))",
        "pass",
    ),
    _one(
        "due is not armed by a wait",
        STORE,
        "part.due.set(execution, now + going.due_in_ms + WATCH_MS)",
        "part.due.remove(execution)",
    ),
    _one("a deduplication id is used again", STORE, "secrets.token_hex(6)", "0"),
    _one(
        "a message names the segment that is over",
        STORE,
        "segment = self.header.segment\n        name =",
        "segment = max(self.header.segment - 1, 0)\n        name =",
    ),
)

CHANNEL_MUTANTS: Sequence[Mutant] = (
    Mutant("no due index", (_NO_MORE_DUE,)),
    Mutant("outbox and due index, both off", (_NO_MORE_DUE, _NO_RELAY)),
    _one(
        "what QStash took stays in the outbox",
        RELAY,
        "                await self._store.relay_ack(some)\n",
        "                await asyncio.sleep(0)\n",
    ),
    _one("nobody hints", RELAY, "return entry.kind == MESSAGE and entry.not_before_ms <= now_ms", "return False"),
    _one("a wait is not told to QStash", SEGMENT, "message=following.timed,", "message=False,"),
    _one("a wait's message is sent at once", SEGMENT, "not_before_ms=following.wake_at_ms,", "not_before_ms=0,"),
    _one(
        "a held lease is retried by the ladder",
        DELIVERY,
        'return Answer(status=409, result="held", retry_after_s=no.ms // 1000 + 2)',
        'return Answer(status=409, result="held")',
    ),
    _one(
        "published before it is committed",
        SEGMENT,
        "        stored = await command(self.lease, ver=self.ver, seen=seen, kept=kept, going=going)\n",
        "        if going.message and not going.timed:\n"
        "            from shared.ports import Entry\n"
        "            segment = self.x.header.segment + 1\n"
        '            name = f"{self.x.header.id}-{segment}-ahead"\n'
        "            ahead = Entry(id=name, execution=self.x.header.id, segment=segment, reason='continued')\n"
        '            await self.engine.sender.send(ahead, "next step")\n'
        "            going = __import__('msgspec').structs.replace(going, message=False)\n"
        "        stored = await command(self.lease, ver=self.ver, seen=seen, kept=kept, going=going)\n",
    ),
)

SEGMENT_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "what a commit kept is applied last",
        (
            Patch(
                SEGMENT,
                "                self._applied(decision.kept)\n                if isinstance(stored, Flags):\n",
                "                if isinstance(stored, Flags):\n"
                "                    self._applied(decision.kept)\n"
                "                if isinstance(stored, Flags):\n",
            ),
            Patch(
                SEGMENT,
                'self._applied(getattr(following, "changes", Changes()))',
                'self._applied(getattr(following, "changes", Changes()))\n                self._applied(decision.kept)',
            ),
        ),
    ),
    Mutant(
        "a lost lease is not noticed",
        (
            Patch(
                SEGMENT,
                "                if isinstance(stored, Lost):\n",
                "                if isinstance(stored, Lost):\n"
                "                    stored = Committed(ver=self.ver)\n"
                "                if isinstance(stored, Lost):\n",
            ),
        ),
    ),
    _one(
        "a call is made although the intent was refused",
        SEGMENT,
        "                if isinstance(stored, Flags):\n                    self.ver = stored.ver\n",
        "                if isinstance(stored, Flags) and isinstance(following, StartSteps):\n"
        "                    await self._follow(following, Committed(ver=stored.ver))\n"
        "                if isinstance(stored, Flags):\n                    self.ver = stored.ver\n",
    ),
    _one(
        "the own lease is not looked at before a call",
        CALL,
        "if deadline_ms <= 0 or began + deadline_ms > self._lease.until_ms:",
        "deadline_ms = start.timeout_ms\n        if False:",
    ),
    _one(
        "a call is not cut off",
        CALL,
        "deadline_ms = min(start.timeout_ms, self._cutoff_ms - began)",
        "deadline_ms = 60_000",
    ),
)

MACHINE_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "the intent comes before the budget check",
        (
            Patch(
                STARTING,
                "    if draft.now_ms >= room.checkpoint_ms:\n        return False\n    timeout",
                "    return True\n    timeout",
            ),
        ),
    ),
    _one("more calls at once than allowed", STARTING, "free = room.parallel - len(draft.running())", "free = room.parallel"),
    _one("more steps than a message may run", STARTING, "free = min(free, room.starts_left)", "pass"),
    Mutant(
        "the key changes with the attempt",
        (Patch(STARTING, "key=draft.key(cell),", 'key=draft.key(cell).replace(".1", f".{draft.attempt(cell)}"),'),),
    ),
    Mutant(
        "no intent says until when its owner sends",
        (Patch(STARTING, "settle_at_ms=room.lease_ms + draft.contract(cell).settle_ms,", "settle_at_ms=draft.now_ms,"),),
    ),
    _one(
        "a time-out is a failure",
        OUTCOMES,
        '        _try_again(draft, report, intent, "unanswered", outcome.message, doubt=doubt)\n',
        '        _give_up(draft, report, intent, "unanswered", outcome.message, doubt=False)\n',
    ),
    Mutant(
        "whoever does not answer is called again, whatever it does",
        (
            Patch(
                OUTCOMES,
                "    cell, effect = report.cell, draft.contract(report.cell).effect\n    if draft.layout",
                "    cell, effect = report.cell, Effect.IDEMPOTENT\n    if draft.layout",
            ),
        ),
    ),
    _one(
        "a dead owner's unsafe call is made again",
        OUTCOMES,
        '        draft.put(cell, Cell.UNKNOWN, _fault(draft, intent, "owner_lost", message, doubt=True))\n'
        '    draft.say(_name(draft, cell, "orphaned")',
        '        draft.put(cell, Cell.BACKOFF, _fault(draft, intent, "owner_lost", message, retry_at_ms=draft.now_ms))\n'
        '    draft.say(_name(draft, cell, "orphaned")',
    ),
    _one(
        "a dead owner's call is asked about at once",
        OUTCOMES,
        'fault = _fault(draft, intent, "owner_lost", message, retry_at_ms=intent.settle_at_ms, doubt=True)',
        'fault = _fault(draft, intent, "owner_lost", message, retry_at_ms=draft.now_ms, doubt=True)',
    ),
    _one(
        "a call without an answer is asked about at once",
        OUTCOMES,
        'fault = _fault(draft, intent, "unanswered", outcome.message, retry_at_ms=intent.settle_at_ms, doubt=True)',
        'fault = _fault(draft, intent, "unanswered", outcome.message, retry_at_ms=draft.now_ms + 1, doubt=True)',
    ),
    _one("a doubt is forgotten with the next attempt", STARTING, "doubt=before.doubt if before else False,", "doubt=False,"),
    Mutant(
        "a failure stops nothing",
        (
            Patch(
                DRAFT,
                "            self.put(cell, Cell.FAILED, fault)\n            self.blame(Cause.FAILED)\n",
                "            self.put(cell, Cell.FAILED, fault)\n",
            ),
        ),
    ),
    _one("the order of undos is the order of completion", UNDOING, "for cell in reversed(lane) if", "for cell in lane if"),
    Mutant(
        "an undo does not wait until late requests have landed",
        (
            Patch(
                UNDOING,
                "    if _undo(draft, cell) is not Undo.SETTLED:\n        return 0\n",
                "    if True:\n        return 0\n",
            ),
        ),
    ),
    Mutant(
        "an answered call has no late brother",
        (
            Patch(
                UNDOING,
                "return draft.cell(forward) is Cell.DONE and _undo(draft, cell) is Undo.SETTLED and idempotent",
                "return False",
            ),
        ),
    ),
    Mutant(
        "no tombstone and no settle time",
        (
            Patch(
                UNDOING,
                "    if _undo(draft, cell) is not Undo.SETTLED:\n        return 0\n",
                "    if True:\n        return 0\n",
            ),
            Patch(TOWN, "if kind is Undo.TOMBSTONE:", "if False:"),
        ),
    ),
    _one(
        "an effect that may exist is not undone",
        UNDOING,
        "_MAY_EXIST = frozenset({Cell.DONE, Cell.UNKNOWN, Cell.SETTLING})",
        "_MAY_EXIST = frozenset({Cell.DONE})",
    ),
    _one("a doubtful attempt is not undone", UNDOING, "(fault is not None and fault.doubt)", "False"),
    Mutant(
        "what did nothing is undone",
        (Patch(UNDOING, "draft.blueprint.contract(number).effect is Effect.PURE or ", ""),),
    ),
    _one(
        "what is left standing is not told",
        UNDOING,
        "return Status.COMPENSATION_FAILED if bad else Status.COMPENSATED",
        "return Status.COMPENSATED",
    ),
    _one(
        "calls are not drained before the undo",
        DECIDE,
        "    if draft.running():\n        return Wait()  # drain: what is INTENDED may finish, nothing new starts\n",
        "",
    ),
    Mutant(
        "a cancel is taken in and forgotten",
        (Patch(SIGNALS, "draft.blame(Cause.CANCELLED)", "pass"),),
    ),
    _one("a deadline is not looked at", DECIDE, "draft.blame(Cause.TIMED_OUT)", "pass"),
    _one("the model is asked without end", ASKING, "return dear or asking.calls >= patience.calls or", "return False and"),
    _one(
        "a call is counted by who lives through it",
        ASKING,
        "calls=asking.calls + 1)\n        draft.note(asking=asking)",
        "calls=asking.calls + 1)",
    ),
    _one("a plan of the model needs no yes", ASKING, "confirm = draft.notes.unconfirmed", "confirm = False"),
    _one("a version needs no yes", REPLANNING, "confirm = found.confirm or plan.confirmed or bool(asks)", "confirm = False"),
    _one("who signed a plan signs no next version", REPLANNING, "found.confirm or plan.confirmed or", "found.confirm or"),
    _one("a version is not held against what is done", REPLANNING, "    if not follows(", "    if False and not follows("),
    _one("a plan is made anew without end", REPLANNING, "    if plan.made >= plan.most:", "    if False:"),
    _one("a plan is made anew while others are under way", REPLANNING, "if where in _UNDER_WAY or (", "if False and ("),
    _one("a cancel does not end the search for another plan", SIGNALS, "    replanning.forget(draft)\n", ""),
    _one("a no to a version is not heard", REPLANNING, "    draft.blame(Cause.FAILED)\n    return True", "    return True"),
    Mutant(
        "completed one step too early",
        (
            Patch(
                DECIDE,
                "draft.settled_steps() == draft.blueprint.size and",
                "draft.settled_steps() >= max(1, draft.blueprint.size - 1) and",
            ),
        ),
    ),
    Mutant(
        "a wait without an end where time would do",
        (
            Patch(
                DECIDE,
                "    if timer is not None:\n"
                "        return _sit_or_suspend(draft, room, *timer)\n"
                "    return _suspend(draft, _awaited",
                "    return _suspend(draft, _awaited",
            ),
        ),
    ),
)

KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING,
                "_TO_BE_TRIED = frozenset({Cell.BACKOFF, Cell.WAITING, Cell.GRANTED})",
                "_TO_BE_TRIED = frozenset({Cell.BACKOFF})",
            ),
            Patch(
                "shared.machine.waits",
                "draft.put(cell, Cell.BACKOFF if fault is not None and fault.doubt else Cell.SKIPPED)",
                "draft.put(cell, Cell.SKIPPED)",
            ),
        ),
    ),
    _one(
        "a resume that comes in the middle moves nothing",
        DECIDE,
        "    if draft.header.status is Status.PAUSED and not draft.notes.paused:",
        "    if isinstance(event, Woke) and draft.header.status is Status.PAUSED and not draft.notes.paused:",
    ),
    _one(
        "commands do not wait for the disk",
        "shared.redisdb.store",
        'return going.kind in {"intents", "end"} or bool(kept.commands or going.changes.commands)',
        'return going.kind in {"intents", "end"}',
    ),
    Mutant(
        "any step takes a callback up",
        (
            Patch(
                "shared.machine.waits",
                "    return waits and draft.step(cell).wait is None\n",
                "    return draft.cell(cell) is Cell.WAITING\n",
            ),
        ),
    ),
    _one("a plan runs before the yes", DECIDE, "if draft.notes.unconfirmed and (rest :=", "if False and (rest :="),
    _one("a no to a plan is not heard", SIGNALS, "        draft.note(rejected=True)\n", ""),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    Mutant(
        "a child is not told to stop",
        (
            Patch(
                "shared.machine.children",
                '"cancel_child", hold.child, about)',
                '"cancel_child", hold.child, about) if False else None',
            ),
        ),
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if parent is None or True:\n        return\n",
    ),
    Mutant(
        "a slot is everybody's",
        (Patch("shared.memory_slots", "if slot.member in line.holders or len(line.holders) < limit.most:", "if True:"),),
    ),
)

MUTANTS: Sequence[Mutant] = (*STORE_MUTANTS, *CHANNEL_MUTANTS, *SEGMENT_MUTANTS, *MACHINE_MUTANTS, *KIND_MUTANTS)
