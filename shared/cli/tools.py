"""`intention tools`: what an author of tools asks before an execution relies on them."""

from pathlib import Path

import click
import msgspec

from shared.cli import lists, screen
from shared.cli.api import opened
from shared.cli.late import Late, LateGroup
from shared.cli.profiles import target
from shared.cli.verbs import common

LATE = {
    "state": Late("shared.cli.tool_state", "state", "How long calls take, how circuit breakers stand, and what is paused."),
    "check": Late("shared.cli.tool_check", "check", "Try whether a tool keeps what its effect class promises."),
}


@click.group(cls=LateGroup, invoke_without_command=True, late=LATE)
@common
@click.pass_context
def tools(
    context: click.Context, *, url: str | None, key: str | None, profile: str | None, actor: str, as_json: bool, env_file: Path
) -> None:
    """List the tools that steps can call, as ingress has them."""
    if context.invoked_subcommand is not None:
        return
    with opened(target(env_file, url=url, key=key, profile=profile, actor=actor)) as api:
        found = api.ask("GET", "/api/tools")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        screen.show(lists.tools(found["tools"]))
