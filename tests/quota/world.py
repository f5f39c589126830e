"""An engine and a QStash that counts, both at the mercy of a test: what is really sent, retried and called back, day by day."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.background import Background
from shared.errors import TooMany
from shared.machine.decision import Changes
from shared.machine.status import Status
from shared.memory import MemoryStore
from shared.ports import Accepted, Birth, Committed, Created, Entry, Going, Lease, Made, Receipt
from shared.qstash import item
from shared.quota import DAY_MS, TAIL_MS, Answer, Demand, Limits, day_of, month_of
from shared.quota_keeper import Keeper, Paid
from shared.quota_memory import MemoryLedger
from shared.settings import Settings
from tests.support.executions import NOTHING, NOW, RETENTION_MS, birth, execution_id, leaves, standing, suspends

TENANT = "local"


class DiedError(Exception):
    """Ingress is gone."""


@dataclass
class Message:
    """One message as QStash has it."""

    entry: Entry
    retries: int
    callbacks: int
    """How often the failure callback is tried, all in all."""
    from_ms: int
    retried: int = 0
    called: int = 0

    @property
    def name(self) -> str:
        """Its id."""
        return self.entry.id.replace("-", "_")


@dataclass
class World:
    """One tenant. `direct`: whether what cannot be paid goes on as a direct call."""

    settings: Settings
    direct: bool = True
    store: MemoryStore = field(default_factory=lambda: MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW))
    ledger: MemoryLedger = field(default_factory=lambda: MemoryLedger(now_ms=NOW))
    days: Counter[int] = field(default_factory=Counter)
    months: Counter[int] = field(default_factory=Counter)
    messages: list[Message] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    refused: int = 0
    dies: bool = False

    def __post_init__(self) -> None:
        self.keeper = Keeper(ledger=self.ledger, store=self.store, settings=self.settings, background=Background(), births=self)
        self.paid = Paid(self, None, self.keeper, self.store)
        self.number = 0

    @property
    def now(self) -> int:
        """Unix ms."""
        return self.store.now_ms or NOW

    def pass_time(self, ms: int) -> None:
        """On all clocks."""
        self.store.now_ms = self.ledger.now_ms = self.now + ms

    # QStash

    async def publish(self, entry: Entry) -> Receipt:
        """It counts what it takes, and does no more than the message's headers say."""
        headers = item(entry, self.settings, self.now / 1000).headers
        again = int(headers.get("Upstash-Failure-Callback-Retries", 0))
        callbacks = again + 1 if "Upstash-Failure-Callback" in headers else 0
        from_ms = max(self.now, entry.not_before_ms)
        self.messages.append(Message(entry, int(headers["Upstash-Retries"]), callbacks, from_ms))
        self.counted()
        return Receipt(message=entry.id)

    def counted(self) -> None:
        """One more unit, today."""
        self.days[day_of(self.now, 0)] += 1
        self.months[month_of(self.now, 0)] += 1
        self.check()

    def check(self) -> None:
        """What QStash counts never passes a limit."""
        limits = self.keeper.limits
        assert self.days[day_of(self.now, 0)] <= limits.day
        assert self.months[month_of(self.now, 0)] <= limits.month

    async def check_ledger(self) -> None:
        """Nor does what the ledger knows and reserves; and it never knows of less than there was."""
        book, limits = await self.ledger.book(TENANT, 0), self.keeper.limits
        assert book.day_spent + book.reserved <= limits.day, book
        assert book.month_spent + book.reserved <= limits.month, book
        assert self.days[day_of(self.now, 0)] <= book.day_spent + book.reserved
        assert not limits.concurrent or book.running <= limits.concurrent

    async def retry(self, message: Message) -> bool:
        """QStash delivers once more, if it may and it is not too late."""
        if message.retried >= message.retries or not 0 <= self.now - message.from_ms < TAIL_MS:
            return False
        message.retried += 1
        self.counted()
        await self._count(message)
        return True

    async def call_back(self, message: Message) -> None:
        """QStash gives a message up, and says so; again, if nobody answered."""
        while message.retried < message.retries:
            if not await self.retry(message):
                return
        if message.called < message.callbacks and 0 <= self.now - message.from_ms < TAIL_MS:
            message.called += 1
            self.counted()
            await self._count(message)

    async def _count(self, message: Message) -> None:
        """As the executor and the failure callback do: what comes of an execution that is over is settled at once."""
        execution = message.entry.execution
        await self.store.count(execution, message.name, message.retried + message.called)
        if self.store.header(execution).status is Status.COMPLETED:
            await self.keeper.settle(execution)

    # the engine

    async def take(self, *, steps: int, undoable: int, lost: bool) -> None:
        """A request arrives; `lost`: ingress dies between the admission and the create."""
        self.number += 1
        execution, self.dies = execution_id(self.number), lost
        try:
            wanted = birth(execution, tenant=TENANT, status=Status.EXECUTING)
            stored = await self.keeper.create(wanted, Demand(steps=steps, undoable=undoable))
        except TooMany:
            self.refused += 1
        except DiedError:
            pass
        else:
            assert isinstance(stored, Created)
            self.executions.append(execution)
            await self.send(stored.entry)

    async def admitted(self, birth: Birth, lines: Limits) -> tuple[Answer, Made | None]:
        """One by one, so that ingress may die in between."""
        answer = await self.ledger.admit(TENANT, birth.header.id, birth.allowance.units if birth.allowance else 0, lines)
        if self.dies and not answer.full:
            raise DiedError
        return answer, None if answer.full else await self.store.create(birth)

    async def send(self, entry: Entry | None) -> None:
        """As the sender does. Where direct calls are on, the executor's own answer to one is played by `run`."""
        if entry is None:
            return
        if entry.cost == 0 and self.direct:
            return
        await self.paid.publish(entry)
        await self.store.relay_ack([(entry, "msg")])

    async def run(self, execution: str, how: str) -> None:
        """One segment, however it was woken."""
        found = await self.store.acquire(execution, owner="a" * 32, lease_ms=11_000, segment=-1, cause="test")
        if not isinstance(found, Lease):
            return
        if found.account is not None and found.account.left(found.now_ms) < 1:
            await self.keeper.top_up(execution, found.account, wake=False)
        going = self._going(found, how)
        answer = await self.store.commit(found, ver=found.ver, seen=len(found.signals) + found.seen, kept=NOTHING, going=going)
        assert isinstance(answer, Committed)
        await self.send(answer.entry)
        if how == "end":
            await self.keeper.settle(execution)

    def _going(self, lease: Lease, how: str) -> Going:
        match how:
            case "leave":
                return leaves()
            case "sleep":
                return suspends(lease, wake_ms=self.now + 3 * DAY_MS // 4)
            case _:
                return Going(kind="end", changes=Changes(header=standing(lease, Status.COMPLETED)))

    async def signal(self, execution: str, sid: str) -> None:
        """Somebody sends it something."""
        answer = await self.store.signal(execution, tenant=TENANT, sid=sid, kind="event", payload=None)
        await self.send(answer.entry if isinstance(answer, Accepted) else None)

    async def resend(self) -> None:
        """The watchdog's round."""
        for execution in await self.store.overdue_everywhere(limit=50):
            await self.send(await self.store.resend(execution, base_ms=2_000, most_ms=300_000, direct=self.direct))

    def open(self) -> list[str]:
        """Executions that are not over."""
        return [one for one in self.executions if self.store.header(one).status is not Status.COMPLETED]


def settings_with(**more: Any) -> Settings:
    """Settings of a small quota."""
    return Settings(**{"quota_day": 60, "quota_month": 400, "quota_concurrent": 6, **more})
