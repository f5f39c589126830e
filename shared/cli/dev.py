"""`intention dev`: what `make run` runs."""

import sys

import click


@click.command()
def dev() -> None:
    """Run the whole system on this machine. Ctrl-C stops it; the data under .intention/ stays."""
    from shared.local.__main__ import main

    sys.exit(main())
