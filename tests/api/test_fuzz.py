"""A machine that knows only the documents calls everything: no fault of ours, and no answer that a document does not describe.

`make fuzz-api EXAMPLES=500` is the long form; the number of examples is all that differs.
"""

import asyncio
import copy
import itertools
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS as CHECKS_OF
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from shared import signing
from shared.openapi.build import template
from shared.settings import DEV_CURRENT_KEY
from tests.support import conforming
from tests.system.harness import QUICK, System

pytestmark = pytest.mark.system

KEY = "key-of-acme-0123456789"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_SEED" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
]
PLAN = {
    "steps": [
        {"name": "each", "tool": "do_work", "args": {"label": "${item}"}, "map": {"over": ["a", "b"]}},
        {"name": "pay", "tool": "do_work", "args": {"label": "x"}, "needs": ["each"], "approve": {"message": "sure?"}},
    ]
}

load_all_checks()
# 503 is one of their answers; a fault of ours, 500, is none that a document describes.
OF_SIGNED: list[Any] = list(CHECKS_OF.get_by_names([name for name in CHECKS if name.endswith("conformance")]))


class Site(NamedTuple):
    """Running services, and what is there to be asked about."""

    urls: dict[str, str]
    known: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Every service as a process of its own, on a real store; no address is trusted, so that each call needs its proof."""
    more = {"API_KEYS": f"acme:{KEY}", "TRUSTED_CALLERS": "192.0.2.0/24", "OPERATORS": "acme", "CHAT_PER_MINUTE": "1000000"}
    system = System(tmp_path_factory.mktemp("fuzz"), **QUICK, **more)
    with asyncio.Runner() as runner:
        runner.run(system.__aenter__())
        try:
            urls = {name: system.processes[name].url for name in conforming.SERVICES}
            yield Site(urls, some_of_everything(urls["ingress"]))
        finally:
            logs = "\n".join(system.processes[name].log() for name in conforming.SERVICES)
            runner.run(system.__aexit__())
    assert '"request.crashed"' not in logs, [line for line in logs.splitlines() if "request.crashed" in line][:3]


def some_of_everything(url: str) -> dict[str, dict[str, str]]:
    """Ids by the first part of the path: an execution that waits for a person, and a schedule."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as http:
        execution = http.post("/api/execute", json={"plan": PLAN}).json()["id"]
        deadline = time.monotonic() + 30
        while not http.get("/api/approvals").json()["approvals"]:
            assert time.monotonic() < deadline, http.get(f"/api/executions/{execution}/why").text
            time.sleep(0.05)
        schedule = http.post("/api/schedules", json={"cron": "0 0 1 1 *", "plan": PLAN}).json()["id"]
        http.put("/api/users/ann/profile", json={"name": "Ann"}).raise_for_status()
    names = {"step": "each", "tool": "do_work", "user": "ann", "name": "payment.settled"}
    return {"executions": {"id": execution, **names}, "schedules": {"id": schedule, **names}, "": names}


STREAMS = ["get_api_events", "get_api_executions_id_events"]
"""They last: tests/services/engine/test_live.py and test_live_feed.py follow them."""
turns = itertools.count()


def known(case: "schemathesis.Case[Any]", site: Site) -> None:
    """Every second call is about something that is there."""
    if next(turns) % 2:
        there = site.known.get(case.path.split("/")[2] if case.path.startswith("/api/") else "", site.known[""])
        case.path_parameters.update({name: there[name] for name in case.path_parameters if name in there})
    if case.headers:
        case.headers.pop("Accept", None)  # a stream of the chat lasts as long as its execution


def checks(service: str, case: "schemathesis.Case[Any]") -> list[Any]:
    """An id with a slash in it may look like the path of another operation, or of none."""
    own = [one for one in conforming.operations(service, case.formatted_path, case.method) if template(one.path) == case.path]
    return list(CHECKS_OF.get_by_names(CHECKS if own else ["not_a_server_error"]))


def called(service: str, case: "schemathesis.Case[Any]", site: Site, **headers: str) -> None:
    """Once."""
    case.call_and_validate(base_url=site.urls[service], headers=headers, checks=checks(service, case))


