"""Calls that QStash makes for a step: what is asked of it, and what its callbacks mean."""

import base64
import json
from typing import Any

import pytest
from starlette.responses import Response

from services.step_executor.callback import Callback, said_by
from shared.callbacks import Addresses, BadTicket, Ticket
from shared.http import Json
from shared.http_client import HttpClient
from shared.tools.registry import Call, TookOver, ToolNotSent
from shared.tools.remote import Remote
from tests.services.engine.site import EXECUTOR, NOBODY, Site
from tests.services.engine.support import Receiver, Taken, configured

TICKET = Ticket(NOBODY, "acme", "a", 2_000_000_000, 2)
ADDRESSES = Addresses("key", "http://ingress.example")
CALL = Call(key=f"{NOBODY}.a.1", attempt=2, deadline_s=4, address=lambda: ADDRESSES.url(TICKET))


def told(status: int, body: Any = None, retried: int = 0, most: int = 0) -> dict[str, Any] | None:
    """What a callback of QStash becomes."""
    text = base64.b64encode(b"" if body is None else json.dumps(body).encode()).decode()
    return said_by(Callback(status=status, body=text, retried=retried, max_retries=most))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(200, {"data": {"n": 1}}, id="done"),
        pytest.param(404, {"error": '404: {"n":1}'}, id="a refusal: it did not happen"),
        pytest.param(500, {"unanswered": 'the call ended with status 500: {"n":1}'}, id="it may have happened"),
        pytest.param(408, {"unanswered": 'the call ended with status 408: {"n":1}'}, id="so it may here"),
    ],
)
def test_what_the_end_of_a_call_means(status: int, says: dict[str, str]) -> None:
    """Only an answer says what became of it."""
    assert told(status, {"n": 1}) == says


def test_while_qstash_tries_again_nothing_is_told() -> None:
    """It calls back after every attempt."""
    assert told(503, retried=0, most=1) is None
    assert told(503, retried=1, most=1) is not None


def test_an_answer_that_is_no_json_is_text_and_a_huge_one_left_out() -> None:
    """The effect has happened all the same."""
    raw = base64.b64encode(b"well done").decode()
    assert said_by(Callback(status=200, body=raw)) == {"data": "well done"}
    huge = said_by(Callback(status=200, body=base64.b64encode(b"x" * 300_000).decode()))
    assert huge is not None
    assert huge["data"]["left_out"]


def test_an_address_is_not_made_by_others() -> None:
    """Nor changed, nor used for ever."""
    token = CALL.callback_url.rpartition("/")[2]
    assert ADDRESSES.read(token, 1_999_999_999) == TICKET
    for bad, now in ((token, 2_000_000_001), (token[:-2] + "AA", 0), ("x", 0), ("", 0), ("a.b.c", 0)):
        with pytest.raises(BadTicket):
            ADDRESSES.read(bad, now)
    with pytest.raises(BadTicket):
        Addresses("other", "http://ingress.example").read(token, 0)
    assert TICKET.sid != Ticket(NOBODY, "acme", "a", 2_000_000_000, 3).sid


async def test_a_call_is_published_under_the_effects_key(there: Receiver, caller: HttpClient) -> None:
    """With one address for callback and failure callback, and an id that is the same for the same attempt."""

    async def accept(_: Taken) -> Response:
        return Json({"messageId": "msg_1"})

    there.reply = accept
    settings = configured(QSTASH_URL=there.url, EXECUTOR_URL=EXECUTOR)
    answer = await Remote(caller, settings).call(CALL, url="http://town.example/jobs", body={"n": 1}, seconds=40)
    assert answer == TookOver()
    (taken,) = there.taken
    assert taken.path == "/v2/publish/http://town.example/jobs"
    assert json.loads(taken.body) == {"n": 1}
    headers = taken.headers
    assert headers["upstash-forward-idempotency-key"] == CALL.key
    assert headers["upstash-deduplication-id"] == f"{CALL.key}-2"
    assert headers["upstash-timeout"] == "40s"
    address = headers["upstash-callback"]
    assert address == headers["upstash-failure-callback"]
    assert address.startswith(f"{EXECUTOR}/api/engine/callback/")
    assert ADDRESSES.read(address.rpartition("/")[2], 0) == TICKET


async def test_what_qstash_does_not_take_was_not_sent(caller: HttpClient) -> None:
    """Trying again is safe."""
    with pytest.raises(ToolNotSent):
        await Remote(caller, configured(QSTASH_URL="http://127.0.0.1:9")).call(CALL, url="http://x", body=None, seconds=1)


async def test_a_callback_must_be_signed_and_of_ours(site: Site) -> None:
    """The signature is QStash's, the address ours; one of an execution that is gone is done with."""
    own = Addresses(site.settings.internal_signing_key, site.settings.ingress_url)
    path = "/api/engine/callback/" + own.url(TICKET).rpartition("/")[2]
    body = {"status": 200, "body": ""}
    assert (await site.call("step_executor", "POST", path, json=body)).status_code == 401
    assert (await site.signed("step_executor", path, body)).json() == {"result": "absent"}
    wrong = await site.signed("step_executor", "/api/engine/callback/x.y", body)
    assert wrong.status_code == 489
    assert wrong.headers["Upstash-NonRetryable-Error"] == "true"
    assert (await site.signed("step_executor", path, b"[")).status_code == 489
