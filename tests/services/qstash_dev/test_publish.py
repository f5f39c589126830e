"""A publish request as a message: every option, its default and its refusal. No I/O."""

from typing import Any

import pytest

from services.qstash_dev import publish
from services.qstash_dev.errors import NotBuilt
from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import Message, Publish, lane_of
from shared.errors import BadRequest

NOW = 1_700_000_000_000
CALLER = publish.Caller("msg_1", NOW, "10.0.0.1")
URL = "http://127.0.0.1:9/x"


def parse(*pairs: tuple[str, str], url: str = URL, body: bytes = b"") -> Publish:
    """The message of these headers."""
    return publish.parse(url, list(pairs), body, CALLER)


def message(*pairs: tuple[str, str]) -> Message:
    """The message alone."""
    return parse(*pairs).message


def test_the_defaults() -> None:
    """POST, three retries, now, and nothing else."""
    assert message() == Message(
        message_id="msg_1",
        url=URL,
        method="POST",
        header=[],
        max_retries=3,
        not_before_ms=NOW,
        created_at_ms=NOW,
        caller_ip="10.0.0.1",
    )


@pytest.mark.parametrize(
    ("header", "value", "field", "wanted"),
    [
        ("Upstash-Method", "get", "method", "GET"),
        ("uPsTaSh-ReTrIeS", "0", "max_retries", 0),
        ("Upstash-Retries", "5", "max_retries", 5),
        ("Upstash-Delay", "1m", "not_before_ms", NOW + 60_000),
        ("Upstash-Not-Before", "1700000100", "not_before_ms", NOW + 100_000),
        ("Upstash-Not-Before", "1", "not_before_ms", NOW),
        ("Upstash-Retry-Delay", "1000 * retried", "retry_delay", "1000 * retried"),
        ("Upstash-Timeout", "30", "timeout_ms", 30_000),
        ("Upstash-Timeout", "9h", "timeout_ms", publish.MAX_TIMEOUT_MS),
        ("Upstash-Callback", "https://h/c", "callback", "https://h/c"),
        ("Upstash-Failure-Callback", "https://h/f", "failure_callback", "https://h/f"),
        ("Upstash-Label", " a , b,,", "labels", ["a", "b"]),
        ("Upstash-Forward-x-y", "v", "header", [("X-Y", "v")]),
        ("Content-Type", "text/plain", "header", [("Content-Type", "text/plain")]),
        ("Upstash-Callback-Retries", "1", "callback_header", [("Upstash-Retries", "1")]),
        ("Upstash-Failure-Callback-Forward-A", "1", "failure_callback_header", [("Upstash-Forward-A", "1")]),
        ("Upstash-Telemetry-Sdk", "x", "header", []),
        ("Authorization", "Bearer x", "header", []),
    ],
)
def test_an_option_sets_its_field(header: str, value: str, field: str, wanted: Any) -> None:
    """In any casing of the name; what is not ours and has no prefix is not delivered."""
    assert getattr(message((header, value)), field) == wanted


@pytest.mark.parametrize(
    ("header", "value", "error"),
    [
        ("Upstash-Method", "TRACE", "Upstash-Method"),
        ("Upstash-Retries", "6", "quota maxRetries exceeded"),
        ("Upstash-Retries", "-1", "Upstash-Retries"),
        ("Upstash-Retries", "many", "Upstash-Retries"),
        ("Upstash-Delay", "soon", "Upstash-Delay"),
        ("Upstash-Delay", "366d", "quota maxDelay exceeded"),
        ("Upstash-Not-Before", "tomorrow", "Upstash-Not-Before"),
        ("Upstash-Retry-Delay", "os.system(1)", "Upstash-Retry-Delay"),
        ("Upstash-Retry-Delay", "1 / (retried - 4)", "Upstash-Retry-Delay"),
        ("Upstash-Timeout", "1y", "Upstash-Timeout"),
        ("Upstash-Callback", "h/c", "Upstash-Callback"),
        ("Upstash-Callback-Delay", "1s", "delayed callbacks"),
        ("Upstash-Failure-Callback-Not-Before", "1", "delayed callbacks"),
        ("Upstash-Deduplication-Id", "a:b", "DeduplicationId cannot contain ':'"),
        ("Upstash-Forward-a b", "v", "character"),
        ("Upstash-Forward-A", "v\nEvil: 1", "character"),
        ("Upstash-Flow-Control-Key", "k", "flow control"),
        ("Upstash-Flow-Control-Value", "parallelism=1", "flow control"),
    ],
)
def test_a_wrong_option_names_itself(header: str, value: str, error: str) -> None:
    """400, and nothing is stored."""
    with pytest.raises(BadRequest, match=error):
        parse((header, value))


