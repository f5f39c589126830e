"""The three services at their edges: who may call which route, and what is said to requests that are not as they should be."""

import asyncio
import base64
import json
import time
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from services.ingress.main import create as create_ingress
from shared import signing
from shared.redisdb import keys
from shared.settings import DEV_CURRENT_KEY
from tests.services.engine.site import EXECUTOR, KEY, NOBODY, PROBES, SERVICES, Site, variables
from tests.services.engine.support import Taken, configured, receiving, serving
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

# the table of routes

BY_PROTOCOL_OPEN = "/v2/workflows/hooks/"
"""QStash's webhooks for workflows carry no credential: who calls them knows the id of the run."""
PAGE = ("/", "/console/")
"""The console's files are the same for everybody and hold no data: what it shows, it asks for with the caller's key."""
OFF = "/metrics"
"""Not there without METRICS, for nobody; tests/telemetry/test_metrics.py asks for it where it is."""


@pytest.mark.parametrize("name", SERVICES)
async def test_every_route_needs_a_credential_or_is_a_probe(site: Site, name: str) -> None:
    """Called from an address that is not trusted, without any and with wrong ones: 401, and nothing else is said."""
    app = await site.app(name)
    routes = [route for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes) >= 3

    for route in routes:
        if route.path.startswith(BY_PROTOCOL_OPEN) or route.path == PAGE[0] or route.path.startswith(PAGE[1]):
            continue
        path = route.path_format.replace("{id}", NOBODY).replace("{user}", "ann").replace("{", "").replace("}", "")
        for method in (route.methods or set()) - {"HEAD"}:
            for headers in ({}, {"Authorization": "Bearer wrong-key-000000000000"}, {"Upstash-Signature": "a.b.c"}):
                answer = await site.call(name, method, path, address="192.0.2.7", headers=headers)
                expected = {200, 503} if path in PROBES else {404} if path == OFF else {401}
                assert answer.status_code in expected, f"{method} {path} with {headers}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "::2", "testclient", ""])
async def test_only_the_sockets_own_address_makes_a_caller_trusted(site: Site, address: str) -> None:
    """What a header says about it counts for nothing."""
    headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1"}

    assert (await site.call("ingress", "GET", "/api/tools", address=address, headers=headers)).status_code == 401
    assert (await site.call("ingress", "GET", "/api/tools", address="127.8.8.8")).status_code == 200
    assert (await site.call("ingress", "GET", "/api/tools", address="::1")).status_code == 200


