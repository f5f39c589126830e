"""Tools as data and functions: schemas from signatures, contracts for plans, and the runner that makes the calls."""

import asyncio
import hashlib
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Final, get_type_hints

import msgspec

from shared import step_log
from shared.callbacks import Addresses
from shared.logs import get_logger
from shared.machine import refs
from shared.machine.accept import Problem
from shared.machine.decision import Start
from shared.machine.events import Accepted, Done, NotSent, Outcome, Refused, Unanswered
from shared.machine.plan import Contract, Cost, Effect, Limited, Retry, Undo
from shared.misshapen import misshapen

log = get_logger()

MAX_RESULT_BYTES: Final = 1_048_576
_PLACE: Final = b"callback://"
"""How the place of an address begins in arguments; most have none, and need not be gone through."""
VERSION: Final = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
"""Numbers with dots between them: so it is plain which of two is newer."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls a tool, and under which key."""

    key: str
    """The effect's key: the same for every attempt. For an undo, the key of the effect to take back."""
    attempt: int
    deadline_s: float
    tenant: str = ""
    """For whom: which hosts may be asked depends on it."""
    address: Callable[[], str] = str
    """Signs where this attempt may be called back."""

    @property
    def callback_url(self) -> str:
        """Where this attempt may be called back, for a tool that returns TookOver. Signed when asked for: few tools ask."""
        return self.address()

    def log(self, message: str, *, level: step_log.Level = "info", **fields: Any) -> None:
        """Keep a line with this attempt, for who looks at the step. Bounded, without secrets; costs nothing that is waited for.

        `fields` are JSON, or become texts. Nothing is kept where no execution is run (the kit, `intention tools check`).
        """
        step_log.write(message, level, fields)


class ToolRefused(Exception):
    """The other side said: not done."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, retry_after_ms: int | None = None) -> None:
        """`retryable`: whether trying again with the same key can help."""
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms


class ToolNotSent(Exception):
    """The request never left this process."""


class ToolUnanswered(Exception):
    """The request left and no answer settles what became of it."""


class TookOver(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool returns that works on and calls `${<its step>.callback_url}` when it is done."""

    output: Any = None


