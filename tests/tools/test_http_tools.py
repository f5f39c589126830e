"""Tools that are declared in a file: what is wrong with one is said with its place, and each answer has one meaning."""

import json
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from shared.errors import SettingsError
from shared.machine.decision import Start
from shared.machine.events import Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.settings_load import load
from shared.shaped_file import BadFile
from shared.tools import installation, kit
from shared.tools.http_shape import Method, read
from shared.tools.http_tools import picked
from shared.tools.installation import outbound_of, registry_of
from shared.tools.kit import Sample
from shared.tools.outbound import METHODS
from shared.tools.registry import Registry, Runner
from tests.support.executions import intent
from tests.support.valkey import free_port
from tests.tools.partner import Asked, Partner, hangs_up, never_answers, partner, says

TOKEN = "desk-token/with+odd=letters"
TICKET = """
[[tool]]
name = "create_ticket"
summary = "Open a ticket at the help desk."
effect = "idempotent"
version = "2"
url = "{base}/queues/{{queue}}/tickets"
headers = {{ Authorization = "Bearer ${{secret:DESK_TOKEN}}" }}
key_header = "Idempotency-Key"
timeout_ms = 2000
output = {{ id = "ticket.id", link = "links.0.href", missing = "links.7.href" }}
undo = {{ method = "DELETE", url = "{base}/by-key/{{key}}", kind = "settled" }}
probe = {{ method = "GET", url = "{base}/by-key/{{key}}" }}

[tool.args]
queue = {{ type = "string", max_length = 40 }}
subject = {{ type = "string", min_length = 1 }}
priority = {{ type = "integer", minimum = 1, maximum = 5, default = 3 }}
tags = {{ type = "array", items = {{ type = "string" }}, required = false }}
kind = {{ type = "string", enum = ["bug", "wish"], default = "bug" }}

[[tool]]
name = "find_tickets"
summary = "Find tickets."
effect = "pure"
method = "GET"
url = "{base}/tickets"
query = {{ q = "{{text}}", token = "${{secret:DESK_TOKEN}}", open = "true" }}
args = {{ text = {{ type = "string" }}, limit = {{ type = "integer", required = false }} }}

[[tool]]
name = "tell"
summary = "Tell somebody."
effect = "unsafe"
url = "{base}/tell"
form = true
body = {{ To = "{{to}}", Body = "Hello {{to}}: {{text}}" }}
args = {{ to = {{ type = "string" }}, text = {{ type = "string" }} }}
"""
ARGS = {"queue": "a b/c", "subject": "it is broken"}


@pytest.fixture
async def desk() -> AsyncIterator[Partner]:
    """The other side."""
    async with partner() as found:
        yield found


def registry(folder: Path, base: str, text: str = TICKET, **variables: str) -> Registry:
    """What an executor has with this file."""
    path = folder / "tools.toml"
    path.write_text(text.format(base=base))
    environ = {"INTENTION_MODE": "local", "HTTP_TOOLS": str(path), "OUTBOUND_LOOPBACK": "true", "SECRET_DESK_TOKEN": TOKEN}
    settings = load(environ | variables)
    return registry_of(settings, outbound_of(settings), None)


async def run(found: Registry, tool: str, args: dict[str, Any], **how: Any) -> Outcome:
    """One call, as in a segment."""
    undo, seconds = how.pop("undo", False), how.pop("seconds", 10.0)
    made = msgspec.structs.replace(intent(args=args, **how), key="exe.a.1.undo" if undo else "exe.a.1")
    return await Runner(found).run(
        Start(cell=0, step="a", tool=tool, intent=made, timeout_ms=int(seconds * 1_000), undo=undo), seconds
    )


async def test_a_call_becomes_a_request_and_its_answer_an_output(desk: Partner, tmp_path: Path) -> None:
    """Path, headers, key and body; what was not given is left out, and what is not in the answer is null."""
    desk.script = says(201, {"ticket": {"id": 7}, "links": [{"href": "/t/7"}]})
    found = await run(registry(tmp_path, desk.url), "create_ticket", ARGS)

    assert found == Done(output={"id": 7, "link": "/t/7", "missing": None})
    [asked] = desk.asked
    assert (asked.method, asked.path) == ("POST", "/queues/a%20b%2Fc/tickets")
    assert json.loads(asked.body) == {"subject": "it is broken", "priority": 3, "kind": "bug"}
    assert (asked.headers["authorization"], asked.headers["idempotency-key"]) == (f"Bearer {TOKEN}", "exe.a.1")


