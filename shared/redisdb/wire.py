"""Between the machine's shapes and the flat strings that scripts take and give."""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from shared.logs import get_logger
from shared.machine.decision import Changes, Command, Line
from shared.machine.state import Fault, Header, Hold, Intent, Notes, Result, Signal
from shared.machine.status import TERMINAL, Cell, Phase
from shared.ports import MESSAGE, Entry, Going, Letter, Refusal, Refused, Words
from shared.quota import Account, Allowance
from shared.redisdb import keys
from shared.redisdb.line import Word

log = get_logger()
_encode = msgspec.json.Encoder().encode
_intent = msgspec.json.Decoder(Intent)
_hold = msgspec.json.Decoder(Hold)
_notes = msgspec.json.Decoder(Notes)
_fault = msgspec.json.Decoder(Fault)
_signal = msgspec.json.Decoder(Signal)
_entry = msgspec.json.Decoder(Entry)
_letter = msgspec.json.Decoder(Letter)
_refusal = msgspec.json.Decoder(Refusal)
_words = msgspec.json.Decoder(Words)
_anything = msgspec.json.Decoder()
_MANY: Final = 255
_LONG: Final = struct.Struct(">B12I").pack
BRIEF_BYTES: Final = 512
"""Of a result longer than this the record also has the time at which it was there, so that nobody loads it for that alone."""
REFUSAL_MOST: Final = 300
"""Characters of what one channel said."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in a record for an output that is stored apart (`keys.large_value`)."""

    bytes: int
    """Of its JSON."""
    sha256: str


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A result as the record keeps it: with its output, or with a pointer to it."""

    output: Any = None
    attempt: int
    started_ms: int
    ended_ms: int
    large: Pointer | None = None


class Apart:
    """The outputs of one command that are too large for the record: their keys go behind those that the script names."""

    def __init__(self, execution: str, limit: int, before: int) -> None:
        """`limit`: bytes of JSON that a record takes; `before`: how many keys the script names itself."""
        self.keys: list[str] = []
        self._execution = execution
        self._limit = limit
        self._before = before

    def field(self, cell: int, result: Result) -> tuple[bytes, list[Word]]:
        """The record's field, and what write.lua is told of an output that is stored apart."""
        text, apart = stored(result, self._limit)
        if apart is None:
            return text, []
        self.keys.append(keys.large_value(self._execution, cell))
        return text, [self._before + len(self.keys), cell, apart]

    def log(self, cell: int, texts: Sequence[bytes]) -> list[Word]:
        """What write.lua is told of what a cell's calls have logged."""
        self.keys.append(keys.step_log(self._execution, cell))
        number = self._before + len(self.keys)
        return [part for text in texts for part in (number, f"log:{cell}", text)]

    def plan(self, text: bytes) -> list[Word]:
        """What write.lua is told of a plan that takes the place of none, or of the version before."""
        self.keys.append(keys.plan(self._execution))
        return [self._before + len(self.keys), "plan", text]


_result = msgspec.json.Decoder(Stored)


def stored(result: Result, limit: int) -> tuple[bytes, bytes | None]:
    """The record's field, and the output's JSON if that is larger than `limit` bytes."""
    text = _encode(result)
    if len(text) <= limit:  # it holds the output and a little more
        return text, None
    output = _encode(result.output)
    if len(output) <= limit:
        return text, None
    pointer = Pointer(bytes=len(output), sha256=hashlib.sha256(output).hexdigest())
    short = Stored(attempt=result.attempt, started_ms=result.started_ms, ended_ms=result.ended_ms, large=pointer)
    return _encode(short), output


def output_of(pointer: Pointer, text: bytes | None) -> bytes | None:
    """What was stored apart, if it is there and is what the record says."""
    if text is None or hashlib.sha256(text).hexdigest() != pointer.sha256:
        log.error("result.missing", bytes=pointer.bytes, there=text is not None)
        return None
    return text


# What the scripts themselves keep; a header write must not touch them.
_KEPT_BY_SCRIPTS = frozenset({"id", "tenant", "plan", "segment", "created_ms", "deadline_ms", "stalled", "trace"})


