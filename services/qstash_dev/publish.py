"""A publish request as a message: every option header read and checked. Pure; BadRequest and NotBuilt name what is wrong.

Option names and formats: reference, publish headers. Each may also be a lower-case query parameter; the header wins.
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from services.qstash_dev import durations, expression, flow_control, redaction
from services.qstash_dev.durations import DAY_MS
from services.qstash_dev.errors import NotBuilt
from services.qstash_dev.headers import HOP_BY_HOP, OWN, Pairs, canonical, usable
from services.qstash_dev.model import Message, Publish
from services.qstash_dev.workflow.refs import run_of
from shared.errors import BadRequest

DEFAULT_RETRIES = 3
MAX_RETRIES = 5
MAX_DELAY_MS = 365 * DAY_MS
MAX_TIMEOUT_MS = 2 * durations.HOUR_MS
METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE"))
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
NAME = re.compile(r"[A-Za-z0-9_.-]+")

FORWARD = "upstash-forward-"
CALLBACK = "upstash-callback-"
FAILURE_CALLBACK = "upstash-failure-callback-"

ELSEWHERE = {"upstash-cron": "/v2/schedules", "upstash-schedule-id": "/v2/schedules"}


class Caller(NamedTuple):
    """What is known of a publish besides its words. Time in unix ms."""

    message_id: str
    now_ms: int
    ip: str
    default_retries: int = DEFAULT_RETRIES


class Options(NamedTuple):
    """Headers sorted by what they are for; option names in lower case."""

    single: dict[str, str]
    forward: Pairs
    callback: Pairs
    failure_callback: Pairs


def parse(destination: str, given: Pairs, body: bytes, caller: Caller) -> Publish:
    """The message this request asks for."""
    check_destination(destination)
    options = sort(given)
    single = options.single
    limits, redacted = flow_control.parse(single), redaction.parse(single.get("upstash-redact-fields", ""))
    message = Message(
        message_id=caller.message_id,
        url=destination,
        method=_method(single),
        header=options.forward,
        max_retries=_retries(single, caller.default_retries),
        not_before_ms=_not_before_ms(single, caller.now_ms),
        created_at_ms=caller.now_ms,
        caller_ip=caller.ip,
        retry_delay=_retry_delay(single),
        timeout_ms=_timeout_ms(single),
        callback=single.get("upstash-callback", ""),
        failure_callback=single.get("upstash-failure-callback", ""),
        callback_header=options.callback,
        failure_callback_header=options.failure_callback,
        labels=[label for label in map(str.strip, single.get("upstash-label", "").split(",")) if label],
        flow_key=limits.key,
        parallelism=limits.parallelism,
        rate=limits.rate,
        period_s=limits.period_s,
        queue=check_name(single.get("upstash-queue-name", ""), "queue"),
        redacted=redacted,
        body_hash=hashlib.sha256(body).hexdigest() if "body" in redacted else "",
        run=run_of(single, destination),
    )
    _check_callbacks(message, caller)
    return Publish(message=message, body=body, dedup=_dedup(single, message, body))


def check_destination(destination: str) -> None:
    """BadRequest for what is no http(s) URL, NotBuilt for what would be a hosted model."""
    if destination.startswith(("http://", "https://")):
        _check_url(destination, "destination")
    elif destination.startswith(("api/llm", "llm/")):
        raise NotBuilt("hosted LLM destinations are not built in this server")
    else:
        raise BadRequest("invalid destination url: endpoint has invalid scheme, add http:// or https://")


def check_name(name: str, what: str) -> str:
    """The name of a queue, a URL group or a schedule as it is; BadRequest for one that may not be. Empty means none."""
    if name and not NAME.fullmatch(name):
        raise BadRequest(f"invalid {what} name {name!r}: letters, digits, hyphens, underscores and dots are allowed")
    return name


def sort(given: Pairs) -> Options:
    """Every header to its place. BadRequest for one that could not be sent on."""
    options = Options({}, [], [], [])
    forward_all = any(name.lower() == "upstash-header-forward" and _true(value) for name, value in given)
    for name, value in given:
        if not usable(name, value):
            raise BadRequest(f"header {name!r} has a character that no header may have")
        _place(options, name.lower(), value, forward_all=forward_all)
    for name, path in ELSEWHERE.items():
        if name in options.single:
            raise BadRequest(f"{canonical(name)} belongs to {path}, not to a single message")
    return options


def _place(options: Options, name: str, value: str, *, forward_all: bool) -> None:
    if name.startswith(FORWARD):
        _forward(options.forward, name.removeprefix(FORWARD), value)
    elif name.startswith(CALLBACK):
        options.callback.append((_config_name(name, CALLBACK), value))
    elif name.startswith(FAILURE_CALLBACK):
        options.failure_callback.append((_config_name(name, FAILURE_CALLBACK), value))
    elif name.startswith("upstash-"):
        options.single.setdefault(name, value.strip())
    elif name == "content-type":
        options.forward.append(("Content-Type", value))
    elif forward_all and name != "authorization":  # that one is the caller's token for this server
        _forward(options.forward, name, value)


def _forward(forward: Pairs, name: str, value: str) -> None:
    """QStash ignores a forwarded Content-Type: the message's own is the delivered one (SDK comment)."""
    if name and name not in HOP_BY_HOP and name not in OWN and name != "content-type":
        forward.append((canonical(name), value))


def _config_name(name: str, prefix: str) -> str:
    return canonical("upstash-" + name.removeprefix(prefix))


def _true(value: str) -> bool:
    return value.strip().lower() in {"true", "1"}  # the Python SDK sends `True`