def told(service: str) -> OpenApiSchema:
    """The document without who may call: every call here brings its proof, and test_edges.py calls every route without one."""
    found = copy.deepcopy(conforming.strict(service))
    for item in found["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    chosen = schemathesis.openapi.from_dict(found).exclude(operation_id=STREAMS)
    assert isinstance(chosen, OpenApiSchema)
    return chosen


INGRESS, EXECUTOR, RESUME = (told(name) for name in conforming.SERVICES)


@INGRESS.parametrize()
@BOUNDED
def test_ingress_answers_as_its_document_says(case: "schemathesis.Case[Any]", site: Site) -> None:
    """With a key."""
    known(case, site)
    called("ingress", case, site, Authorization=f"Bearer {KEY}")


def signed(service: str, case: "schemathesis.Case[Any]", site: Site) -> requests.Response:
    """The case with QStash's signature of the very bytes that are sent."""
    base = site.urls[service]
    request = case.as_transport_kwargs(base_url=base)
    wanted = {"method", "url", "headers", "files", "data", "params", "auth", "cookies", "json"}
    prepared = requests.Request(**{name: value for name, value in request.items() if name in wanted}).prepare()
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else body
    assert isinstance(body, bytes)
    claims: dict[str, Any] = {"issuer": "Upstash", "url": base + unquote(urlsplit(prepared.url or "").path), "jti": "jwt_1"}
    token = signing.sign_call(key=DEV_CURRENT_KEY, now=time.time(), body=body, **claims)
    prepared.headers["Upstash-Signature"] = token
    with requests.Session() as session:
        session.trust_env = False
        return session.send(prepared, timeout=30)


@EXECUTOR.parametrize()
@BOUNDED
def test_the_step_executor_answers_as_its_document_says(case: "schemathesis.Case[Any]", site: Site) -> None:
    """What QStash signed, whatever it says, and what nobody signed."""
    answer = signed("step_executor", case, site)
    case.validate_response(answer, checks=OF_SIGNED)
    case.call_and_validate(base_url=site.urls["step_executor"], checks=OF_SIGNED)


@RESUME.parametrize()
@BOUNDED
def test_resume_answers_as_its_document_says_to_what_is_signed(case: "schemathesis.Case[Any]", site: Site) -> None:
    """Hints, failure callbacks, sweeps."""
    case.validate_response(signed("resume", case, site), checks=OF_SIGNED)


@RESUME.parametrize()
@BOUNDED
def test_resume_answers_as_its_document_says(case: "schemathesis.Case[Any]", site: Site) -> None:
    """With a key."""
    called("resume", case, site, Authorization=f"Bearer {KEY}")


# what no client would send


async def raw(
    url: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes, method: bytes = b"POST"
) -> tuple[int, Any]:
    """Status and JSON of a request whose bytes no client would let through."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fixed = [(b"Host", host.encode()), (b"Authorization", b"Bearer " + KEY.encode()), (b"Connection", b"close")]
    lines = [name + b": " + value for name, value in [*fixed, *headers, (b"Content-Length", str(len(body)).encode())]]
    writer.write(b"\r\n".join([method + b" " + target + b" HTTP/1.1", *lines, b"", b""]) + body)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), msgspec.json.decode(content) if content.startswith(b"{") else content


JSON = (b"Content-Type", b"application/json")
ODD_BODIES = [
    b"\xff\xfe",
    b'{"intent":"\xc3\x28"}',
    b'{"intent":"\\ud800"}',
    b'{"intent":"a\\u0000b"}',
    b'{"intent":"\\u0000"}',
    b'{"userId":"\\u0000","intent":"Book a table for 2 at 7pm"}',
    b'{"intent":"a","intent":"b"}',
    b"[" * 100_000,
    b'{"plan":' * 20_000,
    b'{"plan":{"steps":[{"name":"a","tool":"do_work","args":{"label":"x","seconds":1e999}}]}}',
    b'{"plan":{"steps":[{"name":"a","tool":"do_work","args":{"label":"x","seconds":' + b"9" * 5_000 + b"}}]}}",
    b'{"plan":{"steps":[{"name":"a","tool":"do_work","args":{"label":"\\u0000\\uffff"}}]}}',
    b'{"plan":{"steps":[{"name":"a\\u0000","tool":"do_work","args":{"label":"x"}}]}}',
    b'{"context":{"now":"9999-12-31T23:59:59-23:59"},"intent":"Book a table for 2 at 7pm"}',
    b'{"context":{"now":"0001-01-01T00:00:00+23:59"},"intent":"Book a table for 2 at 7pm"}',
    b'{"context":{"timezone":"../../etc/passwd"},"intent":"Book a table for 2 at 7pm"}',
    b'{"context":{"timezone":"a\\u0000b"},"intent":"Book a table for 2 at 7pm"}',
    b"",
    b"null",
]


@pytest.mark.parametrize("path", [b"/api/execute", b"/api/plan", b"/api/chat", b"/api/schedules", b"/api/executions/bulk"])
@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
async def test_odd_bytes_are_taken_or_refused_with_a_reason(site: Site, path: bytes, body: bytes) -> None:
    """Never a fault of ours."""
    body = body.replace(b'"intent"', b'"message"') if path == b"/api/chat" else body
    check(*await raw(site.urls["ingress"], path, [JSON], body))


ODD_TARGETS = [
    b"/api/executions/%00",
    b"/api/executions/%ff%fe",
    b"/api/executions/exe_0a_%ED%A0%80",
    b"/api/executions/exe_zz_" + b"f" * 32,
    b"/api/executions/" + b"a" * 8_000,
    b"/api/executions?limit=" + b"9" * 5_000,
    b"/api/executions?limit=%D9%A3",
    b"/api/executions?limit=1&limit=2&status=FAILED&status=COMPLETED",
    b"/api/executions?status=%00",
    b"/api/executions?text=%ff%00",
    b"/api/executions?before=%00",
    b"/api/executions?createdAfter=0001-01-01T00:00:00%2B23:59",
    b"/api/executions?createdAfter=9999-12-31T23:59:59-23:59",
    b"/api/executions?createdAfter=2026-01-01",
    b"/api/executions?=",
    b"/api/dlq?before=" + b"9" * 400 + b"-dlq_a",
    b"/api/dlq/%00",
    b"/api/schedules/%00",
    b"/api/schedules?before=sch_%00",
    b"/api/users/%00/profile",
    b"/api/users/%ff/profile",
    b"/api/users/" + b"%F0%9F%8D%95" * 300 + b"/profile",
]


@pytest.mark.parametrize("target", ODD_TARGETS, ids=range(len(ODD_TARGETS)))
async def test_odd_addresses_are_answered_with_a_reason(site: Site, target: bytes) -> None:
    """Never a fault of ours; what is not there is 404."""
    check(*await raw(site.urls["ingress"], target, [], b"", b"GET"))


@pytest.mark.parametrize("name", [b"Idempotency-Key", b"X-Actor", b"Authorization", b"Accept", b"Content-Type"])
@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\tb", b"x" * 8_000, b"", b"\xc3\xa9"], ids=range(5))
async def test_odd_headers_are_taken_or_refused_with_a_reason(site: Site, name: bytes, value: bytes) -> None:
    """Never a fault of ours."""
    known = site.known["executions"]["id"].encode()
    for path in (b"/api/execute", b"/api/executions/" + known + b"/pause"):
        body = b'{"plan":{"steps":[{"name":"a","tool":"do_work","args":{"label":"x"}}]}}' if path == b"/api/execute" else b"{}"
        check(*await raw(site.urls["ingress"], path, [JSON, (name, value)], body))


def check(status: int, answer: Any) -> None:
    """Done, or refused with a text."""
    assert status in {200, 201, 202} or 400 <= status < 500, answer
    if status >= 400 and isinstance(answer, dict):
        assert answer["error"]["message"]
        assert answer["error"]["code"] != "internal"
