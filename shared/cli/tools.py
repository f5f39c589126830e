"""`intention tools`: what an author of tools asks before an execution relies on them."""

from pathlib import Path

import click
import msgspec

from shared.cli import lists, screen
from shared.cli.api import opened
from shared.cli.late import Late, LateGroup
from shared.cli.profiles import target
from shared.cli.verbs import ENV_FILE

LATE = {
    "state": Late("shared.cli.tool_state", "state", "How long calls take, how circuit breakers stand, and what is paused."),
    "check": Late("shared.cli.tool_check", "check", "Try whether a tool keeps what its effect class promises."),
}


@click.group(cls=LateGroup, invoke_without_command=True, late=LATE)
@click.option("--url", metavar="URL", help="Where ingress is; otherwise INTENTION_URL, or INGRESS_PORT on this machine.")
@click.option("--key", metavar="KEY", help="An API key; otherwise INTENTION_KEY, or the first of API_KEYS.")
@click.option("--profile", metavar="NAME", help="An address and a key of the configuration file.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@ENV_FILE
@click.pass_context
def tools(
    context: click.Context, *, url: str | None, key: str | None, profile: str | None, as_json: bool, env_file: Path
) -> None:
    """List the tools that steps can call, as ingress has them."""
    if context.invoked_subcommand is not None:
        return
    with opened(target(env_file, url=url, key=key, profile=profile)) as api:
        found = api.ask("GET", "/api/tools")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        screen.show(lists.tools(found["tools"]))
