"""Where the command line asks, and how it says what was refused."""

import asyncio

import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.cli import shown
from shared.cli.api import BUSY_AGAIN, Failed, Unreachable, api_key, ingress_url, matches, opened, refusal
from shared.cli.main import intention
from shared.cli.profiles import Target
from shared.client.errors import Refused
from shared.http import Json, error_body
from shared.machine.status import TERMINAL
from tests.services.engine.support import serving
from tests.support.valkey import free_port

ID = "exe_0a_01a2046995247ddb9dba4d7b4d41fe1c"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:3000"),
        ({"INGRESS_PORT": "3100", "INGRESS_HOST": "0.0.0.0"}, "http://127.0.0.1:3100"),  # noqa: S104 - a setting, not a bind
        ({"INGRESS_HOST": "::1"}, "http://[::1]:3000"),
        ({"INTENTION_URL": "https://engine.example/", "INGRESS_PORT": "1"}, "https://engine.example"),
    ],
)
def test_where_ingress_is(environ: dict[str, str], url: str) -> None:
    """An address of its own wins over the services' settings."""
    assert ingress_url(environ) == url


@pytest.mark.parametrize(
    ("environ", "key"),
    [({}, ""), ({"API_KEYS": "acme:k1,other:k2"}, "k1"), ({"API_KEYS": "acme:k1", "INTENTION_KEY": "k3"}, "k3")],
)
def test_which_key_is_sent(environ: dict[str, str], key: str) -> None:
    """None in local mode."""
    assert api_key(environ) == key


@pytest.mark.parametrize("text", [ID, "exe_0a_01a2", "01a20469", "41fe1c"])
def test_an_id_is_known_by_its_beginning_or_its_end(text: str) -> None:
    """Those made at one time begin alike."""
    assert matches(ID, text)


@pytest.mark.parametrize("text", ["", "exe_0b", "9dba", "fe1cc"])
def test_nothing_else_is_that_id(text: str) -> None:
    """Least of all nothing."""
    assert not matches(ID, text)


def test_a_refusal_is_told_with_its_place_and_a_remedy() -> None:
    """Nothing that is empty is told."""
    details = {"status": "SUSPENDED", "reason": None, "version": 3, "step": "a", "stepStatus": "DONE"}
    assert refusal(Refused(409, "moot", "a is DONE", details)).splitlines() == [
        "a is DONE [moot]",
        "  status: SUSPENDED",
        "  step: a",
        "  stepStatus: DONE",
        "  version: 3",
        "  -> `intention why` says what it waits for",
    ]


@pytest.mark.parametrize("details", [{"status": "COMPLETED"}, {"status": "COMPENSATED", "reason": None}, {}])
def test_of_what_is_over_nobody_is_told_to_ask_what_it_waits_for(details: dict[str, str]) -> None:
    """It waits for nothing."""
    assert "intention why" not in refusal(Refused(409, "moot", "it is over", details))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "no"}'])
async def test_an_answer_that_is_none_of_ingress_is_told_as_such(body: bytes) -> None:
    """Somebody else listens there. Without the password of a proxy."""

    async def strange(_: Request) -> Response:
        return Response(body, status_code=502)

    def asked(url: str) -> Failed:
        with opened(Target(url, "", "", {})) as api, pytest.raises(Failed, match="is that ingress") as told:
            api.get(ID)
        return told.value

    async with serving(Starlette(routes=[Route("/{rest:path}", strange)])) as url:
        found = await asyncio.to_thread(asked, url.replace("http://", "http://ann:hunter2@"))
    assert (found.status, found.passing) == (502, True)
    assert "hunter2" not in found.message


