"""Tools, quota, dead letters, schedules and gates as lines and grids for people. Pure."""

from collections.abc import Iterator
from typing import Any

from shared.cli.grids import Column, Grid, Part, listed
from shared.numbers import counted


def tools(found: list[dict[str, Any]]) -> Iterator[Part]:
    """What steps can call: a line each, with the first line of what it says of itself."""
    yield from listed(
        found,
        (Column("NAME"), "name"),
        (Column("VERSION", drop=2), _version),
        (Column("EFFECT"), lambda tool: tool["contract"]["effect"]),
        (Column("UNDO", drop=1), lambda tool: tool["contract"]["undo"].replace("none", "")),
        (Column("DOES", "text"), lambda tool: tool["summary"].partition("\n")[0]),
    )


def _version(tool: dict[str, Any]) -> str:
    newest, *older = tool["versions"]
    return f"{newest} (+{len(older)})" if older else newest


def tool_states(found: list[dict[str, Any]]) -> Iterator[Part]:
    """How tools do: what their calls take in ms, and whether they are called."""
    yield from listed(
        found,
        (Column("NAME"), "name"),
        (Column("CALLED", "state"), _called),
        (Column("P50", "number"), lambda tool: _ms(tool, "p50Ms")),
        (Column("P95", "number"), lambda tool: _ms(tool, "p95Ms")),
        (Column("OF CALLS", "number", drop=2), lambda tool: (tool["latency"] or {}).get("calls")),
        (Column("MEASURED", "moment", drop=3), lambda tool: (tool["latency"] or {}).get("at")),
        (Column("SINCE", "moment", drop=1), lambda tool: (tool["paused"] or tool["breaker"])["since"]),
        (Column("WHY", "note"), _why_not),
    )


def _called(tool: dict[str, Any]) -> str:
    stands = {"closed": "yes", "open": "circuit open", "half-open": "tried again"}
    return "paused" if tool["paused"] else stands[tool["breaker"]["state"]]


def _ms(tool: dict[str, Any], name: str) -> str:
    found = (tool["latency"] or {}).get(name)
    return "" if found is None else f"{found} ms"


def _why_not(tool: dict[str, Any]) -> str:
    breaker = tool["breaker"]
    against = f"{breaker['failuresInARow']} failures in a row" if breaker["failuresInARow"] else ""
    return "; ".join(part for part in ((tool["paused"] or {}).get("reason"), breaker["reason"] or against) if part)


def quota(found: dict[str, Any]) -> Iterator[Part]:
    """What a tenant may spend."""
    yield f"{found['tenant']}: {found['level']}"
    columns = (
        Column("MESSAGES"),
        Column("LIMIT", "number"),
        Column("SPENT", "number"),
        Column("RESERVED", "number"),
        Column("LEFT", "number"),
        Column("BEGINS ANEW", "moment", drop=1),
    )
    yield Grid(columns, [_window(name, found[name]) for name in ("day", "month")], indent=2)
    running = found["concurrent"]
    limit = f" of {running['limit']}" if running["limit"] else ""
    yield f"  executions that run: {running['running']}{limit}; waiting for messages: {found['waiting']}"


def _window(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    numbers = (found["limit"], found["spent"], found["reserved"], found["left"])
    return name, *("none" if number is None else f"{number}" for number in numbers), found["resetsAt"]


def letters(found: list[dict[str, Any]]) -> Iterator[Part]:
    """Dead letters in a list."""
    yield from listed(
        found,
        (Column("ID", "id"), "id"),
        (Column("WHAT DIED"), "reason"),
        (Column("EXECUTION", "id"), "executionId"),
        (Column("IS NOW", "state"), lambda one: one["executionStatus"] or "gone"),
        (Column("TIMES", "number", drop=2), "times"),
        (Column("LATEST", "moment", drop=1), "at"),
        (Column("ANSWER", "text", drop=3), _answer),
    )


def _answer(letter: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (letter["status"], letter["response"]) if part)


def letter(found: dict[str, Any]) -> Iterator[Part]:
    """One dead letter."""
    yield f"{found['id']}  {found['reason']}"
    yield f"  times  {found['times']}"
    yield from dated(("first", found["firstAt"]), ("latest", found["at"]))
    yield f"  execution  {found['executionId']}  {found['executionStatus'] or 'gone'}"
    if found["messageId"]:
        yield f"  message  {found['messageId']}, segment {found['segment']}, retried {found['retried']} times"
    if answer := _answer(found):
        yield f"  answer  {answer}"


def dated(*moments: tuple[str, str | None]) -> Iterator[Part]:
    """What happened when, of what did."""
    if known := [(name, at) for name, at in moments if at]:
        yield Grid((Column(""), Column("", "moment")), known, indent=2)


def schedules(found: list[dict[str, Any]]) -> Iterator[Part]:
    """Schedules in a list."""
    yield from listed(
        found,
        (Column("ID", "id"), "id"),
        (Column("STATUS", "state"), "status"),
        (Column("CRON"), "cron"),
        (Column("ZONE", drop=2), "timezone"),
        (Column("NEXT", "moment"), "nextAt"),
        (Column("LAST", "moment", drop=3), "lastScheduledFor"),
        (Column("RUNS", "number", drop=4), "runs"),
        (Column("FAILED", "number", drop=1), "failures"),
        (Column("WHAT", "text"), _what),
    )


def _what(schedule: dict[str, Any]) -> str:
    return schedule["intent"] or f"a plan of {counted(len(schedule['plan']['steps']), 'step')}"


def schedule(found: dict[str, Any]) -> Iterator[Part]:
    """One schedule."""
    yield f"{found['id']}  {found['status']}  {found['cron']} ({found['timezone']})"
    yield f"  {_what(found)}"
    waiting = [("waiting", at) for at in found["waiting"]]
    yield from dated(("next", found["nextAt"]), ("last", found["lastScheduledFor"]), *waiting)
    yield f"  runs: {found['runs']}, skipped: {found['skipped']}, failed: {found['failures']}"
    yield f"  if the one before still runs: {found['overlap']}; what was missed: {found['missed']}"
    if found["lastExecution"]:
        yield f"  last execution  {found['lastExecution']}"
    if found["lastError"]:
        yield f"  last error  {found['lastError']['code']}: {found['lastError']['message']}"


def gates(found: list[dict[str, Any]]) -> Iterator[Part]:
    """What may not be called now."""
    yield from listed(
        found,
        (Column("CLOSED"), "kind"),
        (Column("OF"), lambda one: one["tool"] or one["tenant"]),
        (Column("SINCE", "moment"), "since"),
        (Column("UNTIL", "moment", drop=1), "until"),
        (Column("BY", drop=2), "actor"),
        (Column("WHY", "note"), "reason"),
    )


def gate_record(found: list[dict[str, Any]]) -> Iterator[Part]:
    """What was done to gates, and which circuits opened and closed by themselves."""
    yield from listed(
        found,
        (Column("AT", "moment"), "at"),
        (Column("WHAT", "state"), "what"),
        (Column("OF"), lambda one: one["tool"] or one["tenant"]),
        (Column("GATE", drop=1), "kind"),
        (Column("BY"), lambda one: one["actor"] or ("the engine" if one["what"] in {"opened", "closed"} else None)),
        (Column("WHY", "note"), "reason"),
    )
