"""What a shell is told behind a tab, and `intention completion`, which teaches it to ask."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from shared.cli.grids import clean

MOST: Final = 50
PATIENCE_S: Final = 1.0
"""A tab that hangs is worse than one that finds nothing."""


def statuses(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Every status of an execution."""
    from shared.machine.status import Status

    return [status.value for status in Status if status.value.startswith(incomplete.upper())]


def ids(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """The newest of a kind, each with what it is about. Nobody reads an error behind a tab, so there is none."""

    def found(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with contextlib.suppress(click.ClickException, KeyError, TypeError, ValueError):
            rows = _asked(context, kind)
            return [CompletionItem(one["id"], help=about(one)[:60]) for one in rows if one["id"].startswith(incomplete)]
        return []

    return found


def _asked(context: click.Context, kind: str) -> list[dict[str, Any]]:
    from shared.cli.api import LISTS, opened
    from shared.cli.profiles import target

    said = context.params
    named = {name: said.get(name) for name in ("url", "key", "profile")}
    with opened(target(said.get("env_file") or Path(".env"), **named), timeout_s=PATIENCE_S) as api:
        found: list[dict[str, Any]] = api.ask("GET", f"/api/{kind}", params={"limit": MOST})[LISTS[kind]]
    return found


def about(one: Mapping[str, Any]) -> str:
    """What an execution, a schedule or a dead letter is, in a few words."""
    words = [one.get(name) for name in ("status", "cron", "reason", "text", "intent") if name in one]
    return clean(" ".join(str(word) for word in words if word))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what teaches a shell to complete commands and ids.

    For bash: `intention completion bash > ~/.local/share/bash-completion/completions/intention`.
    """
    kind = get_completion_class(shell)
    if kind is None:  # click has all three
        raise click.ClickException(f"there is nothing for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "intention", "_INTENTION_COMPLETE").source())
