"""What a page names and is not there. Each rule is a generator of problems; `problems` asks all of them.

Names are looked for in `backticks` and in fenced blocks: what stands there is meant to the letter.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.support import project
from tests.support.pages import Block, blocks

_FENCED: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK: Final = re.compile(r"\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
_METHOD: Final = r"(?:GET|POST|PUT|DELETE|PATCH)"
_ENDING: Final = re.compile(r"[\w*.-]+\.(?:py|lua|toml|ya?ml|md|json|js|jsonl|sqlite)")
_DATA: Final = {"json", "python", "mermaid", "js", "javascript", "toml", "text"}
"""Languages of blocks that are no commands."""


class Page(NamedTuple):
    """A page of the documentation, taken apart."""

    path: Path
    text: str
    spans: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """What a reader could type: lines of blocks, and spans."""
        lines = [line for block in self.blocks if block.language not in _DATA for line in block.text.splitlines()]
        return (*self.spans, *lines)

    @property
    def own_files(self) -> frozenset[str]:
        """What the page tells its reader to write, or writes itself."""
        written = re.findall(r"> ?([\w./-]+\.\w+)", "\n".join(block.text for block in self.blocks))
        return frozenset({block.file for block in self.blocks if block.file} | set(written))


def page(path: Path, text: str) -> Page:
    """Take one apart."""
    prose = _FENCED.sub("", text)
    return Page(path, text, tuple(_SPAN.findall(prose)), tuple(blocks(text)))


def problems(found: Page) -> list[str]:
    """Everything that the page names and that is not there."""
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(found)]


def links(found: Page) -> Iterator[str]:
    """Of other pages and files, and of headings on them."""
    for target, anchor in _LINK.findall(_FENCED.sub("", found.text)):
        path = found.path.parent / target
        if target and not path.exists():
            yield target
        elif anchor and (not target or path.suffix == ".md"):
            text = path.read_text(encoding="utf8") if target else found.text
            if anchor not in _anchors(text):
                yield f"{target}#{anchor}"


@cache
def _anchors(text: str) -> frozenset[str]:
    """Of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles)


def paths(found: Page) -> Iterator[str]:
    """Of files and folders: anywhere, or the end of one; `path::test`; in blocks, what begins at the root."""
    tops = "|".join((*project.PACKAGES, "docs", "requirements"))
    for span in found.spans:
        if re.search(r"(?<![A-Z])(?:NAME|YYYY)(?![A-Z])", span):  # whatever its reader calls it
            continue
        name = re.sub(r"<\w+>", "*", span.partition("::")[0])
        looks = re.fullmatch(rf"(?:{tops})(?:/[\w.*-]*)+|{_ENDING.pattern}|(?:[\w*-]+/)+{_ENDING.pattern}", name)
        if looks and name not in found.own_files and not _is_there(name, found):
            yield span
        if ".py::" in span and not all(project.defines(name, one) for one in span.split("::")[1:]):
            yield span
    for block in found.blocks:
        for name in re.findall(rf"(?<![\w./-])(?:{tops})/[\w./-]*[\w/]", block.text):
            if not _is_there(name, found):
                yield name


def _is_there(name: str, found: Page) -> bool:
    return project.is_file(name, beside=found.path.parent) or name in project.literals() or name in ELSEWHERE


def modules(found: Page) -> Iterator[str]:
    """What is imported, or run by `python -m`; dotted names that begin with one of our packages."""
    ours = rf"(?:{'|'.join(project.PACKAGES)})\.[\w.]*\w"
    named = [name for span in found.spans for name in re.findall(rf"^{ours}$", span)]
    named += [name for line in found.commands for name in re.findall(rf"-[mp] ({ours})", line)]
    for block in found.blocks:
        if block.language == "python":
            for module, imported in re.findall(rf"^from ({ours}) import ([\w, ]+)$", block.text, re.MULTILINE):
                named += [f"{module}.{name.strip()}" for name in imported.split(",")]
    return (name for name in named if not project.is_module(name))


def variables(found: Page) -> Iterator[str]:
    """Of the environment: what is set must be a setting (or the command line's, Make's, Compose's); the rest, a word."""
    set_here = [name for line in found.commands for name in re.findall(r"(?:^|[\s;])#? ?([A-Z][A-Z0-9_]{2,})=", f" {line}")]
    for name in set_here:
        if name not in project.settings() | project.variables() | ELSEWHERE.keys() and not name.startswith(FOREIGN):
            yield f"{name}="
    known = project.settings() | project.variables() | project.words() | ELSEWHERE.keys()
    for span in found.spans:
        looks = re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", span)
        if looks and span not in known and not span.startswith(FOREIGN):
            yield span


