"""`intention bulk`: one action upon many executions, a page at a time, or all that fit in one go."""

import sys
from typing import Any

import click

from shared.cli import shown
from shared.cli.verbs import STATUS, Json, Name, Shell, verb

ACTIONS = ("cancel", "pause", "resume", "retry", "compensate", "restart")
FILTERS = "--status, --reason, --text, --created-after, --created-before and --id"


@verb(
    "bulk",
    click.argument("action", type=click.Choice(ACTIONS)),
    STATUS,
    click.option("--reason", multiple=True, help="May be given several times."),
    click.option("--text", type=Name(), help="Part of the words, the summary or the user."),
    click.option("--created-after", type=Name(), metavar="TIME", help="With its offset, as 2026-05-01T19:00:00Z."),
    click.option("--created-before", type=Name(), metavar="TIME", help="With its offset."),
    click.option("--id", "ids", multiple=True, help="These; may be given several times."),
    click.option("--with", "having", type=Json(dict), help="What the action takes."),
    click.option("--all", "everything", is_flag=True, help="All that fit now, however many; without it, 200 at most."),
    click.option("--yes", is_flag=True, help="Do not ask before --all."),
    click.option("--before", default="", help="The `next` of the request before."),
    click.option("--dry-run", is_flag=True, help="Only say what would be done."),
)
def bulk(
    shell: Shell, *, action: str, status: tuple[str, ...], reason: tuple[str, ...], text: str | None,
    created_after: str | None, created_before: str | None, ids: tuple[str, ...], having: dict[str, Any] | None,
    everything: bool, yes: bool, before: str, dry_run: bool,
) -> None:  # fmt: skip
    """One action upon all executions that fit. Try it with --dry-run first."""
    chosen: dict[str, Any] = {"status": status, "reason": reason, "text": text, "ids": [shell.api.resolve(one) for one in ids]}
    chosen |= {"createdAfter": created_after, "createdBefore": created_before}
    wanted = {name: value for name, value in chosen.items() if value}
    if not wanted:
        raise click.UsageError(f"say which: without a filter it would be everything. Filters are {FILTERS}")
    body = {"action": action, "filter": wanted, "dryRun": dry_run, "with": having or {}, "before": before}
    if everything:
        found = _all(shell, body, yes=yes or dry_run)
        shell.show(found, shown.bulk(found | {"results": [one for one in found["results"] if one["result"] == "refused"]}))
    else:
        found = shell.api.ask("POST", "/api/executions/bulk", body)
        shell.show(found, shown.bulk(found))
    if found["refused"]:
        sys.exit(1)


def _all(shell: Shell, body: dict[str, Any], *, yes: bool) -> dict[str, Any]:
    """What came of all that fit now, page by page; what begins meanwhile is left alone."""
    if "ids" not in body["filter"]:
        total, until = _counted(shell, body)
        body = body | {"filter": body["filter"] | {"createdBefore": until}}
    else:
        total = len(body["filter"]["ids"])
    if not yes:
        click.confirm(f"{body['action']} the {total} executions that fit?", abort=True, err=True)
    return _done(shell, body, total)


def _counted(shell: Shell, body: dict[str, Any]) -> tuple[int, str]:
    """How many fit, and up to when."""
    params = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in body["filter"].items()}
    total, place = 0, body["before"]
    while place is not None:
        found = shell.api.ask("GET", "/api/executions/count", params=params | {"before": place})
        params["createdBefore"] = found["createdBefore"]
        total, place = total + found["count"], found["next"]
    return total, params["createdBefore"]


def _done(shell: Shell, body: dict[str, Any], total: int) -> dict[str, Any]:
    found: dict[str, Any] = {"done": 0, "refused": 0, "looked": 0, "results": [], "next": body["before"]}
    with click.progressbar(length=total, label=body["action"], file=sys.stderr) as bar:
        while found["next"] is not None:
            try:
                page = shell.api.ask("POST", "/api/executions/bulk", body | {"before": found["next"]})
            except (click.ClickException, KeyboardInterrupt):
                _tell(found, body)
                raise
            sums = {name: found[name] + page[name] for name in ("done", "refused", "looked", "results")}
            found = page | sums
            bar.update(len(page["results"]))
    return found


def _tell(found: dict[str, Any], body: dict[str, Any]) -> None:
    """How to go on after what was done."""
    click.echo(f"\n{found['done']} done, {found['refused']} refused; the rest was not tried", err=True)
    place = [f"--before {found['next']}"] if found["next"] else []
    until = body["filter"].get("createdBefore")
    words = [*place, *([f"--created-before {until}"] if until else [])]
    click.echo(f"  -> the same command goes on with {' '.join(words)}", err=True)
