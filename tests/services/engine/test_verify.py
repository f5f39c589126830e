"""The signature check before the routes: what is protected, what is handed on, and what the caller hears."""

import asyncio
import gzip
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from shared import signing
from shared.settings import DEV_CURRENT_KEY, DEV_NEXT_KEY, LOCAL_INTERNAL_KEY
from shared.verify import BODY_LIMIT, SignatureMiddleware
from tests.services.engine.support import configured, serving

BASE = "https://public.example"
PATH = "/api/engine/execute-step"


class Behind:
    """The application behind the check: remembers what came through, and answers 200."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.messages: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        self.scopes.append(scope)
        while True:
            message = await receive()
            self.messages.append(message)
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"through"})

    @property
    def body(self) -> bytes:
        """The body it read."""
        return b"".join(message["body"] for message in self.messages)


Headers: TypeAlias = Callable[[], dict[str, str]]


def check(behind: ASGIApp, kind: type[SignatureMiddleware] = SignatureMiddleware, *paths: str) -> SignatureMiddleware:
    """The check before an application."""
    return kind(behind, settings=configured(), base_url=BASE + "/", paths=frozenset(paths or {PATH}))


def signed(body: bytes, *, issuer: str = "Upstash", key: str = DEV_CURRENT_KEY, path: str = PATH, ago: float = 0) -> str:
    """A token for a body."""
    return signing.sign_call(issuer=issuer, url=BASE + path, body=body, key=key, now=time.time() - ago, jti="jwt_1")


async def called(
    app: ASGIApp, chunks: Sequence[bytes], headers: dict[str, str], *, path: str = PATH, kind: str = "http", **more: Any
) -> tuple[int, bytes]:
    """One ASGI request whose body comes in these chunks; the answer's status and body."""
    sent: list[Message] = []
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    incoming = iter(messages)

    async def receive() -> Message:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await app({"type": kind, "method": "POST", "path": path, "headers": raw, **more}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return (sent[0]["status"] if sent else 0), body


BODIES = [
    ("JSON with blanks", b'{ "executionId" : "exe_1",\r\n\t"segment":1 }\n'),
    ("nothing", b""),
    ("bytes that are no text", bytes(range(256)) * 4),
    ("compressed", gzip.compress(b"{}")),
    ("a megabyte", b"x" * BODY_LIMIT),
]


@pytest.mark.parametrize("body", [row[1] for row in BODIES], ids=[row[0] for row in BODIES])
@pytest.mark.parametrize("size", [1 << 20, 65_536, 7], ids=["whole", "in parts", "in crumbs"])
async def test_the_body_is_handed_on_byte_for_byte(body: bytes, size: int) -> None:
    """However it came, chunked or not: the application reads what was signed."""
    if len(body) > 65_536 and size == 7:
        size = 10_007
    behind = Behind()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    assert await called(check(behind), chunks, {"Upstash-Signature": signed(body)}) == (200, b"through")
    assert behind.body == body
    assert behind.scopes[0]["state"]["caller"] == "qstash"


async def test_a_chunked_body_over_a_real_connection_is_verified_too(client: httpx.AsyncClient) -> None:
    """Transfer-Encoding: chunked, as a proxy may make of it."""
    behind = Behind()
    body = b'{"executionId":"exe_1"}' * 10_000

    async def crumbs() -> Any:
        for at in range(0, len(body), 9_999):
            yield body[at : at + 9_999]

    async with serving(check(behind)) as url:
        answer = await client.post(url + PATH, content=crumbs(), headers={"Upstash-Signature": signed(body)})

    assert answer.status_code == 200
    assert behind.body == body


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read_to_its_end() -> None:
    """413; nothing behind the limit is taken in."""
    read = 0

    async def endless() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    behind = Behind()
    headers = [(b"upstash-signature", b"x")]
    await check(behind)({"type": "http", "path": PATH, "headers": headers, "method": "POST"}, endless, send)

    assert sent[0]["status"] == 413
    assert read == BODY_LIMIT // 100_000 + 1
    assert behind.scopes == []


async def test_a_caller_that_leaves_in_the_middle_is_nobody() -> None:
    """What came so far is not the body that was signed."""
    behind = Behind()
    messages: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}]
    incoming = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"upstash-signature", signed(b'{"whole":1}').encode())]
    await check(behind)({"type": "http", "path": PATH, "headers": headers, "method": "POST"}, receive, send)

    assert sent[0]["status"] == 401
    assert behind.scopes == []


async def test_other_paths_go_through_untouched() -> None:
    """Neither read nor asked for a signature."""
    behind = Behind()
    for path in ("/healthz", "/readyz", PATH + "/", PATH + "x", PATH.upper(), "/"):
        assert (await called(check(behind), [b"a", b"b"], {}, path=path))[0] == 200

    assert [message["body"] for message in behind.messages[:3]] == [b"a", b"b", b""]
    assert all("caller" not in scope.get("state", {}) for scope in behind.scopes)


