"""The plan in force, and what each of its faults has seen. It says loudly that it is there."""

from collections.abc import Collection
from typing import Any

import msgspec
from redis.asyncio import Redis

from services.qstash_dev.faults import plan as planning
from services.qstash_dev.faults.plan import REFUSING, Event, Fault, Kind, Plan, Tally
from services.qstash_dev.keys import FAULTS
from services.qstash_dev.pipe import Pipe
from shared.errors import BadRequest
from shared.http import decode
from shared.logs import get_logger
from shared.redisdb.lua import Script

log = get_logger()

_plan = msgspec.json.Decoder(Plan)


class Board:
    """Which faults are on. One for the process: faults are the server's, not a user's."""

    def __init__(self, redis: Redis, pipe: Pipe) -> None:
        """Requests use `redis`; the scheduler's task does not wait inside redis-py, where a cancel may get lost (`pipe.py`)."""
        self._redis: Any = redis
        self._pipe = pipe
        self._read = Script("services.qstash_dev", "faults")
        self.plan = Plan()
        self.tallies: tuple[Tally, ...] = ()

    async def load(self) -> None:
        """Take up a plan that was to survive a restart. Unavailable while Redis is away."""
        stored = await self._pipe.run(self._read, [FAULTS], [])
        if stored and not self.plan.faults:
            self._put_up(_kept(stored))

    async def change(self, plan: Plan) -> None:
        """This plan from now on, its counts at zero. BadRequest when it makes no sense; then nothing changes."""
        checked = planning.check(plan)
        if checked.persist and checked.faults:
            await self._redis.set(FAULTS, msgspec.json.encode(checked))
        else:
            await self._redis.delete(FAULTS)
        self._put_up(checked)

    def _put_up(self, plan: Plan) -> None:
        was_on = bool(self.plan.faults)
        self.plan, self.tallies = plan, (Tally(),) * len(plan.faults)
        if plan.faults:
            log.warning("faults.on", faults=self.words(), seed=plan.seed, persist=plan.persist)
        elif was_on:
            log.warning("faults.off")

    def fires(self, kinds: Collection[Kind], event: Event) -> Fault | None:
        """The fault that strikes this event, if one does."""
        if not self.plan.faults:
            return None
        place, self.tallies = planning.decide(self.plan, self.tallies, kinds, event)
        if place is None:
            return None
        fault = self.plan.faults[place]
        log.warning("fault.fired", kind=fault.kind, to=next(iter(event.destinations), ""), nth=self.tallies[place].fired)
        return fault

    def refuse(self, destination: str) -> None:
        """BadRequest when a publish to this destination is to be refused."""
        if self.fires(REFUSING, Event((destination,))):
            raise BadRequest("fault on demand: this publish is refused (GET /v2/dev/faults)")

    def words(self) -> list[str]:
        """The faults, one line each."""
        return [planning.in_words(fault) for fault in self.plan.faults]

    def view(self) -> dict[str, Any]:
        """What `GET /v2/dev/faults` answers."""
        rows = zip(self.plan.faults, self.words(), self.tallies, strict=True)
        return {
            "on": bool(self.plan.faults),
            "seed": self.plan.seed,
            "persist": self.plan.persist,
            "faults": [
                msgspec.to_builtins(fault) | {"words": words, "met": tally.met, "fired": tally.fired}
                for fault, words, tally in rows
            ],
        }


def read(body: bytes) -> Plan:
    """The plan in a request's body."""
    return decode(_plan, body)


def _kept(stored: bytes) -> Plan:
    try:
        return planning.check(read(stored))
    except BadRequest as error:  # written by another version: better none than half of it, and said
        log.critical("faults.unreadable", message=error.message)
        return Plan()
