"""Numbers on the command line, refused with what may be written."""

from typing import Any

import click


class Number(click.IntRange):
    """A whole number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """BadParameter says which numbers there are."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_say(value, "a number", self.min, self.max), param, ctx)


class Seconds(click.FloatRange):
    """A time, which may have a fraction."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """BadParameter says which numbers there are."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_say(value, "seconds,", self.min, self.max), param, ctx)


def _say(value: Any, what: str, least: float | None, most: float | None) -> str:
    upper = f"to {most}" if most is not None else "on"
    return f"{str(value)[:40]!r}: give {what} from {least} {upper}"
