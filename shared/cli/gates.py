"""`intention gates ...`: what may not be called now, and a person's hand on it."""

from typing import Final

import click

from shared.cli import lists
from shared.cli.late import VerbGroup
from shared.cli.numbers import Number
from shared.cli.verbs import Shell, verb

TOOL: Final = click.option(
    "--tool", default="", help="This one, for everybody (operators only); otherwise all, for the caller."
)
REASON: Final = click.option("--reason", default="", help="For the record.")


@click.group("gates", cls=VerbGroup)
def gates() -> None:
    """Tools that are paused, or that fail so often that nobody calls them."""


@verb("list", group=gates)
def list_(shell: Shell) -> None:
    """What may not be called now."""
    found = shell.api.ask("GET", "/api/gates")
    shell.show(found, lists.gates(found["gates"]))


@verb(
    "audit",
    click.option("--tool", default="", help="Of this one only."),
    click.option("--limit", type=Number(1, 500), default=50, show_default=True, help="Lines at most."),
    click.option("--before", default="", help="The `next` of the page before."),
    group=gates,
)
def audit(shell: Shell, *, tool: str, limit: int, before: str) -> None:
    """Who paused and resumed what, and which circuits opened and closed by themselves; the latest first."""
    found = shell.api.ask("GET", "/api/gates/audit", params={"tool": tool, "limit": limit, "before": before})
    shell.page(found, lists.gate_record(found["audit"]))


@verb("pause", TOOL, REASON, group=gates)
def pause(shell: Shell, *, tool: str, reason: str) -> None:
    """No new call; what runs goes on, and what needs one waits."""
    found = shell.api.ask("POST", f"{_path(tool)}/pause", {"reason": reason})
    shell.show(found, lists.gates([found]))


@verb("resume", TOOL, REASON, group=gates)
def resume(shell: Shell, *, tool: str, reason: str) -> None:
    """Call again; a circuit that is open is closed, too."""
    found = shell.api.ask("POST", f"{_path(tool)}/resume", {"reason": reason})
    shell.show(found, [f"{found['gate']}: {found['result']}"])


def _path(tool: str) -> str:
    return f"/api/tools/{tool}" if tool else "/api/tenant"
