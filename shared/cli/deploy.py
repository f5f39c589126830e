"""`intention deploy`: what to ask before new code takes over from old."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click
import msgspec

from shared.cli.late import VerbGroup
from shared.cli.numbers import Number
from shared.deploys import Break, breaks
from shared.environment import merged
from shared.errors import SettingsError, Unavailable
from shared.redisdb.connect import connect
from shared.redisdb.in_flight import Flights
from shared.settings import Settings
from shared.settings_load import load
from shared.tools.installation import open_registry


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a check."""

    ok: bool
    looked_at: int
    """Executions that are not over."""
    broken: int
    """Those of them that something was found of."""
    breaks: list[Break]
    """As many as were asked for."""


@click.group(cls=VerbGroup)
def deploy() -> None:
    """Ask before new code takes over from old."""


@deploy.command()
@click.option("--env-file", type=click.Path(dir_okay=False, path_type=Path), default=Path(".env"), show_default=True,
              help="The file to read settings from.")  # fmt: skip
@click.option("--limit", type=Number(1, 10_000), default=50, show_default=True, help="Findings to show at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def check(*, env_file: Path, limit: int, as_json: bool) -> None:
    """List executions in flight that the tools of this code would break.

    Run it where the new code is, with the settings that it will have. It looks at every execution in REDIS_URL that is not
    over and compares what its plan pinned with the tools here. Exit code 0: nothing would break; 1: something would; 2: it
    could not be asked.
    """
    environ = merged(env_file)
    environ.setdefault("INTENTION_MODE", "local")
    sys.path.insert(0, "")  # the author's own folder, as `python -m` has it
    try:
        report = asyncio.run(_check(load(environ), limit))
    except SettingsError as error:
        raise click.UsageError(f"{env_file}: {error.message}") from error
    except Unavailable as error:
        click.echo(error.message, err=True)
        sys.exit(2)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)))
    else:
        _show(report)
    sys.exit(0 if report.ok else 1)


async def _check(settings: Settings, limit: int) -> Report:
    looked_at, broken, shown = 0, 0, list[Break]()
    async with AsyncExitStack() as stack:
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        registry = await open_registry(settings, stack, redis=redis, calls=False)
        async for execution in Flights(redis).all():
            looked_at += 1
            found = list(breaks(execution, registry))
            broken += bool(found)
            shown += found[: limit - len(shown)]
    return Report(ok=not broken, looked_at=looked_at, broken=broken, breaks=shown)


def _show(report: Report) -> None:
    for one in report.breaks:
        click.echo(f"{one.execution}  {one.tenant}  {one.status}\n  {one.step}: {one.tool}: {one.message}")
    if report.ok:
        click.echo(f"Nothing would break: {report.looked_at} executions are in flight.")
    else:
        click.echo(f"\n{report.broken} of {report.looked_at} executions in flight would break.")
