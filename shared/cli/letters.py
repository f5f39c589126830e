"""`intention dlq ...`: what died and waits for a person."""

import sys
from typing import Any, Final

import click

from shared.cli import completion, lists
from shared.cli.late import VerbGroup
from shared.cli.numbers import Number
from shared.cli.verbs import Shell, verb

LETTER: Final = click.argument("letter", metavar="ID", shell_complete=completion.ids("dlq"))
LETTERS: Final = click.argument("letters", metavar="[ID]...", nargs=-1, shell_complete=completion.ids("dlq"))
ALL: Final = click.option("--all", "everything", is_flag=True, help="Every dead letter.")


@click.group("dlq", cls=VerbGroup)
def dlq() -> None:
    """Messages that QStash gave up, and executions that nothing comes of."""


@verb(
    "list",
    click.option("--execution", metavar="ID", shell_complete=completion.ids("executions"), help="Of this one only."),
    click.option("--limit", type=Number(1, 500), default=20, show_default=True),
    click.option("--before", default="", help="The `next` of the page before."),
    group=dlq,
)
def list_(shell: Shell, *, execution: str | None, limit: int, before: str) -> None:
    """Dead letters, newest first."""
    said = {"execution": execution, "before": before, "limit": str(limit)}
    found = shell.api.ask("GET", "/api/dlq", params={name: value for name, value in said.items() if value})
    shell.page(found, lists.letters(found["letters"]))


@verb("show", LETTER, group=dlq)
def show(shell: Shell, *, letter: str) -> None:
    """One dead letter, with what the last delivery was answered."""
    found = shell.api.ask("GET", f"/api/dlq/{letter}")
    shell.show(found, lists.letter(found))


@verb("resend", LETTERS, ALL, group=dlq)
def resend(shell: Shell, *, letters: tuple[str, ...], everything: bool) -> None:
    """Wake the executions of dead letters, with a fresh message each."""
    _check(letters, everything=everything)
    found = _many(shell, "resend", letters)
    lines = [f"{row['id']}: {row['result']}" for row in found["results"]] or ["none"]
    shell.show(found, lines)
    if found["resent"] < len(found["results"]):
        sys.exit(1)


@verb("discard", LETTERS, ALL, click.option("--yes", is_flag=True, help="Do not ask before all are discarded."), group=dlq)
def discard(shell: Shell, *, letters: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Forget dead letters; their executions do not change."""
    _check(letters, everything=everything)
    if everything and not yes:
        click.confirm("discard every dead letter?", abort=True, err=True)
    found = _many(shell, "discard", letters)
    shell.show(found, [f"{found['discarded']} discarded"])
    if found["discarded"] < len(letters):
        sys.exit(1)


def _check(letters: tuple[str, ...], *, everything: bool) -> None:
    if bool(letters) == everything:
        raise click.UsageError("say which: IDs, or --all")


def _many(shell: Shell, action: str, letters: tuple[str, ...]) -> dict[str, Any]:
    """What came of these, or of all, page by page; what one request treats is bounded."""
    if letters:
        return shell.api.ask("POST", f"/api/dlq/{action}", {"ids": [shell.api.resolve(one, "dlq") for one in letters]})
    found: dict[str, Any] = {"next": ""}
    while found["next"] is not None:
        page = shell.api.ask("POST", f"/api/dlq/{action}", {"all": True, "before": found["next"]})
        found = {name: found[name] + value if name in found and name != "next" else value for name, value in page.items()}
    return found