async def test_arguments_go_into_a_query_or_a_form(desk: Partner, tmp_path: Path) -> None:
    """Encoded, whatever is in them."""
    found = registry(tmp_path, desk.url)
    await run(found, "find_tickets", {"text": "a&b=ü", "limit": 5})
    await run(found, "tell", {"to": "Ann & Bob", "text": "x=1"})

    assert desk.asked[0].path == "/tickets?q=a%26b%3D%C3%BC&token=desk-token%2Fwith%2Bodd%3Dletters&open=true&limit=5"
    assert desk.asked[1].body == b"To=Ann+%26+Bob&Body=Hello+Ann+%26+Bob%3A+x%3D1"
    assert desk.asked[1].headers["content-type"] == "application/x-www-form-urlencoded"


def test_it_is_listed_like_any_tool(desk: Partner, tmp_path: Path) -> None:
    """Contract and schema."""
    found = registry(tmp_path, desk.url)

    tool = found.get("create_ticket")
    assert tool is not None
    assert (tool.summary, tool.contract.version) == ("Open a ticket at the help desk.", "2")
    assert (tool.contract.effect, tool.contract.undo, tool.contract.timeout_ms) == (Effect.IDEMPOTENT, Undo.SETTLED, 2_000)
    problems = [
        (problem.at, problem.message)
        for problem in found.check_args(
            "create_ticket", {"queue": "x" * 41, "priority": 9, "kind": "joke", "tags": [1]}, "args"
        )
    ]
    assert [at for at, _ in problems] == ["args.queue", "args.subject", "args.priority", "args.tags[0]", "args.kind"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (says(200, {"id": 1}), Done),
        (says(204, b""), Done),
        (says(200, b"not json"), Done),
        (says(400, {"error": "x"}), ("http_400", False, None)),
        (says(401), ("http_401", False, None)),
        (says(404), ("http_404", False, None)),
        (says(409), ("http_409", False, None)),
        (says(422), ("http_422", False, None)),
        (says(408), ("http_408", True, None)),
        (says(425), ("http_425", True, None)),
        (says(429, Retry_After="7"), ("http_429", True, 7_000)),
        (says(429), ("http_429", True, None)),
        (says(503, Retry_After="2"), ("http_503", True, 2_000)),
        (says(503, Retry_After="99999999"), ("http_503", True, 86_400_000)),
        (says(301, Location="http://127.0.0.1:1/"), ("http_301", False, None)),
        (says(307, Location="http://127.0.0.1:1/"), ("http_307", False, None)),
        (says(302, Location="http://127.0.0.1:1/"), Unanswered),
        (says(303, Location="http://127.0.0.1:1/"), Unanswered),
        (says(503), Unanswered),
        (says(500), Unanswered),
        (says(502), Unanswered),
        (hangs_up, Unanswered),
        (never_answers, Unanswered),
    ],
)
async def test_each_answer_has_one_meaning(desk: Partner, tmp_path: Path, script: Any, expected: Any) -> None:
    """Done, not done, not done now, or nobody knows."""
    desk.script = script
    seconds = 0.3 if script is never_answers else 10.0
    found = await run(registry(tmp_path, desk.url), "tell", {"to": "a", "text": "b"}, seconds=seconds)

    if isinstance(expected, tuple):
        assert isinstance(found, Refused), found
        assert (found.code, found.retryable, found.retry_after_ms) == expected
    else:
        assert isinstance(found, expected), found


async def test_a_moment_to_try_again_may_be_a_date(desk: Partner, tmp_path: Path) -> None:
    """As HTTP allows."""
    desk.script = says(429, Retry_After=formatdate(time.time() + 3_600, usegmt=True))
    found = await run(registry(tmp_path, desk.url), "tell", {"to": "a", "text": "b"})

    assert isinstance(found, Refused)
    assert 3_000_000 < (found.retry_after_ms or 0) <= 3_600_000


async def test_a_partner_that_is_not_there_was_not_asked(tmp_path: Path) -> None:
    """So that even an unsafe call may be made again."""
    found = await run(registry(tmp_path, f"http://127.0.0.1:{free_port()}"), "tell", {"to": "a", "text": "b"})

    assert isinstance(found, NotSent)


