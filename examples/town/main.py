"""Composition root: `python -m examples.town.main`. Everything that touches the disk or the network is opened here."""

import asyncio
import os
from contextlib import closing
from pathlib import Path

from examples.town.app import build_app
from examples.town.deps import Deps
from examples.town.knobs import Board
from examples.town.store import Store
from shared import logs
from shared.errors import SettingsError
from shared.http import serve, stop
from shared.settings import Settings
from shared.settings_load import load


def main() -> None:
    """Run until SIGINT or SIGTERM; a wrong setting or a busy port ends it with one line."""
    try:
        run(load(os.environ))
    except SettingsError as error:
        stop(error)


def run(settings: Settings) -> None:
    """Open the book, forget what is old, serve."""
    logs.configure(service="town", format=settings.log_format, level=settings.log_level)
    with closing(Store(Path(settings.town_database))) as store:
        asyncio.run(store.forget_old_keys())
        logs.get_logger().info(
            "town.started", host=settings.town_host, port=settings.town_port, database=settings.town_database
        )
        app = build_app(Deps(store, Board()))
        serve(app, host=settings.town_host, port=settings.town_port, name="town", port_setting="TOWN_PORT")


if __name__ == "__main__":
    main()
