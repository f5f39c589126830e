"""Asks the ledger, and tells an execution's record what it said. The ledger is raised before a record, and lowered after it.

So no record ever has more than is reserved for it, whatever dies in between; what is then reserved for nobody is found by
looking at the record (`sweep`). See docs/decisions/0007-the-ledger-is-asked-not-told.md.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shared.background import Background
from shared.births import Births, OneByOne
from shared.callers import LOCAL_TENANT
from shared.errors import TooMany, Unavailable
from shared.executor_client import ExecutorClient
from shared.logs import get_logger
from shared.ports import Birth, Created, Entry, Made, Queue, Receipt, Store
from shared.quota import (
    PROFILES,
    Account,
    Allowance,
    Answer,
    Book,
    Demand,
    Ledger,
    Level,
    Limits,
    allowance,
    level_of,
    lines,
    report,
    retry_after_s,
)
from shared.settings import Settings

log = get_logger()
PER_TENANT: Final = 50


def limits_of(settings: Settings) -> Limits:
    """The profile's limits, and what the settings say otherwise."""
    profile = PROFILES[settings.quota_profile]
    day, month, concurrent = settings.quota_day, settings.quota_month, settings.quota_concurrent
    return Limits(
        day=profile.day if day is None else day,
        month=profile.month if month is None else month,
        concurrent=profile.concurrent if concurrent is None else concurrent,
        offset_ms=settings.quota_utc_offset_minutes * 60_000,
    )


def tenants_of(settings: Settings) -> tuple[str, ...]:
    """Everybody who may have executions."""
    names = {pair.strip().partition(":")[0] for pair in settings.api_keys.split(",") if pair.strip()}
    return tuple(sorted(names | {LOCAL_TENANT}))


