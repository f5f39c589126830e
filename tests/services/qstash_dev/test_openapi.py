"""`/openapi.json`: it lists what is served, and a machine that knows nothing else finds no answer that it does not describe."""

import asyncio
import itertools
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS as CHECKS_OF
from schemathesis.checks import load_all_checks
from starlette.routing import Route

from services.qstash_dev import filters
from services.qstash_dev.app import ROUTES, build_app
from services.qstash_dev.main import running
from services.qstash_dev.openapi import document
from services.qstash_dev.openapi.words import HEADERS
from shared.settings import DEV_TOKEN
from shared.settings_load import load
from tests.services.qstash_dev import conforming, support
from tests.services.qstash_dev.support import Broker, Process, Valkey, eventually

pytestmark = pytest.mark.our_server

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}


def described() -> set[tuple[str, str]]:
    """The document's operations."""
    paths = document.of(ROUTES)["paths"]
    return {(path, method) for path, item in paths.items() for method in item.keys() & METHODS}


def served() -> set[tuple[str, str]]:
    """The application's routes. A GET is also a HEAD, which says nothing of its own."""
    config = load(support.environment("redis://127.0.0.1:1/0", 1))
    routes = [route for route in build_app(lambda: running(config)).routes if isinstance(route, Route)]
    found = {(document.template(route.path), method.lower()) for route in routes for method in route.methods or ()}
    told = described()
    return {
        (path, method) for path, method in found if method != "head" or (path, "get") not in found or (path, method) in told
    }


def test_the_document_lists_what_is_served_and_nothing_else() -> None:
    """A route made without saying what it takes and gives is not in the document."""
    assert described() == served()


async def test_the_server_gives_the_document(broker: Broker) -> None:
    """Without a token, so that tools can read it."""
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{broker.url}/openapi.json")
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(document.of(ROUTES)))


def test_every_option_that_is_read_is_in_the_document() -> None:
    """And none that is not."""
    folder = Path(document.__file__).parents[1]
    files = ("publish.py", "flow_control.py", "schedules.py", "routes/schedules.py", "workflow/refs.py")
    text = "".join((folder / name).read_text() for name in files)
    read = set(re.findall(r'"(upstash-[a-z-]*[a-z])"', text))
    assert read == {name.lower() for name in HEADERS}


def test_every_place_that_holds_a_filter_names_its_parameters_once() -> None:
    """Two of the same name and place would make the document invalid."""
    for item in document.of(ROUTES)["paths"].values():
        for operation in item.values():
            names = [(one["in"], one["name"]) for one in operation["parameters"]]
            assert len(names) == len(set(names))
    assert {one["name"] for one in document.of(ROUTES)["paths"]["/v2/dlq"]["get"]["parameters"]} >= filters.PAGING


# --- a machine that knows the document calls everything ---

load_all_checks()
TOLD = schemathesis.openapi.from_dict(conforming.strict())
CHECKS = [
    "status_code_conformance",  # and so no 5xx but the documented 501 and 503
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "missing_required_header",
    "ignored_auth",
]
BOUNDED = settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
LATER = {"Upstash-Delay": "1h"}
CLOSED = "http://127.0.0.1:9"
FLOW = {"Upstash-Flow-Control-Key": "f", "Upstash-Flow-Control-Value": "rate=1"}


class Known(NamedTuple):
    """A server, and the ids of what is there."""

    url: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the server in a process of its own."""
    valkey = Valkey()
    valkey.start()
    process = Process(valkey.url, tmp_path_factory.mktemp("openapi") / "log")
    process.start()
    asyncio.run(process.answers("/readyz", 200))
    yield process.url
    asyncio.run(process.end(signal.SIGTERM))
    valkey.kill()


@pytest.fixture
def known(server: str) -> Known:
    """One of everything is there, and no message leaves any more."""
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {DEV_TOKEN}"}) as http:
        http.delete("/v2/dev/faults")
        http.post("/v2/queues", json={"queueName": "a"})
        http.post("/v2/topics/a/endpoints", json=[{"url": CLOSED}])
        http.post(f"/v2/schedules/{CLOSED}", headers={"Upstash-Cron": "0 0 1 1 *", "Upstash-Schedule-Id": "a"})
        message_id = http.post(f"/v2/publish/{CLOSED}", headers={**LATER, **FLOW}).json()["messageId"]
        run_id = http.post(f"/v2/trigger/{CLOSED}", headers=LATER).json()["workflowRunId"]
        http.post(f"/v2/publish/{CLOSED}", headers={"Upstash-Retries": "0"})
        http.post(f"/v2/trigger/{CLOSED}", headers={"Upstash-Retries": "0"})
        dead = asyncio.run(one_of_each(http))
        http.put("/v2/dev/faults", json={"faults": [{"kind": "drop"}]}).raise_for_status()
    ids = {"name": "a", "queue": "a", "key": "f", "event": "e", "user_id": "defaultUser"}
    return Known(server, {**ids, "message_id": message_id, "run_id": run_id, "dlq_id": dead})


async def one_of_each(http: httpx.Client) -> str:
    """The id of a dead letter of a failed run, once there is also one of a plain message."""
    found: list[list[dict[str, Any]]] = []

    def there() -> bool:
        found[:] = [http.get("/v2/dlq", params=params).json()["messages"] for params in ({}, {"source": "workflow"})]
        return all(found)

    await eventually(there, "two dead letters")
    return str(found[1][0]["dlqId"])


turns = itertools.count()


def checks(case: "schemathesis.Case[Any]") -> list[Any]:
    """A batch is answered item by item, so a wrong one is no wrong call; a key may look like the path of another operation."""
    templates = {document.template(one.path) for one in conforming.operations(case.formatted_path)}
    more = ["unsupported_method", "allow_header_conformance"] if len(templates) == 1 else []
    more += [] if "batch" in case.path else ["negative_data_rejection"]
    return list(CHECKS_OF.get_by_names([*CHECKS, *more]))


@TOLD.parametrize()
@BOUNDED
def test_no_answer_is_one_that_the_document_does_not_describe(case: "schemathesis.Case[Any]", known: Known) -> None:
    """Every second call is for something that is there."""
    if next(turns) % 2:
        case.path_parameters.update({name: known.ids[name] for name in case.path_parameters if name in known.ids})
    case.call_and_validate(base_url=known.url, headers={"Authorization": f"Bearer {DEV_TOKEN}"}, checks=checks(case))


async def test_an_answer_with_a_field_that_the_document_lacks_would_fail_every_test() -> None:
    """Each answer to `Broker.http` is looked at."""
    request = httpx.Request("GET", "http://127.0.0.1/v2/keys")
    await conforming.check(httpx.Response(200, request=request, json={"current": "a", "next": "b"}))
    for status, body in ((200, {"current": "a", "next": "b", "more": 1}), (200, {"current": "a"}), (418, {})):
        with pytest.raises(AssertionError):
            await conforming.check(httpx.Response(status, request=request, json=body))
