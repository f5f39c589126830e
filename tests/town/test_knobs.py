"""Faults on demand, seen as a caller sees them: on real sockets."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from tests.town.support import LETTER, MESSAGE, TABLE, Town, code_of, eventually


async def _landed(town: Town, number: int) -> None:
    async def all_landed() -> bool:
        return (await town.counts())["landed_late"] == number

    await eventually(all_landed, f"{number} requests have landed late")


async def test_all_knobs_are_off_at_first(town: Town) -> None:
    """Nothing misbehaves unless it is asked to."""
    knobs = await town.get("/knobs")
    assert knobs["on"] is False
    assert set(knobs["counts"].values()) == {0}


async def test_fail_next_refuses_before_anything_is_done(town: Town) -> None:
    """n requests are refused and say `applied: false`; the next one works."""
    await town.turn(fail_next=2, fail_status=502)
    for _ in range(2):
        refused = await town.post("/messages", MESSAGE, "k")
        assert code_of(refused) == (502, "refused_by_knob")
        assert refused.json()["applied"] is False
    assert await town.applied() == {}
    assert (await town.post("/messages", MESSAGE, "k")).status_code == 201
    knobs = await town.get("/knobs")
    assert (knobs["fail_next"], knobs["counts"]["refused"], knobs["on"]) == (0, 2, False)


async def test_fail_after_next_applies_and_drops_the_connection(town: Town) -> None:
    """The caller knows nothing; asking again with the same key tells, and does nothing twice."""
    await town.turn(fail_after_next=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await town.post("/messages", MESSAGE, "k")
    assert await town.applied() == {"k": ("happened", 1)}
    assert (await town.post("/messages", MESSAGE, "k")).headers["idempotent-replayed"] == "true"


async def test_fail_after_next_can_answer_500(town: Town) -> None:
    """An error without a word on what was applied."""
    await town.turn(fail_after_next=1, fail_after_how="error")
    answer = await town.post("/messages", MESSAGE, "k")
    assert code_of(answer) == (500, "answer_lost")
    assert "applied" not in answer.json()
    assert (await town.get("/effects/k"))["state"] == "happened"


async def test_a_request_lands_after_its_caller_has_gone(town: Town) -> None:
    """While the caller waits nothing happens; it happens when nobody listens any more."""
    await town.turn(land_late_next=1, land_late_ms=100)
    with pytest.raises(httpx.ReadTimeout):
        await town.post("/messages", MESSAGE, "k", timeout_s=0.3)
    assert (await town.get("/effects/k"))["state"] == "not_seen"
    await _landed(town, 1)
    assert await town.applied() == {"k": ("happened", 1)}


async def test_a_request_lands_although_its_caller_was_killed(town: Town) -> None:
    """A bare socket that is closed after the last byte, as the kernel does for a dead process."""
    await town.turn(land_late_next=1)
    body = msgspec.json.encode(LETTER)
    head = f"POST /letters HTTP/1.1\r\nHost: town\r\nIdempotency-Key: k\r\nContent-Length: {len(body)}\r\n\r\n"
    address = urlsplit(town.base_url)
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(head.encode() + body)
        await eventually(lambda: _held(town), "the town holds the request")
        assert await town.applied() == {}
    await _landed(town, 1)
    assert await town.applied() == {"k": ("happened", 1)}


async def test_a_retry_overtakes_the_late_request(town: Town) -> None:
    """Both arrive in the end: one effect with a key that is honoured, two letters where it is not."""
    for path, body, times in (("/messages", MESSAGE, 1), ("/letters", LETTER, 2)):
        await town.turn(land_late_next=1, land_late_ms=100)
        with pytest.raises(httpx.ReadTimeout):
            await town.post(path, body, path, timeout_s=0.2)
        assert (await town.post(path, body, path)).status_code == 201
        await eventually(lambda: _nothing_landing(town), "the late request has landed")
        assert await town.applied(path) == {path: ("happened", times)}


async def test_undo_stops_the_late_request(town: Town) -> None:
    """A probe says `not seen`, the undo leaves its tombstone, the request lands on it. A letter lands all the same."""
    for path, body, expected in (("/reservations", TABLE, ("undone", 0)), ("/letters", LETTER, ("happened", 1))):
        await town.turn(land_late_next=1, land_late_ms=400)
        with pytest.raises(httpx.ReadTimeout):
            await town.post(path, body, path, timeout_s=0.2)
        assert (await town.undo(path))["was"] == "not_seen"
        await eventually(lambda: _nothing_landing(town), "the late request has landed")
        assert await town.applied(path) == {path: expected}


async def test_latency_delays_only_what_has_an_effect(town: Town) -> None:
    """Lists stay quick, so that one can watch."""
    await town.turn(latency_ms=60_000)
    posting = asyncio.create_task(town.post("/messages", MESSAGE, "k"))
    await eventually(lambda: _delayed(town), "the request is delayed")
    assert (await town.get("/messages"))["total"] == 0
    posting.cancel()


async def test_only_path_narrows_and_widens_the_reach(town: Town) -> None:
    """Other effects are spared; probes and undos are reached only when they are named."""
    await town.turn(fail_next=1, only_path="/rides")
    assert (await town.post("/messages", MESSAGE, "k")).status_code == 201
    assert (await town.get("/effects/k"))["state"] == "happened"
    await town.turn(fail_next=1, only_path="/effects/k/undo")
    assert (await town.get("/effects/k"))["state"] == "happened"
    with pytest.raises(httpx.HTTPStatusError):
        await town.undo("k")
    assert (await town.undo("k"))["was"] == "happened"


async def test_clearing_turns_everything_off(town: Town) -> None:
    """DELETE is the way back; a knob that does not exist is told."""
    await town.turn(fail_next=5)
    async with town.client() as client:
        assert code_of(await client.put("/knobs", json={"fail_nxt": 1})) == (400, "invalid_type")
        assert (await client.delete("/knobs")).json()["on"] is False
    assert (await town.post("/messages", MESSAGE, "k")).status_code == 201


async def _held(town: Town) -> bool:
    return (await town.counts())["held"] == 1


async def _delayed(town: Town) -> bool:
    return (await town.counts())["delayed"] == 1


async def _nothing_landing(town: Town) -> bool:
    counts = await town.counts()
    return counts["held"] == counts["landing"] == 0


async def test_the_most_effects_at_once_are_counted(town: Town) -> None:
    """Also without a knob; clearing begins anew."""
    job = {"label": "x", "seconds": 0.3}
    await asyncio.gather(*(town.post("/jobs", job, f"k{number}") for number in range(3)))
    assert ((await town.counts())["working"], (await town.counts())["working_most"]) == (0, 3)
    async with town.client() as client:
        assert (await client.delete("/knobs")).json()["counts"]["working_most"] == 0
    await town.post("/jobs", job, "k4")
    assert (await town.counts())["working_most"] == 1