ELSEWHERE = [
    {"Origin": "https://example.com"},
    {"Origin": "null"},
    {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("page", ELSEWHERE)
async def test_a_page_of_another_site_changes_nothing_in_a_browser_on_this_machine(site: Site, page: dict[str, str]) -> None:
    """A form may post to any address; the browser says from where. With a key it is the caller that counts."""
    refused = await site.call("ingress", "POST", "/api/tenant/pause", address="127.0.0.1", headers=page)
    assert (refused.status_code, "another site" in refused.json()["error"]["message"]) == (401, True)
    assert (await site.call("ingress", "GET", "/api/gates", address="127.0.0.1", headers=page)).json()["gates"] == []
    keyed = await site.call("ingress", "POST", "/api/tenant/pause", headers=page | {"Authorization": f"Bearer {KEY}"})
    assert keyed.status_code == 200, keyed.text


async def test_the_consoles_own_page_needs_no_key_in_a_browser_on_this_machine(site: Site) -> None:
    """Also behind a proxy that changes the host, and what is no browser."""
    host = (await site.call("ingress", "GET", "/api/gates", address="127.0.0.1")).request.headers["Host"]
    behind = {"Origin": "https://forwarded.example", "Sec-Fetch-Site": "same-origin"}
    for page in ({"Origin": f"http://{host}"}, behind, {"Sec-Fetch-Site": "none"}, {}):
        answer = await site.call("ingress", "POST", "/api/tenant/resume", address="127.0.0.1", headers=page)
        assert answer.status_code == 200, answer.text


async def test_a_key_names_a_tenant_and_a_tenant_sees_its_own_only(site: Site) -> None:
    """Another's execution is as good as none: reading, cancelling, waking, history, list."""
    execution = await site.execution()
    other = {"Authorization": "bearer  key-of-other-0123456789 "}
    base = f"/api/executions/{execution}"

    for method, path in (("GET", base), ("GET", base + "/history"), ("POST", base + "/cancel")):
        assert (await site.call("ingress", method, path, headers=other)).status_code == 404
        own = await site.call("ingress", method, path, headers={"Authorization": f"Bearer {KEY}"})
        assert own.status_code in {200, 202}
    hint = await site.call("resume", "POST", "/api/mesh/resume", json={"executionId": execution}, headers=other)
    assert hint.status_code == 404
    listed = await site.call("ingress", "GET", "/api/executions", headers=other)
    assert listed.json() == {"executions": [], "next": None}


# what is wrong with a request is said, and is never our crash


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/api/executions?limit=0", "limit"),
        ("/api/executions?limit=501", "limit"),
        ("/api/executions?limit=%C2%B2", "limit"),
        ("/api/executions?limit=-1", "limit"),
        ("/api/executions?limit=1.0", "limit"),
        ("/api/executions?limit=", "limit"),
        (f"/api/executions?limit={'9' * 5_000}", "limit"),
        ("/api/executions/{id}?first=x", "first"),
        ("/api/executions/{id}?limit=0", "limit"),
        ("/api/executions/{id}/history?limit=0", "limit"),
        ("/api/executions/{id}/history?after=yesterday", "after"),
        ("/api/executions/{id}/history?after=1-2-3", "after"),
        ("/api/executions/{id}/history?after=99999999999999999999999-0", "after"),
    ],
)
async def test_a_page_that_cannot_be_is_400_and_names_its_parameter(site: Site, path: str, at: str) -> None:
    """Zero rows, other digits than ours, a place in the history that is none."""
    execution = await site.execution()
    answer = await site.call("ingress", "GET", path.replace("{id}", execution), headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"]["at"] == at


OPEN = ("/openapi.json", "/metrics", "/healthz", "/readyz", "/api/waits/", PAGE[1])
"""They ask nobody who calls, and take any parameter: scrapers, browsers and partners may add their own."""


async def test_every_route_refuses_a_parameter_that_it_does_not_know(site: Site) -> None:
    """Also those that take none, and those that change something: `?dryRun=true` does not belong there."""
    seen = 0
    for route in (await site.app("ingress")).routes:
        assert isinstance(route, Route)
        if route.path == "/" or route.path.startswith(OPEN):
            continue
        path = route.path_format.replace("{id}", NOBODY).replace("{", "").replace("}", "")
        for method in (route.methods or set()) - {"HEAD"}:
            auth = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            answer = await site.call("ingress", method, f"{path}?dryRun=true", headers=auth)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["details"]) == (400, "unknown_parameter", {"at": "dryRun"}), path
            seen += 1
    assert seen > 40


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("executions?status=", "status"),
        ("executions?status=,", "status"),
        ("executions?status=FAILED&status=", "status"),
        ("executions/count?reason=%20", "reason"),
        ("executions?text=%20%09", "text"),
        ("executions?createdAfter=", "createdAfter"),
        ("events?status=,%20,", "status"),
        ("events?execution=", "execution"),
        ("gates/audit?tool=", "tool"),
        ("dlq?execution=", "execution"),
    ],
)
async def test_a_parameter_that_says_nothing_is_no_filter_and_refused(site: Site, path: str, at: str) -> None:
    """It would find everything."""
    answer = await site.call("ingress", "GET", f"/api/{path}", headers={"Authorization": f"Bearer {KEY}"})

    assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"at": at}), answer.text


async def test_blanks_between_several_values_do_not_matter(site: Site) -> None:
    """As people write lists."""
    answer = await site.call(
        "ingress", "GET", "/api/executions?status=FAILED,%20COMPLETED,", headers={"Authorization": f"Bearer {KEY}"}
    )

    assert answer.status_code == 200, answer.text


