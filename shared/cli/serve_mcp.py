"""`intention mcp`: the engine as an MCP server, for assistants that plan, start and follow executions for a person.

Each tool is one question to ingress with the caller's key, as every verb of the command line is: nothing can be done here that
the key may not do. What a person has to agree to is agreed to by its hash, so nobody says yes to what was not shown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import click

from shared.cli.api import Api, opened
from shared.cli.profiles import target

if TYPE_CHECKING:  # the SDK comes with an extra, and no other verb needs it
    from mcp.server import MCPServer

INSTRUCTIONS: Final = (
    "The intention engine carries out plans durably: every step once, undone if the whole cannot be done. Show the person what "
    "`plan` says before you `run` it. `confirm` and `approve` are the person's word: ask before you call them, with the hash "
    "of what was shown. Executions go on without you: `status` tells how far they are, `why` what they wait for."
)
LOOKS: Final = {"read_only_hint": True, "open_world_hint": False}
STARTS: Final = {"read_only_hint": False, "destructive_hint": False, "idempotent_hint": False}
"""Twice is two executions, unless both have the same idempotency key."""
SAYS: Final = {"read_only_hint": False, "destructive_hint": True, "idempotent_hint": True}
_SHOWN: Final = ("id", "status", "reason", "doneSteps", "totalSteps", "summary", "endedAt", "output", "plan", "steps")


@click.command("mcp")
@click.option("--url", metavar="URL", help="Where ingress is; otherwise INTENTION_URL, or INGRESS_PORT on this machine.")
@click.option("--key", metavar="KEY", help="An API key; otherwise INTENTION_KEY, or the first of API_KEYS.")
@click.option("--profile", metavar="NAME", help="An address and a key of the configuration file.")
@click.option("--actor", metavar="NAME", help="Who acts, for the history; otherwise INTENTION_ACTOR, or mcp.")
@click.option("--env-file", type=click.Path(dir_okay=False, path_type=Path), default=Path(".env"), show_default=True,
              help="Where settings that are not in the environment are.")  # fmt: skip
def mcp(*, url: str | None, key: str | None, profile: str | None, actor: str | None, env_file: Path) -> None:
    """Serve the engine to an MCP client, until it ends.

    On standard input and output: clients start it themselves.
    """
    aim = target(env_file, url=url, key=key, profile=profile, actor=actor)
    try:
        import mcp.server  # noqa: F401 - the SDK is an extra
    except ImportError as error:
        raise click.ClickException("the MCP SDK is not installed here: install the extra `mcp`") from error
    with opened(replace(aim, actor=aim.actor or "mcp")) as api:
        server(api).run()


def server(api: Api) -> "MCPServer":
    """The server over a way to ingress."""
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations

    found = MCPServer("intention-engine", instructions=INSTRUCTIONS)

    async def asked(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(question)
        except click.ClickException as error:  # the sentence that the command line would print
            raise ToolError(error.message) from error

    for function, hints in _tools(api, asked).items():
        found.add_tool(function, annotations=ToolAnnotations(**hints))
    return found


Asked = Callable[[Callable[[], dict[str, Any]]], Awaitable[dict[str, Any]]]
"""Asks in a thread, and tells a refusal as the server's own error."""


def _tools(api: Api, asked: Asked) -> Mapping[Callable[..., Any], Mapping[str, Any]]:
    """Every tool, and what an assistant may believe of it."""
    looking, saying = _looking(api, asked), _saying(api, asked)
    return dict.fromkeys(looking, LOOKS) | {_starting(api, asked): STARTS} | dict.fromkeys(saying, SAYS)


Words = Annotated[str, "What is wanted, in plain English; or give a plan instead."]
Execution = Annotated[str, "The execution's id, its beginning or its end, or `last`."]
PlanJson = Annotated[dict[str, Any] | None, 'A plan: {"steps": [{"name": ..., "tool": ..., "args": {...}}]}.']


