"""Tools of MCP servers: what becomes of a call, and what a process knows of a server that is away, on real servers."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.deploys import InFlight, breaks
from shared.machine.events import Done, NotSent, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Contract, Effect, Plan, Retry, Step, Undo
from shared.machine.status import Phase
from shared.redisdb import keys
from shared.redisdb.mcp_listings import Listing, Listings
from shared.tools.mcp_shape import Said
from shared.tools.registry import Registry
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.tools.mcp_desk import lines
from tests.tools.mcp_support import Old, Running, catalogue, http, run, running, stdio
from tests.tools.partner import Asked, Partner, hangs_up, never_answers, partner, says


@pytest.fixture(params=["stdio", "http"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Registry]:
    """The desk's tools over each transport."""
    if request.param == "stdio":
        async with catalogue(stdio(tmp_path)) as (registry, _):
            yield registry
    else:
        async with running(tmp_path) as there, catalogue(http(there.port)) as (registry, _):
            yield registry


# --- what a call comes to


async def test_a_tool_is_called_under_the_effects_key(desk: Registry, tmp_path: Path) -> None:
    """Twice under one key is one ticket: the key goes as the argument that takes it, or in `_meta`."""
    first = await run(desk, "open_ticket", "k1", subject="printer")

    assert first == Done(output={"number": 1, "subject": "printer"})
    assert await run(desk, "open_ticket", "k1", subject="printer") == first
    assert await run(desk, "open_quietly", "k1", subject="printer") == first
    assert [line["key"] for line in lines(tmp_path, "calls")] == ["k1"] * 3
    assert len(lines(tmp_path, "effects")) == 1


async def test_undo_and_probe_are_other_tools_that_find_the_effect_by_its_key(desk: Registry) -> None:
    """A probe that fails has said nothing."""
    await run(desk, "open_ticket", "k1", subject="printer")

    asked = await run(desk, "open_ticket", "k1", way="probe")
    undone = await run(desk, "open_ticket", "k1", way="undo")
    gone = await run(desk, "open_ticket", "k1", way="probe")

    assert asked == Done(output={"number": 1, "subject": "printer"})
    assert isinstance(undone, Done)
    assert isinstance(gone, Refused)
    assert gone.code == NEVER_HAPPENED
    assert isinstance(await run(desk, "open_ticket", "broken", way="probe"), Unanswered)


async def test_results_are_what_the_server_gives_to_programs_or_else_its_text(desk: Registry) -> None:
    """What is larger than it may be is left out; it was done all the same."""
    assert await run(desk, "add", a=1, b=2) == Done(output={"result": 3})
    assert await run(desk, "say", text="hi", times=2) == Done(output={"text": "hihi"})
    large = await run(desk, "say", text="x", times=100_000)
    assert large == Done(output={"left_out": True, "bytes": 100_011, "limit": 65_536})
    huge = await run(desk, "say", text="x", times=6_000_000)
    assert isinstance(huge, Done)
    assert huge.output["left_out"] is True


async def test_a_tool_that_fails_has_refused(desk: Registry) -> None:
    """`isError` is an answer, and no doubt."""
    found = await run(desk, "say", text="no")

    assert isinstance(found, Refused)
    assert (found.code, found.retryable) == ("mcp_error", False)
    assert "the desk says no" in found.message


async def test_what_a_tool_takes_is_checked_before_it_is_called(desk: Registry, tmp_path: Path) -> None:
    """Plans are held against its schema, in which the key's argument does not appear."""
    problems = [str(one.message) for one in desk.check_args("desk.open_ticket", {"subject": 3, "key": "mine"}, "args")]

    assert any("takes no such argument" in one for one in problems)
    assert any("Expected `str`" in one for one in problems)
    assert isinstance(await run(desk, "open_ticket", subject=3), Refused)
    assert lines(tmp_path, "calls") == []


async def test_a_call_without_an_answer_in_time_is_in_doubt_and_the_connection_goes_on(desk: Registry) -> None:
    """Another call finds the server as it was."""
    assert isinstance(await run(desk, "say", text="wait", within=1.0), Unanswered)
    assert await run(desk, "add", a=1, b=2) == Done(output={"result": 3})