async def test_pages_go_on_where_the_one_before_ended(site: Site) -> None:
    """The list and the history, one row at a time; what is asked from anywhere is answered from there."""
    executions = [await site.execution() for _ in range(5)]
    auth = {"Authorization": f"Bearer {KEY}"}
    found: list[str] = []
    before = ""
    while True:
        page = (await site.call("ingress", "GET", f"/api/executions?limit=2&before={before}", headers=auth)).json()
        found += [row["id"] for row in page["executions"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert found == executions[::-1]

    path = f"/api/executions/{executions[0]}/history"
    first = (await site.call("ingress", "GET", path + "?limit=1", headers=auth)).json()
    assert len(first["history"]) == 1
    after = first["next"]
    assert (await site.call("ingress", "GET", f"{path}?after={after}", headers=auth)).json()["history"] == []
    assert (await site.call("ingress", "GET", f"{path}?after={after.split('-')[0]}", headers=auth)).status_code == 200


async def test_a_list_shows_what_is_left_when_an_execution_is_purged_meanwhile(site: Site, redis: Redis) -> None:
    """Between reading the index and the records: the row is left out, and asking for it is 404."""
    kept, gone, half = await site.execution(), await site.execution(), await site.execution()
    auth = {"Authorization": f"Bearer {KEY}"}
    await redis.delete(keys.record(gone))
    await redis.delete(keys.plan(half), keys.cells(half))

    listed = await site.call("ingress", "GET", "/api/executions", headers=auth)
    assert [row["id"] for row in listed.json()["executions"]] == [half, kept]
    assert (await site.call("ingress", "GET", f"/api/executions/{gone}", headers=auth)).status_code == 404
    assert (await site.call("ingress", "GET", f"/api/executions/{half}", headers=auth)).status_code == 404


DEEP = b'{"plan":{"steps":[{"name":"a","tool":"do_work","args":{"label":' + b"[" * 50_000


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        DEEP[:66] + b'"x","y":' + b"[" * 500 + b"]" * 500 + b"}}]}}",
        b'{"intent":"\xff"}',
        b"\xff\xfe",
        b"",
        b"null",
        b'"x"',
    ],
    ids=["nested without end", "nested 500 deep", "no text inside", "no text", "nothing", "null", "text"],
)
async def test_a_body_that_cannot_be_read_is_a_4xx(site: Site, body: bytes) -> None:
    """Named as the caller's fault, with its place; nothing is stored."""
    answer = await site.call("ingress", "POST", "/api/execute", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["error"]["code"] in {"invalid_json", "invalid_type", "plan_refused"}


async def test_what_is_not_there_has_the_one_error_shape_too(site: Site) -> None:
    """An unknown path, and a method that a path does not take: what is there instead is said."""
    for name in ("ingress", "step_executor", "resume"):
        unknown = await site.call(name, "GET", "/api/nothing")
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "not_found"
        assert "nothing at /api/nothing: GET /openapi.json" in unknown.json()["error"]["message"]
        wrong = await site.call(name, "POST", "/healthz")
        assert wrong.status_code == 405
        assert wrong.json()["error"]["code"] == "method_not_allowed"
        assert wrong.json()["error"]["message"] == "/healthz does not take POST: it takes GET, HEAD"
        assert wrong.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/schedules", "GET, HEAD, POST"),
        ("POST", "/api/dlq/dlq_1", "DELETE, GET, HEAD"),
        ("GET", f"/api/executions/{NOBODY}/cancel", "POST"),
        ("DELETE", "/api/users/ann/profile", "GET, HEAD, PUT"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_told_all_that_it_does(
    site: Site, method: str, path: str, allowed: str
) -> None:
    """Also where several routes have the path."""
    answer = await site.call("ingress", method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.json()["error"]["details"] == {"allowed": allowed}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 422),
        ("application/json; charset=utf-8", 422),
        ('Application/JSON ; Charset="UTF-8"', 422),
        ("application/json;charset=UTF8; x=y", 422),
        ("application/json; charset=latin-1", 415),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
async def test_a_body_is_json_in_utf8_and_says_so(site: Site, kind: str, status: int) -> None:
    """Another charset would be read wrongly without a word."""
    body = b'{"action": "cancel", "filter": {}}'
    answer = await site.call("ingress", "POST", "/api/executions/bulk", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert status != 415 or answer.json()["error"]["details"] == {"at": "Content-Type"}


async def test_a_caller_that_hangs_up_is_not_our_crash(redis: Redis, valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of its body, over a real connection: nothing in any log says that something broke here."""
    del redis
    app = create_ingress(configured(**variables(valkey)))
    with capture_logs() as logs:
        async with serving(app, lifespan="on") as url:
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            writer.write(b"POST /api/execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.05)  # long enough that the request is being read; a shorter wait tests less, and never fails
            writer.close()
            await writer.wait_closed()
    assert "request.crashed" not in {line["event"] for line in logs}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


# the step executor


async def test_a_message_is_answered_whatever_its_retry_count_looks_like(site: Site) -> None:
    """Unknown executions: 503 at first, 489 once two retries are known to be over; digits of other scripts are no count."""
    body = {"executionId": NOBODY, "segment": 0}
    for retried, status in (("", 503), ("1", 503), ("2", 489), ("x", 503), ("\xb2", 503), ("9" * 5_000, 503)):
        headers = {"Upstash-Retried": retried} if retried.isascii() else {}
        raw = json.dumps(body).encode()
        token = signing.sign_call(
            issuer="Upstash", url=f"{EXECUTOR}/api/engine/execute-step", body=raw, key=DEV_CURRENT_KEY, now=time.time(), jti=""
        )
        given = [(b"upstash-signature", token.encode()), *((k.encode(), v.encode()) for k, v in headers.items())]
        if not retried.isascii():
            given.append((b"upstash-retried", retried.encode("latin-1")))
        answer = await site.call("step_executor", "POST", "/api/engine/execute-step", content=raw, headers=given)
        assert answer.status_code == status, retried


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"executionId":5}',
        b'{"executionId":"exe_zz_1"}',
        b'{"executionId":"\xff"}',
        b'{"x":' + b"[" * 20_000,
    ],
    ids=["nothing", "no id", "a list", "a number", "no id of ours", "no text", "nested without end"],
)
async def test_a_malformed_message_is_never_delivered_again(site: Site, body: bytes) -> None:
    """489 at once."""
    answer = await site.signed("step_executor", "/api/engine/execute-step", body)

    assert answer.status_code == 489
    assert answer.headers["Upstash-NonRetryable-Error"] == "true"


async def test_a_direct_call_is_answered_at_once_and_runs_on(site: Site) -> None:
    """202; QStash's own deliveries wait for the segment whatever they prefer."""
    execution = await site.execution()
    path, prefer = "/api/engine/execute-step", "respond-async"
    body = {"executionId": execution, "segment": 0}

    answer = await site.signed("step_executor", path, body, internal=True, prefer=prefer)
    assert (answer.status_code, answer.json()) == (202, {"result": "started"})

    async def ran() -> bool:
        seen = await site.call("ingress", "GET", f"/api/executions/{execution}", headers={"Authorization": f"Bearer {KEY}"})
        return bool(seen.json()["segment"] > 0)

    await eventually(ran, describe="the segment has run")
    again = await site.signed("step_executor", path, body, prefer=prefer)
    assert (again.status_code, again.json()["result"]) == (200, "terminal")


# the resume service


async def test_a_failure_callback_is_noted_and_its_execution_looked_at_soon(site: Site, redis: Redis) -> None:
    """As QStash sends it; twice is once."""
    execution = await site.execution()
    await redis.zadd(keys.due(keys.partition_of(execution)), {execution: 9e12})
    source = json.dumps({"executionId": execution, "segment": 0, "reason": "created"}).encode()
    callback = {
        "status": 500,
        "header": {"Content-Type": ["text/plain"]},
        "body": base64.b64encode(b"oops").decode(),
        "retried": 3,
        "maxRetries": 3,
        "dlqId": "dlq_1",
        "sourceMessageId": "msg_1",
        "sourceBody": base64.b64encode(source).decode(),
        "url": EXECUTOR,
        "method": "POST",
        "sourceHeader": {},
        "notBefore": "1",
        "createdAt": 1,
    }
    answers = [await site.signed("resume", "/api/engine/failed", callback) for _ in range(2)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"result": "noted"})] * 2
    auth = {"Authorization": f"Bearer {KEY}"}
    lines = (await site.call("ingress", "GET", f"/api/executions/{execution}/history", headers=auth)).json()["history"]
    dead = [line for line in lines if line["event"] == "message.dead"]
    assert [line["detail"] for line in dead] == [{"segment": 0, "id": "msg_1", "status": 500, "retried": 3, "dlq": "dlq_1"}]
    due_ms = await redis.zscore(keys.due(keys.partition_of(execution)), execution)
    assert due_ms is not None
    assert time.time() * 1000 < due_ms < time.time() * 1000 + 5_000


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"sourceBody":"%%%"}', b'{"sourceBody":"e30="}', b"[" * 20_000, b'{"sourceBody":5}'],
    ids=["nothing", "a list", "no source", "no base64", "no id", "nested without end", "a number"],
)
async def test_a_failure_callback_that_cannot_be_read_is_200_all_the_same(site: Site, body: bytes) -> None:
    """Refusing it would only make QStash repeat it."""
    answer = await site.signed("resume", "/api/engine/failed", body)

    assert (answer.status_code, answer.json()) == (200, {"result": "not readable"})