@lru_cache(maxsize=1_024)
def _check_url(url: str, what: str) -> None:
    """Remembered: messages go to few addresses."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it is what checks it
    except ValueError as error:
        raise BadRequest(f"invalid {what} url: {error}") from error
    if parts.scheme not in {"http", "https"}:
        raise BadRequest(f"invalid {what} url: endpoint has invalid scheme, add http:// or https://")
    if not parts.hostname or _UNPRINTABLE.search(url):
        raise BadRequest(f"invalid {what} url: {url!r} has no host, or a space or control character")


def _method(single: dict[str, str]) -> str:
    method = single.get("upstash-method", "POST").upper()
    if method not in METHODS:
        raise BadRequest(f"invalid Upstash-Method {method!r}: one of {', '.join(sorted(METHODS))}")
    return method


def _retries(single: dict[str, str], default: int) -> int:
    text = single.get("upstash-retries")
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadRequest(f"invalid Upstash-Retries {text!r}: a whole number is needed")
    if int(text) > MAX_RETRIES:
        raise BadRequest("quota maxRetries exceeded")
    return int(text)


def _retry_delay(single: dict[str, str]) -> str:
    text = single.get("upstash-retry-delay", "")
    if text:
        _check_delay(text)
    return text


@lru_cache(maxsize=1_024)
def _check_delay(text: str) -> None:
    """Remembered: a program has one expression for all its messages."""
    try:
        for retried in range(MAX_RETRIES):
            expression.evaluate(text, retried)
    except expression.BadExpression as error:
        raise BadRequest(f"invalid Upstash-Retry-Delay: {error}") from error


def _timeout_ms(single: dict[str, str]) -> int:
    text = single.get("upstash-timeout")
    return min(MAX_TIMEOUT_MS, _duration("Upstash-Timeout", text)) if text else 0


def _not_before_ms(single: dict[str, str], now_ms: int) -> int:
    """The due time in unix ms. Not-Before is in unix seconds, and wins over Delay."""
    if text := single.get("upstash-not-before"):
        if not re.fullmatch(r"[0-9]{1,12}", text):
            raise BadRequest(f"invalid Upstash-Not-Before {text!r}: unix seconds are needed")
        due_ms = max(now_ms, int(text) * 1_000)
    else:
        due_ms = now_ms + _duration("Upstash-Delay", single.get("upstash-delay") or "0s")
    if due_ms - now_ms > MAX_DELAY_MS:
        raise BadRequest("quota maxDelay exceeded")
    return due_ms


def _duration(name: str, text: str) -> int:
    try:
        return durations.parse_ms(text)
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {error}") from error


def _check_callbacks(message: Message, caller: Caller) -> None:
    """The configuration of a callback must be usable as a publish, and is refused now rather than when it is due."""
    for what, url, config in (
        ("Upstash-Callback", message.callback, message.callback_header),
        ("Upstash-Failure-Callback", message.failure_callback, message.failure_callback_header),
    ):
        if url:
            _check_url(url, what)
        if any(name in {"Upstash-Delay", "Upstash-Not-Before"} for name, _ in config):
            raise BadRequest(f"{what}-Delay: delayed callbacks are not supported")
        if url and config:
            _check_callback(url, tuple(config), caller.default_retries)


@lru_cache(maxsize=1_024)
def _check_callback(url: str, config: tuple[tuple[str, str], ...], default_retries: int) -> None:
    """Remembered, as the others: what it asks for does not depend on the message."""
    parse(url, [*config], b"", Caller("", 0, "", default_retries))


def _dedup(single: dict[str, str], message: Message, body: bytes) -> str:
    """The deduplication key: the caller's own, or a hash of destination, body and delivered headers."""
    own = single.get("upstash-deduplication-id", "")
    if ":" in own:
        raise BadRequest("DeduplicationId cannot contain ':'")
    if own:
        return "i:" + own
    if not _true(single.get("upstash-content-based-deduplication", "")):
        return ""
    digest = hashlib.sha256()
    for part in (message.url, *(f"{name}:{value}" for name, value in sorted(message.header))):
        digest.update(len(part).to_bytes(4) + part.encode("utf-8", "surrogatepass"))
    digest.update(body)
    return "c:" + digest.hexdigest()


def headers_of(message: Message) -> Pairs:
    """The publish headers that would make this message again, without its time and its deduplication."""
    pairs: Pairs = [("Upstash-Method", message.method), ("Upstash-Retries", str(message.max_retries))]
    pairs += [(name if name == "Content-Type" else f"Upstash-Forward-{name}", value) for name, value in message.header]
    pairs += [(f"Upstash-Callback-{name.removeprefix('Upstash-')}", value) for name, value in message.callback_header]
    pairs += [
        (f"Upstash-Failure-Callback-{name.removeprefix('Upstash-')}", value) for name, value in message.failure_callback_header
    ]
    if message.timeout_ms:
        pairs.append(("Upstash-Timeout", durations.format_s(message.timeout_ms)))
    if message.flow_key:
        limits = flow_control.Limits(message.flow_key, message.parallelism, message.rate, message.period_s)
        pairs += [("Upstash-Flow-Control-Key", limits.key), (flow_control.HEADER, limits.value)]
    texts = {
        "Upstash-Retry-Delay": message.retry_delay,
        "Upstash-Callback": message.callback,
        "Upstash-Failure-Callback": message.failure_callback,
        "Upstash-Label": ",".join(message.labels),
        "Upstash-Queue-Name": message.queue,
        "Upstash-Redact-Fields": ",".join(message.redacted),
    }
    return [*pairs, *((name, value) for name, value in texts.items() if value)]
