"""The mutants. Text of the engine, and what it becomes; guards that back each other up are taken away together."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.simulation.mutants.loading import Patch

STORE, RUN, RELAY, DOG = "shared.memory", "shared.interpret", "shared.relay", "shared.watchdog"
DECIDE, STARTING, OUTCOMES = "shared.machine.decide", "shared.machine.starting", "shared.machine.outcomes"
UNDOING, STATE, DRAFT = "shared.machine.undoing", "shared.machine.state", "shared.machine.draft"
TOWN = "shared.simulation.town"


class Mutant(NamedTuple):
    """One fault of the engine."""

    name: str
    patches: tuple[Patch, ...]


def _one(name: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, (Patch(module, old, new),))


_OWNER = Patch(STORE, "(record.owner, record.ver) != (lease.owner, ver)", "False")
_NO_MORE_DUE = Patch(DOG, "overdue = await self._store.overdue_everywhere(limit=PER_PARTITION)", "overdue: list[str] = []")
_NO_RELAY = Patch(DOG, "partitions = await self._store.waiting_entries()", "partitions: list[str] = []")

STORE_KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING, "_TRIES_AGAIN = frozenset({Cell.BACKOFF, Cell.GRANTED})", "_TRIES_AGAIN = frozenset({Cell.BACKOFF})"
            ),
            Patch(DRAFT, "return Cell.UNKNOWN if fault is not None and fault.doubt else Cell.SKIPPED", "return Cell.SKIPPED"),
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
    _one(
        "any step takes a callback up",
        "shared.machine.waits",
        "return hold is not None and hold.kind is Reason.CALLBACK",
        "return True",
    ),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    _one(
        "a child is not told to stop", "shared.machine.children", '    draft.command(f"cancel_child', '    str(f"cancel_child'
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if True:\n        return\n",
    ),
    _one(
        "a join counts what failed", "shared.machine.waits", "if step.join and draft.needs_done(cell) < step.join:", "if False:"
    ),
    _one(
        "a slot is everybody's",
        "shared.memory_slots",
        "if slot.member in line.holders or (not line.queue and len(line.holders) < limit.most):",
        "if True:",
    ),
)

MUTANTS: Sequence[Mutant] = (
    Mutant("no fence: neither owner nor version is compared", (_OWNER,)),
    _one("version without owner", STORE, "(record.owner, record.ver) != (lease.owner, ver)", "record.ver != ver"),
    _one("owner without version", STORE, "(record.owner, record.ver) != (lease.owner, ver)", "record.owner != lease.owner"),
    _one(
        "the fence is not raised",
        STORE,
        "record.fence, record.ver = record.fence + 1, record.ver + 1\n            record.head(stalled",
        "record.ver = record.ver + 1\n            record.head(stalled",
    ),
    _one(
        "a live lease is given away",
        STORE,
        "    if record.lease_until > now:\n        return NoLease(why=No.HELD, ms=record.lease_until - now)\n",
        "",
    ),
    _one(
        "a lease never ends",
        STORE,
        "    if record.lease_until > now:\n        return NoLease(why=No.HELD, ms=record.lease_until - now)\n",
        "    if record.owner:\n        return NoLease(why=No.HELD, ms=1_000)\n",
    ),
    _one("no stale-segment rule", STORE, "if 0 <= segment < header.segment:", "if False:"),
    _one("no terminal rule", STORE, "    if record.terminal:\n        return NoLease(why=No.TERMINAL)\n", ""),
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
    _one(
        "a signal wakes nobody",
        STORE,
        'part.due.set(execution, now + WATCH_MS)\n        return Accepted(entry=part.enqueue(now, record.entry("signal")))',
        "return Accepted(entry=None)",
    ),
    _one(
        "what is over takes signals", STORE, '        if record.terminal:\n            return NotAccepted(why="terminal")\n', ""
    ),
    _one("due is not armed at birth", STORE, "part.due.set(header.id, now + WATCH_MS)", "pass"),
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
        "segment = self.header.segment\n        return Entry(",
        "segment = max(self.header.segment - 1, 0)\n        return Entry(",
    ),
)

CHANNEL_KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING, "_TRIES_AGAIN = frozenset({Cell.BACKOFF, Cell.GRANTED})", "_TRIES_AGAIN = frozenset({Cell.BACKOFF})"
            ),
            Patch(DRAFT, "return Cell.UNKNOWN if fault is not None and fault.doubt else Cell.SKIPPED", "return Cell.SKIPPED"),
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
    _one(
        "any step takes a callback up",
        "shared.machine.waits",
        "return hold is not None and hold.kind is Reason.CALLBACK",
        "return True",
    ),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    _one(
        "a child is not told to stop", "shared.machine.children", '    draft.command(f"cancel_child', '    str(f"cancel_child'
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if True:\n        return\n",
    ),
    _one(
        "a join counts what failed", "shared.machine.waits", "if step.join and draft.needs_done(cell) < step.join:", "if False:"
    ),
    _one(
        "a slot is everybody's",
        "shared.memory_slots",
        "if slot.member in line.holders or (not line.queue and len(line.holders) < limit.most):",
        "if True:",
    ),
)

MUTANTS: Sequence[Mutant] = (
    Mutant("no due index", (_NO_MORE_DUE,)),
    Mutant("outbox and due index, both off", (_NO_MORE_DUE, _NO_RELAY)),
    _one(
        "what QStash took stays in the outbox",
        RELAY,
        "                await self._store.relay_ack(some)\n",
        "                await asyncio.sleep(0)\n",
    ),
    _one("a wait is not told to QStash", RUN, "message=following.timed,", "message=False,"),
    _one("a wait's message is sent at once", RUN, "not_before_ms=following.wake_at_ms,", "not_before_ms=0,"),
    _one(
        "a held lease is retried by the ladder",
        RUN,
        'return Answer(status=409, result="held", retry_after_s=no.ms // 1000 + 2)',
        'return Answer(status=409, result="held")',
    ),
    _one(
        "published before it is committed",
        RUN,
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

SEGMENT_KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING, "_TRIES_AGAIN = frozenset({Cell.BACKOFF, Cell.GRANTED})", "_TRIES_AGAIN = frozenset({Cell.BACKOFF})"
            ),
            Patch(DRAFT, "return Cell.UNKNOWN if fault is not None and fault.doubt else Cell.SKIPPED", "return Cell.SKIPPED"),
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
    _one(
        "any step takes a callback up",
        "shared.machine.waits",
        "return hold is not None and hold.kind is Reason.CALLBACK",
        "return True",
    ),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    _one(
        "a child is not told to stop", "shared.machine.children", '    draft.command(f"cancel_child', '    str(f"cancel_child'
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if True:\n        return\n",
    ),
    _one(
        "a join counts what failed", "shared.machine.waits", "if step.join and draft.needs_done(cell) < step.join:", "if False:"
    ),
    _one(
        "a slot is everybody's",
        "shared.memory_slots",
        "if slot.member in line.holders or (not line.queue and len(line.holders) < limit.most):",
        "if True:",
    ),
)

MUTANTS: Sequence[Mutant] = (
    _one(
        "what a commit kept is applied last",
        RUN,
        "        self._applied(fresh)\n        if isinstance(stored, Committed):\n            self.ver = stored.ver\n"
        "            self._applied(going.changes)\n            self._tell(going.changes.history)\n",
        "        if isinstance(stored, Committed):\n            self.ver = stored.ver\n"
        "            self._applied(going.changes)\n            self._tell(going.changes.history)\n"
        "        self._applied(fresh)\n",
    ),
    _one(
        "a lost lease is not noticed",
        RUN,
        "        if isinstance(stored, Lost):\n            return stored\n",
        "        if isinstance(stored, Lost):\n            stored = Committed(ver=self.ver)\n",
    ),
    _one(
        "a call is made although the intent was refused",
        RUN,
        "                if isinstance(stored, Flags):\n                    self.ver = stored.ver\n",
        "                if isinstance(stored, Flags) and isinstance(following, StartSteps):\n"
        "                    await self._follow(following, Committed(ver=stored.ver))\n"
        "                if isinstance(stored, Flags):\n                    self.ver = stored.ver\n",
    ),
    _one(
        "the own lease is not looked at before a call",
        RUN,
        "if deadline_ms <= 0 or began + deadline_ms > self.lease.until_ms:",
        "deadline_ms = start.timeout_ms\n        if False:",
    ),
    _one(
        "a call is not cut off",
        RUN,
        "deadline_ms = min(start.timeout_ms, self._start_ms + self.engine.limits.cutoff_ms - began)",
        "deadline_ms = 60_000",
    ),
)

MACHINE_KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING, "_TRIES_AGAIN = frozenset({Cell.BACKOFF, Cell.GRANTED})", "_TRIES_AGAIN = frozenset({Cell.BACKOFF})"
            ),
            Patch(DRAFT, "return Cell.UNKNOWN if fault is not None and fault.doubt else Cell.SKIPPED", "return Cell.SKIPPED"),
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
    _one(
        "any step takes a callback up",
        "shared.machine.waits",
        "return hold is not None and hold.kind is Reason.CALLBACK",
        "return True",
    ),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    _one(
        "a child is not told to stop", "shared.machine.children", '    draft.command(f"cancel_child', '    str(f"cancel_child'
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if True:\n        return\n",
    ),
    _one(
        "a join counts what failed", "shared.machine.waits", "if step.join and draft.needs_done(cell) < step.join:", "if False:"
    ),
    _one(
        "a slot is everybody's",
        "shared.memory_slots",
        "if slot.member in line.holders or (not line.queue and len(line.holders) < limit.most):",
        "if True:",
    ),
)

MUTANTS: Sequence[Mutant] = (
    _one(
        "the intent comes before the budget check",
        STARTING,
        "    if draft.now_ms >= room.checkpoint_ms:\n        return False\n    step = draft",
        "    return True\n    step = draft",
    ),
    _one("more calls at once than allowed", STARTING, "free = room.parallel - len(draft.running())", "free = room.parallel"),
    _one("more steps than a message may run", STARTING, "free = min(free, room.starts_left)", "pass"),
    _one(
        "the key changes with the attempt",
        STARTING,
        "key=draft.x.key_of(cell),",
        'key=draft.x.key_of(cell).replace(".1", f".{draft.attempt(cell)}"),',
    ),
    _one(
        "no intent says until when its owner sends",
        STARTING,
        "settle_at_ms=room.lease_ms + draft.blueprint.contract(cell).settle_ms,",
        "settle_at_ms=draft.now_ms,",
    ),
    _one(
        "a time-out is a failure",
        OUTCOMES,
        '        _try_again(draft, report, intent, "unanswered", outcome.message, doubt=doubt)\n',
        '        _give_up(draft, report, intent, "unanswered", outcome.message, doubt=False)\n',
    ),
    _one(
        "whoever does not answer is called again, whatever it does",
        OUTCOMES,
        "    if draft.blueprint.is_undo(cell) or effect in {Effect.PURE, Effect.IDEMPOTENT}:\n"
        "        doubt = effect is not Effect.PURE\n        _try_again",
        "    if True:\n        doubt = effect is not Effect.PURE\n        _try_again",
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
    _one("a failure stops nothing", OUTCOMES, "    if not undo:\n        draft.blame(Cause.FAILED)\n", ""),
    _one("the order of undos is the order of completion", UNDOING, "for cell in reversed(lane) if", "for cell in lane if"),
    _one(
        "an undo does not wait until late requests have landed",
        UNDOING,
        "    forward, contract = cell - draft.blueprint.size, draft.blueprint.contract(cell)\n",
        "    return 0\n    forward, contract = 0, draft.blueprint.contract(cell)\n",
    ),
    _one(
        "an answered call has no late brother",
        UNDOING,
        "return done and contract.undo is Undo.SETTLED and contract.effect is Effect.IDEMPOTENT",
        "return False",
    ),
    Mutant(
        "no tombstone and no settle time",
        (
            Patch(UNDOING, "    if contract.undo is not Undo.SETTLED:\n        return 0\n", "    return 0\n"),
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
    _one("what did nothing is undone", UNDOING, "if draft.blueprint.contract(cell).effect is Effect.PURE:", "if False:"),
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
    _one("a cancel is taken in and forgotten", DECIDE, "draft.blame(Cause.CANCELLED)", "pass"),
    _one("a deadline is not looked at", DECIDE, "draft.blame(Cause.TIMED_OUT)", "pass"),
    _one(
        "completed one step too early",
        DECIDE,
        "draft.done_steps() == draft.blueprint.size:",
        "draft.done_steps() >= max(1, draft.blueprint.size - 1):",
    ),
    _one(
        "a wait without an end where time would do",
        DECIDE,
        "    if timer is not None:\n        return _sit_or_suspend(draft, room, *timer)\n",
        "",
    ),
)

KIND_MUTANTS: Sequence[Mutant] = (
    Mutant(
        "an effect is forgotten while its step stands in line",
        (
            Patch(
                UNDOING, "_TRIES_AGAIN = frozenset({Cell.BACKOFF, Cell.GRANTED})", "_TRIES_AGAIN = frozenset({Cell.BACKOFF})"
            ),
            Patch(DRAFT, "return Cell.UNKNOWN if fault is not None and fault.doubt else Cell.SKIPPED", "return Cell.SKIPPED"),
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
    _one(
        "any step takes a callback up",
        "shared.machine.waits",
        "return hold is not None and hold.kind is Reason.CALLBACK",
        "return True",
    ),
    _one("a pause is not heard", DECIDE, "    if draft.notes.paused:\n        return _pause(draft)\n", ""),
    _one(
        "a child is not told to stop", "shared.machine.children", '    draft.command(f"cancel_child', '    str(f"cancel_child'
    ),
    _one(
        "a parent does not hear of its child",
        "shared.machine.children",
        "    if parent is None:\n        return\n",
        "    if True:\n        return\n",
    ),
    _one(
        "a join counts what failed", "shared.machine.waits", "if step.join and draft.needs_done(cell) < step.join:", "if False:"
    ),
    _one(
        "a slot is everybody's",
        "shared.memory_slots",
        "if slot.member in line.holders or (not line.queue and len(line.holders) < limit.most):",
        "if True:",
    ),
)

MUTANTS: Sequence[Mutant] = (*STORE_MUTANTS, *CHANNEL_MUTANTS, *SEGMENT_MUTANTS, *MACHINE_MUTANTS, *KIND_MUTANTS)