def header_fields(header: Header, *, birth: bool = False) -> dict[str, str]:
    """The header's fields as stored; at birth all but those that create.lua writes."""
    skip = {"created_ms", "segment", "stalled", "deadline_ms"} if birth else _KEPT_BY_SCRIPTS
    raw = msgspec.to_builtins(header)
    return {name: str(value) for name, value in raw.items() if name not in skip}


def header(fields: dict[str, Any]) -> Header:
    """The header of a record."""
    known = {name: value for name, value in fields.items() if name in Header.__struct_fields__}
    return msgspec.convert(known, Header, strict=False)


ACCOUNT: Final = ("tenant", "ver", "status", "phase", "allow", "used", "held", "held_ms", "floor", "tail")
"""Fields of a record that say what its messages may cost."""


def allowance_fields(given: Allowance | None) -> dict[str, str]:
    """What a new record's messages may cost; nothing if nobody counts."""
    if given is None:
        return {}
    numbers = {"allow": given.units, "used": 0, "held": 0, "held_ms": 0, "floor": given.floor, "tail": given.tail}
    return {name: str(number) for name, number in numbers.items()}


def account(fields: Mapping[str, bytes | None]) -> Account | None:
    """The account in a record; None if nobody counts."""
    found = {name: value.decode() for name, value in fields.items() if value is not None}
    if "allow" not in found:
        return None
    status, phase = found.pop("status"), found.pop("phase", "")
    return msgspec.convert(found | {"over": status in TERMINAL, "undo": phase == Phase.UNDO}, Account, strict=False)


def account_from(values: Sequence[bytes], header: Header, ver: int) -> Account | None:
    """The account in acquire's reply."""
    if not values:
        return None
    known = {"tenant": header.tenant, "ver": str(ver), "status": header.status, "phase": header.phase}
    return account({name: text.encode() for name, text in known.items()} | dict(zip(ACCOUNT[4:], values, strict=True)))


def going_fields(going: Going) -> dict[str, str]:
    """What a continuation writes into the record beside its changes."""
    fields: dict[str, str] = {}
    if going.kind in {"leave", "suspend"}:  # empty too: an earlier segment's needs would be loaded for ever
        fields["need"] = ",".join(map(str, going.need))
    if going.adopted is not None:
        fields |= {"plan": going.adopted.hash, "deadline_ms": str(going.deadline_ms), **going.adopted.fields}
        fields |= {"floor": str(going.floor)} if going.floor else {}
    return fields


class Written(NamedTuple):
    """Changes as write.lua reads them, flat: pairs of fields, runs of cells, lines, commands, and what is stored apart."""

    once: list[Word]
    """Fields that are written once, with their values."""
    over: list[Word]
    runs: list[Word]
    lines: list[Word]
    commands: list[Word]
    texts: list[Word]


NOTHING: Final = Written([], [], [], [], [], [])


def parts(kept: Written, other: Written) -> list[Word]:
    """Both parts of a commit, as write.lua reads them."""
    numbers = (
        len(kept.once) // 2,
        len(other.once) // 2,
        len(kept.over) // 2,
        len(other.over) // 2,
        len(kept.runs) // 2,
        len(other.runs) // 2,
        len(kept.lines),
        len(other.lines),
        len(kept.commands) // 2,
        len(other.commands) // 2,
        len(kept.texts) // 3,
        len(other.texts) // 3,
    )
    return [
        bytes(numbers) if max(numbers) < _MANY else _LONG(_MANY, *numbers),
        *kept.once,
        *kept.over,
        *other.once,
        *other.over,
        *kept.runs,
        *other.runs,
        *kept.lines,
        *other.lines,
        *kept.commands,
        *other.commands,
        *kept.texts,
        *other.texts,
    ]


def followed(going: Going, commands: Sequence[Entry], apart: Apart) -> Written:
    """A continuation as write.lua reads it."""
    found, adopted = going.changes, going.adopted
    if going.kind == "none":
        return NOTHING
    if adopted is None:
        return written(found, commands, apart, beside=going_fields(going))
    cells = {number: Cell(letter) for number, letter in enumerate(adopted.cells)}
    found = msgspec.structs.replace(found, cells=cells)
    return written(found, commands, apart, beside=going_fields(going), plan=adopted.plan)


