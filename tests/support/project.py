"""What there is in this project, for pages that name it: files, words of the sources, settings, routes, commands, targets."""

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from starlette.applications import Starlette

from examples.town.app import build_app as town_app
from examples.town.deps import Deps
from examples.town.knobs import Board
from examples.town.store import Store
from services.ably_dev.app import build_app as ably_app
from services.ingress.app import build_app as ingress_app
from services.qstash_dev.app import build_app as qstash_app
from services.resume.app import build_app as resume_app
from services.step_executor.app import build_app as executor_app
from shared.cli.main import intention
from shared.settings import Settings
from shared.settings_load import load
from tests.support import keyspace

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("shared", "services", "examples", "tests", "bench")
_SOURCES: Final = {".py", ".lua", ".toml", ".yaml", ".yml", ".json", ".js", ".html", ".css", ".sh"}
_SKIPPED: Final = {"node_modules", ".venv", ".git", ".intention", "__pycache__"}
_ADD_ROUTES: Final = {"METRICS": "true", "LOCAL_CONTROL": "127.0.0.1:9", "LOCAL_CONTROL_KEY": "never-used-by-anybody"}
"""Settings with which there are more routes."""
Route = tuple[frozenset[str], tuple[str, ...]]


@cache
def files() -> tuple[str, ...]:
    """Every file and folder, relative to the root; folders without their last stroke."""
    return tuple(sorted(_walk(ROOT)))


def _walk(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.name in _SKIPPED or path.name.endswith("_cache"):
            continue
        yield str(path.relative_to(ROOT))
        if path.is_dir():
            yield from _walk(path)


def is_file(name: str, *, beside: Path = ROOT) -> bool:
    """Whether a path, or the end of one, is there; `*` stands for anything within a name."""
    name = name.rstrip("/")
    if (beside / name).exists() or (ROOT / name).exists():
        return True
    return any(fnmatch(path, name) or fnmatch(path, f"*/{name}") for path in files())


def defines(name: str, inside: str) -> bool:
    """Whether a Python file has a function or a class of this name."""
    path = ROOT / name
    return (
        path.is_file()
        and re.search(rf"^\s*(?:async def|def|class) {inside}\b", path.read_text("utf8"), re.MULTILINE) is not None
    )


@cache
def sources() -> str:
    """The text of all sources, and no page of the documentation. Tests name much that is not there, on purpose."""
    found = [ROOT / name for name in files() if Path(name).suffix in _SOURCES and not name.startswith("tests/")]
    found += [ROOT / "Makefile", ROOT / "Dockerfile", ROOT / ".env.example", ROOT / ".ci/run"]
    return "\n".join(path.read_text(encoding="utf8") for path in found if path.is_file())


@cache
def words() -> frozenset[str]:
    """Every word of the sources (identifiers, fields, codes), and of the names of files."""
    names = re.findall(r"\w+", "\n".join(files()))
    return frozenset([*re.findall(r"[A-Za-z_]\w*", sources()), *names])


@cache
def tested_words() -> frozenset[str]:
    """Those of the tests, too, but for the one that names what is not there; and histograms, whose parts queries name."""
    texts = [(ROOT / name).read_text(encoding="utf8") for name in files() if fnmatch(name, "tests/*.py")]
    tested = re.findall(r"[A-Za-z_]\w*", "\n".join(text for text in texts if "no_such_word" not in text))
    measured = re.findall(r"\b(intention_\w+)_(?:bucket|sum|count)\b", sources())
    return words() | frozenset(tested) | frozenset(measured)


@cache
def literals() -> frozenset[str]:
    """Every text that stands in a Python module as a literal of its own."""
    found: set[str] = set()
    for name in files():
        if name.endswith(".py") and not name.startswith("tests/"):
            tree = ast.parse((ROOT / name).read_text(encoding="utf8"))
            found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(found)


@cache
def settings() -> frozenset[str]:
    """The environment variables that the services read."""
    return frozenset(field.encode_name.upper() for field in msgspec.structs.fields(Settings)) - {"SECRETS"}


@cache
def variables() -> frozenset[str]:
    """What else is set from outside: for the command line, the tests, Make, Compose, the image, and Python itself."""
    texts = {text for text in literals() if re.fullmatch(r"[A-Z][A-Z0-9_]+", text)}
    made = re.findall(
        r"\$[({]([A-Z][A-Z0-9_]+)|^([A-Z_]+) [?:]?=", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE
    )
    composed = [name for path in ROOT.glob("compose*.yaml") for name in re.findall(r"\$\{([A-Z0-9_]+)", path.read_text())]
    built = re.findall(r"^ARG ([A-Z_]+)", (ROOT / "Dockerfile").read_text(encoding="utf8"), re.MULTILINE)
    tests = "\n".join((ROOT / name).read_text(encoding="utf8") for name in files() if fnmatch(name, "tests/*.py"))
    tested = re.findall(r"os\.environ\.get\(\"([A-Z0-9_]+)", tests)
    found = {*texts, *composed, *built, *tested, "PATH", "PYTHONPATH"}
    return frozenset(found | {name for pair in made for name in pair if name})


@cache
def routes() -> tuple[Route, ...]:
    """The routes of all services: methods, and the path in its parts. What takes any path at all proves nothing."""
    local = load({"INTENTION_MODE": "local", **{name: value for name, value in _ADD_ROUTES.items() if name in settings()}})
    town = town_app(Deps(store=Store.__new__(Store), board=Board()))  # never opened: no request is made of it
    apps = (ingress_app(settings=local), executor_app(local), resume_app(local), town, qstash_app(_never), ably_app(_never))
    return tuple(route for app in apps for route in _routes_of(app))


def _never() -> AbstractAsyncContextManager[Any]:
    raise AssertionError("routes are read, and nothing is opened")


def _routes_of(app: Starlette) -> Iterator[Route]:
    for route in app.routes:
        methods = getattr(route, "methods", None)
        parts = tuple(str(getattr(route, "path", "")).strip("/").split("/"))
        if not parts[0].endswith(":path}"):
            yield frozenset(methods or ()), parts


def is_endpoint(path: str, method: str = "") -> bool:
    """Whether a service answers there. Without a method the path may also be the beginning or the end of one."""
    parts = tuple(path.strip("/").split("/"))
    for methods, template in routes():
        if method and (not methods or method in methods) and _fits(parts, template, whole=True):
            return True
        if not method and set(parts) & set(template) and (_fits(parts, template) or _fits(parts[::-1], template[::-1])):
            return True
    return False


def _fits(parts: tuple[str, ...], template: tuple[str, ...], *, whole: bool = False) -> bool:
    """`{x}` of the template takes one part that is no other's name, or with `:path` all that follow."""
    for number, wanted in enumerate(template):
        if wanted.endswith(":path}"):
            return len(parts) >= number
        if number >= len(parts):
            return not whole
        if wanted != parts[number] and not (wanted.startswith("{") and parts[number]):
            return False
    return len(parts) == len(template)


@cache
def targets() -> frozenset[str]:
    """Of the Makefile."""
    return frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE))