async def test_a_probe_says_yes_never_or_nothing(desk: Partner, tmp_path: Path) -> None:
    """404 is never; a partner that is down is no no."""
    found = registry(tmp_path, desk.url)
    desk.script = says(200, {"ticket": {"id": 7}})
    assert (await run(found, "create_ticket", {}, probe=True)) == Done(output={"id": 7, "link": None, "missing": None})
    desk.script = says(404)
    never = await run(found, "create_ticket", {}, probe=True)
    assert isinstance(never, Refused)
    assert never.code == NEVER_HAPPENED
    for script in (says(403), says(429), says(500), hangs_up):
        desk.script = script
        assert isinstance(await run(found, "create_ticket", {}, probe=True), Unanswered)
    assert {(asked.method, asked.path) for asked in desk.asked} == {("GET", "/by-key/exe.a.1")}


async def test_an_undo_is_by_the_key_and_of_what_is_not_there_done(desk: Partner, tmp_path: Path) -> None:
    """It carries the headers of the tool."""
    found = registry(tmp_path, desk.url)
    for status in (200, 404, 410):
        desk.script = says(status)
        assert isinstance(await run(found, "create_ticket", {}, undo=True), Done)
    desk.script = says(409)
    assert isinstance(await run(found, "create_ticket", {}, undo=True), Refused)
    assert (desk.asked[0].method, desk.asked[0].path) == ("DELETE", "/by-key/exe.a.1")
    assert desk.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_secret_that_is_sent_back_is_not_kept(desk: Partner, tmp_path: Path) -> None:
    """In outputs and in errors, plain and as URLs write it."""
    found = registry(tmp_path, desk.url)
    said = []
    for status in (200, 400, 500):
        desk.script = says(status, {"you sent": f"Bearer {TOKEN}", "url": "?token=desk-token%2Fwith%2Bodd%3Dletters"})
        said.append(await run(found, "find_tickets", {"text": "x"}))

    assert said[0] == Done(output={"you sent": "Bearer ***", "url": "?token=***"})
    assert not any("desk-token" in repr(one) for one in said)
    assert isinstance(said[1], Refused)
    assert "***" in said[1].message


async def test_an_argument_names_no_secret_and_a_secret_no_argument(desk: Partner, tmp_path: Path) -> None:
    """Each is put into its place once, and not read again."""
    text = """
[[tool]]
name = "look"
summary = "Look."
effect = "pure"
method = "GET"
url = "{base}/"
query = {{ q = "{{text}}", both = "{{text}} ${{secret:DESK_TOKEN}}" }}
args = {{ text = {{ type = "string" }} }}
"""
    found = registry(tmp_path, desk.url, text, SECRET_DESK_TOKEN="with-{text}-in-it")
    await run(found, "look", {"text": "${secret:DESK_TOKEN}"})

    query = parse_qs(urlsplit(desk.asked[0].path).query)
    assert query == {"q": ["${secret:DESK_TOKEN}"], "both": ["${secret:DESK_TOKEN} with-{text}-in-it"]}


def test_a_secret_that_no_header_can_have_is_said_at_the_start(tmp_path: Path) -> None:
    """And not shown."""
    with pytest.raises(SettingsError) as found:
        registry(tmp_path, "https://desk.example", SECRET_DESK_TOKEN="schlüssel-42")
    assert "tool[0] (create_ticket): the value of the header Authorization has characters" in str(found.value)
    assert "schlüssel" not in str(found.value)


def test_a_file_knows_the_methods_that_there_are() -> None:
    """Two spellings of one list."""
    assert get_args(Method) == METHODS


@pytest.mark.parametrize("queue", ["..", ".", ""])
async def test_an_argument_cannot_leave_its_place_in_the_path(desk: Partner, tmp_path: Path, queue: str) -> None:
    """It is refused before a call."""
    found = await run(registry(tmp_path, desk.url), "create_ticket", ARGS | {"queue": queue})

    assert isinstance(found, Refused)
    assert (found.code, desk.asked) == ("bad_arguments", [])


async def test_an_answer_that_is_too_large_is_done_and_left_out(desk: Partner, tmp_path: Path) -> None:
    """The effect happened."""
    desk.script = says(200, {"x": "y" * 70_000})
    found = await run(registry(tmp_path, desk.url), "tell", {"to": "a", "text": "b"})

    assert found == Done(output={"left_out": True, "reason": "the answer was larger than it may be"})


