"""What the client does when a call does not come about: what it sends again, how long it waits, and what it raises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shared.client import Client, ClientError, Patience, Refused, Sent, Unreachable
from shared.client.sse import events
from shared.http import Json, error_body
from tests.services.engine.support import serving
from tests.support.valkey import free_port

QUICK = Patience(attempts=3, first_s=0.001, longest_s=2.0)
EXECUTION = "exe_0a_019aa0000000700080000000000000aa"
QUOTA = {
    "limit": None,
    "spent": 0,
    "reserved": 0,
    "left": None,
    "keptForAccepted": None,
    "resetsAt": "2026-01-01T00:00:00.000+00:00",
}
FINE = {
    "tenant": "acme",
    "level": "normal",
    "day": QUOTA,
    "month": QUOTA,
    "waiting": 0,
    "concurrent": {"limit": None, "running": 0, "left": None},
}
Answers = Callable[[Request], Awaitable[Response]]


class Desk:
    """A real server that gives these answers one after the other, the last of them again and again."""

    def __init__(self, *answers: Answers | Response) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    async def handle(self, request: Request) -> Response:
        """Remember, then answer."""
        await request.body()
        self.seen.append((request.method, request.url.path, dict(request.headers)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Response) else await answer(request)

    @property
    def app(self) -> Starlette:
        """Every path."""
        return Starlette(routes=[Route("/{rest:path}", self.handle, methods=["GET", "POST", "PUT", "DELETE"])])


def refusal(status: int, code: str, **headers: str) -> Response:
    """In the one shape."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Json(error_body(code, "no", {"at": "$"}), status_code=status, headers=named)


async def quota(desk: Desk) -> str:
    """A GET."""
    async with serving(desk.app) as url, Client(url, patience=QUICK) as client:
        return (await client.quota()).level


async def begun(desk: Desk, key: str = "") -> str:
    """A POST, which is no longer safe once it is sent, but with a key."""
    async with serving(desk.app) as url, Client(url, patience=QUICK) as client:
        return (await client.execute(intent="a", idempotency_key=key)).id


BEGUN: dict[str, Any] = {"id": EXECUTION, "executionId": EXECUTION, "status": "PLANNED", "plan": None, "links": {}}


async def test_a_get_is_sent_again_when_that_may_help() -> None:
    """503, 429 and 502 are not for ever."""
    desk = Desk(refusal(503, "unavailable", Retry_After="0"), refusal(429, "too_many"), Json(FINE))
    assert await quota(desk) == "normal"
    assert len(desk.seen) == 3


async def test_attempts_are_bounded_and_the_last_refusal_is_raised() -> None:
    """With all that it says."""
    desk = Desk(refusal(503, "store_unavailable"))
    with pytest.raises(Refused) as told:
        await quota(desk)
    assert len(desk.seen) == QUICK.attempts
    assert (told.value.status, told.value.code, told.value.message) == (503, "store_unavailable", "no")
    assert told.value.details == {"at": "$"}


async def test_whoever_asks_for_more_patience_than_there_is_is_not_asked_again() -> None:
    """An hour is the caller's to wait."""
    desk = Desk(refusal(429, "quota_exhausted", Retry_After="3600"))
    with pytest.raises(Refused, match="quota_exhausted"):
        await quota(desk)
    assert len(desk.seen) == 1


async def test_what_will_never_do_is_not_sent_again() -> None:
    """A refusal that stands."""
    desk = Desk(refusal(404, "not_found"))
    with pytest.raises(Refused, match="not_found"):
        await quota(desk)
    assert len(desk.seen) == 1


async def test_a_post_is_sent_again_only_with_a_key() -> None:
    """Without one nobody could tell the second from another one."""
    desk = Desk(refusal(503, "unavailable"), Json(BEGUN, status_code=202))
    with pytest.raises(Refused):
        await begun(desk)
    assert len(desk.seen) == 1
    assert await begun(desk, key="order-17") == EXECUTION
    desk = Desk(refusal(503, "unavailable"), Json(BEGUN, status_code=202))
    assert await begun(desk, key="order-17") == EXECUTION
    assert [headers["idempotency-key"] for _, _, headers in desk.seen] == ["order-17"] * 2


async def test_what_ingress_had_no_time_for_is_sent_again_also_without_a_key() -> None:
    """It did nothing for it, and says so."""
    desk = Desk(refusal(503, "busy", Retry_After="0"), refusal(503, "busy", Retry_After="0"), Json(BEGUN, status_code=202))
    assert await begun(desk) == EXECUTION
    assert len(desk.seen) == 3
    desk = Desk(refusal(503, "busy", Retry_After="0"))
    with pytest.raises(Refused) as told:
        await begun(desk)
    assert (len(desk.seen), told.value.undone) == (QUICK.attempts, True)


async def test_nobody_there_is_unreachable() -> None:
    """Named by address, with what to look at."""
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url, patience=QUICK) as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1.*is it running"):
            await client.execute(intent="a")


@pytest.mark.parametrize("answer", [Response("<html>", 200), Json({"a": 1}), Response("busy", 500), Json({"error": "x"}, 500)])
async def test_what_is_not_ingress_is_said_so(answer: Response) -> None:
    """Not as a traceback of a decoder."""
    with pytest.raises(Unreachable, match="is that"):
        await quota(Desk(answer))