class Keeper:
    """One for a process. Nobody is counted while there is no limit."""

    def __init__(
        self, *, ledger: Ledger, store: Store, settings: Settings, background: Background, births: Births | None = None
    ) -> None:
        """`background` settles what has ended after its invocation was answered. `births` None: one by one."""
        self._ledger = ledger
        self._births = births or OneByOne(store, ledger)
        self._store = store
        self._background = background
        self.limits = limits_of(settings)
        self._tenants = tenants_of(settings)
        self._per_message = settings.steps_per_message
        self._retries = settings.qstash_retries
        self._levels: dict[str, Level] = {}

    def level(self, tenant: str) -> Level:
        """How scarce messages are, as of the latest answer that this process got."""
        return self._levels.get(tenant, Level.NORMAL)

    async def create(self, birth: Birth, want: Demand, *, low: bool = False) -> Made:
        """Reserve what it may cost, and store it; TooMany says when it may fit. `low`: its work stops earlier.

        A reserve for what was there already, or never will be, is given back behind this.
        """
        if not self.limits:
            return await self._store.create(birth)
        bounds, given = lines(self.limits, low=low), self._allowance(birth.header.tenant, want)
        answer, made = await self._births.admitted(msgspec.structs.replace(birth, allowance=given), bounds)
        self._note(birth.header.tenant, answer.book)
        if made is None:
            raise self._refusal(birth.header.tenant, answer, given.units, bounds)
        if not isinstance(made, Created):
            self._background.start(self.check(birth.header.tenant, birth.header.id))
        return made

    async def adopt(self, tenant: str, execution: str, want: Demand) -> Allowance | None:
        """A child is accepted work: it is never refused. If there is nothing for it, it goes on without messages, or waits."""
        if not self.limits:
            return None
        given = self._allowance(tenant, want)
        answer = await self._ledger.top_up(tenant, execution, ver=0, used=0, want=given.units, limits=self.limits)
        self._note(tenant, answer.book)
        return msgspec.structs.replace(given, units=0) if answer.full else given

    def _allowance(self, tenant: str, want: Demand) -> Allowance:
        level = self.level(tenant)
        return allowance(want, per_message=self._per_message, retries=self._retries, limits=self.limits, level=level)

    def _refusal(self, tenant: str, answer: Answer, units: int, bounds: Limits) -> TooMany:
        after = retry_after_s(answer, units, bounds)
        log.warning("execution.refused", tenant=tenant, limit=answer.full, units=units, retry_after_s=after)
        text = {
            "day": "the messages of this day are used up or reserved for what was accepted already",
            "month": "the messages of this month are used up or reserved for what was accepted already",
            "concurrent": f"{self.limits.concurrent} executions are running, and no more may at once",
        }[answer.full or "day"]
        details = {"limit": answer.full, "retryAfter": after, "needed": units, "quota": report(answer.book, self.limits)}
        return TooMany(f"{text}: try again in {after} s", code="quota_exhausted", **details)

    async def top_up(self, execution: str, account: Account, *, wake: bool) -> bool:
        """Ask for more for an execution that has next to nothing left; `wake` if nobody holds it."""
        want = account.more(plenty=self.level(account.tenant) is Level.NORMAL)
        answer = await self._ledger.top_up(
            account.tenant, execution, ver=account.ver, used=account.used, want=want, limits=self.limits
        )
        self._note(account.tenant, answer.book)
        log.info("quota.asked", execution=execution, want=want, full=answer.full)
        if answer.full:
            return False
        await self._store.allow(execution, want, wake=wake)
        return True

    async def settle(self, execution: str) -> None:
        """Bring the ledger up to an execution's record."""
        if account := await self._store.account(execution):
            self._note(account.tenant, await self._ledger.settle(execution, account, self.limits.offset_ms))

    def settle_soon(self, execution: str) -> None:
        """After this invocation; a sweep does it if this process dies before."""
        if self.limits:
            self._background.start(self.settle(execution))

    async def check(self, tenant: str, execution: str) -> None:
        """Settle it; what was admitted and is not there is made sure never to be, and forgotten."""
        if await self._store.account(execution):
            await self.settle(execution)
        elif await self._store.forbid(execution):
            self._note(tenant, await self._ledger.forget(tenant, execution, self.limits.offset_ms))
            log.info("quota.forgotten", execution=execution, tenant=tenant)
        else:  # created while nobody counted
            await self._ledger.forget(tenant, execution, self.limits.offset_ms)

    async def sweep(self) -> int:
        """Look at every account whose time has come; how many. See `shared.watchdog.Rounds`."""
        return await self._look_at(self._tenants, PER_TENANT)

    async def look(self, partition: str) -> int:  # noqa: ARG002 - accounts lie on their tenants' tags, not on partitions
        """A little of one tenant."""
        return await self._look_at([random.choice(self._tenants)], 3)

    async def _look_at(self, tenants: Sequence[str], limit: int) -> int:
        """However many tenants there are, they are asked about in one round trip."""
        found = await self._ledger.to_look_at(tenants, limit=limit) if self.limits else []
        for tenant, execution in found:
            await self.check(tenant, execution)
        return len(found)

    async def report(self, tenant: str) -> dict[str, Any]:
        """How a tenant stands."""
        book = await self._ledger.book(tenant, self.limits.offset_ms)
        self._note(tenant, book)
        return report(book, self.limits)

    def _note(self, tenant: str, book: Book) -> None:
        level = level_of(book, self.limits)
        if level != self._levels.get(tenant, Level.NORMAL):
            log.warning("quota.level", tenant=tenant, reached=level.name.lower())
        self._levels[tenant] = level


class Paid:
    """The Queue of messages: one that its execution cannot pay goes as a direct call, or waits until there is more."""

    def __init__(self, queue: Queue, executor: ExecutorClient | None, keeper: Keeper, store: Store) -> None:
        """`executor` None: direct calls are off."""
        self._queue = queue
        self._executor = executor
        self._keeper = keeper
        self._store = store

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        if entry.cost != 0:
            return await self._queue.publish(entry)
        if self._executor is not None:
            taken = await self._executor.wake(entry.execution, segment=entry.segment, reason=entry.reason)
            return Receipt(message="direct") if taken else Receipt(error="the executor is away")
        return await self._ask(entry)

    async def _ask(self, entry: Entry) -> Receipt:
        try:
            account = await self._store.account(entry.execution)
            if account is None or account.over or await self._keeper.top_up(entry.execution, account, wake=True):
                return Receipt(message="topped up")  # it is due at once, and its next message can be paid
        except Unavailable as error:
            return Receipt(error=error.message)
        return Receipt(error="the quota is used up")
