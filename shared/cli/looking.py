"""`intention plan|list|get|why|watch|export|...`: questions that change nothing."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import click
import msgspec

from shared.cli import lists, shown
from shared.cli.api import Failed, opened
from shared.cli.numbers import Number, Seconds
from shared.cli.profiles import Target
from shared.cli.verbs import ID, PLAN, STATUS, STEP, Shell, plan_of, verb

WORDS: Final = click.argument("words", required=False)
USER: Final = click.option("--user", default="anonymous", show_default=True, help="For whom.")
ZONE: Final = click.option("--timezone", default="", help="Where the words were said.")
SERVICES: Final = {"ingress": "", "step_executor": "EXECUTOR_URL", "resume": "RESUME_URL", "qstash_dev": "QSTASH_URL"}
"""The settings that say where each is, besides ingress."""


def asked(words: str | None, plan: Any, user: str, timezone: str) -> dict[str, Any]:
    """The body of a request to plan or run; UsageError unless it is either words or a plan."""
    if (words is None) == (plan is None):
        raise click.UsageError("give either words or --plan")
    what = {"intent": words} if plan is None else {"plan": plan_of(plan)}
    return {**what, "userId": user} | ({"context": {"timezone": timezone}} if timezone else {})


@verb("plan", WORDS, PLAN, USER, ZONE)
def plan_(shell: Shell, *, words: str | None, plan: Any, user: str, timezone: str) -> None:
    """What would be done and what it would cost. Nothing is done."""
    found = shell.api.ask("POST", "/api/plan", asked(words, plan, user, timezone))
    shell.show(found, shown.plan(found))


@verb(
    "list",
    STATUS,
    click.option("--reason", multiple=True, help="Why it is suspended; may be given several times."),
    click.option("--text", default="", help="Part of the words, the summary or the user."),
    click.option("--limit", type=Number(1, 500), default=20, show_default=True),
    click.option("--before", default="", help="The `next` of the page before."),
)
def list_(shell: Shell, *, status: tuple[str, ...], reason: tuple[str, ...], text: str, limit: int, before: str) -> None:
    """Executions, newest first."""
    filters = {"status": ",".join(status), "reason": ",".join(reason), "text": text, "before": before}
    params = {name: value for name, value in filters.items() if value} | {"limit": str(limit)}
    found = shell.api.ask("GET", "/api/executions", params=params)
    shell.page(found, shown.rows(found["executions"]))


@verb("get", ID)
def get(shell: Shell, *, execution: str) -> None:
    """One execution with its steps."""
    found = shell.api.get(execution)
    shell.show(found, shown.execution(found))


@verb("logs", ID, STEP)
def logs(shell: Shell, *, execution: str, step: str) -> None:
    """What the calls of a step have logged; of one item of a map: step.3."""
    found = shell.api.ask("GET", f"/api/executions/{shell.api.get(execution)['id']}/steps/{quote(step, safe='')}/logs")
    shell.show(found, shown.logs(found))


@verb("why", ID)
def why(shell: Shell, *, execution: str) -> None:
    """What an execution waits for, and who moves it."""
    found = shell.api.ask("GET", f"/api/executions/{execution}/why")
    shell.show(found, shown.why(found))


@verb(
    "watch",
    ID,
    click.option("--for", "for_s", type=Seconds(0.1), metavar="SECONDS", help="No longer than this; exit code 20 then."),
)
def watch(shell: Shell, *, execution: str, for_s: float | None) -> None:
    """Follow an execution to its end; the exit code is the outcome. Ctrl-C leaves it running."""
    shell.wait(execution, float("inf") if for_s is None else for_s, sys.stdout)


FILE: Final = click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                           help="Where to; otherwise standard output.")  # fmt: skip


@verb("export", ID, FILE)
def export(shell: Shell, *, execution: str, file: Path | None) -> None:
    """Everything of an execution as one JSON document."""
    path = f"/api/executions/{execution}/export"
    if file is None:
        _copy(shell, path, sys.stdout.buffer)
        return
    try:
        size = _into(shell, path, file)
    except OSError as error:
        raise Failed(f"{file} cannot be written: {error.strerror}") from error
    shell.show({"id": execution, "file": str(file), "bytes": size}, [f"{execution}: {size:,} bytes in {file}"])


def _into(shell: Shell, path: str, file: Path) -> int:
    """Whole, or not at all: what breaks off leaves the file as it was. The size in bytes."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    beside = Path(name)
    try:
        with os.fdopen(number, "wb") as out:
            size = _copy(shell, path, out)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return size


def _copy(shell: Shell, path: str, out: BinaryIO) -> int:
    size = 0
    with shell.api.stream(path) as answer:
        for part in answer.iter_bytes():
            size += out.write(part)
    out.flush()
    return size


@verb("approvals")
def approvals(shell: Shell) -> None:
    """What people are asked."""
    found = shell.api.ask("GET", "/api/approvals")
    shell.show(found, shown.approvals(found["approvals"]))


@verb("quota")
def quota(shell: Shell) -> None:
    """Messages spent, reserved and left."""
    found = shell.api.ask("GET", "/api/quota")
    shell.show(found, lists.quota(found))


@verb("openapi", click.argument("service", type=click.Choice(list(SERVICES)), default="ingress"))
def openapi(shell: Shell, *, service: str) -> None:
    """Print the OpenAPI document of a service: as it gives it where its address is known, else as this installation has it."""
    where = shell.aim.url if service == "ingress" else shell.environ.get(SERVICES[service], "")
    if where:
        with opened(Target(where.rstrip("/"), "", "", {})) as api:  # everybody may read it: no key goes there
            found = api.ask("GET", "/openapi.json")
    else:
        from shared.openapi import document  # late: it is made of the service's own routes

        found = msgspec.json.decode(document(service))
    click.echo(msgspec.json.format(msgspec.json.encode(found)))