@pytest.mark.parametrize(("refusals", "asked", "is_told"), [(0, 1, True), (2, 3, True), (9, BUSY_AGAIN + 1, False)])
async def test_what_ingress_has_no_time_for_is_asked_again_a_few_times(refusals: int, asked: int, is_told: bool) -> None:  # noqa: FBT001
    """Then it is told as what it is: whoever types may try later."""
    seen: list[str] = []

    async def busy(request: Request) -> Response:
        seen.append(request.method)
        if len(seen) <= refusals:
            return Json(error_body("busy", "send it again"), status_code=503, headers={"Retry-After": "0"})
        return Json({"id": ID})

    def ask(url: str) -> object:
        with opened(Target(url, "", "", {})) as api:
            try:
                return api.ask("POST", "/api/execute", {"intent": "a"})["id"]
            except Failed as error:
                return error

    async with serving(Starlette(routes=[Route("/api/execute", busy, methods=["POST"])])) as url:
        found = await asyncio.to_thread(ask, url)
    assert (len(seen), found == ID) == (asked, is_told)
    if isinstance(found, Failed):
        assert (found.message, found.passing) == ("send it again [busy]", True)


def test_every_end_has_an_exit_code_of_its_own() -> None:
    """And what still runs has another."""
    assert {status.value for status in TERMINAL} == set(shown.OUTCOMES)
    assert len({*shown.OUTCOMES.values(), shown.STILL_RUNNING}) == len(shown.OUTCOMES) + 1
    assert shown.outcome("SUSPENDED") == shown.STILL_RUNNING


def test_what_ingress_says_does_not_steer_the_terminal() -> None:
    """Names and words of other people are in it."""
    said = Refused(409, "x", "no \x1b[2Jstep\nat all", {"step": "\x07a"})
    assert refusal(said).splitlines() == ["no  [2Jstep at all [x]", "  step:  a"]


def test_a_password_in_an_address_is_not_shown() -> None:
    """Nor the key."""
    aim = Target(f"http://ann:hunter2@127.0.0.1:{free_port()}", "a-key-0123456789", "", {})
    with opened(aim) as api, pytest.raises(Unreachable) as told:
        api.get(ID)
    assert "hunter2" not in told.value.message
    assert "a-key" not in told.value.message


@pytest.mark.parametrize(
    ("aim", "says"),
    [
        (Target("http://a\nb", "", "", {}), r"'http://a\\nb' is no address \(--url"),
        (Target("http://x", "k\u20acy", "", {}), r"^the key \(--key"),
        (Target("http://x", "k\ny", "", {}), r"^the key \(--key"),
        (Target("http://x", "", "Zo\u00eb", {}), r"^the name of who acts \(--actor"),
    ],
    ids=["address", "key", "key of two lines", "actor"],
)
def test_what_cannot_be_sent_is_told_before_anybody_is_asked(aim: Target, says: str) -> None:
    """Which of them it is, and without the key."""
    with pytest.raises(Failed, match=says) as told, opened(aim):
        pass
    assert not (aim.key and aim.key in told.value.message)


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize(
    "words", ["get {}", "why {}", "cancel {}", "dlq show {}", "dlq resend {}", "schedule show {}", "dlq list --execution {}"]
)
def test_an_empty_id_is_a_wrong_command_line(text: str, words: str) -> None:
    """An unset variable: nobody is asked, and it is said what is empty."""
    command = [text if word == "{}" else word for word in words.split()]
    found = CliRunner().invoke(intention, [*command, "--url", "http://127.0.0.1:9"])
    assert (found.exit_code, "is empty" in found.stderr) == (2, True), found.output


@pytest.mark.parametrize(
    "words",
    ["reject last {}", "retry last {}", "logs last {}", "signal last {}", "gates pause --tool {}", "gates audit --tool {}"],
)
def test_an_empty_name_does_not_mean_the_whole(words: str) -> None:
    """Neither the whole plan nor every tool."""
    found = CliRunner().invoke(intention, ["" if word == "{}" else word for word in words.split()])
    assert (found.exit_code, "it is empty" in found.stderr) == (2, True), found.output
