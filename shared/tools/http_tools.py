"""Tools that are declared in a file, as the runner calls them: arguments into a request, an answer into an outcome."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from shared.errors import SettingsError
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.settings import SECRET_PREFIX, Secret
from shared.shaped_file import loaded
from shared.tools import answers, http_shape
from shared.tools.http_shape import KEY, PLACE, SECRET, Argument, ByKey, HttpTool
from shared.tools.outbound import Answer, Outbound, check_header
from shared.tools.redaction import Redactor
from shared.tools.registry import Call, Registry, ToolRefused, ToolUnanswered

_PLAIN: Final[dict[str, Any]] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "array": list[Any], "object": dict[str, Any],
}  # fmt: skip
_EITHER: Final = re.compile(f"{SECRET.pattern}|{PLACE.pattern}")
_NOT_WANTED: Final = (None, UNSET)


def load(path: str) -> tuple[HttpTool, ...]:
    """The tools of a file; SettingsError names it and the place in it."""
    return loaded("HTTP_TOOLS", path, http_shape.read)


def register(
    registry: Registry, tools: Iterable[HttpTool], http: Outbound, secrets: Mapping[str, Secret] | None, path: str
) -> None:
    """Take the tools of a file in. `secrets` None: nobody calls them here."""
    for number, tool in enumerate(tools):
        place = f"HTTP_TOOLS={path}: tool[{number}] ({tool.name})"
        if registry.get(tool.name, tool.version) is not None:
            raise SettingsError(f"{place}: version {tool.version} of it is there already: give it another name or version")
        missing = [name for name in tool.secrets if secrets is not None and name not in secrets]
        if missing:
            raise SettingsError(f"{place}: it needs the secret {missing[0]}: set {SECRET_PREFIX}{missing[0]}")
        try:
            _add(registry, tool, http, {name: secrets[name] for name in tool.secrets} if secrets else {})
        except (TypeError, ValueError, ToolRefused) as error:
            raise SettingsError(f"{place}: {error}") from error


def _add(registry: Registry, tool: HttpTool, http: Outbound, secrets: Mapping[str, Secret]) -> None:
    caller = Caller(tool, http, secrets)
    redactor = Redactor(secrets.values())
    registry.add(
        redactor.around(caller.call),
        effect=tool.effect,
        version=tool.version,
        timeout_ms=tool.timeout_ms,
        settle_ms=tool.settle_ms,
        retry=tool.retry,
        undo=redactor.around(caller.undo) if tool.undo else None,
        undo_kind=http_shape.UNDO_KINDS[tool.undo.kind] if tool.undo else Undo.NONE,
        probe=redactor.around(caller.probe) if tool.probe else None,
        limit=tool.limit,
        cost=tool.cost,
        name=tool.name,
        summary=tool.summary,
        args=arguments_of(tool),
    )


# what it takes


def arguments_of(tool: HttpTool) -> type[msgspec.Struct]:
    """The arguments as a Struct."""
    fields: list[Any] = []
    for name, argument in tool.args.items():
        kind = _type_of(argument)
        if argument.default is not UNSET:
            fields.append((name, kind, msgspec.convert(argument.default, kind)))
        elif argument.required:
            fields.append((name, kind))
        else:
            fields.append((name, kind | None, None))
    return msgspec.defstruct(f"{tool.name}_args", fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


def _type_of(argument: Argument) -> Any:
    if argument.enum:
        return Literal[argument.enum]
    kind = list[_type_of(argument.items)] if argument.items else _PLAIN[argument.type]  # type: ignore[misc]  # made here
    bounds = {
        "min_length": argument.min_length,
        "max_length": argument.max_length,
        "pattern": argument.pattern,
        "ge": _bound(argument, argument.minimum),
        "le": _bound(argument, argument.maximum),
        "description": argument.description or None,
    }
    given = {name: value for name, value in bounds.items() if value is not None}
    return Annotated[kind, msgspec.Meta(**given)] if given else kind  # type: ignore[call-overload]  # by the argument's type


def _bound(argument: Argument, value: float | None) -> float | None:
    return int(value) if value is not None and argument.type == "integer" else value


# what it sends


class Caller:
    """One tool's calls."""

    def __init__(self, tool: HttpTool, http: Outbound, secrets: Mapping[str, Secret]) -> None:
        self._tool = tool
        self._http = http
        self._pure = tool.effect is Effect.PURE
        self._secrets = secrets
        self._headers = {name: SECRET.sub(self._secret, value) for name, value in tool.headers.items()}
        for name, value in self._headers.items():
            check_header(name, value)

    async def call(self, call: Call, **args: Any) -> Any:
        """The effect."""
        tool, known = self._tool, msgspec.to_builtins(args) | {KEY: call.key}
        free = {name: known[name] for name in tool.args if name not in tool.placed and known[name] is not None}
        pairs = {name: self._query(template, known) for name, template in tool.query.items()}
        pairs = {name: value for name, value in pairs.items() if value is not None}
        body = b""
        if tool.method in {"GET", "HEAD", "DELETE"} and tool.body is UNSET:
            pairs |= free
        else:
            body = _body(tool, free if tool.body is UNSET else _filled(tool.body, known))
        answer = await self._ask(call, tool.method, _url(tool.url, known, pairs), body)
        answers.check(answer, pure=self._pure, now_s=time.time())
        return self._output(answer)

    async def undo(self, call: Call) -> Any:
        """Take it back by its key."""
        assert self._tool.undo is not None  # noqa: S101 - registered with it only
        answer = await self._by_key(call, self._tool.undo)
        if answer.status not in self._tool.undo.gone:
            answers.check(answer, pure=False, now_s=time.time())
        return {"undone": call.key}

    async def probe(self, call: Call) -> Any:
        """Whether it happened. What is neither yes nor a plain no cannot tell."""
        assert self._tool.probe is not None  # noqa: S101 - registered with it only
        answer = await self._by_key(call, self._tool.probe)
        if answer.status in self._tool.probe.never:
            raise ToolRefused(NEVER_HAPPENED, f"the key is not known there ({answer.status})")
        if not 200 <= answer.status < 300:
            raise ToolUnanswered(f"it cannot be asked: {answer.status} {answer.text[: answers.SHOWN]}")
        return self._output(answer)

    async def _by_key(self, call: Call, by_key: ByKey) -> Answer:
        return await self._ask(call, by_key.method, _url(by_key.url, {KEY: call.key}, {}), b"")

    async def _ask(self, call: Call, method: str, url: str, body: bytes) -> Answer:
        kind = "application/x-www-form-urlencoded" if self._tool.form else "application/json"
        headers = ({"Content-Type": kind} if body else {}) | {"Accept": "application/json"} | self._headers
        if self._tool.key_header:
            headers[self._tool.key_header] = call.key
        return await self._http.request(
            call, method, url, headers=headers, body=body, configured=True, max_bytes=self._tool.max_bytes
        )

    def _secret(self, match: re.Match[str]) -> str:
        return str(self._secrets.get(match[1], ""))

    def _query(self, template: str, known: Mapping[str, Any]) -> Any:
        """In one pass: what an argument says is no reference to a secret, and what a secret says none to an argument."""
        if PLACE.fullmatch(template):
            return _filled(template, known)
        return _EITHER.sub(lambda match: self._secret(match) if match[1] else _shown(known[match[2]]), template)

    def _output(self, answer: Answer) -> Any:
        found = answers.content(answer)
        if not self._tool.output:
            return found
        return {name: picked(found, path) for name, path in self._tool.output.items()}