async def test_every_error_is_a_client_error() -> None:
    """One thing to catch."""
    assert issubclass(Refused, ClientError)
    assert issubclass(Unreachable, ClientError)


async def test_the_actor_and_the_key_go_along() -> None:
    """In headers, never in an address."""
    desk = Desk(Json(FINE))
    async with serving(desk.app) as url, Client(url, key="key-1", actor="anna", patience=QUICK) as client:
        await client.quota()
    [(_, path, headers)] = desk.seen
    assert (path, headers["authorization"], headers["x-actor"]) == ("/api/quota", "Bearer key-1", "anna")


# streams


async def of(*parts: bytes) -> AsyncIterator[bytes]:
    """Bytes as they happen to come."""
    for part in parts:
        yield part


async def test_events_are_read_whatever_pieces_they_come_in() -> None:
    """Comments are none, an unfinished one is none, and a separator of other texts ends no line here."""
    whole = ': hello\n\nid: 1-0\ndata: {"text":"a\u2028b"}\r\n\r\nevent: end\ndata: {"a":\ndata: 1}\n\ndata: {"lost"'.encode()
    expected = [Sent(id="1-0", event="", data={"text": "a\u2028b"}), Sent(id="1-0", event="end", data={"a": 1})]
    for size in (1, 2, 7, len(whole)):
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert [one async for one in events(of(*pieces))] == expected


def line(number: int) -> bytes:
    """One event of a history."""
    return b"id: " + str(number).encode() + b"-0\ndata: " + msgspec.json.encode({"event": "step.done"}) + b"\n\n"


END = b'event: end\ndata: {"executionId":"x","status":"COMPLETED"}\n\n'


def stream(*parts: bytes, broken: bool = False) -> Answers:
    """An answer of events; a `broken` one ends in the middle of an event, without saying that it is over."""

    async def answer(_: Request) -> Response:
        body = b"".join(parts) + (b"id: 99-0\nda" if broken else b"")
        return StreamingResponse(of(body), media_type="text/event-stream")

    return answer


async def followed(desk: Desk, after: str = "") -> list[Sent]:
    """All events of an execution."""
    async with serving(desk.app) as url, Client(url, patience=QUICK) as client:
        return [one async for one in client.executions.events(EXECUTION, after=after)]


async def test_a_stream_goes_on_where_it_broke() -> None:
    """Nothing twice, nothing missing: the last whole event says where."""
    desk = Desk(stream(line(1), line(2), broken=True), refusal(503, "unavailable"), stream(line(3), END))
    found = await followed(desk)
    assert [one.id for one in found if not one.event] == ["1-0", "2-0", "3-0"]
    assert (found[-1].event, found[-1].data["status"]) == ("end", "COMPLETED")
    assert [headers.get("last-event-id") for _, _, headers in desk.seen] == [None, "2-0", "2-0"]


async def test_a_stream_goes_on_where_it_is_though_nothing_was_told() -> None:
    """A feed says how far it is also to whom it tells nothing; a block that is not whole says nothing."""
    desk = Desk(stream(line(1), b"id: 7-0\n\n", broken=True), stream(b"id: 8-0\n\n"), stream(line(9), END))
    assert [one.id for one in await followed(desk) if not one.event] == ["1-0", "9-0"]
    assert [headers.get("last-event-id") for _, _, headers in desk.seen] == [None, "7-0", "8-0"]


async def test_a_reader_that_is_dropped_goes_on_behind_the_last_event() -> None:
    """It need not know of it."""
    desk = Desk(stream(line(1), b'event: dropped\ndata: {"reason":"slow"}\n\n'), stream(line(2), END))
    assert [one.event for one in await followed(desk)] == ["", "", "end"]
    assert [headers.get("last-event-id") for _, _, headers in desk.seen] == [None, "1-0"]


async def test_a_stream_begins_where_it_is_told_to() -> None:
    """With the id that a reader has kept."""
    desk = Desk(stream(line(8), END))
    await followed(desk, after="7-0")
    assert desk.seen[0][2]["last-event-id"] == "7-0"


async def test_a_reset_is_told_and_what_follows_begins_anew() -> None:
    """The place is gone, so it is not asked for again."""
    reset = b'event: reset\ndata: {"reason":"purged"}\n\n'
    desk = Desk(stream(reset, broken=True), stream(line(1), END))
    found = await followed(desk, after="7-0")
    assert [one.event for one in found] == ["reset", "", "end"]
    assert desk.seen[1][2].get("last-event-id") is None


async def test_a_stream_that_is_refused_is_not_asked_for_again() -> None:
    """An execution that is not there will not come."""
    desk = Desk(refusal(404, "not_found"))
    with pytest.raises(Refused, match="not_found"):
        await followed(desk)
    assert len(desk.seen) == 1


async def test_a_stream_that_never_says_anything_is_given_up() -> None:
    """As many connections in a row as there is patience."""
    desk = Desk(stream(broken=True))
    with pytest.raises(Unreachable):
        await followed(desk)
    assert len(desk.seen) == QUICK.attempts


async def test_a_clients_own_http_client_stays_open() -> None:
    """Whoever made it closes it."""
    desk = Desk(Json(FINE))
    async with serving(desk.app) as url, httpx.AsyncClient(base_url=url) as http:
        async with Client(http=http) as client:
            await client.quota()
        assert not http.is_closed
