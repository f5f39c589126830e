"""Parameters of the API that many routes share, and what they may be."""

from typing import Any

from services.qstash_dev.model import State

STRING: dict[str, Any] = {"type": "string"}
TIME = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "description": "unix ms"}


def _text(description: str) -> dict[str, Any]:
    return {**STRING, "description": description}


PLACES = {
    "destination": _text("an http(s) URL, or the name of a URL group") | {"examples": ["http://127.0.0.1:3000/in"]},
    "url": _text("the URL of a workflow") | {"examples": ["http://127.0.0.1:3000/flow"]},
    "name": _text("the name of a queue or a URL group, the id of a schedule; after POST /v2/schedules/ a destination"),
    "queue": _text("the name of a queue, made when it is missing"),
    "key": _text("a flow-control key"),
    "message_id": _text("a message's id"),
    "dlq_id": _text("a dead letter's id"),
    "run_id": _text("a workflow run's id"),
    "event": _text("an event's id"),
    "user_id": _text("whose run it is"),
    "rest": STRING,
}
"""What stands in paths."""

QUERY: dict[str, dict[str, Any]] = {
    "count": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "description": "at most so many"},
    "cursor": _text("of the page before") | {"pattern": "^([0-9]{1,18}-[0-9]{1,18})?$"},
    "order": {"enum": ["earliestFirst", "latestFirst"]},
    "fromDate": TIME,
    "toDate": TIME,
    "state": _text(f"one of {', '.join(State)}, IN_PROGRESS, or several with commas"),
    "groupBy": _text("workflowRunId, for runs only"),
}
"""Query parameters that are more than text; the rest are filters, several values with commas."""

HEADERS = {
    "Upstash-Method": _text("GET, POST, PUT, PATCH or DELETE"),
    "Upstash-Delay": _text("`10s`, `1d2h`"),
    "Upstash-Not-Before": _text("unix seconds"),
    "Upstash-Retries": _text("at most 5"),
    "Upstash-Retry-Delay": _text("an expression in ms: `1000 * (1 + retried)`"),
    "Upstash-Timeout": _text("`30s`"),
    "Upstash-Callback": _text("a URL"),
    "Upstash-Failure-Callback": _text("a URL"),
    "Upstash-Deduplication-Id": _text("without `:`"),
    "Upstash-Content-Based-Deduplication": _text("`true`"),
    "Upstash-Header-Forward": _text("`true`: the headers of this request go along"),
    "Upstash-Label": _text("several with commas"),
    "Upstash-Flow-Control-Key": _text("whose limits hold"),
    "Upstash-Flow-Control-Value": _text("`parallelism=3, rate=4, period=2s`"),
    "Upstash-Queue-Name": _text("the queue that it joins"),
    "Upstash-Redact-Fields": _text("`body,header[Authorization]`"),
    "Upstash-Workflow-Runid": _text("of which run it is a message"),
    "Upstash-Workflow-Init": _text("`true`: the run begins"),
    "Upstash-Workflow-Url": _text("the run's endpoint"),
    "Upstash-Workflow-Calltype": _text("what it is to its run"),
    "Upstash-Workflow-Invoke": _text("`true`: another run waits for this one"),
    "Upstash-Cron": _text("five fields, `CRON_TZ=Area/City ` before them if need be"),
    "Upstash-Schedule-Id": _text("the same id again replaces the schedule"),
}
"""Every option that is read anywhere (a test looks); forwarded headers and those of callbacks are named by their sender."""

OF_SCHEDULES = frozenset(("Upstash-Cron", "Upstash-Schedule-Id"))
OPTIONS = tuple(name for name in HEADERS if name not in OF_SCHEDULES)