async def test_calls_at_the_same_time_do_not_mix(desk: Registry) -> None:
    """One connection carries them all."""
    found = await asyncio.gather(*(run(desk, "add", f"k{number}", a=number, b=0) for number in range(20)))

    assert found == [Done(output={"result": number}) for number in range(20)]


async def test_a_server_that_dies_in_a_call_leaves_it_in_doubt_and_is_started_anew(tmp_path: Path) -> None:
    """Over stdio it is a child of this process."""
    async with catalogue(stdio(tmp_path)) as (registry, _):
        assert isinstance(await run(registry, "say", text="die"), Unanswered)
        assert await run(registry, "add", a=1, b=2) == Done(output={"result": 3})


async def test_a_server_that_nobody_can_start_was_sent_nothing(tmp_path: Path) -> None:
    """And nothing is left of the attempt."""
    async with catalogue(stdio(tmp_path)) as (registry, found):
        [caller] = found._callers.values()
        await caller.connection.close()
        caller.connection._server = msgspec.structs.replace(caller.connection._server, command=("no-such-program-4711",))
        assert isinstance(await run(registry, "add", a=1, b=2), NotSent)


async def test_no_connection_is_not_sent_and_a_server_that_is_back_is_found(tmp_path: Path) -> None:
    """Also for what must not be done twice."""
    async with running(tmp_path) as there, catalogue(http(there.port)) as (registry, _):
        there.kill()
        assert isinstance(await run(registry, "open_quietly", subject="x"), NotSent)
        await there.start()
        assert isinstance(await run(registry, "open_quietly", subject="x"), Done)
    assert len(lines(tmp_path, "calls")) == 1


async def test_the_children_end_with_their_connection(tmp_path: Path) -> None:
    """None is left behind."""
    async with catalogue(stdio(tmp_path)) as (registry, _):
        await run(registry, "open_ticket", subject="x")
        [pid] = [line["pid"] for line in lines(tmp_path, "calls")]
        assert alive(pid)

    await eventually(lambda: not alive(pid), describe="the child has ended")


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_secrets_are_struck_out_of_what_a_server_says(tmp_path: Path) -> None:
    """It has them in its environment, and says them in errors."""
    async with catalogue(stdio(tmp_path)) as (registry, _):
        found = await run(registry, "say", text="no")

    assert isinstance(found, Refused)
    assert "its token is ***" in found.message


# --- a server of the years with sessions, by script


@pytest.fixture
async def old() -> AsyncIterator[tuple[Old, Partner]]:
    """It listens."""
    async with partner() as there:
        found = Old()
        there.script = found
        yield found, there


def at(there: Partner, **more: Any) -> Any:
    """Its entry in the file."""
    return msgspec.structs.replace(http(1), url=f"{there.url}/mcp", tools={}, **more)


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (Old().error(-32602, "bad"), Refused, "mcp_32602"),
        (Old().error(-32603, "broke"), Unanswered, ""),
        (Old().error(-32001, "who knows"), Unanswered, ""),
        (says(401, {"error": "who are you"}), Refused, "http_401"),
        (says(429, None, retry_after="7"), Refused, "http_429"),
        (says(500, "oh"), Unanswered, ""),
        (says(503, None, retry_after="7"), Refused, "http_503"),
        (says(302, None, location="http://127.0.0.1:9/elsewhere"), Unanswered, ""),
        (says(200, b"{", content_type="application/json"), Unanswered, ""),
        (says(200, b"<html>", content_type="text/html"), Unanswered, ""),
        (hangs_up, Unanswered, ""),
        (never_answers, Unanswered, ""),
    ],
    ids=[
        "refused by JSON-RPC", "an internal error", "an error of its own", "not let in", "too many", "a fault", "busy",
        "sent elsewhere", "half an answer", "no JSON", "hangs up", "is silent",
    ],
)  # fmt: skip
async def test_each_answer_has_one_meaning(old: tuple[Old, Partner], script: Any, kind: type, code: str) -> None:
    """As with every other tool that speaks HTTP; and the next call goes well."""
    server, there = old
    async with catalogue(at(there)) as (registry, _):
        good, server.answers = server.answers, script
        found = await run(registry, "act", within=2.0)
        server.answers = good

        assert type(found) is kind
        assert getattr(found, "code", "") == code
        assert await run(registry, "act") == Done(output={"text": "done"})


