"""Births in one round trip: the ledger's command and the store's go together, and the second looks whether the first granted.

One server carries out a connection's commands in their order, so nothing is stored that was not admitted. A cluster has the two
on different tags and refuses a script that names both; there, and where an answer waits for the disk, they go one by one.
See docs/decisions/0033-a-start-in-one-flight.md.
"""

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from shared.births import OneByOne
from shared.ports import Birth, Made, Store
from shared.quota import Answer, Ledger, Limits
from shared.redisdb.base import Commanding, away
from shared.redisdb.creation import Creation
from shared.redisdb.quota import admission, answer_of


class RedisBirths(Commanding):
    """See `shared.births.Births` for what it promises."""

    def __init__(self, redis: Redis, store: Store, ledger: Ledger, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`store` and `ledger` are on `redis`, and do one by one what cannot go together. `now_ms`: tests only."""
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self.load("quota_admit", "create")
        self._one_by_one = OneByOne(store, ledger)
        self._apart = strict

    async def admitted(self, birth: Birth, lines: Limits) -> tuple[Answer, Made | None]:
        """See the port."""
        found = None if self._apart else await self._together(birth, lines)
        return found or await self._one_by_one.admitted(birth, lines)

    async def _together(self, birth: Birth, lines: Limits) -> tuple[Answer, Made | None] | None:
        """None: the server did not take it like this, and nothing but a reserve is stored."""
        creation = Creation(birth, paid=True)
        try:
            first, second = await self._line.ask_all(
                [
                    self._as_command("quota_admit", *admission(birth, lines)),
                    self._as_command("create", creation.names, creation.args),
                ]
            )
        except ResponseError as error:  # it has forgotten a script; or it is a cluster
            self._apart = "CROSSSLOT" in str(error)
            return None
        except (RedisError, OSError) as error:
            raise away(error) from error
        return answer_of(first), creation.made(second)