def endpoints(found: Page) -> Iterator[str]:
    """Of our services: `METHOD /path`, `/path` or its end, and URLs of this machine."""
    for span in found.spans:
        for method, path in re.findall(rf"(?:^|\s|/)({_METHOD})\s+(?:\{{\w+\}})?(/[^\s?`]*)", span):
            yield from _endpoint(path, method)
        if re.fullmatch(r"/[a-zA-Z][^\s?]*", span):
            yield from _endpoint(span, "")
    for block in found.blocks:
        for path in re.findall(r"(?:localhost|127\.0\.0\.1):\d+(/[a-z][\w/{}.$-]*)", block.text):
            yield from _endpoint(path, "")
        for path in re.findall(r"\$\{?(?:RESUME|INGRESS|EXECUTOR|QSTASH)_URL\}?(/[\w/{}-]*[\w}])", block.text):
            yield from _endpoint(path, "")


def _endpoint(path: str, method: str) -> Iterator[str]:
    plain = re.sub(r"<\w+>|\$\w+", "{x}", path)
    if not (project.is_endpoint(plain, method) or path in ELSEWHERE):
        yield f"{method} {path}".strip()


def keys(found: Page) -> Iterator[str]:
    """Of Redis: each is a row of docs/keyspace.md, or the beginning of one; the local servers' are in their code."""
    known = project.redis_keys()
    for span in found.spans:
        if span.startswith("ie:"):
            plain = project.varying(span).replace("…", "")
            if not any(key == plain or key.startswith(plain.rstrip("*")) for key in known):
                yield span
        local = re.fullmatch(r"(qd|ad):(?:\{\w\}:)?(\w+).*", span)
        if local and not project.makes_key(local[1], local[2]):
            yield span


def commands(found: Page) -> Iterator[str]:
    """`intention` with its commands and options, and targets of make."""
    for line in found.commands:
        typed = re.sub(r"^(?:[A-Z_]+=\S* )+", "", line)
        for wanted in ("intention ", ".venv/bin/intention ", ".venv/bin/python -m shared.cli ", "python -m shared.cli "):
            if typed.startswith(wanted) and (problem := _command(typed.removeprefix(wanted))):
                yield f"{line}: {problem}"
        made = re.match(r"make ([a-z][a-z-]*)", typed)
        if made and made[1] not in project.targets():
            yield line
        yield from (extra for extra in re.findall(r"pip install '\.\[([\w-]+)\]'", line) if extra not in project.extras())


def _command(rest: str) -> str:
    try:
        words = shlex.split(rest, comments=True)
    except ValueError as error:
        return str(error)
    end = next((number for number, word in enumerate(words) if word in {"|", "&&", ";", ">", "…", "..."}), len(words))
    return project.command_problem(words[:end])


def events(found: Page) -> Iterator[str]:
    """Of the log: the first column of tables headed "event". The two halves may be put together from texts of their own."""
    for table in re.findall(r"^\| event \|.*\n((?:\|.*\n)+)", found.text, re.MULTILINE):
        for row in table.splitlines()[1:]:
            for name in re.findall(r"`(\w+\.\w+)`", row.split("|")[1]):
                if not ({name} <= project.literals() or set(name.split(".")) <= project.literals()):
                    yield name


def words(found: Page) -> Iterator[str]:
    """Whatever looks like an identifier or a field path: each part is a word of the sources, or in JSON's way of writing it."""
    for span in found.spans:
        looks = re.fullmatch(r"\w*[a-z]_\w+|[a-z]+[A-Z]\w+|[A-Z][a-z]+[A-Z]\w+|[a-z_]+(?:\.[a-z]\w*)+", span.removesuffix("()"))
        if looks is None or _ENDING.fullmatch(span) or span in ELSEWHERE or span.partition(".")[0] in project.PACKAGES:
            continue
        parts = {re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", part) for part in looks[0].split(".")}
        if not (set(looks[0].split(".")) <= project.tested_words() or parts <= project.words()):
            yield span


RULES: Final[tuple[Callable[[Page], Iterator[str]], ...]] = (
    links, paths, modules, variables, endpoints, keys, commands, events, words,
)  # fmt: skip
FOREIGN: Final = ("SECRET_", "OTEL_")
"""Beginnings of variables that are the reader's, and OpenTelemetry's own."""
ELSEWHERE: Final[Mapping[str, str]] = {
    "/api/events": "what the console asks for and ingress does not answer yet: live events",
    "/api/executions/{id}/events": "the same of one execution",
    "compose.override.yaml": "the reader's own, as Compose reads it",
    "CRON_TZ": "QStash's prefix of a cron expression",
    "EventSource": "the browser's",
    "use_token_auth": "an option of Ably's client",
    "limit_concurrency": "an option of uvicorn",
    "QSTASH_DEV": "the official clients' development mode",
}
"""What pages name that is not ours, and whose it is."""