ToolFunction = Callable[..., Awaitable[Any]]
ByKey = Callable[[Call], Awaitable[Any]]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A registered tool."""

    name: str
    summary: str
    contract: Contract
    args: type[msgspec.Struct]
    function: ToolFunction
    undo: ByKey | None = None
    probe: ByKey | None = None


class Registry:
    """The tools of this installation, by name; of one name there may be several versions. New plans pin the newest."""

    def __init__(self, costs: Mapping[str, Cost] | None = None) -> None:
        """`costs`: what calls cost here, in place of what tools say; also of those that are added later."""
        self._tools: dict[str, dict[str, Tool]] = {}
        self._newest: dict[str, Tool] = {}
        self._costs = dict(costs or {})
        self.look_again: Callable[[], Awaitable[None]] = _nowhere
        """Takes in what other processes may know already; asked before a call is refused for want of its tool."""

    def add(
        self,
        function: ToolFunction,
        *,
        effect: Effect,
        version: str = "1",
        timeout_ms: int = 5_000,
        settle_ms: int = 15_000,
        retry: Retry | None = None,
        undo: ByKey | None = None,
        undo_kind: Undo = Undo.TOMBSTONE,
        probe: ByKey | None = None,
        limit: Limited | None = None,
        cost: Cost | None = None,
        name: str = "",
        summary: str = "",
        args: type[msgspec.Struct] | None = None,
    ) -> None:
        """Register a coroutine function `f(call, *, typed arguments)` under its own name; its docstring is the summary.

        `args` stands for the signature where a tool is made from a description. The same name and version again takes the
        place of what was there; another version stands beside it.
        """
        name = name or function.__name__
        if effect is Effect.PROBEABLE and probe is None:
            raise ValueError(f"{name} is probeable and has no probe")
        if not VERSION.fullmatch(version):
            raise ValueError(f"{name}: {version[:40]!r} is no version; write numbers such as 2 or 2.1")
        args = args or arguments_of(function)
        contract = Contract(
            version=version,
            effect=effect,
            timeout_ms=timeout_ms,
            settle_ms=settle_ms,
            retry=retry or Retry(),
            undo=undo_kind if undo else Undo.NONE,
            limit=limit,
            schema=_schema_hash(args),
            cost=self._costs.get(name) or cost or msgspec.UNSET,
        )
        self._tools.setdefault(name, {})[version] = Tool(
            name=name,
            summary=summary or inspect.getdoc(function) or "",
            contract=contract,
            args=args,
            function=function,
            undo=undo,
            probe=probe,
        )

        self._newest[name] = self._tools[name][self.versions(name)[0]]

    def drop(self, name: str) -> None:
        """Take a tool out, with all its versions."""
        self._tools.pop(name, None)
        self._newest.pop(name, None)

    def contracts(self) -> dict[str, Contract]:
        """What new plans pin: the newest version of each tool."""
        return {name: tool.contract for name, tool in self._newest.items()}

    def get(self, name: str, version: str = "") -> Tool | None:
        """A tool by name: that very version, or the newest."""
        if name not in self._tools:
            return None
        return self._tools[name].get(version) if version else self._newest[name]

    def versions(self, name: str) -> list[str]:
        """The versions of a tool, the newest first."""
        return sorted(self._tools.get(name, {}), key=age, reverse=True)

    def check_args(self, name: str, args: Mapping[str, Any], place: str, version: str = "") -> Iterator[Problem]:
        """What is wrong with literal arguments; values with references are checked when they are known."""
        tool = self.get(name, version)
        if tool is None:
            yield Problem(place, f"there is no tool {name}{f' of version {version}' if version else ''} here")
            return
        fields = _fields(tool.args)
        for given in args:
            if given not in fields:
                yield Problem(f"{place}.{given[:80]}", f"{name} takes no such argument; it takes {', '.join(fields) or 'none'}")
        for known, field in fields.items():
            if known not in args:
                if field.required:
                    yield Problem(f"{place}.{known}", f"{name} needs this argument")
            elif not _refers(args[known]):
                yield from _type_problem(args[known], field.type, f"{place}.{known}")


def _refers(value: Any) -> bool:
    """Whether there is a reference in it; numbers are not searched."""
    if isinstance(value, str):
        return "${" in value and next(refs.find(value), None) is not None
    return isinstance(value, dict | list | tuple) and next(refs.find(value), None) is not None


@cache
def _fields(args: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Of a tool's arguments, by name. Remembered: msgspec evaluates the annotations each time."""
    return {field.encode_name: field for field in msgspec.structs.fields(args)}


async def _nowhere() -> None:
    """There is no other place where tools come from."""


def age(version: str) -> tuple[int, ...]:
    """What orders versions: 10 comes after 9."""
    return tuple(int(part) for part in version.split("."))


def _schema_hash(args: type[msgspec.Struct]) -> str:
    """The identity of what a tool takes: names, types, bounds and defaults."""
    schema = msgspec.json.encode(msgspec.json.schema(args), order="deterministic", enc_hook=repr)
    return hashlib.sha256(schema).hexdigest()[:16]


