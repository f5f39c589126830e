"""What every verb of the command line is made of: options that all of them have, whom to ask, how to show what comes of it."""

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from shared.cli import completion, screen, shown
from shared.cli.api import Api, opened
from shared.cli.grids import Part
from shared.cli.numbers import Number, Seconds
from shared.cli.profiles import Target, target

F = TypeVar("F", bound=Callable[..., Any])


class Shell:
    """What every verb needs: whom to ask, and how to show what comes of it."""

    def __init__(self, api: Api, aim: Target, *, as_json: bool) -> None:
        """`as_json`: the answer as it is, and nothing else on standard output."""
        self.api = api
        self.aim = aim
        self.as_json = as_json

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment over `.env`."""
        return self.aim.environ

    def show(self, found: Any, parts: Iterable[Part]) -> None:
        """The answer as JSON, or for people."""
        if self.as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(found)))
        else:
            screen.show(parts)

    def page(self, found: dict[str, Any], parts: Iterable[Part]) -> None:
        """One page of a list; a person is told how to get the next one."""
        self.show(found, parts)
        if found["next"] and not self.as_json and screen.is_terminal(sys.stdout):
            click.echo(f"more with --before {found['next']}", err=True)

    def act(self, execution: str, action: str, body: dict[str, Any], version: int | None = None) -> dict[str, Any]:
        """Do it. Of an execution that is over, the version that it has now counts as seen, unless one is named."""
        found = self.api.get(execution)
        if version is None and found["endedAt"] is not None:
            version = int(found["version"])
        said = body | ({"version": version} if version is not None else {})
        return self.api.ask("POST", f"/api/executions/{execution}/{action}", said)

    def after(self, execution: str, told: dict[str, Any], wait_s: float | None) -> None:
        """Show what an action came to; with --wait the end of the execution, whose outcome is the exit code."""
        if wait_s is None:
            self.show(told, [shown.acted(told)])
            return
        self.wait(execution, wait_s, sys.stderr)

    def wait(self, execution: str, wait_s: float, stream: Any) -> None:
        """Tell on `stream` how it goes, then show what came of it; leaves with the outcome as exit code."""
        from shared.cli.watching import watched

        found = watched(self.api, execution, wait_s, stream, quiet=self.as_json)
        self.show(found, shown.execution(found))
        sys.exit(shown.outcome(found["status"]))


class Json(click.ParamType[Any]):
    """JSON, looked at before anybody is asked; `of`: what it must be."""

    name = "JSON"

    def __init__(self, of: type[Any] = object) -> None:
        self._of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; BadParameter says how it is written."""
        try:
            found = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            self.fail(f'{error}: write JSON, such as {{"label": "x"}}, or "text" with its quotes', param, ctx)
        if not isinstance(found, self._of):
            self.fail(f"{value[:40]} is no JSON {'object' if self._of is dict else self._of.__name__}", param, ctx)
        return found


class Name(click.ParamType[str]):
    """A word that may not be empty: an unset variable would mean another thing, such as the whole instead of one step."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word as it is."""
        if not value.strip():
            self.fail("it is empty", param, ctx)
        return value


ENV_FILE: Final = click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="Where settings that are not in the environment are.",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
COMMON: Final = (
    click.option("--url", metavar="URL", help="Where ingress is; otherwise INTENTION_URL, or INGRESS_PORT on this machine."),
    click.option("--key", metavar="KEY", help="An API key; otherwise INTENTION_KEY, or the first of API_KEYS."),
    click.option("--profile", metavar="NAME", help="An address and a key of the configuration file."),
    click.option("--actor", metavar="NAME", default="", help="Who acts, for the history; otherwise INTENTION_ACTOR."),
    JSON,
    ENV_FILE,
)
WAIT: Final = click.option(
    "--wait", "wait_s", type=Seconds(0.1, 86_400), flag_value=300.0, is_flag=False, default=None, metavar="[SECONDS]",
    help="Wait for the end (300 s unless said); the exit code is the outcome.",
)  # fmt: skip
VERSION: Final = click.option("--version", type=Number(0), help="The version that you saw; refused if it has moved on.")
ID: Final = click.argument("execution", metavar="ID", shell_complete=completion.ids("executions"))
STEP: Final = click.argument("step", type=Name())
ONE_STEP: Final = click.argument("step", required=False, type=Name())
STATUS: Final = click.option("--status", multiple=True, shell_complete=completion.statuses, help="May be given several times.")
PLAN: Final = click.option("--plan", type=click.File("rb"), help="A plan as JSON instead of words; - reads it from a pipe.")
KINDS: Final = {"execution": "executions", "letter": "dlq", "schedule": "schedules"}
"""Arguments that are ids, which may be shortened, and the list that they are looked for in."""


def verb(name: str, *options: Callable[[Any], Any], group: click.Group | None = None) -> Callable[[F], click.Command]:
    """A command whose function gets a Shell, and the whole id where it takes one."""

    def made(function: F) -> click.Command:
        @functools.wraps(function)
        def body(
            *, url: str | None, key: str | None, profile: str | None, actor: str, as_json: bool, env_file: Path, **given: Any
        ) -> None:  # a command without its common options would be another command
            aim = target(env_file, url=url, key=key, profile=profile, actor=actor)
            with opened(aim) as api:
                given |= {of: api.resolve(given[of], KINDS[of]) for of in KINDS if given.get(of) is not None}
                function(Shell(api, aim, as_json=as_json), **given)

        found = click.command(name)(optioned(common(body), *options))
        if group is not None:
            group.add_command(found)
        return found

    return made


def optioned(command: Any, *options: Callable[[Any], Any]) -> Any:
    """The function with these options, which the help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def common(command: Any) -> Any:
    """The function with the options that all verbs have."""
    return optioned(command, *COMMON)


def plan_of(file: Any) -> Any:
    """The plan that --plan names; BadParameter for what is none."""
    try:
        return msgspec.json.decode(file.read())
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"{error}: a plan is JSON", param_hint="--plan") from error
