"""`POST /api/mesh/resume`: every way to call it, what is believed of it, and what its caller hears."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from starlette.responses import Response
from structlog.testing import capture_logs

from services.ably_dev.webhooks.worker import Pace
from services.resume import ably_bodies
from services.resume.ably_bodies import NotAbly
from services.resume.webhook import ABLY_LIMIT, CALL_LIMIT, RESUME_PATH
from shared.redisdb import keys
from tests.services.ably_dev.support import serving as serving_ably
from tests.services.engine.site import KEY, NOBODY, Site, variables
from tests.services.engine.support import Receiver, Taken, configured, receiving, serving
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

HOOK_KEY, HOOK_SECRET = "local.hook", "signs-webhooks-and-may-do-nothing"
SECRET = "in-a-header-of-single-webhooks"
AUTH = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def executor() -> AsyncIterator[Receiver]:
    """Who is asked to run what a hint names."""

    async def started(_: Taken) -> Response:
        return Response(b'{"result":"started"}', 202)

    async with receiving(started) as found:
        yield found


@pytest.fixture
async def mesh(redis: Redis, valkey: Valkey, executor: Receiver) -> AsyncIterator[Site]:  # noqa: ARG001 - empties the store
    """The services with both secrets of webhooks set."""
    async with AsyncExitStack() as stack:
        yield Site(configured(**settings(valkey, executor)), stack)


def settings(valkey: Valkey, executor: Receiver) -> dict[str, str]:
    """Local mode's, with both secrets."""
    return variables(valkey) | {
        "EXECUTOR_URL": executor.url,
        "ABLY_WEBHOOK_KEYS": f"local.old:a-key-that-is-being-replaced, {HOOK_KEY}:{HOOK_SECRET}",
        "ABLY_WEBHOOK_SECRET": SECRET,
    }


def raw(said: Any, /, **more: Any) -> dict[str, Any]:
    """A message as Ably hands it on."""
    message = {"id": "m-1", "name": "CONTINUE_EXECUTION", "data": json.dumps(said), "encoding": "json", "timestamp": 1}
    return message | more


def batch(*messages: dict[str, Any], channel: str = "mesh:resume") -> bytes:
    """Ably's batched body, an item a message."""
    items = [
        {"webhookId": "w", "source": "channel.message", "serial": "1", "data": {"channelId": channel, "messages": [one]}}
        for one in messages
    ]
    return json.dumps({"items": items}).encode()


def envelope(*messages: dict[str, Any], channel: str = "mesh:resume") -> bytes:
    """Ably's body of a single message."""
    return json.dumps({"source": "channel.message", "appId": "a", "channel": channel, "messages": messages}).encode()


def signature(body: bytes, secret: str = HOOK_SECRET) -> str:
    """X-Ably-Signature."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def signed(body: bytes, **more: str) -> dict[str, str]:
    """Its headers."""
    return {"X-Ably-Key": HOOK_KEY, "X-Ably-Signature": signature(body), "X-Ably-Version": "1.2"} | more


def bare(channel: str = "mesh:resume", **more: str) -> dict[str, str]:
    """Headers of a message without its envelope."""
    names = {"channel": channel, "source": "channel.message"}
    head = {f"X-Ably-Envelope-{name}": value for name, value in names.items()}
    message = {"X-Ably-Message-Id": "m-1", "X-Ably-Message-Name": "CONTINUE_EXECUTION", "Content-Type": "application/json"}
    return head | message | {"X-Mesh-Secret": SECRET, "X-Ably-Version": "1.2"} | more


async def hook(site: Site, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """A webhook, from an address that nobody trusts."""
    return await site.call("resume", "POST", RESUME_PATH, content=body, headers=headers, address="203.0.113.7")


def woken(executor: Receiver) -> list[str]:
    """The executions that the executor was asked to run."""
    return [json.loads(one.body)["executionId"] for one in executor.taken]


async def told(site: Site, execution: str) -> int:
    """How many signals its history tells of."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}/history", headers=AUTH)
    return sum(line["event"] == "signal.received" for line in answer.json()["history"])


# what is taken


