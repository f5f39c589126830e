"""Conversations in Redis: what each remembers, and how many messages come in a minute."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.chat.model import Talk
from shared.errors import Unavailable
from shared.redisdb import keys
from shared.requests import Execute

TTL_S: Final = 86_400
KEYS: Final = 5
"""Idempotency-Keys that a conversation remembers, with what was answered."""
MOST_BYTES: Final = 65_536
MINUTE_S: Final = 60


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that came with an Idempotency-Key."""

    key: str
    hash: str
    """Of the message."""
    asked: Execute | None = None
    """What it became; the key finds its execution."""
    told: msgspec.Raw = msgspec.Raw(b"null")
    """Or what was answered."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is stored of a conversation."""

    talk: Talk = Talk()
    said: tuple[Said, ...] = ()


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Kept)


class Talks:
    """Keeps conversations. One writer at a time is assumed: of two messages at once the later one's memory stays."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def load(self, tenant: str, user: str, conversation: str) -> Kept:
        """What is remembered; nothing of a conversation that is over, or another tenant's or user's."""
        found = await _ask(self._redis.get(keys.talk(tenant, user, conversation)))
        return _decoder.decode(found) if found else Kept()

    async def save(self, tenant: str, user: str, conversation: str, kept: Kept) -> None:
        """Remember it for a day. Answers that make it too large are forgotten first, the oldest ones before others."""
        said = kept.said[-KEYS:]
        while len(data := _encode(msgspec.structs.replace(kept, said=said))) > MOST_BYTES and said:
            said = said[1:]
        await _ask(self._redis.set(keys.talk(tenant, user, conversation), data, ex=TTL_S))

    async def wait_s(self, tenant: str, user: str, *, per_user: int, per_tenant: int) -> int:
        """Count a message; how many seconds to wait if there were too many in this minute, else 0. A limit of 0 is none."""
        waits = []
        for name, limit in ((keys.talk_rate(tenant, user), per_user), (keys.talk_rate(tenant, ""), per_tenant)):
            if not limit:
                continue
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(name, 0, ex=MINUTE_S, nx=True)
            pipe.incr(name)
            pipe.ttl(name)
            _, count, left = await _ask(pipe.execute())
            waits.append(max(int(left), 1) if count > limit else 0)
        return max(waits, default=0)


async def _ask(call: Any) -> Any:
    try:
        return await call
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
