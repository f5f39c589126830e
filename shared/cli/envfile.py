"""`.env` files: read as python-dotenv reads them, edited so that whatever is not ours stays byte for byte.

A value is written so that python-dotenv and a POSIX shell that sources the file read the same.
"""

import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from shared.errors import SettingsError

BOM: Final = "\ufeff"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+=,-]*")
_KEY: Final = re.compile(r"(?P<lead>\s*(?:export[^\S\r\n]+)?)(?P<key>'[^']+'|[^=#\s]+)(?P<after>.*)", re.DOTALL)
_QUOTED: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)


class EnvFileError(SettingsError):
    """The file cannot be read, or a value cannot be written into it."""


def quote(value: str) -> str:
    """The value as it stands behind `=`; EnvFileError for the few that python-dotenv and a shell would read differently."""
    if any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise EnvFileError("it has a line end or a control character in it: copy it without")
    if not re.search(r"[$`]", value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if not re.search(r"['\\]|\$\{", value):
        return f"'{value}'"
    raise EnvFileError(
        "it has `$` or ` beside a quote or a backslash, or `${`: no .env line says that to every reader; "
        "in a URL write %24 for $, %27 for ', %5C for \\, %60 for `"
    )


def values(text: str) -> dict[str, str]:
    """What python-dotenv reads in a file of this text."""
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value is not None}


def unreadable(text: str) -> list[int]:
    """The numbers of the lines that python-dotenv skips because it cannot read them."""
    return [_first_line(binding) for binding in _bindings(text) if binding.error]


def _first_line(binding: Binding) -> int:
    blank = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", blank))


def _bindings(text: str) -> Iterator[Binding]:
    return parse_stream(io.StringIO(text.removeprefix(BOM)))


def edit(text: str, wanted: Mapping[str, str], headings: Mapping[str, str]) -> str:
    """The text with these values: a known name's line keeps its place and comment, a new name goes to the end.

    `headings`: the comment before a new name, once where neighbours share it. EnvFileError if the outcome would not be read so.
    """
    before = values(text)
    parts = [BOM] if text.startswith(BOM) else []
    seen = set()
    for binding in _bindings(text):
        name = binding.key
        if name is None or name not in wanted:
            parts.append(binding.original.string)
            continue
        seen.add(name)
        kept = before.get(name) == wanted[name] and _says_the_same(binding, wanted[name])
        parts.append(binding.original.string if kept else _line(binding.original.string, name, wanted[name]))
    edited = "".join(parts) + _appended("".join(parts), {n: v for n, v in wanted.items() if n not in seen}, headings)
    _check(text, edited, wanted)
    return edited


def _says_the_same(binding: Binding, value: str) -> bool:
    """Whether the line may stay as it is: a shell reads this value in it too, or it is put together from other names."""
    lead, key, token, tail = _split(binding.original.string)
    if "${" in (binding.value or ""):
        return True
    in_shell = token == quote(value) or (token == value and _PLAIN.fullmatch(value)) or token == f"'{value}'"
    return bool(in_shell and key.endswith("=") and not key.startswith("'") and "\r" not in lead + tail and tail[:1] != "#")


def _split(line: str) -> tuple[str, str, str, str]:
    """What stands before the name, the name with its `=` and blanks, the value as written, and the rest of the line."""
    match = _KEY.fullmatch(line)
    if match is None:  # the parser found a name, so there is one
        raise EnvFileError(f"a line is not readable: {line[:40]!r}")
    lead, key, after = match["lead"], match["key"], match["after"]
    sign = re.match(r"[^\S\r\n]*=[^\S\r\n]*", after)
    if sign is None:
        return lead, key, "", after
    rest = after[sign.end() :]
    quoted = _QUOTED.match(rest)
    if quoted:
        return lead, key + sign[0], quoted[0], rest[quoted.end() :]
    if rest.startswith("#") and sign[0] != "=":
        return lead, key + sign[0], "", rest
    first = re.match(r"[^\r\n]*", rest)
    part = first[0] if first else ""
    token = re.sub(r"\s+#.*", "", part).rstrip()
    return lead, key + sign[0], token, rest[len(token) :]


def _line(line: str, name: str, value: str) -> str:
    lead, _, _, tail = _split(line)
    blank = " " if tail.startswith("#") else ""
    # A shell takes the CR of a CR LF as part of the value.
    return f"{lead}{name}={quote(value)}{blank}{re.sub(chr(13) + '?' + chr(10) + '|' + chr(13), chr(10), tail)}"


def _appended(text: str, new: Mapping[str, str], headings: Mapping[str, str]) -> str:
    parts = ["\n"] if text and new and not text.endswith(("\n", "\r", BOM)) else []
    last = None
    for name, value in new.items():
        heading = headings.get(name, "")
        if heading != last and heading:
            parts.append(f"{chr(10) if text or parts else ''}# {heading}\n")
        last = heading
        parts.append(f"{name}={quote(value)}\n")
    return "".join(parts)


def _check(text: str, edited: str, wanted: Mapping[str, str]) -> None:
    """A line that python-dotenv cannot read may swallow what follows it; then nothing is written."""
    found = values(edited)
    wrong = [name for name, value in wanted.items() if found.get(name) != value]
    others = [[(b.key, b.value) for b in _bindings(one) if b.key and b.key not in wanted] for one in (text, edited)]
    if wrong or others[0] != others[1]:
        lines = ", ".join(map(str, unreadable(text))) or "?"
        raise EnvFileError(f"line {lines} is not readable (a quote that is not closed?): mend it first. Nothing was written")


def read(path: Path) -> str:
    """The file's text with its line ends as they are; empty when there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EnvFileError(f"{path} is not UTF-8 in line {line}: save it as UTF-8") from error


def write(path: Path, text: str) -> Literal["nothing", "mode", "replaced", "created"]:
    """What was changed. The old file becomes `<name>.bak`; both are for their owner only; a crash leaves the old or the new."""
    target = path.resolve()  # behind a link, the file it names
    old = target.read_bytes() if target.exists() else None
    if old == text.encode():
        if stat.S_IMODE(target.stat().st_mode) == 0o600:
            return "nothing"
        target.chmod(0o600)
        return "mode"
    if old is not None:
        _replace(backup_of(target), old)
    _replace(target, text.encode())
    return "created" if old is None else "replaced"


def backup_of(path: Path) -> Path:
    """Where the file before the last change is kept."""
    return path.with_name(f"{path.name}.bak")


def _replace(path: Path, data: bytes) -> None:
    handle, draft = tempfile.mkstemp(prefix=".env.", suffix=".new", dir=path.parent)  # made with mode 600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
