"""Values that are settled, where each came from, and the requests they belong to."""

from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from shared.planner.domain import Domain
from shared.planner.messages import Letter
from shared.planner.model import Channel, Origin
from shared.planner.moments import Moment
from shared.planner.requests import Request

T = TypeVar("T")


class Known(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A value and where it came from."""

    value: T
    origin: Origin
    words: str


class Lean(msgspec.Struct, frozen=True, kw_only=True):
    """A value that only another request's step will give."""

    on: int
    """The number of that request in the text."""
    path: str = ""
    """`tool.path` of its row."""
    template: str = ""
    """Instead of a path: a text made of its values and outputs."""
    words: str
    """How it is called in a summary."""


Value: TypeAlias = Known[Any] | Lean


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A request with everything it needs."""

    number: int
    request: Request
    moment: Moment | None
    values: dict[str, Value]
    after: int | None = None
    """The number of what was said to come before it."""
    variant: "Done | None" = None
    """What it is instead, if it cannot be had."""

    @property
    def domain(self) -> Domain:
        """Its row."""
        return self.request.domain

    @property
    def label(self) -> str:
        """What a rule calls it."""
        return self.domain.label.format(time=self.moment.time if self.moment else "")


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its address. Without a body it tells of requests."""

    number: int
    letter: Letter | None
    """None: nobody asked for it but the profile."""
    domain: Domain
    channel: Known[Channel]
    to: Known[str]
    body: str | None
    moment: Moment | None = None
    """When it waits for one."""
    about: int | None = None
    """The one request it tells of, if it named one."""
    after: int | None = None
