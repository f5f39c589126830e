"""`intention sim`: the engine against simulated surroundings, from seeds."""

import os
import sys

import click

from shared.cli.numbers import Number
from shared.simulation import campaign


@click.command()
@click.option("--seeds", type=Number(1), default=1_000, show_default=True, metavar="N", help="How many seeds to play.")
@click.option("--from", "first", type=Number(0), default=0, show_default=True, metavar="K", help="The first of them.")
@click.option("--seed", type=Number(0), metavar="K", help="Play this one only, and tell its story.")
@click.option("--jobs", type=Number(1), default=max(1, min(2, os.cpu_count() or 1)), show_default=True, metavar="J",
              help="Processes to spread the seeds over.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Durable barriers in every seed, as with DURABILITY=strict.")
def sim(*, seeds: int, first: int, seed: int | None, jobs: int, strict: bool) -> None:
    """Play seeds: real engine, simulated clock, Redis, QStash, tools, crashes. Exit code 1 if a promise was broken."""
    only = True if strict else None
    if seed is not None:
        story = campaign.explain(seed, strict=only)
        click.echo(story)
        sys.exit(1 if "\nBROKEN" in story else 0)
    summary = campaign.run(range(first, first + seeds), jobs=jobs, strict=only)
    click.echo(campaign.render(summary))
    if not summary.broken:
        click.echo("\nNo promise was broken.")
        return
    click.echo(f"\n{len(summary.broken)} runs broke a promise. The first:\n")
    click.echo(campaign.explain(summary.broken[0][0], strict=only))
    click.echo("\nAll of them:")
    for number, check, message in summary.broken[:50]:
        click.echo(f"  seed {number:>7}  {check}: {message.removeprefix(check + ': ')[:110]}")
    sys.exit(1)