def _type_problem(value: Any, kind: Any, place: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        wrong = misshapen(error, kind)
        yield Problem(place + wrong.place.removeprefix("$"), wrong.text)


def arguments_of(function: ToolFunction) -> type[msgspec.Struct]:
    """The arguments of a tool as a Struct: the parameters behind the `*`."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            kind = hints[parameter.name]
            required = parameter.default is inspect.Parameter.empty
            fields.append((parameter.name, kind) if required else (parameter.name, kind, parameter.default))
    return msgspec.defstruct(f"{function.__name__}_args", fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


class Runner:
    """The ToolRunner over a registry: every way a call can end becomes one of four outcomes."""

    def __init__(self, registry: Registry, addresses: Addresses | None = None, *, most_bytes: int = MAX_RESULT_BYTES) -> None:
        """The registry may grow until the first call. `addresses` makes those at which tools call back.

        `most_bytes`: of an output's JSON; a larger one is left out.
        """
        self._registry = registry
        self._addresses = addresses
        self._most_bytes = most_bytes

    async def run(self, start: Start, deadline_s: float) -> Outcome:
        """See `shared.ports.ToolRunner`."""
        tool = self._registry.get(start.tool, start.version)
        if tool is None:
            await self._registry.look_again()
            tool = self._registry.get(start.tool, start.version)
        if tool is None:
            which = f"{start.tool}{f', version {start.version}' if start.version else ''}"
            message = f"this process has no tool {which}: it runs another release than the one that took the plan"
            return Refused(code="no_such_tool", message=message, retryable=True)  # the next process may run the right one
        try:
            async with asyncio.timeout(deadline_s):
                output = await self._call(tool, self._addressed(start), deadline_s)
        except TimeoutError:
            return Unanswered(message=f"no answer within {deadline_s:.1f} s")
        except ToolRefused as error:
            return Refused(code=error.code, message=str(error), retryable=error.retryable, retry_after_ms=error.retry_after_ms)
        except ToolNotSent as error:
            return NotSent(message=str(error))
        except ToolUnanswered as error:
            return Unanswered(message=str(error))
        except Exception as error:  # a tool may raise anything, and then nobody knows what it did
            log.warning("tool.raised", tool=tool.name, exc_info=error)
            return Unanswered(message=f"{type(error).__name__}: {error}")
        if isinstance(output, TookOver):
            return Accepted(output=_kept(output.output, self._most_bytes))
        return Done(output=_kept(output, self._most_bytes))

    def _addressed(self, start: Start) -> Start:
        """With the addresses at which it is to call back: they are made for the call and stored nowhere."""
        if self._addresses is None or _PLACE not in msgspec.json.encode(start.intent.args):
            return start
        args = self._addresses.fill(start.intent.args, start, time.time())
        return msgspec.structs.replace(start, intent=msgspec.structs.replace(start.intent, args=args))

    def _callback_url(self, start: Start) -> str:
        if self._addresses is None:
            return ""
        return self._addresses.of_call(start, time.time())

    async def _call(self, tool: Tool, start: Start, deadline_s: float) -> Any:
        intent = start.intent
        if start.undo:
            key = intent.key.removesuffix(".undo")
            call = Call(key=key, attempt=intent.attempt, deadline_s=deadline_s, tenant=start.tenant)
            if tool.undo is None:
                raise ToolRefused("no_undo", f"{tool.name} cannot be undone")
            return await tool.undo(call)
        call = Call(
            key=intent.key,
            attempt=intent.attempt,
            deadline_s=deadline_s,
            address=partial(self._callback_url, start),
            tenant=start.tenant,
        )
        if intent.probe:
            if tool.probe is None:  # calling the tool itself could make the effect a second time
                raise ToolUnanswered(f"{tool.name} cannot be asked any more: this process runs another release")
            return await tool.probe(call)
        try:
            args = msgspec.convert(intent.args, tool.args)
        except msgspec.ValidationError as error:  # here and not around the call: one from inside it says nothing of the effect
            said = f"{tool.name}, version {tool.contract.version}, does not take these arguments: {error}"
            raise ToolRefused("bad_arguments", said) from error
        return await tool.function(call, **{name: getattr(args, name) for name in tool.args.__struct_fields__})


def _kept(output: Any, most: int) -> Any:
    """The effect happened, so an output that is too large to keep, or is no JSON, is left out, and says so."""
    try:
        plain = msgspec.to_builtins(output, str_keys=True)
        size = len(msgspec.json.encode(plain))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return {"left_out": True, "reason": f"the output is no JSON: {error}"}
    return plain if size <= most else {"left_out": True, "bytes": size, "limit": most}