def _body(words: str, plan: dict[str, Any] | None, user: str, timezone: str) -> dict[str, Any]:
    if bool(words) == (plan is not None):
        raise click.ClickException("give either words or a plan")
    what = {"plan": plan} if plan is not None else {"intent": words}
    return {**what, "userId": user} | ({"context": {"timezone": timezone}} if timezone else {})


def _looking(api: Api, asked: Asked) -> list[Callable[..., Any]]:
    async def plan(
        words: Words = "", plan: PlanJson = None, user: str = "anonymous", timezone: str = ""
    ) -> dict[str, Any]:  # named as it is shown
        """What would be done and what it would cost: steps, undo of each, messages, duration, and the plan's hash."""
        return await asked(lambda: api.ask("POST", "/api/plan", _body(words, plan, user, timezone)))

    async def status(execution: Execution) -> dict[str, Any]:
        """How far an execution is, with its steps, their outputs, and what waits for approval (with its hash)."""

        def question() -> dict[str, Any]:
            whole = api.get(api.resolve(execution))
            return {name: whole[name] for name in _SHOWN if name in whole}

        return await asked(question)

    async def why(execution: Execution) -> dict[str, Any]:
        """What an execution waits for, and who moves it."""
        return await asked(lambda: api.ask("GET", f"/api/executions/{api.resolve(execution)}/why"))

    async def list_executions(status: str = "", text: str = "", limit: int = 20) -> dict[str, Any]:
        """Executions, newest first; `status` may name several, comma separated; `text`: part of words, summary or user."""
        params = {name: value for name, value in {"status": status, "text": text}.items() if value} | {"limit": str(limit)}
        return await asked(lambda: api.ask("GET", "/api/executions", params=params))

    return [plan, status, why, list_executions]


def _starting(api: Api, asked: Asked) -> Callable[..., Any]:
    async def run(
        words: Words = "",
        plan: PlanJson = None,
        user: str = "anonymous",
        timezone: str = "",
        idempotency_key: str = "",
        confirm: bool = False,  # noqa: FBT001, FBT002 - given by name, in JSON
    ) -> dict[str, Any]:
        """Start words or a plan; the answer has the id. The same request under the same idempotency key runs once.

        With `confirm`, nothing starts before the plan's hash is confirmed.
        """

        def question() -> dict[str, Any]:
            body = _body(words, plan, user, timezone) | ({"confirm": True} if confirm else {})
            return api.ask("POST", "/api/execute", body, key=idempotency_key)

        return await asked(question)

    return run


def _saying(api: Api, asked: Asked) -> list[Callable[..., Any]]:
    def said(execution: str, what: str, body: dict[str, Any]) -> Awaitable[dict[str, Any]]:
        return asked(lambda: api.ask("POST", f"/api/executions/{api.resolve(execution)}/{what}", body))

    async def confirm(execution: Execution, plan_hash: str) -> dict[str, Any]:
        """The person agrees to the plan with this hash, and it starts."""
        return await said(execution, "confirm", {"planHash": plan_hash})

    async def approve(execution: Execution, step: str, args_hash: str, note: str = "") -> dict[str, Any]:
        """The person agrees to the arguments, by their hash, that a step is to be called with."""
        return await said(execution, "approve", {"step": step, "argsHash": args_hash, "note": note})

    async def reject(execution: Execution, step: str = "", note: str = "") -> dict[str, Any]:
        """The person says no: to a step's arguments, or without a step to the whole plan."""
        return await said(execution, "reject", {"step": step, "note": note})

    async def cancel(execution: Execution, reason: str = "", undo: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - by name
        """Stop an execution and undo what was done, unless `undo` is false."""
        return await said(execution, "cancel", {"reason": reason, "undo": undo})

    async def signal(execution: Execution, name: str, data: Any = None) -> dict[str, Any]:
        """Tell an execution of an event that it waits for."""
        return await said(execution, f"events/{name}", {"data": data})

    return [confirm, approve, reject, cancel, signal]
