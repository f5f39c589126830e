"""Pages about messages: the overview, the lists by state, one message with its log, and the dead letters."""

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev.deps import deps
from services.qstash_dev.model import State
from services.qstash_dev.page import reads
from services.qstash_dev.page.frame import button, respond, to
from services.qstash_dev.page.guard import Viewer, viewer
from services.qstash_dev.page.html import Html, facts, html, joined, table
from services.qstash_dev.page.inside import ask, is_id
from services.qstash_dev.page.words import ago, body, clock, headers, span, state, status
from services.qstash_dev.store import Event

LINES = {"held": "in flight", "due": "waiting for their time", "parked": "lined up"}
ROWS = 100
FINAL = {State.DELIVERED, State.FAILED, State.CANCELED}


async def overview(request: Request) -> Response:
    """How it stands, and what happened last."""
    who, parts = viewer(request), deps(request)
    count, entries = await reads.counts(parts, who.user.keys), await reads.recent(parts, who.user.keys)
    states = reads.by_state(entries)
    tiles = [
        _tile(who, count.held + count.due, "in flight or due", "/ui/messages", line="held"),
        _tile(who, count.later, "for later", "/ui/messages", line="due"),
        _tile(who, count.parked, "lined up", "/ui/messages", line="parked"),
        _tile(who, states[State.DELIVERED], "delivered recently", "/ui/messages", css="good", state="DELIVERED"),
        _tile(who, count.dead, "dead letters", "/ui/dlq", css="bad" if count.dead else ""),
    ]
    shown = html(
        '<div class="tiles">{tiles}</div><h2>Latest messages</h2>{rows}', tiles=tiles, rows=_rows(request, who, entries[:15])
    )
    return respond(request, who, "Overview", shown)


async def messages(request: Request) -> Response:
    """Recent messages, of one state if asked; or the live ones of one line."""
    who, line, wanted = viewer(request), request.query_params.get("line", ""), request.query_params.get("state", "")
    entries = await reads.recent(deps(request), who.user.keys)
    states = reads.by_state(entries)
    chips = [to(who, "/ui/messages", f"recent {len(entries)}", css="" if line or wanted else "here")]
    chips += [
        to(who, "/ui/messages", f"{name} {n}", state=name, css="here" if name == wanted else "")
        for name, n in states.items()
        if n
    ]
    chips += [to(who, "/ui/messages", text, line=name, css="here" if name == line else "") for name, text in LINES.items()]
    if line in LINES:
        rows = _live(request, who, await reads.live(deps(request), who.user.keys, line), LINES[line])
    else:
        rows = _rows(request, who, [one for one in entries if not wanted or one.state == wanted][:ROWS])
    return respond(request, who, "Messages", html('<div class="chips">{chips}</div>{rows}', chips=chips, rows=rows))


async def message(request: Request) -> Response:
    """One message: what it is, and everything that happened to it."""
    who, message_id = viewer(request), request.path_params["message_id"]
    log = await ask(request, who, "/v2/events", messageId=message_id, order="earliestFirst", count="200")
    entries: list[dict[str, Any]] = log.body["events"] if log.fine and is_id(message_id) else []
    if not entries:
        text = html('<p class="empty">No such message in the log, which keeps three days.</p>')
        return respond(request, who, message_id, text, status=404)
    found = await ask(request, who, f"/v2/messages/{message_id}")
    one = found.body if found.fine else entries[0]
    last = entries[-1]["state"]
    live = last not in FINAL and last != State.CANCEL_REQUESTED
    shown = html(
        "<p>{last} {cancel}</p>{facts}{body}<h2>Log</h2>{log}",
        last=state(last),
        cancel=button(who, f"/ui/messages/{message_id}/cancel", "Cancel", quiet=True) if live else None,
        facts=_facts(deps(request).now_ms(), one),
        body=_body(one, logged=not found.fine),
        log=_log(deps(request).now_ms(), entries),
    )
    return respond(request, who, message_id, shown)


async def dead_letters(request: Request) -> Response:
    """What could not be delivered, newest first, each with its retry."""
    who, now_ms = viewer(request), deps(request).now_ms()
    told = await ask(request, who, "/v2/dlq", order="latestFirst", count=str(ROWS))
    rows = [_dead(who, now_ms, one) for one in told.body["messages"]] if told.fine else []
    heads = ("failed", "message", "destination", "answer", "")
    shown = table(heads, rows, empty=told.error or "Nothing is dead. Messages that fail for good are kept here for a week.")
    more = html("<p class='dim'>the newest {n} of more</p>", n=ROWS) if told.fine and "cursor" in told.body else None
    return respond(request, who, "Dead letters", joined((shown, more)))


def _tile(who: Viewer, count: int, text: str, path: str, *, css: str = "", **query: str) -> Html:
    return to(who, path, html("<b>{n}</b><span>{text}</span>", n=count, text=text), css=f"tile {css}", **query)


