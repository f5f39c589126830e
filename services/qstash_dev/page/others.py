"""Pages about what is around the messages: queues, schedules, flow control and faults."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev.deps import deps
from services.qstash_dev.faults.plan import MEANING
from services.qstash_dev.page.frame import respond
from services.qstash_dev.page.guard import viewer
from services.qstash_dev.page.html import Html, html, table
from services.qstash_dev.page.inside import ask
from services.qstash_dev.page.words import ago, clock, coded, state

Row = Callable[[dict[str, Any], int], tuple[object, ...]]

HELP = """<h2>How to</h2><pre>python -m services.qstash_dev.faults on drop,to=127.0.0.1:3001,probability=0.1 --seed 7
python -m services.qstash_dev.faults on error,after=true,count=3 duplicate,probability=0.2
python -m services.qstash_dev.faults off</pre>"""


async def queues(request: Request) -> Response:
    """Every queue and how many wait in it."""
    return await _list(request, "Queues", "/v2/queues", ("queue", "waiting", "parallelism", "", "changed"), _queue)


async def schedules(request: Request) -> Response:
    """Every schedule, when it ran and when it will."""
    heads = ("schedule", "cron", "destination", "last run", "next run", "")
    return await _list(request, "Schedules", "/v2/schedules", heads, _schedule)


async def flow(request: Request) -> Response:
    """Every flow-control key that is in use."""
    heads = ("key", "waiting", "parallelism", "rate", "")
    return await _list(request, "Flow control", "/v2/flowControl", heads, _flow)


async def faults(request: Request) -> Response:
    """What goes wrong on demand, and how to ask for it."""
    who, board = viewer(request), deps(request).faults
    found = board.view()
    rows = [(one["words"], one["met"], one["fired"]) for one in found["faults"]]
    on = table(("fault", "met", "fired"), rows, empty="No faults are on: this server does its best.")
    how = f"seed {found['seed']}, {'goes on after' if found['persist'] else 'ends with'} a restart" if rows else ""
    kinds = table(("kind", "what it does"), [(kind, coded(words)) for kind, words in MEANING.items()], empty="")
    shown = html("{on}<p class='dim'>{how}</p><h2>Kinds</h2>{kinds}{help}", on=on, how=how, kinds=kinds, help=Html(HELP))
    return respond(request, who, "Faults on demand", shown)


async def _list(request: Request, title: str, path: str, heads: tuple[str, ...], row: Row) -> Response:
    who = viewer(request)
    told = await ask(request, who, path)
    rows = [row(one, deps(request).now_ms()) for one in told.body] if told.fine else []
    return respond(request, who, title, table(heads, rows, empty=told.error or f"No {title.lower()} yet."))


def _queue(one: dict[str, Any], now_ms: int) -> tuple[object, ...]:
    changed = ago(one["updatedAt"], now_ms)
    return one["name"], one["lag"], one["parallelism"], "paused" if one["paused"] else "", changed


def _schedule(one: dict[str, Any], now_ms: int) -> tuple[object, ...]:
    last, following = one.get("lastScheduleTime"), one.get("nextScheduleTime")
    states = [state(name) for name in (one.get("lastScheduleStates") or {}).values()][-3:]
    return (
        html('<span class="mono">{id}</span>', id=one["scheduleId"]),
        html("<code>{cron}</code>", cron=one["cron"]),
        one["destination"],
        html("{at} {states}", at=clock(last, now_ms), states=states) if last else "never",
        ago(following, now_ms) if following and not one.get("isPaused") else "",
        one.get("error") or ("paused" if one.get("isPaused") else ""),
    )


def _flow(one: dict[str, Any], _: int) -> tuple[object, ...]:
    parallelism, rate = one.get("parallelismMax"), one.get("rateMax")
    pinned = one.get("isPinnedParallelism") or one.get("isPinnedRate")
    words = [name for name, on in (("paused", one.get("isPaused")), ("pinned", pinned)) if on]
    return (
        one["flowControlKey"],
        one.get("waitListSize", 0),
        f"{one.get('parallelismCount', 0)} of {parallelism}" if parallelism else "",
        f"{one.get('rateCount', 0)} of {rate} in {one.get('ratePeriod')} s" if rate else "",
        ", ".join(words),
    )