async def test_a_signed_batch_wakes_its_executions_behind_a_fast_answer(mesh: Site, executor: Receiver, redis: Redis) -> None:
    """Due in Redis with the 200, woken behind it; all of it again changes nothing."""
    ones = [await mesh.execution() for _ in range(3)]
    body = batch(*(raw({"executionId": one}, id=f"m-{number}") for number, one in enumerate(ones)))
    answer = await hook(mesh, body, signed(body))
    assert (answer.status_code, answer.json()) == (200, {"result": "noted", "hints": 3})
    for one in ones:
        assert await redis.exists(*[name async for name in redis.scan_iter(f"*:hint:{one}:*")])
    await eventually(lambda: sorted(woken(executor)) == sorted(ones), describe="all are woken")
    for _ in range(3):
        assert (await hook(mesh, body, signed(body))).status_code == 200
    assert len(woken(executor)) == 3


async def test_the_old_key_signs_too_while_it_is_replaced(mesh: Site) -> None:
    """X-Ably-Key says which."""
    body = batch(raw({"executionId": NOBODY}))
    proof = {"X-Ably-Key": "local.old", "X-Ably-Signature": signature(body, "a-key-that-is-being-replaced")}
    assert (await hook(mesh, body, proof)).status_code == 200


@pytest.mark.parametrize("encoding", ["json", "json/base64", "json/utf-8/base64", ""])
async def test_a_single_message_in_its_envelope(mesh: Site, executor: Receiver, encoding: str) -> None:
    """With the secret in a header; its data encoded in whichever way."""
    execution = await mesh.execution()
    data: Any = json.dumps({"executionId": execution})
    if "base64" in encoding:
        data = base64.b64encode(data.encode()).decode()
    body = envelope(raw(None, data=data if encoding else {"executionId": execution}, encoding=encoding or None))
    assert (await hook(mesh, body, {"X-Mesh-Secret": SECRET, "X-Ably-Version": "1.2"})).json()["hints"] == 1
    await eventually(lambda: woken(executor) == [execution], describe="it is woken")


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [("application/json", ""), ("text/plain; charset=utf-8", "json"), ("application/octet-stream", "json/utf-8")],
)
async def test_a_single_message_without_its_envelope(mesh: Site, executor: Receiver, kind: str, encoding: str) -> None:
    """Its channel, id and name are in headers."""
    execution = await mesh.execution()
    more = {"Content-Type": kind} | ({"X-Ably-Message-Encoding": encoding} if encoding else {})
    body = json.dumps({"executionId": execution}).encode()
    for _ in range(2):
        assert (await hook(mesh, body, bare(**more))).json() == {"result": "noted", "hints": 1}
    await eventually(lambda: woken(executor) == [execution], describe="it is woken, once")


async def test_a_tenants_event_by_webhook_is_one_signal(mesh: Site) -> None:
    """However often it comes."""
    execution = await mesh.execution()
    body = batch(raw({"executionId": execution, "event": "order.paid", "data": {"sum": 1}}), channel="mesh:resume:acme")
    for _ in range(2):
        assert (await hook(mesh, body, signed(body))).status_code == 200
    assert await told(mesh, execution) == 1


async def test_what_is_wrong_in_a_proven_batch_is_left_out_with_a_line(mesh: Site, executor: Receiver) -> None:
    """The rest of it is other people's."""
    execution, other = await mesh.execution(), await mesh.execution("key-of-other-0123456789")
    parts = [
        json.loads(batch(raw(data, id=f"m-{number}"), channel=channel))["items"][0]
        for number, (channel, data) in enumerate(
            [
                ("mesh:resume", {"executionId": "nonsense"}),
                ("mesh:resume", {"v": 9}),
                ("mesh:resume:acme", {"executionId": NOBODY}),
                ("mesh:resume:acme", {"executionId": other}),
                ("mesh:resume:acme", {"executionId": other, "event": "order.paid"}),
                ("orders", {"executionId": execution}),
                ("mesh:resume:acme", {"executionId": execution}),
            ]
        )
    ]
    odd = [None, 7, {}, {"source": "channel.presence", "data": {}}, {"source": "channel.message", "data": {"channelId": 1}}]
    odd += [json.loads(batch(raw(None, data="e30", encoding="cipher+aes-128-cbc/base64")))["items"][0]]
    body = json.dumps({"items": [*odd, *parts]}).encode()
    with capture_logs() as lines:
        answer = await hook(mesh, body, signed(body))
        await eventually(lambda: woken(executor) == [execution], describe="the good one is woken")
    assert answer.status_code == 200
    assert [line["event"] for line in lines].count("hint.ignored") == 12
    assert await told(mesh, execution) == 0


