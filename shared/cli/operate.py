"""`intention run|cancel|approve|...`: what people do to executions, each verb one question to ingress."""

import sys
from typing import Any, Final
from urllib.parse import quote

import click

from shared.cli import shown
from shared.cli.looking import USER, WORDS, ZONE, asked
from shared.cli.verbs import ID, ONE_STEP, PLAN, STEP, VERSION, WAIT, Json, Name, Shell, verb

OUTPUT: Final = click.option("--output", type=Json(), help="What the step counts as having given.")

OVER: Final = "is over already; nothing was cancelled"
"""What ingress says of one that has ended by itself. Of one that was cancelled it says so: asking twice is no mistake."""

# --- starting


@verb(
    "run",
    WORDS,
    PLAN,
    USER,
    ZONE,
    click.option("--idempotency-key", default="", help="The same request under the same key runs once."),
    click.option("--confirm", is_flag=True, help="Nothing starts before the plan is confirmed: `intention confirm`."),
    WAIT,
)
def run(
    shell: Shell, *, words: str | None, plan: Any, user: str, timezone: str, idempotency_key: str, confirm: bool,
    wait_s: float | None,
) -> None:  # fmt: skip
    """Run words or a plan."""
    body = asked(words, plan, user, timezone) | ({"confirm": True} if confirm else {})
    told = shell.api.ask("POST", "/api/execute", body, key=idempotency_key)
    if "cron" in told:  # the words say themselves when they repeat
        shell.show(told, [f"{told['id']} scheduled: {told['summary']}", f"next at {told['nextAt']}"])
        return
    will = f"waits for: intention confirm {told['id']}" if confirm else "accepted"
    shell.after(told["id"], told | {"will": will}, wait_s)


# --- the execution as a whole


@verb(
    "cancel",
    ID,
    click.option("--reason", default="", help="For the history."),
    click.option("--no-undo", is_flag=True, help="Leave what was done."),
    WAIT,
)
def cancel(shell: Shell, *, execution: str, reason: str, no_undo: bool, wait_s: float | None) -> None:
    """Stop, and undo what was done. Exit code 1 if it was over before, uncancelled."""
    body = {"reason": reason, "undo": not no_undo}
    told = shell.api.ask("POST", f"/api/executions/{execution}/cancel", body)
    shell.after(execution, told, wait_s)
    if told["result"] == OVER:
        sys.exit(1)


def _simple(name: str, about: str) -> click.Command:
    def act(shell: Shell, *, execution: str, version: int | None, wait_s: float | None = None) -> None:
        shell.after(execution, shell.act(execution, name, {}, version), wait_s)

    act.__doc__ = about
    options = (ID, VERSION) if name == "pause" else (ID, VERSION, WAIT)
    return verb(name, *options)(act)


pause = _simple("pause", "Let nothing new start.")
resume = _simple("resume", "Go on after a pause.")
compensate = _simple("compensate", "Stop and undo; of what is over, undo what stands.")


@verb(
    "restart",
    ID,
    click.option("--accept-effects", is_flag=True, help="What stands of the old execution may stand."),
    click.option("--idempotency-key", default="", help="Once under this key."),
    WAIT,
)
def restart(shell: Shell, *, execution: str, accept_effects: bool, idempotency_key: str, wait_s: float | None) -> None:
    """The same plan as a new execution."""
    body = {"acceptEffects": accept_effects}
    told = shell.api.ask("POST", f"/api/executions/{execution}/restart", body, key=idempotency_key)
    shell.after(told["id"], told | {"will": f"runs what {execution} ran"}, wait_s)


@verb(
    "fork",
    ID,
    STEP,
    click.option("--accept-effects", is_flag=True, help="What stands of the old execution may stand."),
    click.option("--idempotency-key", default="", help="Once under this key."),
    WAIT,
)
def fork(shell: Shell, *, execution: str, step: str, accept_effects: bool, idempotency_key: str, wait_s: float | None) -> None:
    """A new execution from STEP on; what came before it is given."""
    body = {"step": step, "acceptEffects": accept_effects}
    told = shell.api.ask("POST", f"/api/executions/{execution}/fork", body, key=idempotency_key)
    given = ", ".join(told["given"]) or "nothing"
    shell.after(told["id"], told | {"will": f"runs from {step} on; given: {given}"}, wait_s)


# --- one step


@verb("retry", ID, ONE_STEP, VERSION, WAIT)
def retry(shell: Shell, *, execution: str, step: str | None, version: int | None, wait_s: float | None) -> None:
    """Try STEP again at once; of what is over, without STEP all that failed."""
    shell.after(execution, shell.act(execution, "retry", {"step": step or ""}, version), wait_s)


@verb("skip", ID, STEP, OUTPUT, VERSION, WAIT)
def skip(shell: Shell, *, execution: str, step: str, output: Any, version: int | None, wait_s: float | None) -> None:
    """Go on as if STEP had given an output; of a failed undo: you have dealt with it."""
    body = {"step": step, "output": output}
    shell.after(execution, shell.act(execution, "skip", body, version), wait_s)


@verb("edit", ID, STEP, click.option("--args", type=Json(dict), required=True, help="The new arguments."), VERSION, WAIT)
def edit(shell: Shell, *, execution: str, step: str, args: dict[str, Any], version: int | None, wait_s: float | None) -> None:
    """Other arguments for STEP, which has not happened."""
    body = {"step": step, "args": args}
    shell.after(execution, shell.act(execution, "edit", body, version), wait_s)


