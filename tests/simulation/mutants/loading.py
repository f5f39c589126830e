"""Loads modules of the engine with some of their text changed. Imports nothing of the engine: it must come first."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[3]


class Patch(NamedTuple):
    """In `module`, `old` becomes `new`."""

    module: str
    old: str
    new: str


class DoesNotApply(Exception):
    """The text to change is not there exactly once: the engine has moved on, and the mutant must be written anew."""


def source_of(module: str) -> Path:
    """The file of a module."""
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def changed(source: str, patches: Sequence[Patch]) -> str:
    """`source` with every patch applied."""
    for patch in patches:
        if source.count(patch.old) != 1:
            raise DoesNotApply(f"{patch.module} has {source.count(patch.old)} times, and not once:\n{patch.old}")
        source = source.replace(patch.old, patch.new)
    return source


def install(patches: Sequence[Patch]) -> None:
    """From now on these modules are imported with their patches."""
    early = [patch.module for patch in patches if patch.module in sys.modules]
    if early:
        raise RuntimeError(f"{early} were imported before they could be changed")
    sys.meta_path.insert(0, _Finder(patches))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        wanted = [patch for patch in self._patches if patch.module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if wanted else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, wanted)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, patches: Sequence[Patch]) -> None:
        super().__init__(fullname, path)
        self._patches = patches

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the signature of a loader
        """Never from a cache of compiled files, and never into one."""
        source = changed(Path(self.path).read_text(encoding="utf8"), self._patches)
        return compile(source, self.path, "exec", dont_inherit=True)
