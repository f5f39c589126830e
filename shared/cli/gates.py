"""`intention gates ...`: what may not be called now, and a person's hand on it."""

from typing import Final
from urllib.parse import quote

import click

from shared.cli import lists
from shared.cli.api import Failed
from shared.cli.late import VerbGroup
from shared.cli.numbers import Number
from shared.cli.verbs import Name, Shell, verb

TOOL: Final = click.option(
    "--tool", type=Name(), help="This one, for everybody (operators only); otherwise all, for the caller."
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
    click.option("--tool", type=Name(), help="Of this one only."),
    click.option("--limit", type=Number(1, 500), default=50, show_default=True, help="Lines at most."),
    click.option("--before", default="", help="The `next` of the page before."),
    group=gates,
)
def audit(shell: Shell, *, tool: str | None, limit: int, before: str) -> None:
    """Who paused and resumed what, and which circuits opened and closed by themselves; the latest first."""
    found = shell.api.ask("GET", "/api/gates/audit", params={"tool": tool or "", "limit": limit, "before": before})
    if tool and not (found["audit"] or before):
        _check(shell, tool)
    shell.page(found, lists.gate_record(found["audit"]))


@verb("pause", TOOL, REASON, group=gates)
def pause(shell: Shell, *, tool: str | None, reason: str) -> None:
    """No new call; what runs goes on, and what needs one waits."""
    found = shell.api.ask("POST", f"{_path(tool)}/pause", {"reason": reason})
    shell.show(found, lists.gates([found]))


@verb("resume", TOOL, REASON, group=gates)
def resume(shell: Shell, *, tool: str | None, reason: str) -> None:
    """Call again; a circuit that is open is closed, too."""
    found = shell.api.ask("POST", f"{_path(tool)}/resume", {"reason": reason})
    shell.show(found, [f"{found['gate']}: {found['result']}"])


def _check(shell: Shell, tool: str) -> None:
    """Failed unless there is such a tool: nothing on record of a mistyped name would look as if it had never been paused."""
    known = [one["name"] for one in shell.api.ask("GET", "/api/tools")["tools"]]
    if not any(name == tool or name.startswith(f"{tool}.") for name in known):  # the tools of a server share its circuit
        raise Failed(f"there is no tool {tool!r}, and nothing is on record of it: `intention tools` lists those that there are")


def _path(tool: str | None) -> str:
    return f"/api/tools/{quote(tool, safe='')}" if tool else "/api/tenant"