async def test_a_session_that_the_server_forgot_is_begun_anew(old: tuple[Old, Partner]) -> None:
    """Its 404 says that it did nothing, so the same call is made again at once."""
    server, there = old
    async with catalogue(at(there)) as (registry, _):
        server.sessions.clear()

        assert await run(registry, "act") == Done(output={"text": "done"})
        assert len(server.called) == 1


async def test_only_the_last_answer_of_a_call_counts(old: tuple[Old, Partner]) -> None:
    """A redirect that stays at the server says "not done"; what came of the call that followed it is another question."""
    server, there = old

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        moved = says(307, None, location="/moved") if asked.path == "/mcp" else server.error(-32603, "broke")
        await moved(asked, writer)

    async with catalogue(at(there)) as (registry, _):
        server.answers = script

        assert isinstance(await run(registry, "act"), Unanswered)
        assert [asked.path for asked in server.seen[-2:]] == ["/mcp", "/moved"]


async def test_what_is_no_text_is_named_and_left_out(old: tuple[Old, Partner]) -> None:
    """An image is no JSON to be kept."""
    server, there = old
    server.answers = server.result(
        {"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}, {"type": "text", "text": "a picture"}]}
    )
    async with catalogue(at(there)) as (registry, _):
        assert await run(registry, "act") == Done(output={"text": "a picture", "left_out": ["image"]})


async def test_headers_have_their_secrets(old: tuple[Old, Partner]) -> None:
    """In every request, from the handshake on."""
    server, there = old
    entry = at(there, headers={"Authorization": "Bearer ${secret:DESK_TOKEN}"})
    async with catalogue(entry) as (registry, _):
        await run(registry, "act")

    assert {asked.headers["authorization"] for asked in server.seen} == {"Bearer desk-token-4711"}


# --- what is listed


async def test_a_tool_is_unsafe_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    """A server's hints are not promises."""
    async with catalogue(stdio(tmp_path)) as (registry, _):
        found = registry.contracts()

    assert found["desk.add"].effect is Effect.PURE
    assert (found["desk.open_ticket"].effect, found["desk.open_ticket"].undo) == (Effect.IDEMPOTENT, Undo.SETTLED)
    assert {found[f"desk.{name}"].effect for name in ("open_quietly", "close_ticket", "find_ticket", "say")} == {Effect.UNSAFE}


async def test_hints_of_the_server_change_nothing(old: tuple[Old, Partner]) -> None:
    """Whoever runs the server would decide what is done twice."""
    server, there = old
    server.tools = [server.tools[0] | {"annotations": {"readOnlyHint": True, "idempotentHint": True, "destructiveHint": False}}]
    async with catalogue(at(there)) as (registry, _):
        assert registry.contracts()["desk.act"].effect is Effect.UNSAFE


async def test_tools_that_cannot_be_had_are_left_out(old: tuple[Old, Partner]) -> None:
    """Of a name that no plan can write, without the key's argument, with a schema of its own kind, or not wanted."""
    server, there = old
    plain = server.tools[0]["inputSchema"]
    server.tools = [{"name": name, "inputSchema": plain} for name in ("act", "a b", "keyless", "unwanted")]
    server.tools += [{"name": "odd", "inputSchema": {"type": "object", "properties": {'a "quoted" name': {}}}}]
    entry = at(there, only=("act", "a b", "keyless", "odd"))
    entry = msgspec.structs.replace(entry, tools={"keyless": Said(key_argument="key")})
    async with catalogue(entry) as (registry, _):
        assert set(registry.contracts()) == {"desk.act"}


async def test_a_process_knows_a_server_that_is_away_by_what_another_was_told(redis: Redis, tmp_path: Path) -> None:
    """It starts, and checks plans, without a server, without secrets and without asking."""
    listings = Listings(redis)
    async with catalogue(stdio(tmp_path), listings) as (asked, _):
        contracts = asked.contracts()
    away = msgspec.structs.replace(stdio(tmp_path))

    async with catalogue(away, listings, calls=False) as (registry, _):
        assert registry.contracts() == contracts
        assert [*registry.check_args("desk.say", {"text": "x"}, "args")] == []
        assert isinstance(await run(registry, "say", text="x"), NotSent)
    assert 0 < await redis.ttl(keys.mcp_listing("desk")) <= 30 * 86_400


async def test_a_listing_holds_for_an_hour(redis: Redis, tmp_path: Path) -> None:
    """Then the server is asked; if it is away, what it said before holds."""
    listings, port = Listings(redis), free_port()
    async with running(tmp_path) as there, catalogue(http(there.port), listings):
        pass
    found = await listings.find("desk")
    assert found is not None
    moved = http(port)
    fresh = msgspec.structs.replace(found, source=moved.source, at_ms=found.at_ms - 3_500_000)
    await listings.keep("desk", fresh)
    async with catalogue(moved, listings) as (registry, known):
        assert "desk.add" in registry.contracts()
        assert known._asked_s == {}

    await listings.keep("desk", msgspec.structs.replace(fresh, at_ms=found.at_ms - 3_700_000))
    async with catalogue(moved, listings) as (registry, known):
        assert "desk.add" in registry.contracts()
        assert set(known._asked_s) == {"desk"}


async def test_what_another_server_said_under_the_name_is_not_believed(redis: Redis, tmp_path: Path) -> None:
    """An entry that points elsewhere is asked anew."""
    listings = Listings(redis)
    async with catalogue(stdio(tmp_path), listings):
        pass

    async with catalogue(http(free_port()), listings) as (registry, _):
        assert registry.contracts() == {}


async def test_a_changed_schema_is_another_version_and_the_planned_one_is_refused(redis: Redis, tmp_path: Path) -> None:
    """A server runs one version of a tool; a process learns of the new one from the process that asked."""
    listings = Listings(redis)
    async with running(tmp_path) as there:
        async with catalogue(http(there.port), listings) as (registry, _):
            contracts = registry.contracts()
            old = contracts["desk.open_ticket"].version
        async with catalogue(http(there.port), listings, calls=False) as (taker, looks):
            there.kill()
            wider = Running(tmp_path, "wide")
            wider.port = there.port
            try:
                await wider.start()
                await listings.keep("desk", _aged(await listings.find("desk")))
                async with catalogue(http(there.port), listings) as (registry, _):
                    assert registry.get("desk.open_ticket", old) is None
                    assert [*registry.check_args("desk.open_ticket", {"subject": "x", "queue": "y"}, "args")] == []
                assert list(breaks(in_flight(contracts), taker)) == []
                await looks.look()
                [found] = breaks(in_flight(contracts), taker)
                assert (found.tool, found.kind) == ("desk.open_ticket", "version")
                assert taker.contracts()["desk.open_ticket"] == registry.contracts()["desk.open_ticket"]
                assert taker.contracts()["desk.open_ticket"].version != old
            finally:
                wider.kill()


def in_flight(contracts: dict[str, Contract]) -> InFlight:
    """An execution that has not called `desk.open_ticket` yet."""
    step = Step(name="ticket", tool="desk.open_ticket", args={}, needs=(), retry=Retry(), timeout_ms=1_000)
    plan = Plan(steps=(step,), contracts=contracts)
    return InFlight(id="exe_1", tenant="acme", status="EXECUTING", phase=Phase.FORWARD, plan=plan, cells="..")


def _aged(listing: Listing | None) -> Listing:
    assert listing is not None
    return msgspec.structs.replace(listing, at_ms=listing.at_ms - 4_000_000)


async def test_a_call_of_a_version_that_another_process_knows_finds_it(redis: Redis, tmp_path: Path) -> None:
    """The executor looks once more before it refuses."""
    listings = Listings(redis)
    async with catalogue(http(free_port()), listings) as (registry, _), catalogue(stdio(tmp_path), listings) as (_, asked):
        [(_, listing)] = asked._known.items()
        await listings.keep("desk", msgspec.structs.replace(listing, source=http(1).source))
        assert registry.contracts() == {}
        [mine] = registry.look_again.__self__._servers  # type: ignore[attr-defined]  # the catalogue's method
        await listings.keep("desk", msgspec.structs.replace(listing, source=mine.source))

        assert isinstance(await run(registry, "add", a=1, b=2), NotSent)  # known now, though its server is away