def written(
    changes: Changes,
    commands: Sequence[Entry] = (),
    apart: Apart | None = None,
    *,
    beside: Mapping[str, str] | None = None,
    plan: bytes = b"",
) -> Written:
    """Changes as write.lua reads them; `commands` are theirs as entries; `apart` takes their large outputs and a `plan`.

    `beside`: more fields of the record.
    """
    fields = (dict(header_fields(changes.header)) if changes.header else {}) | dict(beside or {})
    over: list[Word] = [part for pair in fields.items() for part in pair]
    over += [part for cell, intent in changes.intents.items() for part in (f"i:{cell}", _encode(intent))]
    over += [part for cell, fault in changes.faults.items() for part in (f"f:{cell}", _encode(fault))]
    over += [part for cell, hold in changes.holds.items() for part in (f"w:{cell}", _encode(hold))]
    if changes.notes is not None:
        over += ("notes", _encode(changes.notes))
    if changes.output is not None:
        over += ("output", _encode(changes.output))
    once: list[Word] = []
    texts: list[Word] = apart.plan(plan) if apart and plan else []
    for cell, result in changes.results.items():
        text, told = apart.field(cell, result) if apart else (_encode(result), [])
        once += (f"r:{cell}", text)
        if len(text) > BRIEF_BYTES:
            once += (f"c:{cell}", result.ended_ms)
        texts += told
    if apart:
        texts += [part for cell, logged in changes.logs.items() for part in apart.log(cell, logged)]
    runs: list[Word] = [part for run in _runs(changes.cells) for part in run]
    lines: list[Word] = [_encode(line) for line in changes.history]
    return Written(once, over, runs, lines, queue_texts(commands), texts)


def queue_texts(entries: Sequence[Entry]) -> list[Word]:
    """Commands as the scripts read them: (id, text) each."""
    return [part for entry in entries for part in (entry.id, _encode(entry))]


def queue_entries(header: Header, commands: Sequence[Command]) -> tuple[Entry, ...]:
    """Commands as outbox entries. No `~` is in an execution's id or a message's, so the two kinds of entry cannot meet."""
    return tuple(
        Entry(
            id=f"{header.id}~{command.id}",
            execution=header.id,
            segment=header.segment,
            reason=command.kind,
            trace=header.trace,
            kind=command.kind,
            to=command.to,
            payload=command.payload,
        )
        for command in commands
    )


def _runs(cells: dict[int, Cell]) -> Iterable[tuple[int, str]]:
    """Neighbouring cells written as one run of bytes: a fan-out of 10,000 is one write, not 10,000."""
    numbers = sorted(cells)
    if not numbers:
        return
    start = numbers[0]
    text = cells[start].value
    for before, number in pairwise(numbers):
        if number != before + 1:
            yield start, text
            start, text = number, ""
        text += cells[number].value
    yield start, text


def pairs(flat: Sequence[Any]) -> Iterable[tuple[str, bytes]]:
    """Flat (name, value) lists of a reply."""
    for number in range(0, len(flat), 2):
        name = flat[number]
        yield (name.decode() if isinstance(name, bytes) else str(name)), flat[number + 1]


HEADER: Final = (
    "id",
    "tenant",
    "plan",
    "status",
    "phase",
    "reason",
    "cause",
    "segment",
    "created_ms",
    "deadline_ms",
    "stalled",
    "trace",
)
"""What acquire.lua answers as the header; the notes are behind it."""


def header_from(values: Sequence[Any]) -> Header:
    """The header in acquire's reply."""
    found = {name: value for name, value in zip(HEADER, values, strict=False) if value is not None}
    return header({name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()})


class Busy(NamedTuple):
    """What is kept beside the cells that are busy."""

    intents: dict[int, Intent]
    faults: dict[int, Fault]
    holds: dict[int, Hold]


def busy(flat: Sequence[Any]) -> Busy:
    """Intents, faults and holds of the busy cells."""
    found = Busy({}, {}, {})
    for name, value in pairs(flat):
        kind, _, cell = name.partition(":")
        match kind:
            case "i":
                found.intents[int(cell)] = _intent.decode(value)
            case "w":
                found.holds[int(cell)] = _hold.decode(value)
            case _:
                found.faults[int(cell)] = _fault.decode(value)
    return found


def notes_from(values: Sequence[Any]) -> Notes:
    """The notes behind the header in acquire's reply."""
    return Notes() if values[-1] is None else _notes.decode(values[-1])


def text(value: str) -> bytes:
    """A text as it stands in JSON."""
    return _encode(value)