async def test_a_failure_callback_of_an_unknown_execution_is_200(site: Site) -> None:
    """It may have been purged."""
    source = base64.b64encode(json.dumps({"executionId": NOBODY}).encode()).decode()

    assert (await site.signed("resume", "/api/engine/failed", {"sourceBody": source})).status_code == 200


async def test_a_hint_wakes_its_execution_by_a_direct_call(redis: Redis, valkey: Valkey) -> None:
    """From one of our services or from whoever may read the execution; 202 also when the executor is away."""
    del redis

    async def started(_: Taken) -> Response:
        return Response(b'{"result":"started"}', 202)

    async with AsyncExitStack() as stack, receiving(started) as there:
        site = Site(configured(**variables(valkey) | {"EXECUTOR_URL": there.url}), stack)
        execution = await site.execution()
        auth = {"Authorization": f"Bearer {KEY}"}
        by_key = await site.call("resume", "POST", "/api/mesh/resume", json={"executionId": execution}, headers=auth)
        by_signature = await site.signed("resume", "/api/mesh/resume", {"executionId": execution}, internal=True)

        assert [(one.status_code, one.json()) for one in (by_key, by_signature)] == [
            (202, {"result": "woken", "segment": 0})
        ] * 2
        assert [json.loads(request.body)["reason"] for request in there.taken] == ["resumed", "resumed"]

    async with AsyncExitStack() as stack:
        site = Site(configured(**variables(valkey) | {"EXECUTOR_URL": f"http://127.0.0.1:{free_port()}"}), stack)
        answer = await site.signed("resume", "/api/mesh/resume", {"executionId": execution}, internal=True)
        assert answer.status_code == 202
        assert "away" in answer.json()["result"]


