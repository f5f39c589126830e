"""Any bytes at all: a clear refusal or a stored message, never a fault of ours."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.qstash_dev import durations, expression, hosts, publish, retry
from services.qstash_dev.faults.board import read
from services.qstash_dev.faults.plan import check
from services.qstash_dev.model import Answer, Message, lane_of
from shared.errors import BadRequest, IntentionError, SettingsError
from tests.services.qstash_dev.support import Broker

pytestmark = pytest.mark.our_server

NOW = 1_700_000_000_000
CALLER = publish.Caller("msg_1", NOW, "127.0.0.1")
OVER_HTTP = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

OPTIONS = (
    "Method Retries Retry-Delay Timeout Delay Not-Before Callback Failure-Callback Callback-Method Callback-Retries "
    "Callback-Callback-Delay Failure-Callback-Callback Deduplication-Id Content-Based-Deduplication Label Flow-Control-Key "
    "Flow-Control-Value Header-Forward Forward-X Forward-Content-Length Queue-Name Cron Schedule-Id Redact-Fields "
    "Workflow-RunId Workflow-Init Workflow-Url Workflow-CallType Feature-Set Anything"
).split()
NEARLY = st.sampled_from(
    "3|-1|5|99999999999|1s|1d10h|9h|0|true|True|GET|get|http://h|https://h:99999/|http://[|a:b|a,b,,|parallelism=1|rate=1"
    "|parallelism=1, rate=2, period=3s|period=8d|parallelism=0|parallelism=|=|1000*retried|1/retried|pow(9,999)|body|header[a]"
    "|* * * * *|wfr_1|step|fromCallback|\u0661|é|\ud7ff|\t".split("|")
)
VALUE = st.one_of(NEARLY, st.text(max_size=40))
NAME = st.one_of(st.sampled_from(OPTIONS).map("Upstash-{}".format), st.text(min_size=1, max_size=20))
HEADERS = st.lists(st.tuples(NAME, VALUE), max_size=8)
DESTINATION = st.one_of(
    st.sampled_from(
        ["http://h", "https://h/a//b?c=d#e", "http://", "http://h:1:2", "http://u:p@h", "group", "api/llm", "ftp://h", ""]
    ),
    st.text(max_size=60),
    st.text(max_size=60).map("http://h/{}".format),
    st.text(max_size=30).map("https://{}".format),
)


# --- the parsers ---


@given(DESTINATION, HEADERS, st.binary(max_size=50))
def test_any_publish_is_a_message_or_a_refusal(destination: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """And a message that was taken can be made again from its own headers, for a retry out of the dead letters."""
    try:
        wanted = publish.parse(destination, headers, body, CALLER)
    except IntentionError as refusal:
        assert refusal.message  # noqa: PT017 - either outcome is fine, and each has its own promise
        assert 400 <= refusal.status < 500 or refusal.status == 501  # noqa: PT017
        return
    assert wanted.message.not_before_ms >= NOW
    assert lane_of(wanted.message).origin
    hosts.route({"other": "http://127.0.0.1:1"}, wanted.message.url)
    publish.parse(wanted.message.url, publish.headers_of(wanted.message), body, CALLER)


@given(st.one_of(NEARLY, st.text(max_size=40), st.from_regex(r"([0-9]{1,14}[smhdx]){1,4}", fullmatch=True)))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """Both grammars."""
    for parse in (durations.parse_ms, durations.parse_go_ms):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0


@given(st.one_of(NEARLY, st.text(max_size=60)), st.integers(0, 10))
def test_any_text_is_an_expression_or_a_bad_one(text: str, retried: int) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(expression.BadExpression):
        assert isinstance(expression.evaluate(text, retried), float)


@given(
    st.dictionaries(st.sampled_from(retry.HINTS), st.lists(st.text(max_size=40), max_size=2)),
    st.integers(0, 999),
    st.integers(0, 5),
)
def test_any_answer_leads_to_a_decision(header: dict[str, list[str]], status: int, retried: int) -> None:
    """A destination may say what it likes; the next try is between now and the day after tomorrow."""
    message = Message(
        message_id="msg_1",
        url="http://h",
        method="GET",
        header=[],
        max_retries=3,
        not_before_ms=0,
        created_at_ms=0,
        caller_ip="",
    )
    decision = retry.decide(message, retried, Answer(status=status, header=header), NOW)
    if isinstance(decision, retry.RetryAt):
        assert NOW <= decision.due_ms <= NOW + 2 * durations.DAY_MS


@given(st.text(max_size=60))
def test_any_host_map_is_read_or_stops_the_start_up(text: str) -> None:
    """With a SettingsError."""
    with contextlib.suppress(SettingsError):
        hosts.parse(text)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.dictionaries(st.sampled_from(["faults", "seed"]), st.text()).map(lambda x: json.dumps(x).encode()),
    )
)
def test_any_plan_of_faults_is_read_or_refused(body: bytes) -> None:
    """With a BadRequest."""
    with contextlib.suppress(BadRequest):
        check(read(body))


# --- the server ---


async def send(broker: Broker, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, Any]:
    """Status and JSON of a POST whose bytes no client would let through."""
    host, _, port = broker.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fixed = [(b"Host", host.encode()), (b"Authorization", b"Bearer " + broker.token.encode()), (b"Connection", b"close")]
    lines = [name + b": " + value for name, value in [*fixed, *headers, (b"Content-Length", str(len(body)).encode())]]
    writer.write(b"\r\n".join([b"POST " + target + b" HTTP/1.1", *lines, b"", b""]) + body)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    with contextlib.suppress(ValueError):
        return int(head.split()[1]), json.loads(content)
    return int(head.split()[1]), content


# What a web server lets through in a request line and in a header; what it refuses itself is not ours.
TARGET = st.binary(max_size=40).map(lambda raw: bytes(byte for byte in raw if byte > 32 and byte not in b"#\x7f"))
FIELD = st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte not in b"\r\n\x00"))
# Nothing is delivered: a name that nobody knows takes a resolver its time.
STAYS = {"Upstash-Delay": "1h"}
OPTION = st.sampled_from([name for name in OPTIONS if name not in {"Delay", "Not-Before"}]).map(
    lambda name: f"Upstash-{name}".encode()
)


@OVER_HTTP
@given(
    target=st.one_of(TARGET, TARGET.map(lambda raw: b"http://127.0.0.1:1/" + raw)),
    headers=st.lists(st.tuples(OPTION, st.one_of(FIELD, NEARLY.map(str.encode))), max_size=4),
    body=st.binary(max_size=50),
)
async def test_any_bytes_published_are_stored_or_refused(
    broker: Broker, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Never a 500, and a refusal says why."""
    later = [(name.encode(), value.encode()) for name, value in STAYS.items()]
    status, answer = await send(broker, b"/v2/publish/" + target, [*later, *headers], body)
    check_answer(status, answer)
    if status in {200, 202} and isinstance(answer, dict):
        assert (await broker.http.get(f"/v2/messages/{answer['messageId']}")).status_code == 200


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), VALUE, NAME),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["destination", "headers", "body", "queue"]), inner)
    ),
    max_leaves=12,
)
ITEM = st.fixed_dictionaries(
    {
        "destination": DESTINATION,
        "headers": st.dictionaries(NAME, VALUE, max_size=4).map(lambda found: {**STAYS, **found, **STAYS}),
    },
    optional={"body": VALUE, "queue": VALUE},
)


