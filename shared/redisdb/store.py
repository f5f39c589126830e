"""The Store on Redis or Valkey: one Lua command a method, and no Lua anywhere else."""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from shared import dead_letters as dead
from shared.errors import Unavailable
from shared.machine.decision import Changes, Line
from shared.machine.state import Header, Notes
from shared.machine.status import TERMINAL, Status
from shared.places import outlived
from shared.ports import (
    REST_MS,
    RETIRING_MS,
    WATCH_MS,
    Accepted,
    Birth,
    Commit,
    Committed,
    Entry,
    Flags,
    Going,
    Heard,
    Hinted,
    Lease,
    Letter,
    LetterPage,
    Lost,
    Made,
    No,
    NoLease,
    NotAccepted,
    OverduePage,
    Peek,
    Refused,
    Reopened,
    Words,
)
from shared.quota import Account
from shared.redisdb import keys, wire
from shared.redisdb.base import Commanding
from shared.redisdb.creation import Creation
from shared.redisdb.line import Word
from shared.redisdb.lua import BARRIER_MS, wait_for_disk

_TERMINAL: Final = f",{','.join(sorted(TERMINAL))},"
AFTER_LEASE_MS: Final = 500
"""How long after a lease the watchdog looks; acquire.lua and hint.lua say the same."""
LAG_LIVES_MS: Final = 10_000
"""A lag that nobody has measured for so long is none: messages do not flow, and what is overdue is sent again."""
LONGEST_DELAY_MS: Final = 7 * 86_400_000
"""Of a message on QStash's free plan."""
HEARD_MS: Final = 600_000
"""How long a hint's message counts once. It may come twice within 5 minutes: so long Ably repeats a webhook that was not taken,
and a subscriber that was away reads what it missed."""
FORBIDDEN_MS: Final = 7 * 86_400_000
INBOX_LIMIT: Final = 1_000
INBOX_BYTES: Final = 1_048_576
"""Of an execution's signals together, seen or not."""
LARGE_BYTES: Final = 65_536
_SHORT: Final = frozenset({"none", "intents"})
"""Continuations that go on in the same segment."""
_SIGNAL_ANSWERS: Final = {1: "duplicate", 2: "terminal", 3: "absent", 4: "full"}


def must_last(kept: Changes, going: Going) -> bool:
    """Whether `strict` waits for the disk behind this commit: somebody acts upon it who would not forget it with us.

    That is a tool, a caller who is told of the end or of a plan, or another execution: a command is carried out at once.
    """
    if going.adopted is not None:
        return True
    return going.kind in {"intents", "end"} or bool(kept.commands or going.changes.commands)


def _goes_on(kept: Changes, going: Going) -> bool:
    """Whether no status moves, nothing is told to another partition and nothing large is stored: most commits."""
    others = going.changes
    plain = not (kept.header or kept.commands or kept.logs or others.header or others.commands or others.logs)
    return plain and going.kind in _SHORT


def commas(statuses: frozenset[Status]) -> str:
    """Statuses as the scripts look them up: a comma before and after each."""
    return f",{','.join(sorted(statuses))},"


def _range(name: str, until_ms: int, limit: int) -> tuple[Word, ...]:
    """The first `limit` members whose time has come."""
    return ("ZRANGE", name, 0, until_ms, "BYSCORE", "LIMIT", 0, limit)


