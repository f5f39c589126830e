"""The filters of the list endpoints: OR inside one (repeated or comma separated), AND between them. Pure.

An unknown name is refused: a filter with a typo would otherwise match everything, also in a DELETE.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from services.qstash_dev.model import Message, State
from shared.errors import BadRequest

MESSAGE_FILTERS = frozenset(
    (
        "messageId",
        "messageIds",
        "url",
        "host",
        "path",
        "label",
        "flowControlKey",
        "callerIp",
        "callerIP",
        "fromDate",
        "toDate",
        "topicName",
        "queueName",
        "scheduleId",
    )
)
PAGING = frozenset(("count", "cursor", "order"))
IN_PROGRESS = frozenset((State.ACTIVE, State.RETRY, State.ERROR))


class Filter(NamedTuple):
    """Checked filters and paging of one request."""

    values: Mapping[str, frozenset[str]]
    limit: int
    cursor: str
    newest_first: bool

    def has(self, *names: str) -> bool:
        """Whether any of these filters was given."""
        return any(name in self.values for name in names)


def read(
    pairs: Iterable[tuple[str, str]],
    *,
    allowed: frozenset[str],
    max_count: int,
    newest_first: bool = False,
    default_count: int | None = None,
) -> Filter:
    """The filter these parameters are; BadRequest names an unknown parameter or a wrong value."""
    values: dict[str, set[str]] = {}
    for raw, value in pairs:
        name = raw.removesuffix("[]")
        if name == "qstash_token":
            continue
        if name not in allowed and name not in PAGING:
            raise BadRequest(f"unknown filter {name!r}")
        split = [value] if name in {"url", "path", "cursor"} else value.split(",")
        values.setdefault(name, set()).update(part for part in split if part)
    count = _number(values.pop("count", {str(default_count or max_count)}), "count")
    order = next(iter(values.pop("order", set())), "latestFirst" if newest_first else "earliestFirst")
    if order not in {"latestFirst", "earliestFirst"}:
        raise BadRequest(f"order is latestFirst or earliestFirst, not {order!r}")
    cursor = next(iter(values.pop("cursor", set())), "")
    if cursor and not re.fullmatch(r"[0-9]{1,18}-[0-9]{1,18}", cursor):
        raise BadRequest(f"the cursor {cursor!r} is not one of ours")
    for name in ("fromDate", "toDate"):
        if name in values:
            _number(values[name], name)
    checked = {name: frozenset(found) for name, found in values.items() if found}
    return Filter(checked, max(1, min(count, max_count)), cursor, order == "latestFirst")


def _number(values: Iterable[str], name: str) -> int:
    text = next(iter(values), "")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadRequest(f"{name} is not a whole number: {text!r}")
    return int(text)


def matches(chosen: Filter, message: Message, at_ms: int) -> bool:
    """Whether a message of this time (unix ms) passes every filter that concerns messages."""
    parts = urlsplit(message.url)
    facts: dict[str, set[str]] = {
        "messageId": {message.message_id},
        "messageIds": {message.message_id},
        "url": {message.url},
        "host": {parts.netloc, parts.hostname or ""},
        "path": {parts.path},
        "label": set(message.labels),
        "flowControlKey": {message.flow_key},
        "callerIp": {message.caller_ip},
        "callerIP": {message.caller_ip},
        "topicName": {message.group},
        "queueName": {message.queue},
        "scheduleId": {message.schedule_id},
    }
    if any(name in facts and not (wanted & facts[name]) for name, wanted in chosen.values.items()):
        return False
    return between(chosen, at_ms)


def between(chosen: Filter, at_ms: int) -> bool:
    """Whether the time is inside fromDate and toDate, both inclusive."""
    after = "fromDate" not in chosen.values or at_ms >= _number(chosen.values["fromDate"], "fromDate")
    before = "toDate" not in chosen.values or at_ms <= _number(chosen.values["toDate"], "toDate")
    return after and before


def state_matches(chosen: Filter, state: State) -> bool:
    """Whether the `state` filter lets it pass. CANCELLED (docs) is CANCELED (SDKs); IN_PROGRESS stands for three."""
    wanted = chosen.values.get("state")
    if not wanted:
        return True
    if "IN_PROGRESS" in wanted and state in IN_PROGRESS:
        return True
    return state in wanted or (state is State.CANCELED and "CANCELLED" in wanted)


def check_states(chosen: Filter) -> None:
    """BadRequest for a state that does not exist."""
    known = {*State, "IN_PROGRESS", "CANCELLED"}
    for state in chosen.values.get("state", ()):
        if state not in known:
            raise BadRequest(f"unknown state {state!r}: one of {', '.join(sorted(known))}")
