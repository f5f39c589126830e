"""One attempt's answer turned into everything that is to be stored: log entries, dead letter, callbacks. Pure.

Callbacks (docs: callbacks): after every attempt, and once more to the failure callback when the message has failed. They are
messages of their own, with the retries of the original unless configured otherwise.
"""

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from services.qstash_dev import publish, retry
from services.qstash_dev.headers import Pairs, grouped
from services.qstash_dev.model import Answer, Publish, State, origins, with_facts
from services.qstash_dev.store import Claimed, Finish
from services.qstash_dev.workflow.refs import run_facts

LOGGED_BODY = 1_024
"""Bytes of an answer's body that the event log keeps; the dead letter and the callbacks have all of it."""


def conclude(
    claimed: Claimed, answer: Answer, *, now_ms: int, dlq_id: str, new_id: Callable[[], str]
) -> tuple[retry.Decision, Finish]:
    """The decision about an attempt, and its record. `dlq_id` is used only if the message has failed."""
    message, retried = claimed.message, claimed.retried
    decision = retry.decide(message, retried, answer, now_ms)
    failed = isinstance(decision, retry.Failed)
    finish = Finish(
        message_id=message.message_id,
        retried=retried,
        verdict=_verdict(decision),
        events=_events(decision, answer),
        due_ms=decision.due_ms if isinstance(decision, retry.RetryAt) else 0,
        dlq_id=dlq_id if failed else "",
        answer=answer,
        caused=_caused(claimed, answer, now_ms, dlq_id if failed else "", new_id),
    )
    return decision, finish


def _verdict(decision: retry.Decision) -> State:
    match decision:
        case retry.Delivered():
            return State.DELIVERED
        case retry.RetryAt():
            return State.RETRY
        case retry.Failed():
            return State.FAILED


def _events(decision: retry.Decision, answer: Answer) -> list[tuple[State, dict[str, Any]]]:
    facts: dict[str, Any] = {"responseStatus": answer.status, "responseHeader": answer.header}
    if answer.body:
        facts["responseBody"] = b64(answer.body[:LOGGED_BODY])
    match decision:
        case retry.Delivered():
            return [(State.DELIVERED, facts)]
        case retry.RetryAt(due_ms):
            error = facts | {"error": _reason(answer)}
            return [(State.ERROR, error), (State.RETRY, {"nextDeliveryTime": due_ms, "error": error["error"]})]
        case retry.Failed():
            return [(State.ERROR, facts | {"error": _reason(answer)}), (State.FAILED, facts | {"error": _reason(answer)})]


def _reason(answer: Answer) -> str:
    return answer.error or f"the destination answered with status {answer.status}"


def _caused(claimed: Claimed, answer: Answer, now_ms: int, dlq_id: str, new_id: Callable[[], str]) -> list[Publish]:
    message = claimed.message
    caused = []
    if message.callback:
        caused.append((message.callback, message.callback_header, callback_body(claimed, answer)))
    if message.failure_callback and dlq_id:
        body = callback_body(claimed, answer) | {"dlqId": dlq_id}
        caused.append((message.failure_callback, message.failure_callback_header, body))
    found = [
        publish.parse(
            url,
            _with_content_type(config),
            msgspec.json.encode(body),
            publish.Caller(new_id(), now_ms, message.caller_ip, message.max_retries),
        )
        for url, config, body in caused
    ]
    behind = message.queue or message.behind
    return [with_facts(one, behind=behind) for one in found] if behind else found


def _with_content_type(config: Pairs) -> Pairs:
    return [("Content-Type", "application/json"), *config]


def callback_body(claimed: Claimed, answer: Answer) -> dict[str, Any]:
    """The documented body of a callback. `status` is 0 when the destination did not answer."""
    message = claimed.message
    return {
        "status": answer.status,
        "header": answer.header,
        "body": b64(answer.body),
        "retried": claimed.retried,
        "maxRetries": message.max_retries,
        "sourceMessageId": message.message_id,
        "url": message.url,
        "method": message.method,
        "sourceHeader": grouped(message.header),
        "sourceBody": b64(claimed.body),
        "notBefore": message.not_before_ms,
        "createdAt": message.created_at_ms,
        "callerIP": message.caller_ip,
        **origins(message),
        **run_facts(message),
    }


def b64(data: bytes) -> str:
    """Standard base64, as every body in an answer is written."""
    return base64.b64encode(data).decode()
