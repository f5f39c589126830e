"""Where an executor listens, and what it knows of those before it."""

import socket
import subprocess
import sys

from redis.asyncio import Redis

from shared.places import held, here, outlived, owners, succeeds
from shared.redisdb.connect import connect
from shared.redisdb.places import next_number
from tests.support.valkey import free_port


def test_an_address_is_a_place_of_its_own() -> None:
    """The same each time one asks, another for another port or host."""
    assert here("127.0.0.1", 3001) == here("127.0.0.1", 3001) != ""
    assert len({here("127.0.0.1", 3001), here("127.0.0.1", 3002), here("0.0.0.0", 3001)}) == 3  # noqa: S104 - a name only


HOLDER = "import sys; from shared.places import held; kept = held(sys.argv[1]); print(bool(kept), flush=True); sys.stdin.read()"


def released(holding: socket.socket | None) -> socket.socket:
    """To be closed; it was not held by another."""
    assert holding is not None
    return holding


def test_one_process_holds_a_place_until_it_is_dead() -> None:
    """Also one that is killed and can say nothing any more; other places are free meanwhile."""
    place = f"{free_port():x}"
    with subprocess.Popen([sys.executable, "-c", HOLDER, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert held(place) is None
        with released(held(f"{place}00")):
            pass
        holder.kill()
    for _ in range(2):
        with released(held(place)):
            pass


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


def test_the_first_in_a_place_succeeds_nobody() -> None:
    """Nor does one that knows no place."""
    assert [succeeds(owners("ab12", number)) for number in (0, 1, 2, 10)] == [False, False, True, True]


def test_who_is_outlived() -> None:
    """By number, not by text."""
    assert outlived("ab12.9.aaaa", "ab12.10.bbbb")
    assert not outlived("ab12.10.aaaa", "ab12.9.bbbb")
    assert not outlived("aaaa", "ab12.9.bbbb")
    assert not outlived("", "ab12.9.bbbb")
