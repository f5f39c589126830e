"""What every page has around it: title, navigation, the banner of faults, and headers that keep scripts and frames out."""

import base64
import hashlib
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.qstash_dev.deps import deps
from services.qstash_dev.page.guard import Viewer
from services.qstash_dev.page.html import Html, address, html, joined, link
from services.qstash_dev.page.style import CSS

PAGES = (
    ("/", "Overview"),
    ("/ui/messages", "Messages"),
    ("/ui/dlq", "Dead letters"),
    ("/ui/queues", "Queues"),
    ("/ui/schedules", "Schedules"),
    ("/ui/flow", "Flow control"),
    ("/ui/faults", "Faults"),
)
REFRESH_S = 5
_STYLE = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # not `no-referrer`: with that a browser hides the Origin of our own forms
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">{refresh}
<title>{title} · qstash_dev</title><style>{css}</style></head><body>{banner}
<header><b>qstash_dev</b><span class="who">{who} · {ready}</span><nav>{nav}</nav></header>
<main><h1>{title}</h1>{body}
<footer>{at} · {again} · a local server for development, not the hosted QStash</footer></main></body></html>"""

_BANNER = (
    """<div class="banner" role="alert"><b>Faults are on: this server misbehaves on purpose</b><ul>{rows}</ul>{off}</div>"""
)


def respond(request: Request, viewer: Viewer, title: str, body: Html, *, status: int = 200) -> HTMLResponse:
    """The whole page."""
    parts = deps(request)
    again = request.query_params.get("refresh") == "on"
    page = html(
        _PAGE,
        title=title,
        css=Html(CSS),
        refresh=html('<meta http-equiv="refresh" content="{s}">', s=REFRESH_S) if again else Html(),
        banner=banner(request, viewer),
        who=viewer.user.name,
        ready="deliveries run" if parts.scheduler.ready else "DELIVERIES DO NOT RUN",
        nav=joined(_tab(request, viewer, path, name) for path, name in PAGES),
        body=body,
        at=f"as of {_utc(parts.now_ms())} UTC",
        again=_toggle(request, viewer, again=again),
    )
    return HTMLResponse(page, status_code=status, headers=HEADERS)


def banner(request: Request, viewer: Viewer) -> Html:
    """Faults that are on, where nobody overlooks them."""
    board = deps(request).faults
    if not board.plan.faults:
        return Html()
    rows = joined(html("<li>{words}</li>", words=words) for words in board.words())
    return html(_BANNER, rows=rows, off=button(viewer, "/ui/faults/off", "Switch them off"))


def button(viewer: Viewer, path: str, text: str, *, quiet: bool = False) -> Html:
    """A form of one button."""
    return html(
        '<form method="post" action="{to}"><input type="hidden" name="word" value="{word}">'
        '<button class="{css}">{text}</button></form>',
        to=address(path, {"qstash_token": viewer.token}),
        word=viewer.word,
        text=text,
        css="quiet" if quiet else "",
    )


def to(viewer: Viewer, path: str, text: object, **query: str) -> Html:
    """A link inside this page that keeps the token it was called with."""
    css = query.pop("css", "")
    return link(path, {**query, "qstash_token": viewer.token}, text, css=css)


def _tab(request: Request, viewer: Viewer, path: str, name: str) -> Html:
    here = request.url.path
    inside = here == path or (path != "/" and here.startswith(path + "/"))
    return to(viewer, path, name, css="here" if inside else "")


def _toggle(request: Request, viewer: Viewer, *, again: bool) -> Html:
    kept = {name: value for name, value in request.query_params.items() if name not in {"refresh", "qstash_token", "css"}}
    text = f"refreshed every {REFRESH_S} s (stop)" if again else f"refresh every {REFRESH_S} s"
    return to(viewer, request.url.path, text, **kept, refresh="" if again else "on")


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%H:%M:%S}"