def notes_text(notes: Notes) -> dict[str, str]:
    """The field that keeps them; none where there is nothing to note."""
    return {} if notes == Notes() else {"notes": _encode(notes).decode()}


def given(results: dict[int, Result]) -> dict[str, str]:
    """The fields of results that an execution begins with."""
    texts = {f"r:{cell}": _encode(result).decode() for cell, result in results.items()}
    long = {cell: result for cell, result in results.items() if len(texts[f"r:{cell}"]) > BRIEF_BYTES}
    return texts | {f"c:{cell}": str(result.ended_ms) for cell, result in long.items()}


def outputs(flat: Sequence[Any]) -> dict[int, object]:
    """Outputs of done steps, by cell; without those that are stored apart, which are loaded when they are needed."""
    found = {int(name.partition(":")[2]): _result.decode(value) for name, value in pairs(flat)}
    return {cell: one.output for cell, one in found.items() if one.large is None}


def result(data: bytes) -> Stored:
    """One stored result."""
    return _result.decode(data)


def hold(data: bytes) -> Hold:
    """One stored hold."""
    return _hold.decode(data)


def notes(data: bytes) -> Notes:
    """Stored notes."""
    return _notes.decode(data)


def signal(data: bytes) -> Signal:
    """One signal as the inbox keeps it."""
    return _signal.decode(data)


def intent(data: bytes) -> Intent:
    """One stored intent."""
    return _intent.decode(data)


def fault(data: bytes) -> Fault:
    """One stored fault."""
    return _fault.decode(data)


def words(data: bytes) -> Words:
    """What is to be planned."""
    return _words.decode(data)


def words_text(words: Words | None) -> dict[str, str]:
    """The field that keeps it; none where there is a plan."""
    return {} if words is None else {"words": _encode(words).decode()}


def signals(flat: Sequence[Any]) -> tuple[Signal, ...]:
    """Signals behind the position seen."""
    return tuple(msgspec.structs.replace(_signal.decode(value), position=int(position)) for position, value in pairs(flat))


def line(value: Line) -> bytes:
    """One line of the history."""
    return _encode(value)


def letter_text(value: Letter) -> bytes:
    """A dead letter as bury.lua takes it."""
    return _encode(value)


def letter(text: bytes) -> Letter:
    """A dead letter as it is kept."""
    return _letter.decode(text)


def signal_text(kind: str, payload: object) -> bytes:
    """A signal as the caller writes it; the script knows its position, and when it came."""
    return _encode({"position": 0, "kind": kind, "payload": payload})


def signal_at(text: bytes, now_ms: int) -> bytes:
    """The signal as the inbox keeps it: signal.lua does the same."""
    return b'%s,"at_ms":%d}' % (text[:-1], now_ms)


def refused_parts(one: Refused) -> list[str | int]:
    """As relay_later.lua takes a refusal. A command has no segment, and its record keeps nothing of it."""
    segment = one.entry.segment if one.entry.kind == MESSAGE else ""
    return [one.entry.id, one.again_ms, segment, "1" if one.away else "", refusal_text(one).decode()]


def refusal_text(one: Refused) -> bytes:
    """What the record keeps of a refusal, but for its time: short, whatever the other side said."""
    return _encode({"queue": one.queue[:REFUSAL_MOST], "channel": one.channel[:REFUSAL_MOST]})


def refusal_at(text: bytes, now_ms: int) -> bytes:
    """With its time, as relay_later.lua puts it."""
    return b'%s,"at_ms":%d}' % (text[:-1], now_ms)


def refusal(text: bytes) -> Refusal:
    """What the record keeps of the latest refusal."""
    return _refusal.decode(text)


def entry(text: bytes) -> Entry:
    """An outbox entry; cjson writes numbers it may have made floats."""
    return _entry.decode(text)


def entries(texts: Iterable[bytes]) -> list[Entry]:
    """The readable ones. One that is not must not keep the others from being sent; the due index has its execution."""
    found = []
    for text in texts:
        try:
            found.append(entry(text))
        except msgspec.DecodeError as error:
            log.error("outbox.unreadable", error=str(error), entry=text[:200])  # noqa: TRY400 - the place is the entry
    return found


def anything(text: bytes) -> Any:
    """Untyped JSON (history lines)."""
    return _anything.decode(text)