def test_the_configuration_of_a_callback_is_checked_when_it_is_given() -> None:
    """Not when it is due, when nobody is there to hear of it; also where it nests."""
    for name in ("Upstash-Callback-Retries", "Upstash-Callback-Failure-Callback-Retries"):
        pairs = [("Upstash-Callback", URL), ("Upstash-Callback-Failure-Callback", URL), (name, "99")]
        with pytest.raises(BadRequest, match="quota maxRetries exceeded"):
            parse(*pairs)


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///x", "https://h:99999/", "http://h/a b", "http://h/\n", "http://[::1/", "ftp://h", "//h/x", "h/x", ""],
)
def test_a_wrong_destination_is_refused(url: str) -> None:
    """In QStash's words, which start so."""
    with pytest.raises(BadRequest, match="invalid destination url"):
        parse(url=url)


@pytest.mark.parametrize("url", ["api/llm", "llm/v1/chat/completions"])
def test_a_destination_of_another_kind_is_not_built(url: str) -> None:
    """501 rather than a misleading 400."""
    with pytest.raises(NotBuilt):
        parse(url=url)


@pytest.mark.parametrize("url", ["http://h//a//b", "https://user:pw@h:1/%2F?q=1&q=2", "http://[::1]:80/", "http://h/é"])
def test_a_destination_is_kept_as_it_is(url: str) -> None:
    """It is what the signature will be about."""
    assert parse(url=url).message.url == url


def test_flow_control_is_read_in_any_order_and_spacing() -> None:
    """The period has a default of one second."""
    key = ("Upstash-Flow-Control-Key", "k")
    for value, period in [("parallelism=3", 1), (" period = 2m ,parallelism=3", 120), ("parallelism=3,period=2", 2)]:
        found = message(key, ("Upstash-Flow-Control-Value", value))
        assert (found.flow_key, found.parallelism, found.period_s) == ("k", 3, period)
        assert lane_of(found).parallelism == 3


def test_everything_is_forwarded_when_asked() -> None:
    """Without prefix, but never the token, the hop's own headers or our options."""
    found = message(
        ("Upstash-Header-Forward", "true"),
        ("X-A", "1"),
        ("Authorization", "Bearer t"),
        ("Host", "h"),
        ("Content-Length", "3"),
        ("Upstash-Retries", "1"),
        ("Content-Type", "a/b"),
    )
    assert found.header == [("X-A", "1"), ("Content-Type", "a/b")]


def test_a_repeated_forwarded_header_keeps_all_its_values() -> None:
    """In their order."""
    assert message(("Upstash-Forward-A", "1"), ("upstash-forward-a", "2")).header == [("A", "1"), ("A", "2")]


def test_content_deduplication_depends_on_what_is_delivered() -> None:
    """Destination, body, content type and forwarded headers; not on retries or labels. An own id wins."""
    on = ("Upstash-Content-Based-Deduplication", "True")
    same = parse(on, ("Upstash-Label", "x")).dedup
    assert same == parse(on).dedup != ""
    others = [
        parse(on, url=URL + "y"),
        parse(on, body=b"x"),
        parse(on, ("Content-Type", "a/b")),
        parse(on, ("Upstash-Forward-A", "1")),
    ]
    assert len({same, *(one.dedup for one in others)}) == 5
    assert parse(on, ("Upstash-Deduplication-Id", "job")).dedup == "i:job"
    assert parse(("Upstash-Content-Based-Deduplication", "false")).dedup == ""


def test_a_message_can_be_said_again() -> None:
    """`headers_of` is the inverse of `parse`, which a retry from the dead-letter queue relies on."""
    pairs: Pairs = [
        ("Upstash-Method", "PUT"),
        ("Content-Type", "a/b"),
        ("Upstash-Forward-A", "1"),
        ("Upstash-Forward-A", "2"),
        ("Upstash-Retries", "4"),
        ("Upstash-Retry-Delay", "7"),
        ("Upstash-Timeout", "9s"),
        ("Upstash-Callback", URL),
        ("Upstash-Callback-Forward-B", "1"),
        ("Upstash-Failure-Callback", URL),
        ("Upstash-Failure-Callback-Retries", "1"),
        ("Upstash-Label", "a,b"),
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "parallelism=2,period=3s"),
    ]
    first = message(*pairs)
    assert publish.parse(URL, publish.headers_of(first), b"", CALLER).message == first