async def test_without_the_way_to_this_machine_it_is_closed_to_files_too(desk: Partner, tmp_path: Path) -> None:
    """A file cannot open what the settings do not."""
    found = await run(registry(tmp_path, desk.url, OUTBOUND_LOOPBACK="false"), "tell", {"to": "a", "text": "b"})

    assert isinstance(found, Refused)
    assert (found.code, desk.connections) == ("address_not_allowed", 0)


_NOTHING: dict[str, Any] = {}


class Desk:
    """Keeps tickets by key, as the file above promises."""

    def __init__(self) -> None:
        self.tickets: dict[str, tuple[tuple[str, bytes], int]] = {}

    async def answer(self, asked: Asked, writer: Any) -> None:
        """One request."""
        key = asked.headers["idempotency-key"]
        known = self.tickets.get(key)
        status, body = 200, _NOTHING
        if asked.method == "DELETE":
            self.tickets.pop(key, None)
            status = 200 if known else 404
        elif asked.method == "GET":
            status, body = (200, _ticket(known[1])) if known else (404, _NOTHING)
        elif known and known[0] != (asked.path, asked.body):
            status = 409
        else:
            number = self.tickets.setdefault(key, ((asked.path, asked.body), len(self.tickets)))[1]
            status, body = 201, _ticket(number)
        await says(status, body)(asked, writer)

    async def standing(self, key: str) -> int:
        """Tickets of a key."""
        return int(key in self.tickets)


def _ticket(number: int) -> dict[str, Any]:
    return {"ticket": {"id": number}, "links": []}


POINTS = ["twice", "at once", "other arguments", "undo", "undo twice", "undo unknown",
          "probe before", "probe after", "probe undone", "probe in haste"]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_a_declared_tool_can_be_held_against_its_promises(desk: Partner, tmp_path: Path, point: str) -> None:
    """Every point that the file promises."""
    there = Desk()
    desk.script = there.answer
    found = registry(tmp_path, desk.url)
    assert kit.points(found, "create_ticket") == POINTS

    await kit.demand(Sample(registry=found, name="create_ticket", args=ARGS, standing=there.standing), point)


