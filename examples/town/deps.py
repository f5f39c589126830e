"""What the routes are given: finished things, opened and closed by whoever built them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from examples.town.knobs import Board
from examples.town.store import Store


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class Deps(NamedTuple):
    """The town's parts."""

    store: Store
    board: Board
    now: Callable[[], datetime] = utc_now