@cache
def extras() -> frozenset[str]:
    """Of the distribution."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    return frozenset(re.findall(r"^([\w-]+) = \[", text, re.MULTILINE))


@cache
def redis_keys() -> frozenset[str]:
    """Every key of the page on them, which another test holds against the code; `*` for each part that varies."""
    return frozenset(varying(row.shown) for row in keyspace.documented())


def varying(key: str) -> str:
    """A key with `*` for each part that varies, however a page writes that part."""
    return re.sub(r"<[^>]*>|(?<=\{p)[^}]*(?=\})", "*", key)


def makes_key(prefix: str, name: str) -> bool:
    """Whether qstash_dev (`qd`) or ably_dev (`ad`) writes a key of this name."""
    folder = ROOT / "services" / {"qd": "qstash_dev", "ad": "ably_dev"}[prefix]
    found = [*folder.rglob("*.py"), *folder.rglob("*.lua")]
    return any(re.search(rf"[\"'}}:]{name}\b", path.read_text(encoding="utf8")) for path in found)


def command_problem(arguments: list[str]) -> str:
    """What is wrong with the arguments of `intention`; empty if each command and option is there, as far as they are named."""
    found: click.Command = intention
    for word in arguments:
        if isinstance(found, click.Group) and word in {"VERB", "COMMAND"}:
            return ""
        if isinstance(found, click.Group) and not word.startswith("-"):
            there = found.get_command(click.Context(found), word)
            if there is None:
                return f"there is no command {word}"
            found = there
        elif word.startswith("--") and word.partition("=")[0] not in _options(found):
            return f"{found.name} has no option {word}"
    return ""


def _options(command: click.Command) -> set[str]:
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return own | {"--help"}


def is_module(name: str) -> bool:
    """Whether `python -m name` finds something, or the name leads to something within a module."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            if importlib.util.find_spec(".".join(parts[:length])) is None:
                continue
        except ModuleNotFoundError:
            continue
        if length == len(parts):
            return True
        return hasattr(importlib.import_module(".".join(parts[:length])), parts[length])
    return False
