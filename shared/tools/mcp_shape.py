"""The file that names MCP servers: its shape, and everything that can be wrong with it before a call. Pure."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from shared.machine.plan import Cost, Effect, Limited, Retry
from shared.shaped_file import BadFile, shaped
from shared.tools.http_shape import SECRET, texts
from shared.tools.outbound import check_header
from shared.tools.registry import ToolRefused

KEY: Final = "{key}"
"""Stands for the effect's key in the arguments of an undo or a probe."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class ByTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another tool of the server, which finds the effect by its key."""

    tool: str
    args: dict[str, Any]
    """With `{key}` in some text."""
    kind: Literal["tombstone", "settled"] = "settled"
    """Of an undo: whether a request that lands after it is refused there."""
    found: str = ""
    """Of a probe: where in its result the effect's own result stands if it happened; nothing, null or false: it never did."""


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of one tool. The server's own hints say nothing here: they are not promises."""

    effect: Effect = Effect.UNSAFE
    key_argument: str = ""
    """The argument that takes the effect's key; plans do not give it."""
    undo: ByTool | None = None
    probe: ByTool | None = None
    timeout_ms: int = 0
    """0: the server's."""
    settle_ms: int = 15_000
    retry: Retry | None = None
    limit: Limited | None = None
    cost: Cost | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server, at a URL (streamable HTTP) or behind a command (stdio)."""

    name: str
    url: str = ""
    headers: dict[str, str] = {}
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    folder: str = ""
    only: tuple[str, ...] = ()
    """These tools of it and no others; empty: all."""
    timeout_ms: int = 5_000
    max_bytes: int = 65_536
    tools: dict[str, Said] = {}

    @property
    def secrets(self) -> list[str]:
        """The secrets it refers to."""
        return [name for text in texts([self.headers, self.env]) for name in SECRET.findall(text)]

    @property
    def source(self) -> str:
        """Identifies what is asked, without a secret."""
        asked = msgspec.json.encode([self.url, self.headers, self.command, self.env, self.folder], order="deterministic")
        return hashlib.sha256(asked).hexdigest()[:16]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    server: tuple[Server, ...]


def read(text: str, *, is_json: bool) -> tuple[Server, ...]:
    """The servers of a file's text. BadFile names the place and what to write."""
    found = shaped(text, _File, is_json=is_json)
    names: set[str] = set()
    for number, server in enumerate(found.server):
        for problem in _problems(server):
            raise BadFile(f"server[{number}] ({server.name[:32]}){problem}")
        if server.name in names:
            raise BadFile(f"server[{number}]: {server.name} stands above, too")
        names.add(server.name)
    return found.server


def _problems(server: Server) -> Iterator[str]:
    """What is wrong, each with the rest of its place."""
    if not _NAME.fullmatch(server.name):
        yield ".name: its tools are called name.tool: write small letters, digits, _ and -, 32 at most"
    if bool(server.url) == bool(server.command):
        yield ": give either url or command"
    if server.url and (server.env or server.folder):
        yield ": env and folder go with a command"
    if server.command and server.headers:
        yield ".headers: they go with a url"
    if not 1 <= server.timeout_ms <= 60_000 or not 1 <= server.max_bytes <= 1_048_576:
        yield ": timeout_ms is 1 to 60000, max_bytes 1 to 1048576"
    yield from _url_problems(server)
    yield from _reference_problems(server)
    for name, said in server.tools.items():
        for problem in _tool_problems(said):
            yield f".tools.{name[:64]}{problem}"


def _url_problems(server: Server) -> Iterator[str]:
    if not server.url:
        return
    try:
        parts = urlsplit(server.url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # a bracket too few, a port that is none
        parts, whole = urlsplit(""), False
    if not whole or re.search(r"\s", server.url):
        yield ".url: write https://host/path, without a user or password"
        return
    if server.secrets and parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        yield ".url: a secret goes over https only"


def _reference_problems(server: Server) -> Iterator[str]:
    for at, values in ((".headers", server.headers), (".env", server.env)):
        for name, value in values.items():
            if "${" in SECRET.sub("", value):
                yield f"{at}.{name[:40]}: a secret is written ${{secret:NAME}}, in capitals"
    for name, value in server.headers.items():
        try:
            check_header(name, SECRET.sub("x", value))
        except ToolRefused as error:
            yield f".headers.{name[:40]}: {error}"


def _tool_problems(said: Said) -> Iterator[str]:
    if not 0 <= said.timeout_ms <= 60_000 or not 0 <= said.settle_ms <= 86_400_000:
        yield ": timeout_ms is 0 to 60000, settle_ms 0 to 86400000"
    if said.effect is Effect.PROBEABLE and said.probe is None:
        yield ".effect: probeable needs a probe; without one it is unsafe"
    if said.effect is Effect.PURE and said.undo is not None:
        yield ".undo: a pure tool leaves nothing to undo"
    if said.probe is not None and not said.probe.found:
        yield ".probe.found: say where in its result the effect's own stands, such as order"
    for at, other in ((".undo", said.undo), (".probe", said.probe)):
        if other is not None and not any(KEY in text for text in texts(other.args)):
            yield f"{at}.args: it finds the effect by its key: put {KEY} into an argument"