# who is refused


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (lambda body: signed(body + b" "), "does not fit"),
        (lambda body: signed(body, **{"X-Ably-Signature": ""}), "does not fit"),
        (lambda body: signed(body, **{"X-Ably-Signature": signature(body, "another")}), "does not fit"),
        (lambda body: signed(body, **{"X-Ably-Signature": signature(body).rstrip("=")}), "does not fit"),
        (lambda body: signed(body, **{"X-Ably-Key": "local.other"}), "none of ABLY_WEBHOOK_KEYS"),
        (lambda body: signed(body, **{"X-Ably-Key": ""}), "none of ABLY_WEBHOOK_KEYS"),
        (lambda body: {"X-Ably-Signature": signature(body)}, "none of ABLY_WEBHOOK_KEYS"),
        (lambda _: {"X-Ably-Key": HOOK_KEY}, "does not fit"),
        (lambda body: signed(body, **{"X-Mesh-Secret": "wrong"}), "X-Mesh-Secret"),
        (lambda _: {"X-Ably-Version": "1.2"}, "X-Mesh-Secret"),
        (lambda _: {"X-Mesh-Secret": ""}, "X-Mesh-Secret"),
        (lambda _: {"X-Mesh-Secret": SECRET[:-1]}, "X-Mesh-Secret"),
        (lambda _: bare() | {"X-Mesh-Secret": SECRET + SECRET}, "X-Mesh-Secret"),
        (lambda _: {"Upstash-Signature": "x.y.z"}, "a part of the JWT"),
        (lambda _: {"Intention-Signature": ""}, "there is no"),
    ],
)
async def test_a_proof_that_is_missing_or_wrong_is_refused(
    mesh: Site, executor: Receiver, headers: Callable[[bytes], dict[str, str]], why: str
) -> None:
    """401; the log says why, the caller is not told. Nothing is noted."""
    body = batch(raw({"executionId": await mesh.execution()}))
    with capture_logs() as lines:
        answer = await hook(mesh, body, headers(body))
    assert answer.status_code == 401
    (line,) = [line for line in lines if line["event"] == "webhook.refused"]
    assert why in line["why"]
    assert why not in answer.text
    assert HOOK_SECRET not in str(lines)
    assert SECRET not in str(lines)
    assert woken(executor) == []


async def test_a_good_secret_does_not_help_a_false_signature(mesh: Site) -> None:
    """Every proof that is shown must be right; both right are right."""
    body = batch(raw({"executionId": NOBODY}))
    assert (await hook(mesh, body, signed(body + b" ", **{"X-Mesh-Secret": SECRET}))).status_code == 401
    assert (await hook(mesh, body, signed(body, **{"X-Mesh-Secret": SECRET}))).status_code == 200


async def test_without_settings_no_webhook_is_believed(site: Site) -> None:
    """Whatever it is signed with."""
    body = batch(raw({"executionId": NOBODY}))
    for headers in (signed(body), bare(), signed(body, **{"X-Ably-Signature": signature(body, "")})):
        assert (await hook(site, body, headers)).status_code == 401


async def test_headers_that_no_signature_covers_are_not_believed(mesh: Site) -> None:
    """A batch that was seen on its way, sent again as the bare message of another channel, is the batch."""
    execution = await mesh.execution()
    body = json.dumps({"executionId": execution, "event": "order.paid"}).encode()
    answer = await hook(mesh, body, signed(body, **{"X-Ably-Envelope-Channel": "mesh:resume:acme"}))
    assert answer.status_code == 400
    assert await told(mesh, execution) == 0


# bodies


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b"null", b"{}", b'{"items": {}}', b'{"messages": []}', b"\xff", b"[" * 9_000]
)
async def test_a_body_of_no_shape_is_a_400(mesh: Site, body: bytes) -> None:
    """Signed or with the secret."""
    for headers in (signed(body), {"X-Mesh-Secret": SECRET}):
        answer = await hook(mesh, body, headers)
        assert answer.status_code == 400, answer.text


async def test_a_body_that_is_too_large_is_a_413(mesh: Site) -> None:
    """Ably's batches may be much larger than a call of ours."""
    body = b" " * ABLY_LIMIT
    assert (await hook(mesh, body, signed(body))).status_code == 400
    body += b" "
    assert (await hook(mesh, body, signed(body))).status_code == 413
    large = b" " * (CALL_LIMIT + 1)
    assert (await hook(mesh, large, AUTH)).status_code == 413
    assert (await mesh.signed("resume", RESUME_PATH, large)).status_code == 413


