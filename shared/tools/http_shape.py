"""The file that declares tools by URL and schema: its shape, and everything that can be wrong with it before a call. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from shared.machine.plan import Cost, Effect, Limited, Retry, Undo
from shared.shaped_file import BadFile, shaped
from shared.tools import target
from shared.tools.outbound import check_header
from shared.tools.registry import VERSION, ToolRefused

PLACE: Final = re.compile(r"(?<!\$)\{(\w+)\}")
SECRET: Final = re.compile(r"\$\{secret:([A-Z][A-Z0-9_]{0,63})\}")
KEY: Final = "key"
"""`{key}` is the effect's key, in every place that takes arguments."""
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Argument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one argument may be. Without `required` it may be left out, and is `default` then, or nothing at all."""

    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    description: str = ""
    required: bool = True
    default: Any = UNSET
    enum: tuple[str | int, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    items: "Argument | None" = None


class ByKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that finds the effect by `{key}` in its URL, or by `key_header`."""

    url: str
    method: Method = "POST"
    kind: Literal["tombstone", "settled"] = "settled"
    """Of an undo: whether a request that lands after it is refused there."""
    gone: tuple[int, ...] = (404, 410)
    """Of an undo: answers that say that nothing of the key stands."""
    never: tuple[int, ...] = (404,)
    """Of a probe: answers that say that it never happened, and never will."""


class HttpTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool."""

    name: str
    summary: str
    url: str
    effect: Effect
    method: Method = "POST"
    version: str = "1"
    args: dict[str, Argument] = {}
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Any = UNSET
    """Where arguments stand in the body; without it, those that stand nowhere else are its fields (of a GET: its query)."""
    form: bool = False
    """The body is a form and not JSON."""
    key_header: str = ""
    """Where the effect's key goes."""
    output: dict[str, str] = {}
    """Names, and where they stand in the answer: `ticket.id`, `links.0.href`; without it, the answer as it is."""
    undo: ByKey | None = None
    probe: ByKey | None = None
    timeout_ms: int = 5_000
    settle_ms: int = 15_000
    retry: Retry | None = None
    limit: Limited | None = None
    cost: Cost | None = None
    max_bytes: int = 65_536

    @property
    def placed(self) -> set[str]:
        """The arguments that the URL, the query and the body name."""
        return {name for text in texts([self.url, self.query, self.body]) for name in PLACE.findall(text)}

    @property
    def secrets(self) -> list[str]:
        """The secrets it refers to."""
        return [name for text in texts([self.headers, self.query]) for name in SECRET.findall(text)]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tool: tuple[HttpTool, ...]


def read(text: str, *, is_json: bool) -> tuple[HttpTool, ...]:
    """The tools of a file's text. BadFile names the place and what to write."""
    found = shaped(text, _File, is_json=is_json, called=_called)
    seen: set[tuple[str, str]] = set()
    for number, tool in enumerate(found.tool):
        place = f"tool[{number}] ({tool.name[:64]})"
        for problem in _problems(tool):
            raise BadFile(f"{place}{problem}")
        if (tool.name, tool.version) in seen:
            raise BadFile(f"{place}: version {tool.version} of {tool.name} stands above, too")
        seen.add((tool.name, tool.version))
    return found.tool


def _called(plain: Any, place: str) -> str:
    """The name of the tool at a place, if that much can be read."""
    match = re.match(r"tool\[(\d+)\]", place)
    try:
        return f" ({str(plain['tool'][int(match[1])]['name'])[:64]})" if match else ""
    except (KeyError, IndexError, TypeError):
        return ""


def texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


def _problems(tool: HttpTool) -> Iterator[str]:
    """What is wrong, each with the rest of its place."""
    if not _NAME.fullmatch(tool.name):
        yield f".name: {tool.name[:64]!r} is no name; write small letters, digits and _"
    if not tool.summary.strip():
        yield ".summary: say what the tool does: a planner and a reader know no more of it"
    if not VERSION.fullmatch(tool.version):
        yield f".version: {tool.version[:40]!r} is no version; write numbers such as 2 or 2.1"
    if not 1 <= tool.timeout_ms <= 60_000 or not 0 <= tool.settle_ms <= 86_400_000 or not 1 <= tool.max_bytes <= 1_048_576:
        yield ": timeout_ms is 1 to 60000, settle_ms 0 to 86400000, max_bytes 1 to 1048576"
    for name, argument in tool.args.items():
        yield from _argument_problems(name, argument, f".args.{name}")
    yield from _url_problems(tool.url, ".url", set(tool.args) | {KEY})
    yield from _place_problems(tool)
    yield from _header_problems(tool)
    yield from _promise_problems(tool)