GOOD = {"name": "t", "summary": "s", "url": "https://x.example/{a}", "effect": "unsafe", "args": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("change", "says_"),
    [
        ({"name": "Bad Name"}, "tool[0] (Bad Name).name: 'Bad Name' is no name"),
        ({"summary": " "}, "tool[0] (t).summary: say what the tool does"),
        ({"effect": "safe"}, "tool[0].effect (t): 'safe' is none of these"),
        ({"methods": "GET"}, "tool[0].methods (t): there is no field `methods` here (did you mean method?); allowed: name,"),
        ({"method": "TRACE"}, "tool[0].method (t): 'TRACE' is none of these"),
        ({"version": "beta"}, "tool[0] (t).version: 'beta' is no version"),
        ({"timeout_ms": 0}, "timeout_ms is 1 to 60000"),
        ({"url": "https://{a}.example/"}, "tool[0] (t).url: arguments stand behind the host"),
        ({"url": "https://x.example/${secret:A}"}, "secrets in headers or the query"),
        ({"url": "https://x.example/{b}"}, "tool[0] (t).url: there is no argument 'b'"),
        ({"url": "ftp://x.example/{a}"}, "it does not begin with https:// or http://"),
        ({"url": "https://127.1/{a}"}, "its host is an address in an unusual form"),
        ({"url": "https://u:p@x.example/{a}"}, "a user or password in it is not taken"),
        ({"args": {"a": {"type": "text"}}}, "tool[0].args[...].type (t): 'text' is none of these"),
        ({"args": {"a": {"type": "string", "minimum": 1}}}, "tool[0] (t).args.a: minimum and maximum are for numbers"),
        ({"args": {"a": {"type": "integer", "max_length": 1}}}, "lengths and patterns are for strings"),
        ({"args": {"a": {"type": "string", "pattern": "("}}}, "tool[0] (t).args.a.pattern: missing )"),
        ({"args": {"a": {"type": "string", "required": False}}}, "it stands in the URL, so it is required or has a default"),
        ({"args": {"a": {"type": "array"}}}, "it stands in the URL, so it is a single value"),
        ({"args": {"a": {"type": "string"}, "key": {"type": "string"}}}, "'key' cannot be an argument's name"),
        ({"body": {"x": "{b}"}}, "{b} stands in the query or the body, and there is no such argument"),
        ({"method": "GET", "body": {"x": "{a}"}}, ".body: a GET has none"),
        ({"body": {"x": "${secret:A}"}}, ".body: secrets go into headers or the query"),
        ({"form": True, "body": ["{a}"]}, ".body: a form has names and values"),
        ({"query": {"q": "{a}"}, "url": "https://x.example/{a}?b=1"}, "the URL has a query already"),
        ({"headers": {"Host": "x"}}, "tool[0] (t).headers.Host: the header 'Host' cannot be given"),
        ({"headers": {"X": "a\nb"}}, ".headers.X: the value of the header X has characters"),
        ({"headers": {"X": "${secret:lower}"}}, ".headers.X: a secret is written ${secret:NAME}"),
        ({"headers": {"X": "1", "x": "2"}}, "a header stands there twice"),
        ({"key_header": "Content-Length"}, ".key_header: the header 'Content-Length' cannot be given"),
        ({"url": "http://x.example/{a}", "headers": {"X": "${secret:A}"}}, ".url: a secret goes over https only"),
        ({"effect": "idempotent"}, "an idempotent POST needs the key: give key_header"),
        ({"effect": "probeable"}, "probeable needs a probe"),
        ({"effect": "pure", "undo": {"url": "https://x.example/{key}"}}, "a pure tool leaves nothing to undo"),
        ({"undo": {"url": "https://x.example/undo"}}, ".undo.url: it finds the effect by its key"),
        ({"undo": {"url": "https://y.example/{key}"}}, ".undo.url: it goes where the tool goes"),
        ({"undo": {"url": "https://x.example/{a}/{key}"}}, ".undo.url: there is no argument 'a'"),
        ({"undo": {"url": "https://x.example/{key}", "kind": "call"}}, "tool[0].undo.kind (t): 'call' is none of these"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_with_its_place(change: dict[str, Any], says_: str) -> None:
    """At the start, and not at the first call."""
    read(json.dumps({"tool": [GOOD]}), is_json=True)

    with pytest.raises(BadFile) as found:
        read(json.dumps({"tool": [GOOD | change]}), is_json=True)

    assert says_ in str(found.value)


@pytest.mark.parametrize(
    ("name", "text", "says_"),
    [
        ("a.toml", "[[tool]\nname=", "it is no TOML: "),
        ("a.json", "{", "it is no JSON: "),
        ("a.toml", "", "tool: this field is missing"),
        ("a.toml", "tools = []", "there is no field `tools` here (did you mean tool?)"),
        ("a.json", json.dumps({"tool": [GOOD, GOOD]}), "tool[1] (t): version 1 of t stands above, too"),
        ("a.json", json.dumps({"tool": [GOOD | {"headers": {"X": "${secret:NOT_SET}"}}]}), "set SECRET_NOT_SET"),
        ("a.json", json.dumps({"tool": [GOOD | {"args": {"a": {"type": "integer", "default": "x"}}}]}), "Expected `int`"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_the_setting_names_its_file(tmp_path: Path, name: str, text: str | None, says_: str) -> None:
    """In one line, before anything is served."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)

    with pytest.raises(SettingsError) as found:
        installation.check(load({"INTENTION_MODE": "local", "HTTP_TOOLS": str(path)}), calls=True)

    assert str(found.value).startswith(f"HTTP_TOOLS={path}")
    assert says_ in str(found.value)


def test_two_sources_cannot_give_the_same_tool(tmp_path: Path) -> None:
    """One version of one name is one tool."""
    path = tmp_path / "tools.json"
    path.write_text(json.dumps({"tool": [GOOD | {"name": "buy_bread"}]}))
    environ = {"INTENTION_MODE": "local", "HTTP_TOOLS": str(path), "TOOLS": "tests.tools.own_tools"}

    with pytest.raises(SettingsError, match="buy_bread, version 1, is there twice"):
        installation.check(load(environ), calls=False)


@pytest.mark.parametrize(
    ("path", "found"), [("a", {"b": [1]}), ("a.b.0", 1), ("a.b.1", None), ("a.b.x", None), ("x.y", None), ("a.b.0.c", None)]
)
def test_a_place_in_an_answer_is_found_or_null(path: str, found: Any) -> None:
    """Whatever the answer looks like."""
    assert picked({"a": {"b": [1]}}, path) == found
