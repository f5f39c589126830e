"""What tools log is kept with their steps: bounded, without secrets, and free for those that log nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.cli import shown
from shared.redisdb.keys import record
from shared.step_log import MOST_LINES, Notebook, take_notes, write
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import configured
from tests.support.valkey import Valkey

ACME = {"Authorization": f"Bearer {KEY}"}
TOKEN = "token-of-the-crm-77"


@pytest.fixture
async def talking(redis: Redis, valkey: Valkey) -> AsyncIterator[Site]:  # noqa: ARG001 - it empties the store
    """Services with a tool that logs."""
    more = {"TOOLS": "tests.tools.talkative", "SECRET_CRM_TOKEN": TOKEN}
    async with AsyncExitStack() as stack:
        yield Site(configured(**{**variables(valkey), **more}), stack)


async def ran(site: Site, *steps: dict[str, Any]) -> str:
    """An execution of these steps, to its end."""
    body = {"plan": {"steps": list(steps)}}
    answer = await site.call("ingress", "POST", "/api/execute", json=body, headers=ACME)
    assert answer.status_code == 202, answer.text
    execution = str(answer.json()["id"])
    for _ in range(10):
        ended = await site.signed("step_executor", "/api/engine/execute-step", {"executionId": execution})
        assert ended.status_code == 200, ended.text
        if ended.json()["result"].isupper() or ended.json()["result"] == "terminal":
            return execution
    raise AssertionError("it does not end")


async def logs(site: Site, execution: str, step: str) -> dict[str, Any]:
    """As the route shows them."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}/steps/{step}/logs", headers=ACME)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_line_is_kept_with_its_attempt_and_without_secrets(talking: Site) -> None:
    """Neither the tool's own, nor what stands under the name of one."""
    execution = await ran(talking, {"name": "a", "tool": "say", "args": {"how": "well"}})
    found = await logs(talking, execution, "a")

    (line,) = found["lines"]
    assert found["truncated"] is False
    assert {**line, "at_ms": 0} == {
        "at_ms": 0,
        "attempt": 1,
        "level": "info",
        "message": "asked the CRM",
        "fields": {"status": 200, "sent": ["Bearer ***"], "password": "***"},
    }
    shown = await talking.call("ingress", "GET", f"/api/executions/{execution}", headers=ACME)
    assert line["at_ms"] > 1_700_000_000_000
    assert TOKEN not in shown.text


async def test_each_attempt_and_the_undo_have_their_lines(talking: Site) -> None:
    """In order of time; those of an undo say so."""
    execution = await ran(
        talking,
        {"name": "a", "tool": "say", "args": {"how": "at the second go"}},
        {"name": "b", "tool": "say", "args": {"how": "in vain"}, "needs": ["a"]},
    )
    found = await logs(talking, execution, "a")

    told = [(line["attempt"], line["message"], line.get("undo", False)) for line in found["lines"]]
    assert told == [(1, "trying", False), (2, "trying", False), (1, "taken back", True)]
    assert [line["message"] for line in (await logs(talking, execution, "b"))["lines"]] == ["it will not do"]


@pytest.mark.parametrize("args", [{"how": "often", "times": 1_000}, {"how": "at length"}], ids=lambda args: args["how"])
async def test_what_is_too_much_is_left_out_and_said_to_be(talking: Site, args: dict[str, Any]) -> None:
    """The first lines stay."""
    execution = await ran(talking, {"name": "a", "tool": "say", "args": args})
    found = await logs(talking, execution, "a")

    assert found["truncated"] is True
    assert 0 < len(found["lines"]) <= MOST_LINES
    assert found["lines"][0]["message"] in {"line 0", "long"}


async def test_what_is_no_json_is_a_text(talking: Site) -> None:
    """And a password in an address is none that is read."""
    execution = await ran(talking, {"name": "a", "tool": "say", "args": {"how": "oddly"}})
    odd, url = (await logs(talking, execution, "a"))["lines"]

    assert odd["level"] == "warning"
    assert odd["fields"]["kind"] == "<class 'object'>"
    assert url["message"] == "https://***@crm.example/?token=***"


async def test_items_of_a_map_have_logs_of_their_own(talking: Site) -> None:
    """`step.item`; one that is not there is 404."""
    step = {"name": "m", "tool": "say", "args": {"how": "${item}"}, "map": {"over": ["quietly", "well"]}}
    execution = await ran(talking, step)

    assert (await logs(talking, execution, "m.0"))["lines"] == []
    assert [line["message"] for line in (await logs(talking, execution, "m.1"))["lines"]] == ["asked the CRM"]
    for name in ("m.2", "m.x", "m.-1", "n", "m.999999999999"):
        answer = await talking.call("ingress", "GET", f"/api/executions/{execution}/steps/{name}/logs", headers=ACME)
        assert answer.status_code == 404, name


async def test_the_command_line_shows_them_a_line_each(talking: Site) -> None:
    """Time, attempt, level, what was said, and its fields as JSON."""
    execution = await ran(talking, {"name": "a", "tool": "say", "args": {"how": "well"}})
    (line,) = shown.logs(await logs(talking, execution, "a"))

    assert line.partition("  ")[0].endswith("+00:00")
    assert line.partition("  ")[2] == 'attempt 1  info    asked the CRM  status=200  sent=["Bearer ***"]  password="***"'
    assert list(shown.logs({"lines": [], "truncated": False})) == ["nothing was logged"]
    assert list(shown.logs({"lines": [], "truncated": True})) == ["there was more than is kept"]


async def test_another_tenants_logs_do_not_exist(talking: Site) -> None:
    """404, as for any of its executions."""
    execution = await ran(talking, {"name": "a", "tool": "say", "args": {"how": "well"}})
    other = {"Authorization": "Bearer key-of-other-0123456789"}
    answer = await talking.call("ingress", "GET", f"/api/executions/{execution}/steps/a/logs", headers=other)

    assert answer.status_code == 404


async def test_logging_costs_no_round_trip_more(talking: Site, redis: Redis) -> None:
    """The lines go with the commit of the result; without any there is no key, and no field."""
    store = (await talking.app("step_executor")).state.deps.interpreter.store
    counts = []
    for how in ("quietly", "well"):
        store.calls.clear()
        execution = await ran(talking, {"name": "a", "tool": "say", "args": {"how": how}})
        counts.append({name: store.calls[name] for name in ("acquire", "begin", "commit")})
        keys = [key async for key in redis.scan_iter(f"*:l:{execution}:*")]
        assert len(keys) == (how == "well")
        assert bool(await redis.hexists(record(execution), "logs")) is (how == "well")
    assert counts[0] == counts[1]
    assert all(counts[0].values())


async def test_a_call_that_is_made_beside_another_keeps_to_its_own_notebook() -> None:
    """Tasks that a tool starts log into its step; what is outside of any call goes nowhere."""
    books = {name: Notebook(lambda: 7, lambda value: value) for name in "ab"}

    async def call(name: str) -> None:
        take_notes(books[name])
        await asyncio.sleep(0)
        await asyncio.create_task(inner(name))

    async def inner(name: str) -> None:
        write(f"of {name}")

    await asyncio.gather(*(asyncio.create_task(call(name)) for name in "ab"))
    write("of nobody")
    for name, book in books.items():
        logged = book.logged(1)
        assert logged is not None
        assert [line.message for line in logged.lines] == [f"of {name}"]