async def test_nobody_without_a_proof_has_its_body_read(mesh: Site) -> None:
    """An unknown key is refused before that."""
    chunks: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for number in range(1_000):
            chunks.append(number)
            yield b"x" * 10_000

    for headers in ({"X-Ably-Key": "no.body", "X-Ably-Signature": "x"}, {"X-Mesh-Secret": "x"}):
        answer = await mesh.call("resume", "POST", RESUME_PATH, content=endless(), headers=headers)
        assert answer.status_code == 401
    assert chunks == []


@pytest.mark.parametrize("body", [batch(raw({})), envelope(raw({})), b'{"items": [1]}', b'{"items": []}'])
def test_each_shape_is_told_from_the_others(body: bytes) -> None:
    """By what is in it, whatever proved it; headers only where nothing is signed."""
    assert len(ably_bodies.read(body, {}, signed=True).messages) == body.count(b"m-1")
    found = ably_bodies.read(b"{}", {"x-ably-envelope-channel": "c", "content-type": "application/json"}, signed=False)
    assert [(one.channel, one.id, one.data) for one in found.messages] == [("c", "", {})]
    with pytest.raises(NotAbly):
        ably_bodies.read(b"{}", {"x-ably-envelope-channel": "c"}, signed=True)


words = st.sampled_from("items channel messages source channel.message data channelId id name json/base64".split())
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=15,
)


@hypothesis.settings(max_examples=800, deadline=None)
@given(
    body=anything.map(lambda found: json.dumps(found).encode()) | st.binary(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(["x-ably-envelope-channel", "x-ably-envelope-source", "x-ably-message-encoding", "content-type"]),
        words | st.sampled_from(["application/json", "text/plain", "json", "base64", "utf-8"]),
    ),
    signed=st.booleans(),
)
def test_whatever_is_posted_is_read_or_refused(body: bytes, headers: dict[str, str], *, signed: bool) -> None:
    """No body ends in an error of ours; what is read has a channel, and why the rest is not can be logged."""
    try:
        found = ably_bodies.read(body, headers, signed=signed)
    except NotAbly:
        return
    for one in found.messages:
        assert isinstance(one.channel, str)
        assert isinstance(one.id, str)
    assert json.dumps(found.unread)


# calls


@pytest.mark.parametrize("internal", [True, False], ids=["a service of ours", "QStash"])
async def test_a_signed_call_wakes_whatever_it_names(mesh: Site, executor: Receiver, *, internal: bool) -> None:
    """And hears what came of it."""
    execution = await mesh.execution("key-of-other-0123456789")
    answer = await mesh.signed("resume", RESUME_PATH, {"executionId": execution}, internal=internal)
    assert (answer.status_code, answer.json()) == (202, {"result": "woken", "segment": 0})
    assert woken(executor) == [execution]


async def test_an_api_key_wakes_its_own_tenants_executions_only(mesh: Site, executor: Receiver) -> None:
    """Another's is as good as none; without a key it is a 401."""
    execution = await mesh.execution()
    body = json.dumps({"executionId": execution}).encode()
    assert (await hook(mesh, body, {"Authorization": "Bearer key-of-other-0123456789"})).status_code == 404
    assert (await hook(mesh, body, {})).status_code == 401
    assert (await hook(mesh, b'{"executionId": "nonsense"}', AUTH)).status_code == 404
    assert (await hook(mesh, b'{"executionId": 7}', AUTH)).status_code == 400
    assert woken(executor) == []
    assert (await hook(mesh, body, AUTH)).json() == {"result": "woken", "segment": 0}


async def test_an_old_segment_is_nothing_to_do(mesh: Site, redis: Redis) -> None:
    """200, and why."""
    execution = await mesh.execution()
    redis_: Any = redis
    await redis_.hset(keys.record(execution), "segment", "2")
    answer = await hook(mesh, json.dumps({"executionId": execution, "segment": 1}).encode(), AUTH)
    assert (answer.status_code, answer.json()) == (200, {"result": "nothing to do: that segment is over"})


# neighbours


