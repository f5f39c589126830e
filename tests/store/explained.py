"""Whether one order of events explains what everybody saw. Pure: observations in, what contradicts them out.

The versions of a record are that order: each is made by exactly one acquire or commit. So it is enough to see that the chain
has no gap and no fork, that it changes hands only by an acquire, that it contradicts no clock, and that the history on the
server tells the same story.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.store.observed import Record, Seen


def contradictions(calls: Sequence[Seen], record: Record) -> list[str]:
    """Everything about one execution that no order of events explains."""
    mine = [call for call in calls if call.execution == record.execution]
    fresh = [*_fresh_leases(mine), *(call for call in mine if call.kind == "commit" and _stored(call) and not call.again)]
    chain = sorted(fresh, key=lambda call: call.after)
    return [
        *_chain(chain, record),
        *_hands(chain),
        *_clock("version", chain),
        *_lost(mine, chain),
        *_repeats(mine, chain),
        *_after_the_end(mine, chain),
        *_inbox(mine, record),
        *_told(chain, record),
        *_flagged(mine, record),
    ]


def _stored(call: Seen) -> bool:
    return call.answer in {"committed", "flags"}


def _fresh_leases(calls: Sequence[Seen]) -> list[Seen]:
    """The first acquire of every fence; the others are repeats of it, and got the same lease."""
    by_fence: dict[int, list[Seen]] = defaultdict(list)
    for call in calls:
        if call.kind == "acquire" and call.answer == "lease":
            by_fence[call.fence].append(call)
    return [min(some, key=lambda call: (call.after, call.began)) for some in by_fence.values()]


def _chain(chain: Sequence[Seen], record: Record) -> Iterator[str]:
    made = [call.after for call in chain]
    if made != list(range(1, record.ver + 1)):
        odd = sorted({ver for ver in made if made.count(ver) > 1} | (set(range(1, record.ver + 1)) ^ set(made)))
        yield f"versions are made twice, or by nobody: {odd[:10]} of {record.ver}"
    for call in chain:
        if call.kind == "commit" and call.after != call.ver + 1:
            yield f"commit {call.mark} from version {call.ver} made {call.after}"


def _hands(chain: Sequence[Seen]) -> Iterator[str]:
    """One owner at a time: the record changes hands by an acquire, which raises the fence by one, and in no other way."""
    owner, fence = "", 0
    for call in chain:
        if call.kind == "acquire":
            if call.fence != fence + 1:
                yield f"fence {call.fence} follows {fence}"
            owner, fence = call.owner, call.fence
        elif call.owner != owner:
            yield f"{call.owner} committed {call.mark} while {owner} owned the record (fence {fence})"
        elif call.going in {"leave", "end"} and call.answer == "committed":
            owner = ""


def _clock(what: str, chain: Sequence[Seen]) -> Iterator[str]:
    """What ended before another began comes before it."""
    latest = None
    for call in chain:
        if latest is not None and call.ended < latest.began:
            before, after = (f"{one.kind} {one.mark or one.fence}" for one in (call, latest))
            yield f"{what}: {before} comes after {after}, and was over before that began"
        latest = call if latest is None or call.began > latest.began else latest


def _lost(calls: Sequence[Seen], chain: Sequence[Seen]) -> Iterator[str]:
    """LOST needs somebody else's write, or a lease that was given back; and after a takeover there is nothing but LOST."""
    made = {call.after: call for call in chain}
    takeovers = [call for call in chain if call.kind == "acquire"]
    for call in (one for one in calls if one.kind == "commit"):
        if call.answer == "lost":
            own, other = made.get(call.ver), made.get(call.ver + 1)
            left = own is not None and own.answer == "committed" and own.going in {"leave", "end"}
            if not left and (other is None or other.began > call.ended):
                yield f"commit {call.mark} lost version {call.ver} to nobody"
        elif not call.again:
            for taken in takeovers:
                if taken.owner != call.owner and taken.after > call.ver and taken.ended < call.began:
                    yield f"commit {call.mark} was stored after {taken.owner} had taken over (fence {taken.fence})"


def _repeats(calls: Sequence[Seen], chain: Sequence[Seen]) -> Iterator[str]:
    """A repeat gets the first answer, unless another commit has come since."""
    first = {call.mark: call for call in chain if call.kind == "commit"}
    for call in (one for one in calls if one.kind == "commit" and one.again):
        before = first[call.mark]
        later = any(one.kind == "commit" and one.after > before.after and one.began < call.ended for one in chain)
        if call.answer == "lost" and later:
            continue
        if (call.answer, call.after, call.entry) != (before.answer, before.after, before.entry):
            yield f"commit {call.mark}, repeated, was answered {call.answer} {call.after} after {before.answer} {before.after}"


def _after_the_end(calls: Sequence[Seen], chain: Sequence[Seen]) -> Iterator[str]:
    for end in chain:
        if end.going == "end" and end.answer == "committed":
            for call in calls:
                if call.answer in {"lease", "accepted"} and call.began > end.ended:
                    yield f"{call.kind} {call.mark or call.fence} was taken after the end"


def _inbox(calls: Sequence[Seen], record: Record) -> Iterator[str]:
    """Every accepted signal has one position, without gap, in an order that no clock contradicts."""
    accepted = {call.mark: call for call in calls if call.kind == "signal" and call.answer == "accepted"}
    kept = [record.inbox.get(position, "") for position in range(1, len(record.inbox) + 1)]
    if sorted(kept) != sorted(accepted):
        yield f"the inbox has {len(record.inbox)} signals, {len(accepted)} were accepted: {set(kept) ^ set(accepted)}"
        return
    times = [call.mark for call in calls if call.kind == "signal" and call.answer == "accepted"]
    if len(times) != len(accepted):
        yield "a signal was accepted twice"
    yield from _clock("signal", [accepted[mark] for mark in kept])


def _told(chain: Sequence[Seen], record: Record) -> Iterator[str]:
    """The history on the server: each write once, in the order of the versions."""
    expected: list[tuple[str, str]] = []
    for call in chain:
        if call.kind == "acquire":
            expected.append(("segment.started", str(call.fence)))
            continue
        expected.append(("kept", call.mark))
        if call.answer == "committed" and call.going != "none":
            expected.append(("went", call.mark))
    told = [(line["event"], _name(line)) for line in record.history if line["event"] in {"segment.started", "kept", "went"}]
    if told != expected:
        at = next((at for at, pair in enumerate(zip(told, expected, strict=False)) if pair[0] != pair[1]), -1)
        yield f"the history tells {told[at : at + 2]} where the answers say {expected[at : at + 2]}"


def _flagged(calls: Sequence[Seen], record: Record) -> Iterator[str]:
    """Nobody goes on over a signal that was there before: what follows it in the history has seen it."""
    seen = {call.mark: call.seen for call in calls if call.kind == "commit"}
    arrived = 0
    for line in record.history:
        if line["event"] == "signal.received":
            arrived += 1
            if line["detail"]["position"] != arrived:
                yield f"signal {arrived} has position {line['detail']['position']}"
        elif line["event"] == "went" and seen[_name(line)] < arrived:
            yield f"commit {_name(line)} went on having seen {seen[_name(line)]} of {arrived} signals"


def _name(line: dict[str, object]) -> str:
    detail = line["detail"]
    return str(detail.get("mark") or detail.get("fence")) if isinstance(detail, dict) else ""
