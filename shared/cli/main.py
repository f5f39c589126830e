"""The command `intention`: its verbs, each loaded when it is asked for."""

import logging
from typing import Final

import click

from shared.cli.late import Late, LateGroup

_LOOK, _DO = "shared.cli.looking", "shared.cli.operate"
VERBS: Final = {
    "dev": Late("shared.cli.dev", "dev", "Run the whole system on this machine."),
    "setup": Late("shared.cli.checks", "setup", "Ask for every credential, check each by a real call, and write .env."),
    "doctor": Late("shared.cli.checks", "doctor", "Check everything that must run, and say what to do."),
    "plan": Late(_LOOK, "plan_", "What would be done and what it would cost."),
    "run": Late(_DO, "run", "Run words or a plan."),
    "list": Late(_LOOK, "list_", "Executions, newest first."),
    "get": Late(_LOOK, "get", "One execution with its steps."),
    "watch": Late(_LOOK, "watch", "Follow an execution to its end; the exit code is the outcome."),
    "why": Late(_LOOK, "why", "What an execution waits for, and who moves it."),
    "logs": Late(_LOOK, "logs", "What the calls of a step have logged."),
    "export": Late(_LOOK, "export", "Everything of an execution as one JSON document."),
    "approvals": Late(_LOOK, "approvals", "What people are asked."),
    "approve": Late(_DO, "approve", "Say yes to exactly the arguments that STEP is to be called with."),
    "reject": Late(_DO, "reject", "Say no to a step's arguments, or without STEP to the whole plan."),
    "confirm": Late(_DO, "confirm", "Say yes to a plan: exactly that plan runs."),
    "pause": Late(_DO, "pause", "Let nothing new start."),
    "resume": Late(_DO, "resume", "Go on after a pause."),
    "signal": Late(_DO, "signal", "Tell an execution of the event NAME."),
    "retry": Late(_DO, "retry", "Try STEP again at once; of what is over, without STEP all that failed."),
    "edit": Late(_DO, "edit", "Other arguments for STEP, which has not happened."),
    "skip": Late(_DO, "skip", "Go on as if STEP had given an output; of a failed undo: you have dealt with it."),
    "settle": Late(_DO, "settle", "Say whether an effect that nobody knows of happened."),
    "cancel": Late(_DO, "cancel", "Stop, and undo what was done."),
    "compensate": Late(_DO, "compensate", "Stop and undo; of what is over, undo what stands."),
    "restart": Late(_DO, "restart", "The same plan as a new execution."),
    "fork": Late(_DO, "fork", "A new execution from STEP on; what came before it is given."),
    "bulk": Late("shared.cli.bulk", "bulk", "One action upon all executions that fit."),
    "schedule": Late("shared.cli.timetable", "schedule", "Words or a plan, again and again."),
    "dlq": Late("shared.cli.letters", "dlq", "Messages that QStash gave up, and executions that nothing comes of."),
    "gates": Late("shared.cli.gates", "gates", "Tools that are paused, or that fail so often that nobody calls them."),
    "quota": Late(_LOOK, "quota", "Messages spent, reserved and left."),
    "tools": Late("shared.cli.tools", "tools", "List the tools that steps can call, as ingress has them."),
    "deploy": Late("shared.cli.deploy", "deploy", "Ask before new code takes over from old."),
    "mcp": Late("shared.cli.serve_mcp", "mcp", "Serve the engine to an MCP client, until it ends."),
    "openapi": Late(_LOOK, "openapi", "Print the OpenAPI document of a service."),
    "profile": Late("shared.cli.profiles", "profiles", "Addresses and keys of several engines."),
    "completion": Late("shared.cli.completion", "completion", "Print what teaches a shell to complete commands and ids."),
    "sim": Late("shared.cli.sim", "sim", "Play seeds: real engine, simulated clock, Redis, QStash, tools, crashes."),
}
_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click calls it so
    if not asked or context.resilient_parsing:
        return
    from shared.cli.versions import version

    click.echo(f"intention {version()}")
    context.exit()


@click.group(cls=LateGroup, late=VERBS, context_settings=_HELP)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def intention() -> None:
    """Plan, run, watch and steer durable executions.

    An ID may be shortened to its beginning or end; `last` is the newest. --url, --key, --profile, --actor, --env-file and
    --json stand before the verb or behind it. Exit codes: docs/cli.md.
    """
    # python-dotenv logs lines it cannot read; `intention doctor` tells them with their number and a remedy.
    logging.getLogger("dotenv.main").setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command of the arguments."""
    intention(prog_name="intention")