@verb(
    "approve",
    ID,
    STEP,
    click.option("--args", type=Json(dict), help="Approve these arguments instead."),
    click.option("--args-hash", help="Of the arguments that you saw; without it they are shown, and you are asked."),
    click.option("--note", default="", help="For the history."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    VERSION,
    WAIT,
)
def approve(
    shell: Shell, *, execution: str, step: str, args: dict[str, Any] | None, args_hash: str | None, note: str, yes: bool,
    version: int | None, wait_s: float | None,
) -> None:  # fmt: skip
    """Say yes to exactly the arguments that STEP is to be called with."""
    if args_hash is None:
        args_hash = _seen(shell, execution, step, args, yes=yes)
    body = {"step": step, "argsHash": args_hash, "note": note} | ({} if args is None else {"args": args})
    shell.after(execution, shell.act(execution, "approve", body, version), wait_s)


def _seen(shell: Shell, execution: str, step: str, edited: dict[str, Any] | None, *, yes: bool) -> str:
    found = shell.api.get(execution)
    seen = next((one for one in found["steps"] if one["name"] == step), None)
    hold = (seen or {}).get("hold") or {}
    if hold.get("kind") != "approval":
        remedy = f"it is {found['status']}" if found["endedAt"] else f"`intention why {execution}` says what it waits for"
        raise click.ClickException(f"{step} does not wait for approval: {remedy}")
    if not yes:
        click.confirm(f"{step} with {shown.compact(edited if edited is not None else hold['args'])}?", abort=True, err=True)
    return str(hold["argsHash"])


@verb(
    "confirm",
    ID,
    click.option("--plan-hash", help="Of the plan that you saw; without it the plan is shown, and you are asked."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    VERSION,
    WAIT,
)
def confirm(
    shell: Shell, *, execution: str, plan_hash: str | None, yes: bool, version: int | None, wait_s: float | None
) -> None:
    """Say yes to a plan: exactly that plan runs."""
    if plan_hash is None:
        plan_hash = _seen_plan(shell, execution, yes=yes)
    shell.after(execution, shell.act(execution, "confirm", {"planHash": plan_hash}, version), wait_s)


def _seen_plan(shell: Shell, execution: str, *, yes: bool) -> str:
    found = shell.api.get(execution)
    if found["status"] != "AWAITING_CONFIRMATION":
        raise click.ClickException(f"it is {found['status']}: its plan does not wait to be confirmed")
    if not yes:
        click.echo("\n".join(shown.plan_to_sign(found)), err=True)
        click.confirm("this plan?", abort=True, err=True)
    return str(found["plan"]["hash"])


@verb(
    "reject",
    ID,
    ONE_STEP,
    click.option("--note", default="", help="For the history."),
    VERSION,
    WAIT,
)
def reject(shell: Shell, *, execution: str, step: str | None, note: str, version: int | None, wait_s: float | None) -> None:
    """Say no to a step's arguments, or without STEP to the whole plan."""
    body = {"step": step or "", "note": note}
    shell.after(execution, shell.act(execution, "reject", body, version), wait_s)


@verb(
    "settle",
    ID,
    STEP,
    click.option("--happened/--did-not-happen", default=None, help="Whether the effect is there."),
    OUTPUT,
    VERSION,
    WAIT,
)
def settle(
    shell: Shell, *, execution: str, step: str, happened: bool | None, output: Any, version: int | None,
    wait_s: float | None,
) -> None:  # fmt: skip
    """Say whether an effect that nobody knows of happened."""
    if happened is None:
        raise click.UsageError("say --happened or --did-not-happen")
    body = {"step": step, "happened": happened, "output": output}
    shell.after(execution, shell.act(execution, "settle", body, version), wait_s)


@verb(
    "signal",
    ID,
    click.argument("name", type=Name()),
    click.option("--data", type=Json(), help="What the event says."),
    click.option("--id", "event_id", default="", help="The same event again, under the same id, changes nothing."),
    click.option("--via", type=click.Choice(["http", "ably"]), default="http", show_default=True,
                 help="ably: publish on the tenant's channel with ABLY_API_KEY, as a program of the tenant would."),
    click.option("--tenant", default="", help="Whose channel; otherwise the tenant of the API key."),
    WAIT,
)  # fmt: skip
def signal(
    shell: Shell, *, execution: str, name: str, data: Any, event_id: str, via: str, tenant: str, wait_s: float | None
) -> None:
    """Tell an execution of the event NAME."""
    if via == "ably":
        from shared.cli import signals  # the client of Ably costs a third of a second

        tenant = tenant or signals.tenant_of(shell.environ, shell.aim.key)
        message = signals.publish(shell.environ, tenant, name, execution=execution, data=data, id=event_id)
        told: dict[str, Any] = {"name": name, "result": f"published on the channel of {tenant}", "message": message}
    else:
        said = {"data": data} | ({"id": event_id} if event_id else {})
        told = shell.api.ask("POST", f"/api/executions/{execution}/events/{quote(name, safe='')}", said)
    shell.after(execution, told | {"id": execution}, wait_s)
