"""What clients see: messages, log entries and dead letters in QStash's own field names (reference 2.1, 2.6, 2.7). Pure."""

from typing import Any

from services.qstash_dev import redaction
from services.qstash_dev.headers import Pairs, grouped
from services.qstash_dev.model import Message, origins
from services.qstash_dev.outcome import b64
from services.qstash_dev.store import DeadLetter, Event
from services.qstash_dev.workflow.refs import run_facts


def message(one: Message, body: bytes) -> dict[str, Any]:
    """A message. Optional fields are absent, never null or empty: the SDKs' suites check that."""
    return {**_facts(one), **_body("body", redaction.body(one, body)), **_optional({"retryDelayExpression": one.retry_delay})}


def dead_letter(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter: the message, its id in the queue, and the last answer."""
    answer = letter.answer
    return {
        **message(letter.message, letter.body),
        "dlqId": letter.dlq_id,
        "responseStatus": answer.status,
        "responseHeader": answer.header,
        **_body("responseBody", answer.body),
    }


def event(entry: Event, *, trim: bool) -> dict[str, Any]:
    """A log entry. The expression goes by both of its names: the docs have one, the Python SDK reads the other."""
    one = entry.message
    facts = _facts(one)
    facts |= _optional({"timeout": one.timeout_ms, "body": "" if trim else b64(redaction.body(one, entry.body))})
    facts |= _optional({"retryDelayExpr": one.retry_delay, "retryDelayExpression": one.retry_delay})
    for name in ("callbackHeader", "failureCallbackHeader"):
        if name in facts:
            facts[name + "s"] = facts[name]
    if trim:
        entry.more.pop("responseBody", None)
    return {"time": entry.time_ms, "state": entry.state, **facts, **entry.more}


def _facts(one: Message) -> dict[str, Any]:
    facts = {
        "messageId": one.message_id,
        "url": one.url,
        "method": one.method,
        "header": grouped(redaction.header(one)),
        "maxRetries": one.max_retries,
        "notBefore": one.not_before_ms,
        "createdAt": one.created_at_ms,
        "callerIP": one.caller_ip,
        **run_facts(one),
    }
    facts |= _optional(
        {
            "callback": one.callback,
            "failureCallback": one.failure_callback,
            "callbackHeader": _forwarded(one.callback_header),
            "failureCallbackHeader": _forwarded(one.failure_callback_header),
            "label": one.labels[0] if one.labels else "",
            "labels": one.labels,
            "queueName": one.queue,
            **origins(one),
        }
    )
    if one.flow_key:  # the period even when only the parallelism was given
        facts |= {"flowControlKey": one.flow_key, "period": one.period_s}
        facts |= _optional({"parallelism": one.parallelism, "rate": one.rate})
    return facts


def _forwarded(config: Pairs) -> dict[str, list[str]]:
    prefix = "Upstash-Forward-"
    return grouped((name.removeprefix(prefix), value) for name, value in config if name.startswith(prefix))


def _optional(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _body(name: str, body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {name + "Base64": b64(body)}
