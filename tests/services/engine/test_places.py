"""Where an executor listens, and what it knows of those before it."""

from redis.asyncio import Redis

from shared.places import here, outlived, owners
from shared.redisdb.connect import connect
from shared.redisdb.places import next_number
from tests.support.valkey import free_port


def test_an_address_is_a_place_of_its_own() -> None:
    """The same each time one asks, another for another port or host."""
    assert here("127.0.0.1", 3001) == here("127.0.0.1", 3001) != ""
    assert len({here("127.0.0.1", 3001), here("127.0.0.1", 3002), here("0.0.0.0", 3001)}) == 3  # noqa: S104 - a name only


async def test_each_process_in_a_place_has_the_next_number(redis: Redis) -> None:
    """Other places count for themselves."""
    assert [await next_number(redis, "ab12") for _ in range(3)] == [1, 2, 3]
    assert await next_number(redis, "cd34") == 1


async def test_without_a_number_nobody_is_outlived(redis: Redis) -> None:
    """Redis is away, or the system does not tell where one is: leases run out by themselves."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as away:
        assert await next_number(away, "ab12") == 0
    assert await next_number(redis, "") == 0
    assert owners("ab12", 0) == owners("", 3) == ""


def test_who_is_outlived() -> None:
    """By number, not by text."""
    assert outlived("ab12.9.aaaa", "ab12.10.bbbb")
    assert not outlived("ab12.10.aaaa", "ab12.9.bbbb")
    assert not outlived("aaaa", "ab12.9.bbbb")
    assert not outlived("", "ab12.9.bbbb")
