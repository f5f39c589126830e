"""`intention dev`: what `make run` runs. `intention dev break ...` breaks parts of it on purpose, to see them come back."""

import sys
from collections.abc import Iterator
from typing import Any, Final

import click

from shared.cli.api import Failed
from shared.cli.grids import Part
from shared.cli.late import VerbGroup
from shared.cli.numbers import Seconds
from shared.cli.verbs import Shell, verb

CHANNELS: Final = {"qstash": "QStash", "ably": "Ably"}
ELSEWHERE: Final = "only what `intention dev` (`make run`) runs in local mode can be broken on purpose"


@click.group("dev", cls=VerbGroup, invoke_without_command=True)
@click.pass_context
def dev(context: click.Context) -> None:
    """Run the whole system on this machine. Ctrl-C stops it; the data under .intention/ stays."""
    if context.invoked_subcommand is not None:
        return
    from shared.local.__main__ import main

    sys.exit(main())


@verb(
    "break",
    click.argument("what", type=click.Choice(["executor", *CHANNELS])),
    click.option("--seconds", type=Seconds(0.1, 600), help="How long a channel is dropped; otherwise until mended."),
    group=dev,
)
def break_(shell: Shell, *, what: str, seconds: float | None) -> None:
    """Kill the executor with SIGKILL, or drop all that a channel is given. `intention dev broken` shows what comes of it."""
    if what == "executor" and seconds is not None:
        raise click.UsageError("--seconds is for a channel: the supervisor starts the executor again at once")
    path, body = ("executor/kill", {}) if what == "executor" else (f"{what}/drop", {"seconds": seconds})
    _shown(shell, "POST", f"/{path}", body)


@verb("mend", click.argument("what", type=click.Choice(list(CHANNELS))), group=dev)
def mend(shell: Shell, *, what: str) -> None:
    """A channel that is dropped works again."""
    _shown(shell, "POST", f"/{what}/mend", {})


@verb("broken", group=dev)
def broken(shell: Shell) -> None:
    """What was broken, and what became of it."""
    _shown(shell, "GET", "")


def _shown(shell: Shell, method: str, path: str, body: Any = None) -> None:
    try:
        found = shell.api.ask(method, f"/api/local{path}", body)
    except Failed as error:
        if error.status == 404:
            raise Failed(ELSEWHERE, status=404) from error
        raise
    shell.show(found, _lines(found))


def _lines(found: dict[str, Any]) -> Iterator[Part]:
    executor = found["executor"]
    stands = f"runs as process {executor['pid']}" if executor["pid"] else "is down"
    killed = f"; killed at {executor['killedAt']}, back at {executor['backAt'] or '-'}" if executor["killedAt"] else ""
    yield f"executor: {stands}{killed}"
    for one in executor["held"]:
        after = f"went on at {one['wentOnAt']} by {one['by']}" if one["wentOnAt"] else "has not gone on yet"
        yield f"  held {one['id']}: {after}; {one['status']}"
    for name, label in CHANNELS.items():
        yield f"{label}: {_channel(found[name])}"


def _channel(one: dict[str, Any]) -> str:
    if not one["here"]:
        return "does not run on this machine"
    there = {True: "there", False: f"away ({one['error']})", None: "not tried yet"}[one["there"]]
    if one["dropped"]:
        return f"dropped since {one['since']} until {one['until'] or 'it is mended'}, {one['struck']} refused or lost; {there}"
    past = f"; was dropped from {one['since']} to {one['endedAt']}, {one['struck']} refused or lost" if one["since"] else ""
    return f"{there}{past}"
