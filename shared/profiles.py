"""What a user told us once: who they are, where they live, how they like to be told."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.planner import Profile
from shared.redisdb import keys

SEED_USER: Final = "test-user"
SEED: Final = Profile(
    name="Test User",
    phone="+14155550123",
    email="test-user@example.com",
    home="12 Harbour Street",
    timezone="UTC",
    party_size=2,
    dinner_time="19:00",
    confirm_by="sms",
)
"""Local mode's `test-user`, so that the documented examples have all they need."""

_decoder = msgspec.json.Decoder(Profile)


class Profiles:
    """Stored profiles, by tenant and user."""

    def __init__(self, redis: Redis, *, seeded: bool) -> None:
        """`seeded`: whether `test-user` has a profile before anybody stored one (local mode)."""
        self._redis = redis
        self._seeded = seeded

    async def get(self, tenant: str, user: str) -> Profile | None:
        """The user's profile; None if there is none."""
        data = await _ask(self._redis.get(keys.profile(tenant, user)))
        if data is None:
            return SEED if self._seeded and user == SEED_USER else None
        return _decoder.decode(data)

    async def put(self, tenant: str, user: str, profile: Profile) -> None:
        """Replace the user's profile."""
        await _ask(self._redis.set(keys.profile(tenant, user), msgspec.json.encode(profile)))


async def _ask(call: Any) -> Any:
    try:
        return await call
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
