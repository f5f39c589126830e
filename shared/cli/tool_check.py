"""`intention tools check`: whether a tool keeps what its effect class promises, tried for real."""

import asyncio
import importlib
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec

from shared.cli.findings import Finding, Status, show
from shared.environment import merged
from shared.errors import SettingsError
from shared.settings_load import load
from shared.tools import kit
from shared.tools.installation import open_registry
from shared.tools.kit import Sample, Standing
from shared.tools.registry import Registry
from shared.tools.town import TownTools

_STATUS: Final[dict[kit.Verdict, Status]] = {"kept": "ok", "broken": "fail", "unclear": "warn", "not promised": "skip"}


_ENV_FILE: Final = click.option(
    "--env-file", type=click.Path(dir_okay=False, path_type=Path), default=Path(".env"), show_default=True,
    help="The file to read settings from.",
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--args", "args", metavar="JSON", help="Arguments with which the tool has its effect every time.")
@click.option("--other-args", metavar="JSON", help="Different ones that work as well; otherwise some are derived.")
@click.option("--from", "source", metavar="MODULE:FUNCTION",
              help="A function that takes a Registry, registers tools, and may return a coroutine function that says how many "
              "effects of a key stand; otherwise all tools of this installation.")  # fmt: skip
@_ENV_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--yes", is_flag=True, help="Do not ask before the tool is called.")
def check(
    name: str, *, args: str | None, other_args: str | None, source: str | None, env_file: Path, as_json: bool, yes: bool
) -> None:
    """Try whether a tool keeps what its effect class promises.

    The calls are real, under keys of their own, and what can be undone is undone afterwards. Exit code 0 if every point is
    kept, 1 if one is broken or could not be tried, 2 if nothing could be asked.
    """
    if args is None:
        asyncio.run(_look_for(name, source, env_file))
        raise click.UsageError(f"say with --args what {name} is called with, as one JSON object")
    given = _object("--args", args)
    other = None if other_args is None else _object("--other-args", other_args)
    if not (yes or click.confirm(f"{name} is called for real, several times. Go on?", err=True)):
        raise click.Abort
    sys.exit(asyncio.run(_check(name, given, other, source, env_file, as_json=as_json)))


async def _look_for(name: str, source: str | None, env_file: Path) -> None:
    """UsageError unless there is such a tool: of one that is not there nobody can say the arguments."""
    async with AsyncExitStack() as stack:
        registry, _ = await _tools(source, env_file, stack)
        _check_name(registry, name)


async def _check(
    name: str, args: dict[str, Any], other: dict[str, Any] | None, source: str | None, env_file: Path, *, as_json: bool
) -> int:
    async with AsyncExitStack() as stack:
        registry, standing = await _tools(source, env_file, stack)
        if source is None and not _is_towns(registry, name):
            standing = None
        _check_name(registry, name)
        _look_at(registry, name, "--args", args)
        if other is not None:
            _look_at(registry, name, "--other-args", other)
        sample = Sample(registry=registry, name=name, args=args, other_args=other, standing=standing)
        try:
            found = await kit.check(sample)
        except httpx.HTTPError as error:
            raise click.ClickException(f"the town cannot be asked ({type(error).__name__}): is it running?") from error
    return _findings(name, found, as_json=as_json)


async def _tools(source: str | None, env_file: Path, stack: AsyncExitStack) -> tuple[Registry, Standing | None]:
    """The registry, and who counts effects in it."""
    if source is not None:
        registry = Registry()
        return registry, _function(source)(registry)
    environ = merged(env_file)
    environ.setdefault("INTENTION_MODE", "local")
    sys.path.insert(0, "")
    try:
        settings = load(environ)
        registry = await open_registry(settings, stack)
    except SettingsError as error:
        raise click.UsageError(f"{env_file}: {error.message}") from error
    if not settings.town_url:
        return registry, None
    client = await stack.enter_async_context(httpx.AsyncClient(base_url=settings.town_url))
    return registry, TownTools(client).standing


def _is_towns(registry: Registry, name: str) -> bool:
    """Whether the town counts its effects."""
    tool = registry.get(name)
    return tool is not None and isinstance(getattr(tool.function, "__self__", None), TownTools)


def _function(source: str) -> Callable[[Registry], Standing | None]:
    module, _, attribute = source.partition(":")
    sys.path.insert(0, "")  # the author's own folder, as `python -m` has it
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"--from {source}: {error}; write module:function") from error
    if not callable(found):
        raise click.UsageError(f"--from {source}: that is no function; write module:function")
    return found  # type: ignore[no-any-return]  # what it takes shows when it is called


def _check_name(registry: Registry, name: str) -> None:
    if registry.get(name) is None:
        raise click.UsageError(f"there is no tool {name}; there are {', '.join(sorted(registry.contracts())) or 'none'}")


def _look_at(registry: Registry, name: str, option: str, args: dict[str, Any]) -> None:
    if problems := [f"{problem.at}: {problem.message}" for problem in registry.check_args(name, args, option)]:
        raise click.UsageError("\n".join(problems))


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.UsageError(f'{option}: {error}; write one JSON object, such as \'{{"label": "x"}}\'') from error


def _findings(name: str, found: list[kit.Finding], *, as_json: bool) -> int:
    wrong = [finding.point for finding in found if finding.verdict in {"broken", "unclear"}]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"tool": name, "ok": not wrong, "findings": found})))
        return 1 if wrong else 0
    for finding in found:
        show(Finding(check=finding.point, status=_STATUS[finding.verdict], message=finding.message))
    click.echo(
        f"\n{name} does not keep, or could not be tried at: {', '.join(wrong)}." if wrong else f"\n{name} is as it says."
    )
    return 1 if wrong else 0
