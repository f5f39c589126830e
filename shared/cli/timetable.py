"""`intention schedule ...`: words or a plan, at the times of a cron expression."""

import sys
from typing import Any, Final

import click

from shared.cli import completion, lists
from shared.cli.late import VerbGroup
from shared.cli.looking import USER, WORDS, asked
from shared.cli.numbers import Number
from shared.cli.verbs import PLAN, WAIT, Shell, verb

SCHEDULE: Final = click.argument("schedule", metavar="ID", shell_complete=completion.ids("schedules"))


@click.group("schedule", cls=VerbGroup)
def schedule() -> None:
    """Words or a plan, again and again."""


@verb(
    "list",
    click.option("--limit", type=Number(1, 500), default=20, show_default=True),
    click.option("--before", default="", help="The `next` of the page before."),
    group=schedule,
)
def list_(shell: Shell, *, limit: int, before: str) -> None:
    """Schedules, newest first."""
    params = {"limit": str(limit)} | ({"before": before} if before else {})
    found = shell.api.ask("GET", "/api/schedules", params=params)
    shell.page(found, lists.schedules(found["schedules"]))


@verb(
    "add",
    WORDS,
    PLAN,
    click.option("--cron", required=True, help='Minute, hour, day, month, weekday: "0 18 * * FRI".'),
    click.option("--timezone", default="", help="Of the cron expression and the words; otherwise the user's own."),
    USER,
    click.option("--overlap", type=click.Choice(["skip", "queue", "parallel"]), default="skip", show_default=True,
                 help="What happens while the last execution still runs."),
    click.option("--missed", type=click.Choice(["skip", "once"]), default="skip", show_default=True,
                 help="What happens to times at which nothing ran."),
    group=schedule,
)  # fmt: skip
def add(shell: Shell, *, words: str | None, plan: Any, cron: str, timezone: str, user: str, overlap: str, missed: str) -> None:
    """Run words or a plan at the times of a cron expression."""
    said = asked(words, plan, user, "") | {"cron": cron, "overlap": overlap, "missed": missed}
    _shown(shell, shell.api.ask("POST", "/api/schedules", said | ({"timezone": timezone} if timezone else {})))


@verb("show", SCHEDULE, group=schedule)
def show(shell: Shell, *, schedule: str) -> None:
    """One schedule, with what came of it lately."""
    _shown(shell, shell.api.ask("GET", f"/api/schedules/{schedule}"))


@verb("pause", SCHEDULE, group=schedule)
def pause(shell: Shell, *, schedule: str) -> None:
    """No run comes of it until it is resumed."""
    _shown(shell, shell.api.ask("POST", f"/api/schedules/{schedule}/pause"))


@verb("resume", SCHEDULE, group=schedule)
def resume(shell: Shell, *, schedule: str) -> None:
    """On from the next time after now."""
    _shown(shell, shell.api.ask("POST", f"/api/schedules/{schedule}/resume"))


@verb("run", SCHEDULE, WAIT, group=schedule)
def run(shell: Shell, *, schedule: str, wait_s: float | None) -> None:
    """Run it now, by its overlap policy; its next time stays. Exit code 1 if it was skipped."""
    told = shell.api.ask("POST", f"/api/schedules/{schedule}/run")
    if told["executionId"]:
        shell.after(told["executionId"], told | {"id": told["executionId"]}, wait_s)
        return
    shell.show(told, [f"{told['id']}: {told['result']}"])
    sys.exit(1 if told["result"].startswith("skipped") else 0)


@verb("delete", SCHEDULE, group=schedule)
def delete(shell: Shell, *, schedule: str) -> None:
    """Delete a schedule; its executions go on."""
    told = shell.api.ask("DELETE", f"/api/schedules/{schedule}")
    shell.show(told, [f"{told['id']}: {told['result']}"])


def _shown(shell: Shell, found: dict[str, Any]) -> None:
    shell.show(found, lists.schedule(found))