def _rows(request: Request, who: Viewer, entries: Iterable[Event]) -> Html:
    now_ms = deps(request).now_ms()
    rows = [
        (
            ago(entry.time_ms, now_ms),
            state(entry.state),
            _message_link(who, entry.message.message_id),
            _destination(entry.message.method, entry.message.url),
            _outcome(entry.more, now_ms),
        )
        for entry in entries
    ]
    return table(("when", "state", "message", "destination", "what"), rows, empty="No message yet.")


def _live(request: Request, who: Viewer, found: list[reads.Live], line: str) -> Html:
    now_ms = deps(request).now_ms()
    rows = [
        (
            ago(one.due_ms, now_ms) if line != LINES["parked"] else html("behind {gate}", gate=_gate(one.found.message)),
            state(one.found.state),
            _message_link(who, one.found.message.message_id),
            _destination(one.found.message.method, one.found.message.url),
            f"retry {one.found.retried} of {one.found.message.max_retries}" if one.found.retried else "",
        )
        for one in found
    ]
    return table(("due", "state", "message", "destination", "what"), rows, empty=f"No message is {line}.")


def _gate(one: Any) -> str:
    return getattr(one, "queue", "") or getattr(one, "queue_name", "") or one.flow_key


def _message_link(who: Viewer, message_id: str) -> Html:
    short = message_id if len(message_id) <= 18 else f"{message_id[:14]}…"
    here = to(who, f"/ui/messages/{message_id}", short)
    return html('<span class="mono nowrap" title="{full}">{link}</span>', full=message_id, link=here)


def _destination(method: str, url: str) -> Html:
    return html('<span class="dim">{method}</span> {url}', method=method if method != "POST" else "", url=url)


def _outcome(more: dict[str, Any], now_ms: int) -> Html:
    words = [more.get("error") or status(more.get("responseStatus"))]
    if more.get("nextDeliveryTime", 0) > now_ms:
        words.append(f"next try {ago(more['nextDeliveryTime'], now_ms)}")
    return html("{text}", text=" · ".join(filter(None, words)))


def _facts(now_ms: int, one: dict[str, Any]) -> Html:
    return facts(
        [
            ("destination", _destination(one["method"], one["url"])),
            ("created", html("{at} ({ago})", at=clock(one["createdAt"], now_ms), ago=ago(one["createdAt"], now_ms))),
            ("not before", clock(one["notBefore"], now_ms) if one["notBefore"] > one["createdAt"] else ""),
            ("retries", one["maxRetries"]),
            ("retry delay", one.get("retryDelayExpression")),
            ("queue", one.get("queueName")),
            ("schedule", one.get("scheduleId")),
            ("URL group", one.get("topicName")),
            ("flow control", one.get("flowControlKey")),
            ("workflow run", one.get("workflowRunId")),
            ("labels", ", ".join(one.get("labels", []))),
            ("callback", one.get("callback")),
            ("failure callback", one.get("failureCallback")),
            ("published by", one.get("callerIP")),
        ]
    )


def _body(one: dict[str, Any], *, logged: bool) -> Html:
    """The log has bodies in base64; a message has text where it is text."""
    text = body(None, one.get("body")) if logged else body(one.get("body"), one.get("bodyBase64"))
    sent = headers(one.get("header"))
    parts = [("Headers", sent), ("Body", text)]
    return joined(html("<h2>{name}</h2><pre>{text}</pre>", name=name, text=shown) for name, shown in parts if shown)


def _log(now_ms: int, entries: list[dict[str, Any]]) -> Html:
    before_ms = [entries[0]["time"], *(entry["time"] for entry in entries)]
    rows = [
        (clock(entry["time"], now_ms), f"+{span(entry['time'] - before)}", state(entry["state"]), _happened(entry, now_ms))
        for entry, before in zip(entries, before_ms, strict=False)
    ]
    return table(("at (UTC)", "after", "state", "what happened"), rows, empty="")


def _happened(entry: dict[str, Any], now_ms: int) -> Html:
    answer = body(None, entry.get("responseBody"))
    shown = html("<pre>{text}</pre>", text=answer) if answer else None
    return html("{words}{answer}", words=_outcome(entry, now_ms), answer=shown)


def _dead(who: Viewer, now_ms: int, one: dict[str, Any]) -> tuple[object, ...]:
    answer = body(one.get("responseBody"), one.get("responseBodyBase64"))[:160]
    return (
        ago(int(one["dlqId"].partition("-")[0]), now_ms),
        _message_link(who, one["messageId"]),
        _destination(one["method"], one["url"]),
        html('{status} <span class="dim">{text}</span>', status=status(one["responseStatus"]), text=answer),
        button(who, f"/ui/dlq/{one['dlqId']}/retry", "Retry"),
    )