class RedisStore(Commanding):
    """See `shared.ports.Store` for what each method promises."""

    def __init__(
        self,
        redis: Redis,
        *,
        retention_ms: int,
        strict: bool = False,
        large_bytes: int = LARGE_BYTES,
        now_ms: int | None = None,
        longest_delay_ms: int = LONGEST_DELAY_MS,
    ) -> None:
        """`strict`: wait until creates, signals and intents of effects are on disk. `now_ms`: tests only.

        `large_bytes`: an output of more is not in the record, but under a key of its own. `longest_delay_ms`: what QStash's
        plan allows; longer waits are chained.
        """
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self._longest_delay_ms = longest_delay_ms
        self._large_bytes = large_bytes
        self._retention_ms = retention_ms
        self.load(
            "create",
            "acquire",
            "commit",
            "signal",
            "resend",
            "overdue_page",
            "relay_claim",
            "relay_ack",
            "relay_later",
            "relay_back",
            "reopen",
            "watch",
            "hint",
            "dead_letter",
            "discard",
            "forbid",
            "retire_page",
            "purge",
            "quota_count",
            "quota_allow",
        )
        self._scripts["begin"] = self._scripts["commit"]

    async def made_by(self, tenant: str, key: str) -> tuple[str, str] | None:
        """See the port."""
        name = keys.idempotency(keys.spread(f"{tenant}/{key}"), tenant, key)
        if self._strict:
            execution, request_hash = await self._made_durably(name)
        else:
            execution, request_hash = await self._read("HMGET", name, "id", "hash")
        return (execution.decode(), request_hash.decode()) if execution else None

    async def _made_durably(self, name: str) -> tuple[bytes, bytes]:
        """Who made it may not have been answered yet."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(name, ["id", "hash"])
        wait_for_disk(pipe, name)
        found, *waited = await self._plain(pipe.execute())
        if not waited[-1][0]:
            raise Unavailable(f"Redis did not confirm within {BARRIER_MS} ms that its writes are on disk; try again")
        execution, request_hash = found
        return execution, request_hash

    async def create(self, birth: Birth) -> Made:
        """See the port."""
        creation = Creation(birth)
        made = creation.made(await self._run("create", creation.names, creation.args, barrier=True))
        assert made is not None  # noqa: S101 - only what must be paid can be unpaid
        return made

    async def acquire(self, execution: str, *, owner: str, lease_ms: int, segment: int, cause: str) -> Lease | NoLease:
        """See the port."""
        pp = keys.partition_of(execution)
        reply = await self._run(
            "acquire",
            [
                keys.record(execution),
                keys.cells(execution),
                keys.due(pp),
                keys.inbox(execution),
                keys.history(execution),
                keys.outbox_times(pp),
                keys.outbox_entries(pp),
                keys.news(pp),
            ],
            [
                execution,
                owner,
                lease_ms,
                segment,
                _TERMINAL,
                wire.text(cause),
                secrets.token_hex(6),
                self._longest_delay_ms,
                REST_MS,
            ],
        )
        if reply[0] != 0:
            ms = reply[1] if reply[0] in {No.NOT_DUE, No.HELD} else 0
            entry = wire.entry(reply[2]) if reply[0] == No.NOT_DUE and reply[2] else None
            watched = reply[0] == No.TERMINAL and bool(reply[2])
            return NoLease(why=No(reply[0]), ms=int(ms), entry=entry, watched=watched)
        busy = wire.busy(reply[8])
        return Lease(
            owner=owner,
            now_ms=reply[1],
            fence=reply[2],
            ver=reply[3],
            until_ms=reply[4],
            seen=reply[5],
            header=wire.header_from(reply[6]),
            cells=reply[7],
            intents=busy.intents,
            faults=busy.faults,
            holds=busy.holds,
            notes=wire.notes_from(reply[6]),
            results=wire.outputs(reply[9]),
            signals=wire.signals(reply[10]),
            account=wire.account_from(reply[11], wire.header_from(reply[6]), reply[3]),
            watched=bool(reply[12]),
        )

    async def begin(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """See the port. The same script as commit: a commit without results."""
        return await self._commit("begin", lease, ver=ver, seen=seen, kept=kept, going=going)

    async def commit(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """See the port."""
        return await self._commit("commit", lease, ver=ver, seen=seen, kept=kept, going=going)

    async def _commit(self, name: str, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        execution = lease.header.id
        pp = keys.partition_of(execution)
        first, second = (
            wire.queue_entries(lease.header, kept.commands),
            wire.queue_entries(lease.header, going.changes.commands),
        )
        apart = wire.Apart(execution, self._large_bytes, 13)
        keep, follow = wire.written(kept, first, apart), wire.followed(going, second, apart)
        short = _goes_on(kept, going) and not apart.keys
        names = [
            keys.record(execution),
            keys.cells(execution),
            keys.history(execution),
            keys.inbox(execution),
            keys.news(pp),
        ]
        if not short:
            names += self._beside(pp, lease.header.tenant)
        reply = await self._run(
            name,
            [*names, *apart.keys],
            [
                lease.owner,
                ver,
                seen,
                "1" if kept.progress or going.changes.progress else "0",
                going.kind,
                *wire.parts(keep, follow),
                *([] if short else self._ending(lease, going)),
            ],
            barrier=must_last(kept, going),
        )
        return _committed(reply, first, second)

    def _beside(self, pp: str, tenant: str) -> list[str]:
        """What a commit needs to move a status, to send a command or to end a segment."""
        return [
            keys.due(pp),
            keys.outbox_times(pp),
            keys.outbox_entries(pp),
            keys.tally(pp, tenant),
            keys.waiting(pp, tenant),
            keys.retire(pp),
            keys.dead_times(pp, tenant),
            keys.dead_letters(pp, tenant),
        ]

    def _ending(self, lease: Lease, going: Going) -> list[Word]:
        """How a segment ends; what goes on needs none of it."""
        if going.kind in _SHORT:
            return []
        if going.kind == "end":
            return [self._retention_ms]
        return [
            going.due_in_ms + WATCH_MS,
            going.wake_ms,
            "1" if going.timed else "0",
            secrets.token_hex(6) if going.message else "",
            going.reason,
            self._capped(lease, going.not_before_ms),
            lease.header.trace,
            wire.letter_text(going.letter) if going.letter else "",
            dead.MOST,
        ]

    def _capped(self, lease: Lease, not_before_ms: int) -> int:
        """No later than QStash takes; the rest of the wait is chained when that message comes."""
        return min(not_before_ms, lease.now_ms + self._longest_delay_ms)

    async def load_results(self, execution: str, cells: Sequence[int]) -> dict[int, object]:
        """See the port."""
        values = await self._fields(execution, [f"r:{cell}" for cell in cells])
        found = {cell: wire.result(value) for cell, value in zip(cells, values, strict=True) if value is not None}
        outputs = {cell: one.output for cell, one in found.items() if one.large is None}
        apart = {cell: one.large for cell, one in found.items() if one.large is not None}
        if apart:
            texts = await self._plain(self._redis.mget([keys.large_value(execution, cell) for cell in apart]))
            read = {cell: wire.output_of(apart[cell], text) for cell, text in zip(apart, texts, strict=True)}
            outputs |= {cell: wire.anything(text) for cell, text in read.items() if text is not None}
        return outputs

    async def load_order(self, execution: str, cells: Sequence[int]) -> dict[int, int]:
        """See the port."""
        values = await self._fields(execution, [f"c:{cell}" for cell in cells])
        found = {cell: int(value) for cell, value in zip(cells, values, strict=True) if value is not None}
        brief = [cell for cell in cells if cell not in found]
        texts = await self._fields(execution, [f"r:{cell}" for cell in brief])
        return found | {cell: wire.result(text).ended_ms for cell, text in zip(brief, texts, strict=True) if text is not None}

    async def _fields(self, execution: str, names: Sequence[str]) -> list[bytes | None]:
        if not names:
            return []
        found: list[bytes | None] = await self._read("HMGET", keys.record(execution), *names)
        return found

    async def load_letters(self, execution: str, positions: Sequence[int]) -> dict[int, object]:
        """See the port."""
        if not positions:
            return {}
        values = await self._read("HMGET", keys.inbox(execution), *positions)
        return {at: wire.signal(text).payload for at, text in zip(positions, values, strict=True) if text is not None}

    async def load_plan(self, execution: str) -> bytes | None:
        """See the port."""
        found: bytes | None = await self._read("GET", keys.plan(execution))
        return found

    async def load_words(self, execution: str) -> Words | None:
        """See the port."""
        found = await self._read("HGET", keys.record(execution), "words")
        return None if found is None else wire.words(found)

    async def signal(self, execution: str, *, tenant: str, sid: str, kind: str, payload: object) -> Accepted | NotAccepted:
        """See the port."""
        pp = keys.partition_of(execution)
        reply = await self._run(
            "signal",
            [
                keys.record(execution),
                keys.inbox(execution),
                keys.history(execution),
                keys.due(pp),
                keys.outbox_times(pp),
                keys.outbox_entries(pp),
                keys.news(pp),
            ],
            [
                execution,
                tenant,
                sid,
                kind,
                wire.signal_text(kind, payload),
                secrets.token_hex(6),
                _TERMINAL,
                INBOX_LIMIT,
                WATCH_MS,
                INBOX_BYTES,
            ],
            barrier=True,
        )
        if reply[0] == 0:
            return Accepted(entry=wire.entry(reply[1]) if reply[1] else None)
        return NotAccepted(why=_SIGNAL_ANSWERS[reply[0]])

    async def resend(
        self, execution: str, *, base_ms: int, most_ms: int, direct: bool = False, late_ms: int = 0
    ) -> Entry | None:
        """See the port."""
        pp = keys.partition_of(execution)
        reply = await self._run(
            "resend",
            [keys.record(execution), keys.due(pp), keys.outbox_times(pp), keys.outbox_entries(pp)],
            [execution, base_ms, most_ms, secrets.token_hex(6), _TERMINAL, "1" if direct else "0", late_ms],
        )
        return wire.entry(reply[1]) if reply[0] == 0 else None

    async def account(self, execution: str) -> Account | None:
        """See the port."""
        found = await self._read("HMGET", keys.record(execution), *wire.ACCOUNT)
        return wire.account(dict(zip(wire.ACCOUNT, found, strict=True)))

    async def count(self, execution: str, message: str, units: int) -> None:
        """See the port."""
        await self._run("quota_count", [keys.record(execution)], [message, units], timed=False)

    async def allow(self, execution: str, units: int, *, wake: bool) -> None:
        """See the port."""
        names = [keys.record(execution), keys.due(keys.partition_of(execution))]
        await self._run("quota_allow", names, [execution, units, "1" if wake else "0", _TERMINAL])

    async def overdue(self, partition: str, *, limit: int, late_ms: int = 0) -> list[str]:
        """See the port. The candidates only; `resend` checks each again, atomically."""
        now = await self.now() - late_ms
        found = await self._read(*_range(keys.due(partition), now, limit))
        return [name.decode() for name in found]

    async def overdue_everywhere(self, *, limit: int, late_ms: int = 0) -> list[str]:
        """`overdue` of every partition in two round trips, one if there is nothing."""
        now, some = await self._now_and_any(keys.everywhere(keys.due))
        if not some:
            return []
        until = now - late_ms
        found = await self._read_all(_range(keys.due(partition), until, limit) for partition in keys.all_partitions())
        return [name.decode() for part in found for name in part]

    async def overdue_page(self, partition: str, *, first: int, page: int, each: int, late_ms: int) -> OverduePage:
        """See the port."""
        names = [keys.due(partition), keys.record_prefix(partition)]
        reply = await self._run("overdue_page", names, [late_ms, first, page, each])
        tenants: dict[str, list[str]] = {}
        for tenant, execution in zip(reply[1::2], reply[2::2], strict=True):
            tenants.setdefault(tenant.decode(), []).append(execution.decode())
        return OverduePage(tenants=tenants, next=reply[0])

    async def moved(self, executions: Sequence[str]) -> list[bool]:
        """See the port. One round trip."""
        now = await self.now()
        found = await self._read_all(("HMGET", keys.record(one), "tries", "lease_until", "status") for one in executions)
        return [
            not int(tries or 0) or int(until or 0) > now or (status or b"").decode() in TERMINAL
            for tries, until, status in found
        ]

    async def left_behind(self, mine: str, *, lease_ms: int, limit: int, stalled: int) -> list[str]:
        """See the port. Three round trips, one if nothing is there. A live lease ends before the due time."""
        now, some = await self._now_and_any(keys.everywhere(keys.due))
        if not some:
            return []
        latest, window = now + lease_ms + AFTER_LEASE_MS, ("BYSCORE", "REV", "LIMIT", 0, limit)
        pages = await self._read_all(("ZRANGE", keys.due(one), latest, now, *window) for one in keys.all_partitions())
        names = [name.decode() for page in pages for name in page]
        found = await self._read_all(("HMGET", keys.record(one), "owner", "lease_until", "stalled") for one in names)
        return [
            name
            for name, (owner, until, begun) in zip(names, found, strict=True)
            if int(until or 0) > now and int(begun or 0) <= stalled and outlived((owner or b"").decode(), mine)
        ]

    async def share_lag(self, ms: int) -> None:
        """See the port."""
        await self._plain(self._redis.set(keys.delivery_lag(), ms, px=LAG_LIVES_MS))

    async def lag(self) -> int:
        """See the port."""
        return int(await self._read("GET", keys.delivery_lag()) or 0)

    async def waiting_entries(self) -> list[str]:
        """Partitions with outbox entries whose relay time has come, in two round trips, one if there are none."""
        now, some = await self._now_and_any(keys.everywhere(keys.outbox_times))
        if not some:
            return []
        counts = await self._read_all(("ZCOUNT", keys.outbox_times(one), "-inf", now) for one in keys.all_partitions())
        return [partition for partition, count in zip(keys.all_partitions(), counts, strict=True) if count]

    async def relay_claim(self, partition: str, *, limit: int, claim_ms: int) -> list[Entry]:
        """See the port."""
        reply = await self._run("relay_claim", _outbox(partition), [limit, claim_ms])
        return wire.entries(reply)

    async def relay_ack(self, sent: Sequence[tuple[Entry, str]]) -> None:
        """See the port. One script call a partition."""
        parts: dict[str, list[tuple[Entry, str]]] = defaultdict(list)
        for entry, message in sent:
            parts[keys.partition_of(entry.execution)].append((entry, message))
        for partition, some in parts.items():
            names = _outbox(partition) + [keys.record(entry.execution) for entry, _ in some]
            args = [part for entry, message in some for part in (entry.id, message)]
            await self._run("relay_ack", names, args, timed=False)

    async def relay_later(self, refused: Sequence[Refused]) -> list[str]:
        """See the port. One script call a partition."""
        parts: dict[str, list[Refused]] = defaultdict(list)
        for one in refused:
            parts[keys.partition_of(one.entry.execution)].append(one)
        moot: list[bytes] = []
        for partition, some in parts.items():
            names = _outbox(partition) + [keys.record(one.entry.execution) for one in some]
            args = [part for one in some for part in wire.refused_parts(one)]
            moot += await self._run("relay_later", names, [_TERMINAL, *args])
        return [name.decode() for name in moot]

    async def relay_back(self, partition: str, *, limit: int, claim_ms: int, least_ms: int = 0) -> list[Entry]:
        """See the port."""
        return wire.entries(await self._run("relay_back", _outbox(partition), [limit, claim_ms, least_ms]))

    async def away_entries(self) -> list[str]:
        """See the port. Two round trips, one if there are none."""
        _, some = await self._now_and_any(keys.everywhere(keys.outbox_away))
        if not some:
            return []
        counts = await self._read_all(("ZCARD", keys.outbox_away(one)) for one in keys.all_partitions())
        return [partition for partition, count in zip(keys.all_partitions(), counts, strict=True) if count]

    async def watch(self, execution: str, *, tenant: str, for_ms: int) -> int | None:
        """See the port."""
        reply = await self._run("watch", [keys.record(execution), keys.history(execution)], [tenant, for_ms])
        return int(reply[1]) if reply[0] == 0 else None

    async def hint(self, execution: str, *, tenant: str = "", segment: int = -1, message: str = "") -> Hinted:
        """See the port."""
        names = [keys.record(execution), keys.due(keys.partition_of(execution)), keys.heard(execution, message)]
        once = "1" if message else "0"
        args = [execution, tenant, segment, _TERMINAL, once, secrets.token_hex(6), HEARD_MS]
        reply = await self._run("hint", names, args, barrier=True)
        return Hinted(heard=Heard(reply[0]), segment=int(reply[1]) if len(reply) > 1 else None)

    async def bury(self, letter: Letter, *, in_ms: int, line: Line) -> int | None:
        """See the port. The tenant, which names the list, is read first: it never changes."""
        execution = letter.execution
        pp, tenant = keys.partition_of(execution), await self._tenant_of(execution)
        names = [keys.record(execution), keys.due(pp), keys.history(execution)]
        names += [keys.dead_times(pp, tenant), keys.dead_letters(pp, tenant), keys.news(pp)]
        args = [execution, tenant, in_ms, _TERMINAL, wire.line(line), wire.letter_text(letter), dead.MOST]
        reply = await self._run("dead_letter", names, args)
        return int(reply[1]) if reply[0] == 0 else None

    async def letters(
        self, tenant: str, *, limit: int, before: tuple[int, str] | None = None, execution: str = ""
    ) -> LetterPage:
        """See the port. No two letters of one list have the same time: of each list the page, `before` itself, and one that
        tells whether there is more.
        """
        parts = [keys.partition_of(execution)] if execution else keys.all_partitions()
        top, most = before[0] if before else "+inf", dead.MOST if execution else limit + 2
        pipe = self._redis.pipeline(transaction=False)
        for pp in parts:
            pipe.zrange(keys.dead_times(pp, tenant), top, "-inf", byscore=True, desc=True, offset=0, num=most, withscores=True)
        found = [
            (int(at), name.decode(), pp)
            for pp, some in zip(parts, await self._plain(pipe.execute()), strict=True)
            for name, at in some
        ]
        prefix = dead.prefix_of(execution) if execution else ""
        rows = [row for row in found if row[1].startswith(prefix) and (before is None or row[:2] < before)]
        rows = sorted(rows, reverse=True)
        page = rows[:limit]
        pipe = self._redis.pipeline(transaction=False)
        for _, name, pp in page:
            pipe.hget(keys.dead_letters(pp, tenant), name)
        texts = await self._plain(pipe.execute()) if page else []
        letters = tuple(wire.letter(text) for text in texts if text is not None)  # one may be discarded meanwhile
        return LetterPage(letters=letters, next=page[-1][:2] if len(rows) > limit else None)

    async def letter(self, tenant: str, letter: str) -> Letter | None:
        """See the port."""
        execution = dead.execution_of(letter)
        if execution is None:
            return None
        text = await self._plain(self._redis.hget(keys.dead_letters(keys.partition_of(execution), tenant), letter))
        return wire.letter(text) if text is not None else None

    async def discard(self, tenant: str, letters: Sequence[str]) -> int:
        """See the port. One script call a partition; what is no letter's id is not there."""
        parts: dict[str, list[str]] = defaultdict(list)
        for letter in letters:
            if execution := dead.execution_of(letter):
                parts[keys.partition_of(execution)].append(letter)
        gone = 0
        for pp, some in parts.items():
            gone += int(
                await self._run("discard", [keys.dead_times(pp, tenant), keys.dead_letters(pp, tenant)], some, timed=False)
            )
        return gone

    async def _tenant_of(self, execution: str) -> str:
        owner = await self._plain(self._redis.hget(keys.record(execution), "tenant"))
        return owner.decode() if owner else ""

    async def peek(self, execution: str, *, tenant: str) -> Peek | None:
        """See the port."""
        names = [*Header.__struct_fields__, "ver", "notes"]
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(keys.record(execution), names)
        pipe.get(keys.cells(execution))
        values, cells = await self._plain(pipe.execute())
        found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if found.get("tenant", b"").decode() != tenant:
            return None
        ver, notes = int(found.pop("ver")), found.pop("notes", None)
        header = wire.header({name: value.decode() for name, value in found.items()})
        return Peek(header=header, ver=ver, cells=cells or b"", notes=wire.notes(notes) if notes else Notes())

    async def forbid(self, execution: str) -> bool:
        """See the port."""
        reply = await self._run("forbid", [keys.record(execution)], [FORBIDDEN_MS], timed=False)
        return bool(reply[0] == 0)

    async def reopen(
        self, execution: str, *, tenant: str, ver: int, origins: frozenset[Status], changes: Changes
    ) -> Reopened | NotAccepted:
        """See the port."""
        pp = keys.partition_of(execution)
        apart = wire.Apart(execution, self._large_bytes, 10)
        written = wire.parts(wire.written(changes, (), apart), wire.NOTHING)
        reply = await self._run(
            "reopen",
            [
                keys.record(execution),
                keys.cells(execution),
                keys.history(execution),
                keys.due(pp),
                keys.outbox_times(pp),
                keys.outbox_entries(pp),
                keys.retire(pp),
                keys.news(pp),
                keys.tally(pp, tenant),
                keys.waiting(pp, tenant),
                *apart.keys,
            ],
            [execution, tenant, ver, commas(origins), WATCH_MS, secrets.token_hex(6), *written],
            barrier=True,
        )
        if reply[0] == 0:
            return Reopened(entry=wire.entry(reply[1]), ver=reply[2])
        return NotAccepted(why={1: "illegal", 2: "conflict", 3: "absent"}[reply[0]])

    async def retire_page(self, partition: str, *, owner: str, limit: int) -> list[str]:
        """See the port. The candidates only; `purge` checks each again, atomically."""
        names = [keys.retire(partition), keys.retiring(partition)]
        return [name.decode() for name in await self._run("retire_page", names, [owner, RETIRING_MS, limit])]

    async def purge(self, execution: str) -> bool:
        """See the port. What names the keys is read first: tenant, Idempotency-Key, outputs that are stored apart, logs."""
        pp = keys.partition_of(execution)
        found = await self._fields(execution, ["tenant", "large", "idem", "logs"])
        tenant, large, idem, logs = (value.decode() if value else "" for value in found)
        reply = await self._run(
            "purge",
            [
                keys.record(execution),
                keys.cells(execution),
                keys.plan(execution),
                keys.history(execution),
                keys.inbox(execution),
                keys.listing(pp, tenant),
                keys.retire(pp),
                keys.dead_times(pp, tenant),
                keys.dead_letters(pp, tenant),
                keys.tally(pp, tenant),
                keys.waiting(pp, tenant),
                *([idem] if idem else []),
                *(keys.large_value(execution, int(cell)) for cell in large.split(",") if cell),
                *(keys.step_log(execution, int(cell)) for cell in logs.split(",") if cell),
            ],
            [execution, tenant, execution.rpartition("_")[2], _TERMINAL, dead.prefix_of(execution), large, logs],
        )
        return bool(reply[0] == 0)


def _outbox(partition: str) -> list[str]:
    return [keys.outbox_times(partition), keys.outbox_entries(partition), keys.outbox_away(partition)]


def _committed(reply: Any, kept: tuple[Entry, ...], following: tuple[Entry, ...]) -> Commit:
    match reply[0]:
        case 0:
            entry = wire.entry(reply[2]) if reply[2] else None
            return Committed(ver=reply[1], entry=entry, commands=kept + following, watched=bool(reply[3]))
        case 1:
            return Flags(ver=reply[1], signals=wire.signals(reply[2]), commands=kept)
        case 2:
            return Lost()
        case _:
            _, first, ver, entry, signals, watched = reply
            return _committed([first, ver, entry if first == 0 else signals, watched], kept, following)


def as_text(found: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """A hash's fields with text names."""
    return {name.decode(): value for name, value in found.items()}