async def test_redis_away_is_a_503_so_that_ably_tries_again(executor: Receiver, tmp_path: Path) -> None:
    """What could not be noted is not lost with a 200; it is taken when Redis is back."""
    own = Valkey(tmp_path)
    own.start()
    try:
        async with AsyncExitStack() as stack:
            site = Site(configured(**settings(own, executor)), stack)
            execution = await site.execution()
            await site.app("resume")
            body = batch(raw({"executionId": execution}))
            own.kill()
            answer = await hook(site, body, signed(body))
            assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
            own.start()
            assert (await hook(site, body, signed(body))).status_code == 200
            await eventually(lambda: woken(executor) == [execution], describe="it is woken")
    finally:
        own.kill()


async def test_the_executor_away_keeps_no_webhook_waiting(redis: Redis, valkey: Valkey, executor: Receiver) -> None:
    """It is due: the watchdog has it."""
    nowhere = settings(valkey, executor) | {"EXECUTOR_URL": f"http://127.0.0.1:{free_port()}"}
    async with AsyncExitStack() as stack:
        site = Site(configured(**nowhere), stack)
        execution = await site.execution()
        due = keys.due(keys.partition_of(execution))
        before = await redis.zscore(due, execution)
        body = batch(raw({"executionId": execution}))
        assert (await hook(site, body, signed(body))).status_code == 200
        after = await redis.zscore(due, execution)
        assert after is not None
        assert before is not None
        assert after < before


# the real sender


QUICK = Pace(collect=20, timeout=2_000, wait=lambda _: 20)
FAULTS: dict[str, dict[str, Any]] = {
    "": {},
    "twice": {"kind": "hook_duplicate"},
    "in reverse order": {"kind": "hook_reorder"},
    "signed wrongly at first": {"kind": "hook_bad_signature", "count": 2},
    "late": {"kind": "hook_late", "ms": 30},
}
SENT = [*(("batch", fault) for fault in FAULTS), ("enveloped", ""), ("enveloped", "twice"), ("bare", ""), ("bare", "late")]


def rule(url: str, shape: str) -> str:
    """ABLY_DEV_RULES: everything of ours to the resume service."""
    target: dict[str, Any] = {"url": url + RESUME_PATH, "enveloped": shape != "bare"}
    target |= {"signingKeyId": HOOK_KEY} if shape == "batch" else {"headers": [{"name": "X-Mesh-Secret", "value": SECRET}]}
    mode = "batch" if shape == "batch" else "single"
    source = {"channelFilter": "^mesh:resume(:|$)", "type": "channel.message"}
    return json.dumps([{"ruleId": "hook", "requestMode": mode, "target": target, "source": source}])


@pytest.mark.parametrize(("shape", "fault"), SENT)
async def test_what_ably_dev_sends_is_taken_once(
    valkey: Valkey, redis: Redis, executor: Receiver, shape: str, fault: str
) -> None:
    """Over real connections, in each shape, whatever its sender does: hints wake once, an event is one signal."""
    async with AsyncExitStack() as stack:
        site = Site(configured(**settings(valkey, executor)), stack)
        url = await stack.enter_async_context(serving(await site.app("resume")))
        hook_key = json.dumps({f"{HOOK_KEY}:{HOOK_SECRET}": {"mesh:none": ["subscribe"]}})
        serving_it = serving_ably(valkey.url, pace=QUICK, ABLY_DEV_RULES=rule(url, shape), ABLY_DEV_KEYS=hook_key)
        ably = await stack.enter_async_context(serving_it)
        await ably.fault(*([FAULTS[fault]] if fault else []))
        ones = [await site.execution() for _ in range(4)]
        for number, one in enumerate(ones):
            hint = {"id": f"ce-{number}", "name": "CONTINUE_EXECUTION", "data": {"v": 1, "executionId": one}}
            await ably.publish("mesh:resume", hint)
        event = {"executionId": ones[0], "event": "order.paid", "data": {"sum": 1}}
        await ably.publish("mesh:resume:acme", {"id": "e-1", "name": "CONTINUE_EXECUTION", "data": event})
        await eventually(lambda: set(woken(executor)) >= set(ones), describe="all are woken")
        await eventually(partial(told, site, ones[0]), describe="the event is in the inbox")

        async def handed_on() -> bool:
            return not await redis.xlen("ad:{local}:hook:hook")

        await eventually(handed_on, describe="the sender has nothing left")
        assert await told(site, ones[0]) == 1
    assert sorted(woken(executor)) == sorted(ones)