@pytest.mark.parametrize("execution", [NOBODY, "nonsense", "", "exe_ff_" + "0" * 32])
async def test_a_hint_for_nothing_wakes_nothing(site: Site, execution: str) -> None:
    """Signed, so nobody is asked for a key."""
    answer = await site.signed("resume", "/api/mesh/resume", {"executionId": execution}, internal=True)

    assert answer.status_code in {200, 404}


async def test_a_sweep_on_request_says_what_it_moved(site: Site, redis: Redis) -> None:
    """For deployments without a long-running process."""
    execution = await site.execution()
    partition = keys.partition_of(execution)
    await redis.zadd(keys.due(partition), {execution: 1})

    answer = await site.signed("resume", "/api/mesh/sweep", b"")

    assert answer.status_code == 200
    assert answer.json()["moved"] >= 1
    assert answer.json()["left"] == 0

    told = (await site.call("resume", "GET", "/api/health/watchdog")).json()
    assert sum(told["resent"].values()) == 1
    assert told["window"]["waiting"] <= told["window"]["size"] <= told["window"]["most"]


# readiness


async def test_ready_means_that_the_store_keeps_everything(site: Site, redis: Redis) -> None:
    """A store that evicts would lose executions: 503 with the remedy. The process itself is healthy."""
    for name in ("ingress", "step_executor", "resume"):
        assert (await site.call(name, "GET", "/readyz")).json() == {"status": "ready"}
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for name in ("ingress", "step_executor", "resume"):
            answer = await site.call(name, "GET", "/readyz")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "5"
            assert "set noeviction" in answer.json()["error"]["message"]
            assert (await site.call(name, "GET", "/healthz")).status_code == 200
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("name", ["ingress", "step_executor"])
async def test_every_request_sweeps_a_little_behind_its_answer(site: Site, redis: Redis, name: str) -> None:
    """Where nothing runs for long, requests are what moves things: the relay of one partition, once a second."""
    app = await site.app(name)
    store = app.state.deps.store if name == "ingress" else app.state.deps.interpreter.store
    await redis.flushdb()

    if name == "ingress":
        assert (await site.call(name, "GET", "/api/tools", headers={"Authorization": f"Bearer {KEY}"})).status_code == 200
    else:
        assert (await site.signed(name, "/api/engine/execute-step", {"executionId": NOBODY})).status_code == 503

    await eventually(lambda: store.calls["relay_claim"] == 1, describe="a partition was looked at")