@OVER_HTTP
@given(
    body=st.one_of(
        st.binary(max_size=60), JSON.map(json.dumps).map(str.encode), st.lists(ITEM, max_size=4).map(json.dumps).map(str.encode)
    )
)
async def test_any_bytes_as_a_batch_are_stored_or_refused(broker: Broker, body: bytes) -> None:
    """As a whole, or item by item."""
    status, answer = await send(broker, b"/v2/batch", [], body)
    check_answer(status, answer)
    for one in answer if status == 200 else []:
        for each in one if isinstance(one, list) else [one]:
            assert each.get("messageId") or each.get("error") or each.get("workflowRunId"), each


def check_answer(status: int, answer: Any) -> None:
    """Done, refused with a text, or not built and said so."""
    assert status in {200, 201, 202} or 400 <= status < 500 or status == 501, answer
    if status >= 400 and isinstance(answer, dict):
        assert answer["error"]


@pytest.mark.parametrize(
    "body", [b'[{"destination":"http://h","body":"\\ud800"}]', b"[" * 5_000, b'[{"headers":{"\\ud800":"x"}}]']
)
async def test_json_that_breaks_parsers_does_not_break_this_one(broker: Broker, body: bytes) -> None:
    """Lone surrogates and deep nesting."""
    status, answer = await send(broker, b"/v2/batch", [], body)
    check_answer(status, answer)