def picked(value: Any, path: str) -> Any:
    """What stands at `links.0.href`; None where there is nothing: it was done, whatever the answer looks like."""
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and part.isascii() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _url(template: str, known: Mapping[str, Any], query: Mapping[str, Any]) -> str:
    url = PLACE.sub(lambda match: _segment(match[1], known[match[1]]), template)
    pairs = [(name, _text(one)) for name, value in query.items() for one in (value if isinstance(value, list) else [value])]
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}"


def _segment(name: str, value: Any) -> str:
    """One part of a path; `..` would leave it, however it is encoded."""
    text = _text(value)
    if text in {"", ".", ".."}:
        raise ToolRefused("bad_arguments", f"{name}: {text!r} cannot stand in a URL")
    return quote(text, safe="")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _filled(template: Any, known: Mapping[str, Any]) -> Any:
    """The template with its arguments. A place that is all of a text keeps its type; what was not given leaves its name out."""
    if isinstance(template, str):
        if whole := PLACE.fullmatch(template):
            return known[whole[1]]
        return _filled_text(template, known)
    if isinstance(template, Mapping):
        filled = {name: _filled(one, known) for name, one in template.items()}
        return {name: one for name, one in filled.items() if one not in _NOT_WANTED}
    if isinstance(template, list):
        return [_filled(one, known) for one in template]
    return template


def _filled_text(template: str, known: Mapping[str, Any]) -> str:
    return PLACE.sub(lambda match: _shown(known[match[1]]), template)


def _shown(value: Any) -> str:
    return "" if value is None else _text(value)


def _body(tool: HttpTool, content: Any) -> bytes:
    if tool.form:
        return urlencode([(name, _text(value)) for name, value in content.items()]).encode()
    return b"" if tool.method == "DELETE" and not content else msgspec.json.encode(content)
