"""`intention setup` and `intention doctor`: options in, the checks, an exit code."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from shared.cli import api, judge
from shared.cli import doctor as doctors
from shared.cli.findings import Finding, show
from shared.cli.numbers import Seconds
from shared.cli.setup import FIELDS, Refused, Setup
from shared.environment import merged
from shared.errors import SettingsError

_ENV_FILE = click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="The file to read and write.",
)


def _value_options(command: Any) -> Any:
    for field in reversed(FIELDS):
        option = f"--{field.name.lower().replace('_', '-')}"
        command = click.option(option, field.name, help=f"{field.asks}.", metavar="TEXT")(command)
    return command


@click.command()
@_ENV_FILE
@click.option("--non-interactive", is_flag=True, help="Ask nothing: values come from options, the environment or the file.")
@click.option("--no-check", is_flag=True, help="Call nobody: look at the form of the values only.")
@_value_options
def setup(env_file: Path, *, non_interactive: bool, no_check: bool, **given: str | None) -> None:
    """Ask for every credential, check each by a real call, and write .env.

    An option wins over the environment, and that over what the file says. Options can be seen by others on this machine while
    the command runs, so secrets are better given by the environment. Nothing is written before everything is known.
    """
    told = {name: value for name, value in given.items() if value is not None}
    run = Setup(env_file, told, checks=not no_check)
    try:
        run.non_interactive() if non_interactive else run.interactive()
    except Refused as error:
        if error.message:
            click.echo(error.message, err=True)
        sys.exit(1)
    except SettingsError as error:
        click.echo(f"{env_file}: {error.message}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\nStopped. {env_file} is as it was.", err=True)
        sys.exit(130)


@click.command()
@_ENV_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--wait", "wait_s", type=Seconds(0.1, 600), default=15.0, show_default=True, metavar="SECONDS",
              help="How long a message may take through QStash.")  # fmt: skip
@click.option("--ingress-url", metavar="URL", help="Where ingress is; otherwise INGRESS_PORT on this machine.")
def doctor(env_file: Path, *, as_json: bool, wait_s: float, ingress_url: str | None) -> None:
    """Check everything that must run, and say what to do. Exit code 1 if something is wrong; warnings are not."""
    try:
        environ = merged(env_file)
    except (UnicodeDecodeError, OSError):
        environ = merged("/dev/null")  # the file's own check says what is wrong with it
    environ.setdefault("INTENTION_MODE", _guessed_mode(environ))
    sys.exit(asyncio.run(_doctor(environ, env_file, ingress_url or api.ingress_url(environ), wait_s, as_json=as_json)))


def _guessed_mode(environ: dict[str, str]) -> str:
    """As `make run` sees it, unless QStash is not on this machine."""
    url = environ.get("QSTASH_URL", "")
    return "production" if url and not judge.is_loopback(url) else "local"


async def _doctor(environ: dict[str, str], env_file: Path, ingress_url: str, wait_s: float, *, as_json: bool) -> int:
    findings: list[Finding] = []
    async for finding in doctors.examine(environ, env_file=env_file, ingress_url=ingress_url, wait_s=wait_s):
        findings.append(finding)
        if not as_json:
            show(finding)
    counts = {status: sum(one.status == status for one in findings) for status in ("fail", "warn")}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"ok": not counts["fail"], "checks": findings})))
    elif counts["fail"]:
        click.echo(
            f"\n{counts['fail']} wrong, {counts['warn']} to look at. Begin with the first FAIL: others often follow from it."
        )
    else:
        also = f", {counts['warn']} to look at" if counts["warn"] else ""
        click.echo(f"\nAll well{also}.")
    return 1 if counts["fail"] else 0
