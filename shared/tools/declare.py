"""`@tool` on a typed coroutine function: what the author says of it, kept beside it until a registry takes it in.

    @tool(effect="idempotent", version="2", timeout_ms=3_000, secrets=("CRM_TOKEN",))
    async def create_contact(call: Call, means: Means, *, name: str, email: str) -> Any:
        \"\"\"Create a contact in the CRM.\"\"\"

The schema is the signature behind the `*`, the description is the docstring. `means` may be left out.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, TypeVar

import msgspec

from shared.machine.plan import Cost, Effect, Limited, Retry, Undo
from shared.settings import Secret
from shared.tools.outbound import Outbound
from shared.tools.redaction import Redactor
from shared.tools.registry import VERSION, Call, Registry, ToolFunction, arguments_of

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
_MARK: Final = "__intention_tool__"


class BadTool(Exception):
    """A declaration that cannot be kept; the message names the tool and what to write."""


class Means:
    """What a tool is given to work with: its secrets, and the way out."""

    def __init__(self, http: Outbound, secrets: Mapping[str, Secret]) -> None:
        """`secrets`: those that the tool declared, and no others."""
        self.http = http
        self.redactor = Redactor(secrets.values())
        self._secrets = dict(secrets)

    def secret(self, name: str) -> Secret:
        """A declared secret's value. It belongs into a request, never into an output or an error."""
        try:
            return self._secrets[name]
        except KeyError:
            raise LookupError(f"{name} is not among the secrets that the tool declares") from None


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What `@tool` was told."""

    effect: Effect
    version: str
    timeout_ms: int
    settle_ms: int
    retry: Retry | None
    undo: ToolFunction | None
    undo_kind: Undo
    probe: ToolFunction | None
    limit: Limited | None
    cost: Cost | None
    secrets: tuple[str, ...]
    name: str


def tool(
    *,
    effect: Effect | str,
    version: str = "1",
    timeout_ms: int = 5_000,
    settle_ms: int = 15_000,
    retry: Retry | None = None,
    undo: ToolFunction | None = None,
    undo_kind: Undo | str = Undo.TOMBSTONE,
    probe: ToolFunction | None = None,
    limit: Limited | None = None,
    cost: Cost | None = None,
    secrets: tuple[str, ...] = (),
    name: str = "",
) -> Callable[[F], F]:
    """Declare a tool. BadTool, where it stands, for what cannot be kept.

    `timeout_ms`: the longest that a call may take. `undo` and `probe` are coroutine functions of the call alone, and find
    the effect by `call.key`. `name` is the function's own unless a second version of it stands in the same module.
    """

    def declared(function: F) -> F:
        called = name or function.__name__
        found = Declared(
            effect=_one_of(Effect, effect, f"{called}: effect"),
            version=version,
            timeout_ms=timeout_ms,
            settle_ms=settle_ms,
            retry=retry,
            undo=undo,
            undo_kind=_one_of(Undo, undo_kind, f"{called}: undo_kind"),
            probe=probe,
            limit=limit,
            cost=cost,
            secrets=secrets,
            name=called,
        )
        _check(function, found)
        setattr(function, _MARK, found)
        return function

    return declared


def declared_in(module: ModuleType) -> Iterator[tuple[ToolFunction, Declared]]:
    """The tools that a module declares itself, in its order; what it imports from another is that one's."""
    for function in vars(module).values():
        found = getattr(function, _MARK, None)
        if isinstance(found, Declared) and function.__module__ == module.__name__:
            yield function, found


def add(registry: Registry, function: ToolFunction, declared: Declared, means: Means) -> None:
    """Take a declared tool in. BadTool if one of that name and version is there already."""
    if registry.get(declared.name, declared.version) is not None:
        raise BadTool(f"{declared.name}, version {declared.version}, is there twice: give one of them another name or version")
    registry.add(
        _bound(function, means),
        effect=declared.effect,
        version=declared.version,
        timeout_ms=declared.timeout_ms,
        settle_ms=declared.settle_ms,
        retry=declared.retry,
        undo=_bound(declared.undo, means) if declared.undo else None,
        undo_kind=declared.undo_kind,
        probe=_bound(declared.probe, means) if declared.probe else None,
        limit=declared.limit,
        cost=declared.cost,
        name=declared.name,
        summary=inspect.getdoc(function) or "",
        args=arguments_of(function),
    )


def _bound(function: ToolFunction, means: Means) -> ToolFunction:
    """As the runner calls it: the means are given here, and no secret of theirs comes back."""
    if len(_before_the_star(function)) < 2:
        return means.redactor.around(function)

    async def called(call: Call, **args: Any) -> Any:
        return await function(call, means, **args)

    return means.redactor.around(called)


def _before_the_star(function: ToolFunction) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [parameter for parameter in found if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]


def _check(function: ToolFunction, said: Declared) -> None:
    _check_shape(function, said.name)
    for kind, other in (("undo", said.undo), ("probe", said.probe)):
        if other is not None:
            _check_shape(other, f"{said.name}: its {kind}", by_key=True)
    if not inspect.getdoc(function):
        raise BadTool(f"{said.name} has no docstring: it is what a reader and a planner know of it")
    if said.effect is Effect.PROBEABLE and said.probe is None:
        raise BadTool(f"{said.name} is probeable and has no probe: give probe=, or say effect='unsafe'")
    if said.effect is Effect.PURE and said.undo is not None:
        raise BadTool(f"{said.name} is pure, so there is nothing to undo")
    if said.undo_kind not in {Undo.TOMBSTONE, Undo.SETTLED}:
        raise BadTool(f"{said.name}: undo_kind is tombstone or settled")
    if not VERSION.fullmatch(said.version):
        raise BadTool(f"{said.name}: {said.version[:40]!r} is no version; write numbers such as '2' or '2.1'")
    if said.timeout_ms < 1 or said.settle_ms < 0:
        raise BadTool(f"{said.name}: timeout_ms is at least 1, settle_ms at least 0")


def _check_shape(function: ToolFunction, what: str, *, by_key: bool = False) -> None:
    if not inspect.iscoroutinefunction(function):
        raise BadTool(f"{what} is no coroutine function: write `async def`")
    parameters = inspect.signature(function).parameters.values()
    before, behind = _before_the_star(function), [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    plain = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if not 1 <= len(before) <= 2 or any(one.kind not in plain for one in before):
        raise BadTool(f"{what} takes a Call, perhaps Means, and its arguments behind a `*`: f(call, *, name: str)")
    if by_key and behind:
        raise BadTool(f"{what} takes no arguments: it finds the effect by `call.key`")
    for parameter in behind:
        if parameter.annotation is inspect.Parameter.empty:
            raise BadTool(f"{what}: the argument {parameter.name} has no type")


E = TypeVar("E", Effect, Undo)


def _one_of(kind: type[E], value: E | str, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise BadTool(f"{what} is {value!r}: write one of {', '.join(kind)}") from None
