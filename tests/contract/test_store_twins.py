"""The memory store and the Redis store, given the same commands in any order, answer the same and hold the same record."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.machine.decision import Changes
from shared.machine.state import Hold, Notes
from shared.machine.status import Cell, Reason, Status
from shared.memory import MemoryStore
from shared.ports import MESSAGE, Accepted, Committed, Created, Entry, Going, Lease, Reopened, Store
from shared.redisdb import keys, wire
from shared.redisdb.store import LARGE_BYTES, RedisStore
from tests.support.drawn import drawn
from tests.support.executions import (
    ALLOWANCE,
    ANN,
    BOB,
    DEAD,
    LEASE_MS,
    NONE,
    NOTHING,
    NOW,
    PP,
    RETENTION_MS,
    birth,
    done,
    ends,
    execution_id,
    fault,
    intends,
    leaves,
    letter,
    put_off,
    standing,
    starts,
    stuck,
    suspends,
)

Command = Callable[[Store], Awaitable[Any]]
IDS = [execution_id(1), execution_id(2)]
KEPT = [
    NOTHING,
    done(0),
    done(1, {"x": (1, 2)}),
    Changes(cells={2: Cell.BACKOFF}, faults={2: fault()}),
    intends(2),
    Changes(progress=True),
    done(0, "x" * (LARGE_BYTES + 1)),
    Changes(cells={1: Cell.WAITING}, holds={1: Hold(kind=Reason.SLEEP, since_ms=NOW, until_ms=NOW + 5_000)}),
    Changes(notes=Notes(paused="ann", depth=2), output={"all": "well"}, progress=True),
]

UNSET = {"owner": "", "lease_until": "0", "wake_ms": "0", "timed": "0", "need": "", "tries": "0", "message": "", "stalled": "0"}
"""What a field that Redis does not have yet stands for."""


def going(lease: Lease, kind: str) -> Going:
    """A continuation of each kind."""
    options = {
        "none": NONE,
        "intents": starts(0, 1),
        "leave": leaves(need=(0, 1)),
        "sleep": suspends(lease, wake_ms=lease.now_ms + 5_000),
        "wait": suspends(lease, wake_ms=lease.now_ms + 60_000, timed=False),
        "stuck": msgspec.structs.replace(
            suspends(lease, wake_ms=lease.now_ms + 60_000, timed=False),
            letter=stuck(lease.header.id, segment=lease.header.segment),
        ),
        "pause": Going(kind="suspend", changes=Changes(header=standing(lease, Status.PAUSED)), due_in_ms=60_000),
        "fail": ends(lease, Status.FAILED),
        "end": ends(lease),
    }
    return options[kind]


def plain(answer: Any) -> Any:
    """An answer without the nonces, and entries of one moment in an order that does not depend on them."""
    if isinstance(answer, Entry) and answer.kind != MESSAGE:
        return answer
    if isinstance(answer, Entry):
        assert answer.id.startswith(f"{answer.execution}-{answer.segment}-"), answer
        return msgspec.structs.replace(answer, id="")
    if isinstance(answer, list) and answer and isinstance(answer[0], Entry):
        return sorted((plain(one) for one in answer), key=repr)
    if isinstance(answer, Created | Committed | Accepted | Reopened) and answer.entry:
        return msgspec.structs.replace(answer, entry=plain(answer.entry))
    return answer


class Pair:
    """Both stores, and what is known of them."""

    def __init__(self, redis: Redis, adapter: Callable[..., RedisStore] = RedisStore) -> None:
        self.redis: Any = redis
        self.memory = MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW)
        self.real = adapter(redis, retention_ms=RETENTION_MS, now_ms=NOW)
        self.leases: dict[tuple[str, str], Lease] = {}
        self.vers: dict[str, int] = dict.fromkeys(IDS, 0)
        self.entries: list[tuple[Entry, Entry]] = []

    async def both(self, command: Command) -> Any:
        """The answer of both, which must be one."""
        ours, theirs = await command(self.memory), await command(self.real)
        assert plain(ours) == plain(theirs)
        first, second = getattr(ours, "entry", ours), getattr(theirs, "entry", theirs)
        if isinstance(first, Entry) and isinstance(second, Entry):
            self.entries.append((first, second))
        return theirs

    def pass_time(self, ms: int) -> None:
        """On both clocks."""
        self.memory.now_ms = self.real.now_ms = (self.real.now_ms or NOW) + ms

    async def same_records(self) -> None:
        """Every record, field by field, with its cells and its history."""
        for execution in IDS:
            fields = {
                name.decode(): value.decode() for name, value in (await self.redis.hgetall(keys.record(execution))).items()
            }
            ours: dict[str, str] = {}
            with contextlib.suppress(KeyError):
                ours = self.memory.fields(execution)
            for name in ("last", "last_entry", "told"):  # the memory store's lines have no ids
                fields.pop(name, None)
            for record in (fields, ours):  # entries of one moment differ in their nonces
                if "queued" in record:
                    record["queued"] = record["queued"].rpartition("-")[0]
            assert (UNSET | fields if fields else {}) == ours
            if ours:
                assert (await self.redis.get(keys.cells(execution)) or b"").decode() == self.memory.cells(execution)
                lines = [line[b"l"] for _, line in await self.redis.xrange(keys.history(execution))]
                assert [wire.anything(line) for line in lines] == self.memory.history(execution)

    async def records(self) -> None:
        """Every record; every index, now and later."""
        await self.same_records()
        for step in (0, LEASE_MS, 400_000, RETENTION_MS):
            self.pass_time(step)
            await self.both(lambda store: store.overdue(PP, limit=9))
            await self.both(lambda store: store.retire_page(PP, owner=ANN, limit=9))
            await self.both(lambda store: store.waiting_entries())
        await self.both(lambda store: store.relay_claim(PP, limit=999, claim_ms=1))
        await self.both(lambda store: store.letters("acme", limit=99))
        assert dict(self.memory.calls) == dict(self.real.calls)


def _commands(draw: st.DrawFn, pair: Pair, execution: str) -> dict[str, Command]:
    owner = draw(st.sampled_from([ANN, BOB]))
    lease = pair.leases.get((execution, owner))
    number = draw(st.integers(0, 2))
    commands: dict[str, Command] = {
        "create": lambda store: store.create(
            birth(
                execution,
                key=["", "key", "key"][number],
                request=f"{number // 2}",
                cells="rrr...",
                allowance=None if number == 1 else ALLOWANCE,
            )
        ),
        "acquire": lambda store: store.acquire(execution, owner=owner, lease_ms=LEASE_MS, segment=number - 1, cause="test"),
        "signal": lambda store: store.signal(
            execution, tenant="acme", sid=f"{number}", kind=["event", "cancel", "resend"][number], payload=(number,)
        ),
        "foreign": lambda store: store.signal(execution, tenant="globex", sid="x", kind="event", payload=None),
        "resend": lambda store: store.resend(execution, base_ms=2_000, most_ms=5_000, direct=number == 1),
        "count": lambda store: store.count(execution, f"msg{number % 2}", number + 1),
        "allow": lambda store: store.allow(execution, 14 + 6 * number, wake=number == 2),
        "account": lambda store: store.account(execution),
        "watch": lambda store: store.watch(execution, tenant=["acme", "acme", "globex"][number], for_ms=3_000 + number),
        "hint": lambda store: store.hint(
            execution, tenant=["", "acme", "globex"][number], segment=number - 1, message=["", "m", "n"][number]
        ),
        "bury": lambda store: store.bury(letter(execution, segment=number % 2, mark=f"{number}/"), in_ms=700, line=DEAD),
        "letters": lambda store: store.letters("acme", limit=number + 1),
        "discard": lambda store: store.discard("acme", [letter(execution, segment=number).id]),
        "purge": lambda store: store.purge(execution),
        "claim": lambda store: store.relay_claim(PP, limit=999, claim_ms=3_000),
        "results": lambda store: store.load_results(execution, [0, 1]),
        "order": lambda store: store.load_order(execution, [1, 0]),
    }
    if lease:
        ver = lease.ver if number == 1 else pair.vers[execution]
        kinds = "none intents leave sleep wait stuck pause fail end".split()
        kept, kind = draw(st.sampled_from(KEPT)), draw(st.sampled_from(kinds))
        seen = draw(st.integers(0, 3))
        commands["commit"] = lambda store: store.commit(lease, ver=ver, seen=seen, kept=kept, going=going(lease, kind))
        commands["reopen"] = lambda store: store.reopen(
            execution,
            tenant="acme",
            ver=ver,
            origins=frozenset({Status.FAILED}),
            changes=Changes(header=standing(lease, Status.EXECUTING)),
        )
    return commands


@drawn(60)
@given(data=st.data())
async def test_both_stores_do_the_same(redis: Redis, data: st.DataObject) -> None:
    """Any commands, by two owners, on two executions, with any times between: same answers, same record, same indexes."""
    await redis.flushall()
    pair = Pair(redis)
    for _ in range(data.draw(st.integers(5, 40))):
        execution = data.draw(st.sampled_from(IDS))
        commands = data.draw(st.composite(_commands)(pair, execution))
        weights = [name for name in commands for _ in range({"commit": 6, "acquire": 4, "create": 2}.get(name, 1))]
        name = data.draw(st.sampled_from([*weights, "time", "time", "a week", "ack", "later"]))
        match name:
            case "time":
                pair.pass_time(data.draw(st.sampled_from([1, 1_999, 2_000, 5_000, LEASE_MS, LEASE_MS + 500])))
            case "a week":
                pair.pass_time(RETENTION_MS)
            case "ack" | "later" if pair.entries:
                ours, theirs = data.draw(st.sampled_from(pair.entries))
                for store, entry in ((pair.memory, ours), (pair.real, theirs)):
                    await (
                        store.relay_ack([(entry, "msg")])
                        if name == "ack"
                        else store.relay_later([put_off(entry, 1_500, away=True)])
                    )
            case "ack" | "later":
                continue
            case _:
                answer = await pair.both(commands[name])
                if isinstance(answer, Lease):
                    pair.leases[answer.header.id, answer.owner] = answer
                if isinstance(ver := getattr(answer, "ver", None), int):
                    pair.vers[execution] = ver
    await pair.records()


async def test_both_stores_hold_the_same_record_after_every_kind_of_command(redis: Redis) -> None:
    """One execution's life: created, signalled, flagged, asleep, resent, failed, reopened, touched, completed; then deleted."""
    pair, one = Pair(redis), IDS[0]

    async def lease(owner: str = ANN) -> Lease:
        given = await pair.both(lambda store: store.acquire(one, owner=owner, lease_ms=LEASE_MS, segment=-1, cause="test"))
        assert isinstance(given, Lease)
        return given

    async def commit(held: Lease, *, after: int = 0, seen: int, kept: Changes, kind: str) -> None:
        ver = held.ver + after
        await pair.both(lambda store: store.commit(held, ver=ver, seen=seen, kept=kept, going=going(held, kind)))

    async def send(sid: str) -> None:
        await pair.both(lambda store: store.signal(one, tenant="acme", sid=sid, kind="event", payload=sid))

    await pair.both(lambda store: store.create(birth(one, key="key", cells="rrr...", timeout_ms=600_000)))
    await send("before")
    held = await lease()
    await send("meanwhile")
    await commit(held, seen=1, kept=done(0), kind="leave")
    await commit(held, after=1, seen=2, kept=Changes(seen=2), kind="leave")
    await commit(await lease(BOB), seen=2, kept=KEPT[3], kind="sleep")
    await pair.both(lambda store: store.bury(letter(one), in_ms=0, line=DEAD))
    await pair.both(lambda store: store.acquire(one, owner=ANN, lease_ms=LEASE_MS, segment=-1, cause="early"))
    pair.pass_time(7_000)
    await pair.both(lambda store: store.resend(one, base_ms=2_000, most_ms=5_000))
    held = await lease()
    await commit(held, seen=2, kept=intends(1), kind="fail")
    changes = Changes(header=standing(held, Status.EXECUTING), faults={1: fault()})
    origins = frozenset({Status.FAILED})
    ver = held.ver + 1
    await pair.both(lambda store: store.reopen(one, tenant="acme", ver=ver, origins=origins, changes=changes))
    ours, theirs = pair.entries[-1]
    await pair.memory.relay_ack([(ours, "msg")])
    await pair.real.relay_ack([(theirs, "msg")])
    await pair.records()
    await commit(await lease(), seen=2, kept=done(1), kind="end")
    await pair.records()
    assert await pair.both(lambda store: store.purge(one))
    await pair.records()
    assert await redis.exists(keys.record(one)) == 0
