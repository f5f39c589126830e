"""Where the command line asks, and how it says what was refused."""

from typing import Any

import httpx
import pytest

from shared.cli import shown
from shared.cli.api import Failed, Unreachable, api_key, ingress_url, matches, opened, refusal
from shared.cli.profiles import Target
from shared.machine.status import TERMINAL
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


def answer(body: Any, status: int = 409) -> httpx.Response:
    """Of ingress."""
    request = httpx.Request("POST", "http://engine/api/x")
    kind: dict[str, Any] = {"json": body} if not isinstance(body, bytes) else {"content": body}
    return httpx.Response(status, request=request, **kind)


def test_a_refusal_is_told_with_its_place_and_a_remedy() -> None:
    """Nothing that is empty is told."""
    details = {"status": "SUSPENDED", "reason": None, "version": 3, "step": "a", "stepStatus": "DONE"}
    text = refusal(answer({"error": {"code": "moot", "message": "a is DONE", "details": details}}))
    assert text.splitlines() == [
        "a is DONE [moot]",
        "  status: SUSPENDED",
        "  step: a",
        "  stepStatus: DONE",
        "  version: 3",
        "  -> `intention why` says what it waits for",
    ]


@pytest.mark.parametrize("body", [b"<html>", [], {"error": "no"}])
def test_an_answer_that_is_none_of_ingress_is_told_as_such(body: Any) -> None:
    """Somebody else listens there."""
    assert "is that ingress?" in refusal(answer(body, 502))


def test_every_end_has_an_exit_code_of_its_own() -> None:
    """And what still runs has another."""
    assert {status.value for status in TERMINAL} == set(shown.OUTCOMES)
    assert len({*shown.OUTCOMES.values(), shown.STILL_RUNNING}) == len(shown.OUTCOMES) + 1
    assert shown.outcome("SUSPENDED") == shown.STILL_RUNNING


def test_what_ingress_says_does_not_steer_the_terminal() -> None:
    """Names and words of other people are in it."""
    said = {"code": "x", "message": "no \x1b[2Jstep\nat all", "details": {"step": "\x07a"}}
    assert refusal(answer({"error": said})).splitlines() == ["no  [2Jstep at all [x]", "  step:  a"]


def test_a_password_in_an_address_is_not_shown() -> None:
    """Nor the key."""
    aim = Target(f"http://ann:hunter2@127.0.0.1:{free_port()}", "a-key-0123456789", "", {})
    with opened(aim) as api, pytest.raises(Unreachable) as told:
        api.get(ID)
    assert "hunter2" not in told.value.message
    assert "a-key" not in told.value.message


@pytest.mark.parametrize(("url", "key"), [("http://a\nb", ""), ("http://x", "k\u20acy")])
def test_what_is_no_address_or_no_key_is_told_before_anybody_is_asked(url: str, key: str) -> None:
    """Without the key."""
    with pytest.raises(Failed, match="is no address, or the key has") as told, opened(Target(url, key, "", {})):
        pass
    assert "\u20ac" not in told.value.message
