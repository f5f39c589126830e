"""`/openapi.json` of each service: valid, complete, with examples that are what is really taken and answered."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import Route

from shared.cli.main import intention
from shared.openapi import SERVICES, document
from shared.openapi.build import operation_id, template
from shared.openapi.operations import NOT_JSON
from tests.services.engine.site import Site
from tests.support import conforming
from tests.system.harness import ROOT

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
OURS = conforming.SERVICES
PROBES = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def told(service: str) -> dict[str, Any]:
    """The document."""
    found: dict[str, Any] = msgspec.json.decode(document(service))
    return found


def described(service: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation, with its place and its method."""
    for path, item in told(service)["paths"].items():
        for method in item.keys() & METHODS:
            yield path, method, item[method]


def schema_in(service: str, content: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Checks values against one of the document's schemas."""
    components = conforming.strict(service)["components"]
    return jsonschema_rs.Draft202012Validator({**content["application/json"]["schema"], "components": components})


def served(app: Starlette) -> set[tuple[str, str]]:
    """What the application answers below /api, and the probes. Pages for people are described nowhere. A GET is also a HEAD."""
    routes = [route for route in app.routes if isinstance(route, Route)]
    api = [route for route in routes if route.path.startswith("/api/") or route.path in PROBES]
    return {(template(route.path), method.lower()) for route in api for method in (route.methods or set()) - {"HEAD"}}


@pytest.mark.parametrize("service", SERVICES)
def test_the_document_is_valid(service: str) -> None:
    """As the validator of the specification sees it, with the defaults of every schema."""
    validate(told(service))


@pytest.mark.parametrize("service", OURS)
async def test_the_document_lists_what_is_served_and_nothing_else(site: Site, service: str) -> None:
    """A route that does not say what it takes and gives is found here."""
    assert {(path, method) for path, method, _ in described(service)} == served(await site.app(service))


@pytest.mark.parametrize("service", OURS)
async def test_a_service_gives_its_document_to_anybody(site: Site, service: str) -> None:
    """The very bytes that are made without starting anything, the first time and the second."""
    for _ in range(2):
        answer = await site.call(service, "GET", "/openapi.json", address="192.0.2.7")
        assert (answer.status_code, answer.content) == (200, document(service))


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "ingress"])
def test_the_command_line_prints_the_document_of_a_service_that_it_cannot_ask(service: str, tmp_path: Path) -> None:
    """As this installation has it."""
    nowhere = dict.fromkeys(("EXECUTOR_URL", "RESUME_URL", "QSTASH_URL"))
    found = CliRunner().invoke(intention, ["openapi", service, "--env-file", str(tmp_path / "none")], env=nowhere)
    assert found.exit_code == 0, found.output
    assert msgspec.json.decode(found.output) == told(service)


def test_a_service_without_a_document_is_said_so() -> None:
    """With the names of those that have one."""
    with pytest.raises(KeyError, match="step_executor"):
        document("town")


@pytest.mark.parametrize("service", OURS)
def test_every_operation_says_what_a_reader_needs(service: str) -> None:
    """A summary, who may call it, a refusal in the one shape, and an example of its body."""
    ids = set()
    schemes = set(told(service)["components"]["securitySchemes"])
    for path, method, operation in described(service):
        ids.add(operation["operationId"])
        assert len(operation["summary"]) > 5, (path, operation["summary"])
        guards = {name for one in operation.get("security", []) for name in one}
        assert guards <= schemes
        assert guards or path in PROBES or path.startswith(("/api/health/", "/api/waits/")), f"{method} {path} is open"
        assert not guards or "401" in operation["responses"]
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"], f"{method} {path}"
    assert len(ids) == len(list(described(service)))


@pytest.mark.parametrize("service", OURS)
def test_every_refusal_has_the_one_error_shape(service: str) -> None:
    """But for reports of health, whose 503 is the report."""
    for path, _, operation in described(service):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and not path.startswith("/api/health/"):
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


@pytest.mark.parametrize("service", OURS)
def test_the_example_of_a_body_is_what_the_route_decodes(service: str) -> None:
    """By the schema, and by the very type that the route's decoder has."""
    looked = 0
    for route in conforming.routes(service):
        kinds = route.said.takes if isinstance(route.said.takes, tuple) else (route.said.takes,)
        if route.said.example is None or set(kinds) & NOT_JSON:
            continue
        operation = told(service)["paths"][template(route.path)][route.said.methods[0].lower()]
        body = operation["requestBody"]["content"]
        schema_in(service, body).validate(body["application/json"]["example"])
        msgspec.json.decode(msgspec.json.encode(body["application/json"]["example"]), type=kinds[0])
        looked += 1
    assert looked >= (20 if service == "ingress" else 2)


@pytest.mark.parametrize("service", OURS)
def test_the_example_of_an_answer_has_its_schema(service: str) -> None:
    """Nothing that the schema does not know, nothing that is missing."""
    for path, method, operation in described(service):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if "example" in content.get("application/json", {}):
                errors = [str(one) for one in schema_in(service, content).iter_errors(content["application/json"]["example"])]
                assert not errors, f"{method} {path} {status}: {errors}"


def test_every_operation_of_ingress_has_an_example_of_an_answer() -> None:
    """Recorded from real ones (`python -m tests.api.record`). Streams are no JSON."""
    missing = [
        operation["operationId"]
        for path, _, operation in described("ingress")
        if path not in {"/openapi.json", "/api/waits/{token}"}
        and (answers := [one["content"] for status, one in operation["responses"].items() if int(status) < 300])
        and any("application/json" in content for content in answers)
        and not any("example" in content.get("application/json", {}) for content in answers)
    ]
    assert missing == []


def test_an_operation_has_a_name_that_is_made_of_its_place() -> None:
    """Names of generated clients do not change when a handler is renamed."""
    assert operation_id("GET", "/api/executions/{id}/steps/{step}/output") == "get_api_executions_id_steps_step_output"


async def test_a_route_is_not_described_before_anybody_asks(site: Site) -> None:
    """It costs a process nothing to have a document that nobody reads."""
    app = await site.app("ingress")
    assert not hasattr(app.state, "document")
    await site.call("ingress", "GET", "/openapi.json")
    assert app.state.document == document("ingress")


INSIDE = set(
    "buried not_published not_reopened plan_missing plan_changed result_missing signal_missing words_missing slot_late".split()
)
"""Of errors that end within an invocation: nobody who calls is told."""
CODES = re.compile(r"code=\"([a-z_]+)\"|^    code = \"([a-z_]+)\"", re.MULTILINE)


def test_the_page_on_the_apis_names_every_code() -> None:
    """A code that is only in the source is one that no program reads."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf8")
    folders = ["shared", "shared/redisdb", "shared/schedules", "shared/live", *(f"services/{name}" for name in OURS)]
    texts = [file.read_text(encoding="utf8") for folder in folders for file in (ROOT / folder).glob("*.py")]
    codes = {code for text in texts for pair in CODES.findall(text) for code in pair if code}
    assert len(codes) > 40
    assert {code for code in codes if f"`{code}`" not in page} - INSIDE - {"settings"} == set()
