"""Every command of the store in any order, on the memory twin and on Redis with every script applied twice: one behaviour."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.dead_letters import letter_of_execution
from shared.machine.decision import Changes, Command
from shared.machine.status import Status
from shared.ports import Lease, Letter, LetterPage, Store
from shared.redisdb.connect import connect
from tests.contract.test_store_twins import IDS, KEPT, Pair, going
from tests.support.executions import ANN, BOB, DEAD, LEASE_MS, PP, RETENTION_MS, birth, execution_id, letter, put_off, standing
from tests.support.stores import Twice
from tests.support.valkey import Valkey

UNBORN = execution_id(3)
PLACED = (f"ab12.7.{ANN}", f"ab12.8.{BOB}")
executions = st.sampled_from(IDS)
kinds = st.sampled_from("none intents leave sleep wait stuck pause fail end".split())
TOLD = Changes(commands=[Command(id="tell", kind="signal", to=IDS[1], payload={"kind": "event"})])
kept = st.sampled_from([*KEPT, TOLD])
few = st.integers(0, 3)


def _letter(store: Store, *, tenant: str, name: str) -> Awaitable[Letter | None]:
    return store.letter(tenant, name)


def _letters(store: Store, *, limit: int, before: tuple[int, str] | None, execution: str) -> Awaitable[LetterPage]:
    return store.letters("acme", limit=limit, before=before, execution=execution)


class Twins(RuleBasedStateMachine):
    """The two stores side by side; what a rule asks of both, both answer alike."""

    leases = Bundle("leases")
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._redis = connect(self.url)
        self._pair = Pair(self._redis, Twice)
        self._do(self._redis.flushall())

    def teardown(self) -> None:
        """Close the client where it was opened."""
        self._do(self._redis.aclose())
        self._loop.close()

    def _do(self, what: Any) -> Any:
        async def call() -> Any:
            return await what

        return self._loop.run(call())

    def _both(self, command: Callable[[Store], Awaitable[Any]]) -> Any:
        return self._do(self._pair.both(command))

    def _learn(self, execution: str, answer: Any) -> Any:
        if isinstance(ver := getattr(answer, "ver", None), int):
            self._pair.vers[execution] = ver
        return answer

    # making and running

    @initialize(timeout_ms=st.sampled_from([0, 600_000]))
    def begins_with_two(self, timeout_ms: int) -> None:
        """Most commands are about an execution that exists."""
        self._both(lambda store: store.create(birth(IDS[0], key="key", cells="rrr...", timeout_ms=timeout_ms)))
        self._both(lambda store: store.create(birth(IDS[1], cells="rrr...")))

    @rule(execution=executions, key=st.sampled_from(["", "key", "other"]), request=few)
    def create(self, execution: str, key: str, request: int) -> None:
        """Also again, with the key of another, with a command beside it."""
        commands = (TOLD.commands[0],) if request == 3 else ()
        new = birth(execution, key=key, request=f"{request // 2}", cells="rrr...", commands=commands)
        self._both(lambda store: store.create(new))

    @rule(
        target=leases,
        execution=executions,
        owner=st.sampled_from([ANN, BOB, *PLACED]),
        segment=st.sampled_from([-1, -1, 0, 1]),
        free=st.booleans(),
    )
    def acquire(self, execution: str, owner: str, segment: int, *, free: bool) -> Any:
        """By four owners, two of them in one place, for old and current segments, of a free record or of one that is held."""
        if free:
            self._pair.pass_time(LEASE_MS)
        answer = self._both(
            lambda store: store.acquire(execution, owner=owner, lease_ms=LEASE_MS, segment=segment, cause="test")
        )
        return self._learn(execution, answer) if isinstance(answer, Lease) else multiple()

    @rule(lease=leases, stale=st.booleans(), seen=few, kept=kept, kind=kinds)
    def commit(self, lease: Lease, *, stale: bool, seen: int, kept: Changes, kind: str) -> None:
        """From the version that is there, and from an older one."""
        ver = lease.ver if stale else self._pair.vers[lease.header.id]
        how = going(lease, kind)
        self._learn(lease.header.id, self._both(lambda store: store.commit(lease, ver=ver, seen=seen, kept=kept, going=how)))

    @rule(target=leases, execution=executions, kept=kept, steps=st.lists(kinds, min_size=1, max_size=3))
    def segment(self, execution: str, kept: Changes, steps: list[str]) -> Any:
        """A lease and what is done under it, the inbox seen to its end."""
        lease = self.acquire(execution, ANN, -1, free=True)
        if not isinstance(lease, Lease):
            return multiple()
        for kind in steps:
            self.commit(lease, stale=False, seen=9, kept=kept, kind=kind)
        return lease

    @rule(lease=leases, seen=few)
    def begin(self, lease: Lease, seen: int) -> None:
        """The first intents."""
        ver, how = self._pair.vers[lease.header.id], going(lease, "intents")
        self._learn(
            lease.header.id, self._both(lambda store: store.begin(lease, ver=ver, seen=seen, kept=Changes(), going=how))
        )

    @rule(target=leases, execution=executions, kind=st.sampled_from(["end", "fail"]), week=st.booleans())
    def run_to_the_end(self, execution: str, kind: str, *, week: bool) -> Any:
        """What chance alone seldom does; and most of what follows an end needs one."""
        lease = self.segment(execution, Changes(), [kind])
        if week:
            self.a_week()
        return lease

    @rule(lease=leases, stale=st.booleans(), tenant=st.sampled_from(["acme", "acme", "globex"]))
    def reopen(self, lease: Lease, *, stale: bool, tenant: str) -> None:
        """For who saw the latest version, and for who did not; for another tenant."""
        execution = lease.header.id
        ver = lease.ver if stale else self._pair.vers[execution]
        changes = Changes(header=standing(lease, Status.EXECUTING))
        origins = frozenset({Status.FAILED, Status.COMPLETED})
        answer = self._both(lambda store: store.reopen(execution, tenant=tenant, ver=ver, origins=origins, changes=changes))
        self._learn(execution, answer)

    # what comes from outside

    @rule(execution=executions, sid=few, tenant=st.sampled_from(["acme", "acme", "acme", "globex"]))
    def signal(self, execution: str, sid: int, tenant: str) -> None:
        """New ones, repeats, another tenant's."""
        self._both(lambda store: store.signal(execution, tenant=tenant, sid=f"{sid}", kind="event", payload=(sid,)))

    @rule(execution=executions, ms=st.sampled_from([0, 900, 5_000]))
    def wake(self, execution: str, ms: int) -> None:
        """A watchdog."""
        self._both(lambda store: store.resend(execution, base_ms=2_000, most_ms=ms + 2_000, late_ms=ms // 2))

    @rule(execution=executions, tenant=st.sampled_from(["", "acme", "globex"]), segment=st.integers(-1, 2), message=few)
    def hint(self, execution: str, tenant: str, segment: int, message: int) -> None:
        """New messages, repeats, none; another tenant's, of an old segment."""
        self._both(lambda store: store.hint(execution, tenant=tenant, segment=segment, message="m" * message))

    @rule(execution=executions, segment=few, mark=few)
    def bury(self, execution: str, segment: int, mark: int) -> None:
        """New deaths of old letters, known deaths, many marks."""
        self._both(lambda store: store.bury(letter(execution, segment=segment, mark=f"{mark}/"), in_ms=700, line=DEAD))

    @rule(segments=st.lists(few, max_size=3), tenant=st.sampled_from(["acme", "globex"]))
    def discard(self, segments: list[int], tenant: str) -> None:
        """Several, of both executions, and what is no letter."""
        names = [letter(execution, segment=segment).id for segment in segments for execution in IDS]
        self._both(lambda store: store.discard(tenant, [*names, "nonsense"]))

    @rule(execution=executions)
    def purge(self, execution: str) -> None:
        """Allowed when it is over and its retention too."""
        self._both(lambda store: store.purge(execution))

    @rule(born=st.booleans())
    def forbid(self, *, born: bool) -> None:
        """What exists is not forbidden; what does not is, once and again."""
        execution = IDS[0] if born and self._do(self._pair.memory.load_plan(IDS[0])) else UNBORN
        self._both(lambda store: store.forbid(execution))

    # the outbox

    @rule(claim_ms=st.sampled_from([1, 3_000]))
    def relay_claim(self, claim_ms: int) -> None:
        """All that is due: entries of one moment may be claimed in either order."""
        self._both(lambda store: store.relay_claim(PP, limit=999, claim_ms=claim_ms))

    @precondition(lambda self: self._pair.entries)
    @rule(data=st.data(), message=st.sampled_from(["", "msg"]))
    def relay_ack(self, data: st.DataObject, message: str) -> None:
        """Some, also again."""
        some = data.draw(st.lists(st.sampled_from(self._pair.entries), min_size=1, max_size=3))
        self._do(self._pair.memory.relay_ack([(ours, message) for ours, _ in some]))
        self._do(self._pair.real.relay_ack([(theirs, message) for _, theirs in some]))

    @precondition(lambda self: self._pair.entries)
    @rule(data=st.data(), ms=st.sampled_from([1, 1_500]), away=st.booleans())
    def relay_later(self, data: st.DataObject, ms: int, *, away: bool) -> None:
        """Some, also those that are gone."""
        some = data.draw(st.lists(st.sampled_from(self._pair.entries), min_size=1, max_size=3))
        self._do(self._pair.memory.relay_later([put_off(ours, ms, away=away) for ours, _ in some]))
        self._do(self._pair.real.relay_later([put_off(theirs, ms, away=away) for _, theirs in some]))

    @rule(claim_ms=st.sampled_from([1, 3_000]), least_ms=st.sampled_from([0, 2_000]))
    def relay_back(self, claim_ms: int, least_ms: int) -> None:
        """What was put off because its channel was away."""
        self._both(lambda store: store.relay_back(PP, limit=999, claim_ms=claim_ms, least_ms=least_ms))
        self._both(lambda store: store.away_entries())

    # reading and time

    @rule(execution=executions, cells=st.lists(few, max_size=3), limit=st.integers(1, 3), of=st.booleans())
    def read(self, execution: str, cells: list[int], limit: int, *, of: bool) -> None:
        """What a segment loads, what a watchdog looks at, what a person lists."""
        self._both(lambda store: store.load_results(execution, cells))
        self._both(lambda store: store.load_order(execution, cells))
        self._both(lambda store: store.load_letters(execution, [cell + 1 for cell in cells]))
        self._both(lambda store: store.load_plan(execution))
        self._both(lambda store: store.peek(execution, tenant="acme"))
        self._both(lambda store: store.peek(execution, tenant="globex"))
        self._both(lambda store: store.made_by("acme", "key"))
        self._both(lambda store: store.made_by("globex", "key"))
        for name in [letter_of_execution(execution), *(letter(execution, segment=number).id for number in cells)]:
            for tenant in ("acme", "globex"):
                self._both(partial(_letter, tenant=tenant, name=name))
        self._pages(execution if of else "", limit)
        self._look(limit)

    def _pages(self, execution: str, limit: int) -> None:
        before: tuple[int, str] | None = None
        for _ in range(20):
            page = self._both(partial(_letters, limit=limit, before=before, execution=execution))
            if (before := page.next) is None:
                return
        raise AssertionError("the pages never end")

    def _look(self, limit: int) -> None:
        self._both(lambda store: store.overdue(PP, limit=limit))
        self._both(lambda store: store.overdue_everywhere(limit=limit, late_ms=limit * 500))
        self._both(lambda store: store.overdue_page(PP, first=limit, page=limit + 1, each=limit + 1, late_ms=limit * 500))
        self._both(lambda store: store.moved(IDS))
        self._both(lambda store: store.left_behind("ab12.9.", lease_ms=LEASE_MS, limit=limit + 1, stalled=limit))
        self._both(lambda store: store.retire_page(PP, owner=ANN, limit=limit))
        self._both(lambda store: store.waiting_entries())

    @rule(ms=st.sampled_from([1, 1_999, 2_000, 5_000, LEASE_MS, LEASE_MS + 500]))
    def time(self, ms: int) -> None:
        """Time passes."""
        self._pair.pass_time(ms)

    @rule()
    def a_week(self) -> None:
        """The retention passes; what may go now is looked at."""
        self._pair.pass_time(RETENTION_MS)
        self._look(9)

    @invariant()
    def one_record(self) -> None:
        """Field by field, and the same dead letters."""
        self._do(self._pair.same_records())
        self._both(lambda store: store.letters("acme", limit=99))


@pytest.mark.usefixtures("documented_keys")
def test_no_sequence_of_commands_tells_the_stores_apart(valkey: Valkey) -> None:
    """Nor does any script do anything when it is applied a second time."""
    Twins.url = valkey.url
    run_state_machine_as_test(
        Twins,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],  # shrinking takes minutes
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