async def test_the_lifespan_goes_through_untouched() -> None:
    """The very scope and callables."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(_: Message) -> None:
        return

    scope = {"type": "lifespan", "state": {}}
    await check(app)(scope, receive, send)

    assert seen == [scope, receive, send]


async def test_after_the_body_the_application_hears_when_its_caller_leaves() -> None:
    """The receive behind the check goes on to the real one."""
    heard: list[str] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    await called(check(app), [b"{}"], {"Upstash-Signature": signed(b"{}")})

    assert heard == ["http.request", "http.disconnect"]


# Made when a test asks, not when the file is read: a token's life is short, and a whole run may be longer.
CALLERS: list[tuple[str, Headers, str]] = [
    ("QStash, current key", lambda: {"Upstash-Signature": signed(b"{}")}, "qstash"),
    ("QStash, next key", lambda: {"Upstash-Signature": signed(b"{}", key=DEV_NEXT_KEY)}, "qstash"),
    ("ourselves", lambda: {"Intention-Signature": signed(b"{}", issuer="intention", key=LOCAL_INTERNAL_KEY)}, "internal"),
]
NOBODY: list[tuple[str, Headers]] = [
    ("no signature", dict),
    ("an empty one", lambda: {"Upstash-Signature": ""}),
    ("our key in QStash's header", lambda: {"Upstash-Signature": signed(b"{}", key=LOCAL_INTERNAL_KEY)}),
    ("our issuer in QStash's header", lambda: {"Upstash-Signature": signed(b"{}", issuer="intention")}),
    ("QStash's in our header", lambda: {"Intention-Signature": signed(b"{}")}),
    ("QStash's key and our issuer", lambda: {"Intention-Signature": signed(b"{}", issuer="intention")}),
    ("made for another path", lambda: {"Upstash-Signature": signed(b"{}", path="/api/engine/failed")}),
    ("too old", lambda: {"Upstash-Signature": signed(b"{}", ago=400)}),
    ("from the future", lambda: {"Upstash-Signature": signed(b"{}", ago=-60)}),
    ("not ASCII", lambda: {"Upstash-Signature": "é.ü.ß"}),
    ("a bearer token", lambda: {"Authorization": f"Bearer {signed(b'{}')}"}),
    (
        "a bad one before a good one",
        lambda: {"Upstash-Signature": "x", "Intention-Signature": signed(b"{}", issuer="intention", key=LOCAL_INTERNAL_KEY)},
    ),
]


@pytest.mark.parametrize(("headers", "who"), [row[1:] for row in CALLERS], ids=[row[0] for row in CALLERS])
async def test_who_calls_is_told_to_the_application(headers: Headers, who: str) -> None:
    """With the time of signing, since which the invocation may have been waiting."""
    behind = Behind()

    assert (await called(check(behind), [b"{}"], headers(), state={"came_ms": 5.0}))[0] == 200
    state = behind.scopes[0]["state"]
    assert state["caller"] == who
    assert abs(state["issued_s"] - time.time()) < 60
    assert state["came_ms"] == 5.0


@pytest.mark.parametrize("make", [row[1] for row in NOBODY], ids=[row[0] for row in NOBODY])
async def test_everybody_else_is_401_and_learns_nothing(make: Headers) -> None:
    """One answer for all; the reason is in the log, the token is not."""
    behind, headers = Behind(), make()
    with capture_logs() as logs:
        status, body = await called(check(behind), [b"{}"], headers)

    assert status == 401
    assert body == b'{"error":{"code":"unauthorized","message":"Invalid QStash signature","details":{}}}'
    assert behind.scopes == []
    assert [line["event"] for line in logs] == ["signature.refused"]
    assert logs[0]["why"]
    assert not any(len(value) > 3 and value in repr(logs) for value in headers.values())


async def test_the_public_url_counts_and_not_the_address_that_was_called(client: httpx.AsyncClient) -> None:
    """Behind a proxy the two differ; the token names what QStash was given."""
    behind = Behind()
    async with serving(check(behind)) as url:
        for path in (PATH, PATH.replace("-", "%2D")):
            answer = await client.post(url + path, content=b"{}", headers={"Upstash-Signature": signed(b"{}")})
            assert answer.status_code == 200
        own = signing.sign_call(issuer="Upstash", url=url + PATH, body=b"{}", key=DEV_CURRENT_KEY, now=time.time(), jti="")
        refused = await client.post(url + PATH, content=b"{}", headers={"Upstash-Signature": own})

    assert refused.status_code == 401


async def test_many_at_once_do_not_mix(client: httpx.AsyncClient) -> None:
    """Fifty bodies at the same time, each through its own check."""
    bodies = [b'{"number":%d}' % number for number in range(50)]

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"] + scope["state"]["caller"].encode()})

    async with serving(check(echo)) as url:
        answers = await asyncio.gather(
            *(client.post(url + PATH, content=body, headers={"Upstash-Signature": signed(body)}) for body in bodies)
        )

    assert [answer.content for answer in answers] == [body + b"qstash" for body in bodies]