def _argument_problems(name: str, argument: Argument, at: str) -> Iterator[str]:
    if not _NAME.fullmatch(name) or name == KEY:
        yield f"{at}: {name[:64]!r} cannot be an argument's name; write small letters, digits and _, and not `key`"
    if argument.items is not None:
        if argument.type != "array":
            yield f"{at}.items: only an array has items"
        yield from _argument_problems("items", argument.items, f"{at}.items")
    if argument.pattern is not None:
        try:
            re.compile(argument.pattern)
        except re.error as error:
            yield f"{at}.pattern: {error}"
    lengths = (argument.min_length, argument.max_length, argument.pattern)
    if argument.type not in {"string", "array"} and any(one is not None for one in lengths):
        yield f"{at}: lengths and patterns are for strings and arrays"
    if argument.type not in {"integer", "number"} and (argument.minimum is not None or argument.maximum is not None):
        yield f"{at}: minimum and maximum are for numbers"


def _url_problems(url: str, at: str, known: set[str]) -> Iterator[str]:
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "{" in authority or "${" in url:
        yield f"{at}: arguments stand behind the host, never in it, and secrets in headers or the query"
        return
    try:
        target.read(PLACE.sub("x", url))
    except target.BadUrl as error:
        yield f"{at}: the URL cannot be used: {error}"
    for name in PLACE.findall(url):
        if name not in known:
            yield f"{at}: there is no argument {name!r}"


def _place_problems(tool: HttpTool) -> Iterator[str]:
    for name in sorted(tool.placed - {KEY} - set(tool.args)):
        yield f": {{{name}}} stands in the query or the body, and there is no such argument"
    for name in PLACE.findall(tool.url):
        argument = tool.args.get(name)
        if argument and not argument.required and argument.default is UNSET:
            yield f".args.{name}: it stands in the URL, so it is required or has a default"
        if argument and argument.type in {"array", "object"}:
            yield f".args.{name}: it stands in the URL, so it is a single value"
    if tool.form and not isinstance(tool.body, dict | UnsetType):
        yield ".body: a form has names and values"
    if any("${" in text for text in texts(tool.body)):
        yield ".body: secrets go into headers or the query"
    if tool.method in {"GET", "HEAD"} and tool.body is not UNSET:
        yield f".body: a {tool.method} has none"
    if tool.query and "?" in tool.url:
        yield ".query: the URL has a query already; write all of it here"


def _header_problems(tool: HttpTool) -> Iterator[str]:
    sent = tool.headers | ({tool.key_header: "x"} if tool.key_header else {})
    if len({name.lower() for name in sent}) < len(tool.headers) + bool(tool.key_header):
        yield ".headers: a header stands there twice"
    for name, value in sent.items():
        at = ".key_header" if name == tool.key_header else f".headers.{name[:40]}"
        try:
            check_header(name, SECRET.sub("x", value))
        except ToolRefused as error:
            yield f"{at}: {error}"
        if "${" in SECRET.sub("", value):
            yield f"{at}: a secret is written ${{secret:NAME}}, in capitals"
    for name, value in tool.query.items():
        if "${" in SECRET.sub("", value):
            yield f".query.{name[:40]}: a secret is written ${{secret:NAME}}, in capitals"
    parts = urlsplit(tool.url)
    if tool.secrets and parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        yield ".url: a secret goes over https only"


def _promise_problems(tool: HttpTool) -> Iterator[str]:
    keyed = bool(tool.key_header) or KEY in tool.placed
    if tool.effect is Effect.IDEMPOTENT and not keyed and tool.method not in {"PUT", "DELETE"}:
        yield f".effect: an idempotent {tool.method} needs the key: give key_header, or put {{key}} into the URL or the body"
    if tool.effect is Effect.PROBEABLE and tool.probe is None:
        yield ".effect: probeable needs a probe; without one it is unsafe"
    if tool.effect is Effect.PURE and tool.undo is not None:
        yield ".undo: a pure tool leaves nothing to undo"
    for at, by_key in ((".undo", tool.undo), (".probe", tool.probe)):
        if by_key is None:
            continue
        yield from _url_problems(by_key.url, f"{at}.url", {KEY})
        if KEY not in PLACE.findall(by_key.url) and not tool.key_header:
            yield f"{at}.url: it finds the effect by its key: put {{key}} into it, or give key_header"
        if urlsplit(by_key.url).netloc != urlsplit(tool.url).netloc or urlsplit(by_key.url).scheme != urlsplit(tool.url).scheme:
            yield f"{at}.url: it goes where the tool goes: its headers, and so its secrets, are sent there"
    if tool.undo and not tool.probe and tool.effect is Effect.UNSAFE and tool.undo.kind == "tombstone" and not keyed:
        yield ".undo: it goes by the key, and the call does not bring it"


UNDO_KINDS: Final = {"tombstone": Undo.TOMBSTONE, "settled": Undo.SETTLED}
