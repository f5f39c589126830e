"""What an answer means: a table of (answer, retries so far) -> decision, and the record that is made of it. No I/O."""

import base64
import json

import pytest

from services.qstash_dev import retry
from services.qstash_dev.model import Answer, Message, State
from services.qstash_dev.outcome import conclude
from services.qstash_dev.retry import Delivered, Failed, RetryAt
from services.qstash_dev.store import Claimed

NOW = 1_700_000_000_000


def message(*, retries: int = 3, retry_delay: str = "", callback: str = "", failure_callback: str = "") -> Message:
    """A message with these settings."""
    return Message(
        message_id="msg_1",
        url="http://h/x",
        method="POST",
        header=[],
        max_retries=retries,
        not_before_ms=NOW,
        created_at_ms=NOW,
        caller_ip="",
        retry_delay=retry_delay,
        callback=callback,
        failure_callback=failure_callback,
    )


def answer(status: int, **header: str) -> Answer:
    """An answer with these headers."""
    return Answer(status=status, header={name.replace("_", "-"): [value] for name, value in header.items()})


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    """Whatever else the answer says."""
    assert retry.decide(message(), 0, answer(status, Retry_After="9"), NOW) == Delivered()


@pytest.mark.parametrize("status", [0, 100, 301, 400, 404, 429, 489, 500, 503])
def test_anything_else_is_tried_again_until_retries_are_used(status: int) -> None:
    """Retries are extra attempts: three of them fail only after the fourth."""
    kinds = [type(retry.decide(message(), retried, answer(status), NOW)) for retried in range(4)]
    assert kinds == [RetryAt, RetryAt, RetryAt, Failed]


@pytest.mark.parametrize(("value", "kind"), [("true", Failed), ("True", Failed), ("false", RetryAt)])
def test_only_489_with_a_true_flag_is_final(value: str, kind: type) -> None:
    """The flag on another status means nothing."""
    assert type(retry.decide(message(), 0, answer(489, Upstash_Nonretryable_Error=value), NOW)) is kind
    assert type(retry.decide(message(), 0, answer(500, Upstash_Nonretryable_Error=value), NOW)) is RetryAt


def test_the_ladder_is_the_documented_one() -> None:
    """12 s, 2m28s, 30m8s, 6h7m6s, then a day, however often."""
    seconds = [round(retry.ladder_ms(n) / 1_000) for n in (1, 2, 3, 4, 5, 6, 500)]
    assert seconds == [12, 148, 1_808, 22_026, 86_400, 86_400, 86_400]


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        pytest.param({"Retry_After": "7"}, 7_000, id="retry-after"),
        pytest.param({"X_Ratelimit_Reset": "2s"}, 2_000, id="reset"),
        pytest.param({"X_Ratelimit_Reset_Requests": "1m"}, 60_000, id="reset-requests"),
        pytest.param({"X_Ratelimit_Reset_Tokens": "6m5s"}, 365_000, id="reset-tokens"),
        pytest.param({"Retry_After": "1", "X_Ratelimit_Reset": "9"}, 1_000, id="retry-after-first"),
        pytest.param({"Retry_After": "soon", "X_Ratelimit_Reset": "9"}, 9_000, id="unreadable-is-skipped"),
        pytest.param({"Retry_After": "86401"}, 500, id="above-a-day-is-no-hint"),
        pytest.param({"X_Ratelimit_Reset": "1700000060"}, 500, id="absolute-seconds-are-no-hint"),
        pytest.param({}, 500, id="none"),
    ],
)
def test_a_hint_beats_the_expression(header: dict[str, str], wait_ms: int) -> None:
    """The expression here says 500 ms."""
    decision = retry.decide(message(retry_delay="500"), 0, answer(429, **header), NOW)
    assert decision == RetryAt(NOW + wait_ms)


@pytest.mark.parametrize(("text", "wait_ms"), [("1000 * pow(2, retried)", 4_000), ("0 - 5", 0), ("1e12", 86_400_000)])
def test_the_expression_beats_the_ladder_within_a_day(text: str, wait_ms: int) -> None:
    """`retried` is 2 here; a negative time is now, more than a day is a day."""
    assert retry.decide(message(retry_delay=text), 2, answer(500), NOW) == RetryAt(NOW + wait_ms)


def test_the_record_of_a_failure_has_everything_in_one_piece() -> None:
    """Log entries, dead letter, callback and failure callback are stored together."""
    told = message(retries=0, callback="http://h/c", failure_callback="http://h/f")
    new = iter(["msg_c", "msg_f"])
    heard = Answer(status=500, header={"A": ["b"]}, body=b"no")
    decision, finish = conclude(Claimed(told, b"in", 0), heard, now_ms=NOW, dlq_id="7-1", new_id=lambda: next(new))
    assert decision == Failed()
    assert (finish.verdict, finish.dlq_id, finish.answer) == (State.FAILED, "7-1", heard)
    assert [state for state, _ in finish.events] == [State.ERROR, State.FAILED]
    assert [(one.message.message_id, one.message.url, one.message.max_retries) for one in finish.caused] == [
        ("msg_c", "http://h/c", 0),
        ("msg_f", "http://h/f", 0),
    ]
    callback, failure = (json.loads(one.body) for one in finish.caused)
    assert failure == callback | {"dlqId": "7-1"}
    assert base64.b64decode(failure["body"]) == b"no"
    assert "dlqId" not in callback


def test_the_record_of_a_retry_has_no_dead_letter_and_no_failure_callback() -> None:
    """Only the callback, which follows every attempt."""
    told = message(retry_delay="5", callback="http://h/c", failure_callback="http://h/f")
    _, finish = conclude(Claimed(told, b"", 0), Answer(status=0, error="gone"), now_ms=NOW, dlq_id="7-1", new_id=lambda: "m")
    assert (finish.verdict, finish.due_ms, finish.dlq_id) == (State.RETRY, NOW + 5, "")
    assert [one.message.url for one in finish.caused] == ["http://h/c"]
    assert finish.events[0][1]["error"] == "gone"
    assert finish.events[1][1]["nextDeliveryTime"] == NOW + 5
