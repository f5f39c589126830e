"""Breaking parts on purpose: who can ask for it, and that nobody can where no supervisor of this run has said so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from services.ingress import site
from services.ingress.app import build_app
from shared.errors import Conflict, SettingsError, Unavailable
from shared.local.control import Command, Drop, Kill, Look, Report, ask, listening
from shared.settings import Settings
from shared.settings_load import load
from tests.services.engine.test_settings import PRODUCTION as HOSTED

CONTROL = {"LOCAL_CONTROL": "127.0.0.1:9", "LOCAL_CONTROL_KEY": "k" * 43}
LOCAL = {"INTENTION_MODE": "local"}
ROUTES = [
    ("GET", "/api/local"),
    ("POST", "/api/local/executor/kill"),
    ("POST", "/api/local/qstash/drop"),
    ("POST", "/api/local/ably/drop"),
    ("POST", "/api/local/qstash/mend"),
]


def client(settings: Settings | None) -> httpx.AsyncClient:
    """Of ingress with these settings, and nothing behind it."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(settings=settings)), base_url="http://ingress")


@pytest.mark.parametrize("environ", [HOSTED, LOCAL], ids=["hosted", "local without a supervisor"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_supervisor_there_is_nothing_to_ask(environ: dict[str, str], method: str, path: str) -> None:
    """404, as for any path that is none; and the console shows no button."""
    async with client(load(environ)) as asked:
        answer = await asked.request(method, path, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert b"data-breakable" not in (await asked.get("/")).content


async def test_settings_that_were_not_checked_open_nothing_either() -> None:
    """Production with the settings of a supervisor, put past `load`."""
    hosted = msgspec.structs.replace(load(HOSTED), local_control="127.0.0.1:9")
    async with client(hosted) as asked:
        assert (await asked.get("/api/local")).status_code == 404
        assert b"data-breakable" not in (await asked.get("/")).content


async def test_the_console_of_a_supervised_system_knows_that_it_can_be_broken() -> None:
    """It is said by the page itself, with a tag of its own."""
    async with client(load(LOCAL | CONTROL)) as asked:
        answer = await asked.get("/")
        assert b"<html data-breakable " in answer.content
        assert answer.headers["etag"] == site.BREAKABLE.etag != site.FILES["index.html"].etag


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (HOSTED | CONTROL, "only INTENTION_MODE=local"),
        (LOCAL | CONTROL | {"LOCAL_CONTROL": "10.0.0.1:9"}, "sets it itself"),
        (LOCAL | CONTROL | {"LOCAL_CONTROL": "127.0.0.1"}, "sets it itself"),
        (LOCAL | CONTROL | {"LOCAL_CONTROL": "http://127.0.0.1:9"}, "sets it itself"),
        (LOCAL | CONTROL | {"LOCAL_CONTROL_KEY": "short"}, "LOCAL_CONTROL_KEY"),
    ],
)
def test_a_control_that_is_not_this_run_s_stops_the_start(environ: dict[str, str], says: str) -> None:
    """It is no setting for people."""
    with pytest.raises(SettingsError, match=says):
        load(environ)


@pytest.fixture
async def heard() -> AsyncIterator[tuple[str, str, list[Command]]]:
    """A supervisor that only listens: its address, its key, what it was asked."""
    commands: list[Command] = []

    async def perform(command: Command) -> Report:
        commands.append(command)
        if command == Kill():
            raise Conflict("the executor is down just now")
        return Report(pid=7)

    async with listening(perform) as (address, key):
        yield address, key, commands


async def test_whoever_has_the_key_is_answered_and_a_refusal_says_why(heard: tuple[str, str, list[Command]]) -> None:
    """The report, or Conflict."""
    address, key, commands = heard
    assert (await ask(address, key, Drop("qstash", 2.5))).pid == 7
    with pytest.raises(Conflict, match="down just now"):
        await ask(address, key, Kill())
    assert commands == [Drop("qstash", 2.5), Kill()]


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": "wrong", "command": {"do": "kill"}}\n',
        b'{"key": "", "command": {"do": "kill"}}\n',
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b'{"key": 7}\n',
        b"x" * 100_000 + b"\n",
        b"",
    ],
    ids=["wrong key", "no key", "http", "odd", "long", "nothing"],
)
async def test_whoever_has_not_the_key_is_answered_with_nothing(heard: tuple[str, str, list[Command]], line: bytes) -> None:
    """And nothing is done."""
    address, _, commands = heard
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(line)
    writer.write_eof()
    with contextlib.suppress(ConnectionResetError):  # it hangs up before it has read all of a line that is too long
        assert await reader.read() == b""
    writer.close()
    assert commands == []


async def test_a_supervisor_that_is_gone_is_unavailable(heard: tuple[str, str, list[Command]]) -> None:
    """503 for whoever asked."""
    _, key, _ = heard
    with pytest.raises(Unavailable, match="make run"):
        await ask("127.0.0.1:9", key, Look())
