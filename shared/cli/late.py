"""Groups of commands: options that all verbs have may stand before a verb, and some commands are imported when they are
asked for: `intention list` need not load what `intention doctor` does."""

import importlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import click

VALUED: Final = ("--url", "--key", "--profile", "--actor", "--env-file")
FLAGS: Final = ("--json",)
"""What may also stand before a verb. A verb that does not have one refuses it, wherever it stands."""


class Late(NamedTuple):
    """Where a command is, and what `--help` says of it without loading it."""

    module: str
    attribute: str
    about: str


class VerbGroup(click.Group):
    """A group whose verbs are handed the common options that stand before them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click. Where no verb follows, the options are the group's own, if it does something without one."""
        front, rest = _split(args)
        if rest and not rest[0].startswith("-"):
            return super().parse_args(ctx, [rest[0], *front, *rest[1:]])
        return super().parse_args(ctx, args if self.invoke_without_command else rest)


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    """The common options that stand in front, and what follows them."""
    end = 0
    while end < len(args) and args[end].partition("=")[0] in (*VALUED, *FLAGS):
        end += 2 if args[end] in VALUED else 1
    return args[:end], args[end:]


class LateGroup(VerbGroup):
    """A group whose commands are loaded one by one."""

    def __init__(self, *args: Any, late: Mapping[str, Late] | None = None, **more: Any) -> None:
        """`late`: by name, in the order of the help."""
        super().__init__(*args, **more)
        self.late = dict(late or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order in which they were given."""
        return [*self.late, *(name for name in super().list_commands(ctx) if name not in self.late)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded."""
        if found := self.late.get(cmd_name):
            command: click.Command = getattr(importlib.import_module(found.module), found.attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """See click, which suggests loaded commands only."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of the help, without loading what is late."""
        rows = [(name, self._about(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _about(self, ctx: click.Context, name: str) -> str:
        if found := self.late.get(name):
            return found.about
        command = super().get_command(ctx, name)
        return command.get_short_help_str(100) if command else ""
