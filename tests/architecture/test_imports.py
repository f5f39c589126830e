"""Who may import whom. The pure machine knows nothing of the world; services know `shared` and never each other."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sources(folder: str) -> list[Path]:
    """The modules in a folder."""
    return sorted((ROOT / folder).rglob("*.py"))


def imported(source: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{source} imports relatively"
            yield node.module


def offences(folder: str, *forbidden: str) -> list[str]:
    """Imports in a folder of a forbidden package, or of something in it."""
    return [
        f"{source.relative_to(ROOT)} imports {name}"
        for source in sources(folder)
        for name in imported(source)
        if any(name == package or name.startswith(f"{package}.") for package in forbidden)
    ]


def services() -> list[str]:
    """Folder names below services/."""
    return sorted(path.name for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("source", sources("shared/machine"), ids=lambda source: source.stem)
def test_the_machine_imports_the_standard_library_msgspec_and_itself(source: Path) -> None:
    """No I/O can creep in by a helper of ours."""
    for name in imported(source):
        own = name == "shared.machine" or name.startswith("shared.machine.")
        assert own or name.partition(".")[0] in {*sys.stdlib_module_names, "msgspec"}, f"{source.name} imports {name}"


@pytest.mark.parametrize("source", sources("shared/machine"), ids=lambda source: source.stem)
def test_the_machine_reads_no_clock_no_dice_and_no_network(source: Path) -> None:
    """They are in the standard library too. The page's writer is the one module that may touch a file."""
    impure = {"asyncio", "datetime", "os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}
    impure |= set() if source.stem == "draw" else {"io", "pathlib"}
    impure -= {"datetime"} if source.stem == "moments" else set()  # it reads what is written; `now` is looked for below
    assert not {name.partition(".")[0] for name in imported(source)} & impure
    assert not re.search(r"\b(now|today|utcnow)\(", source.read_text())


@pytest.mark.parametrize("service", services())
def test_a_service_imports_no_other(service: str) -> None:
    """What two of them need belongs to `shared`."""
    assert offences(f"services/{service}", *(f"services.{other}" for other in services() if other != service), "examples") == []


def test_shared_imports_no_service_and_no_example() -> None:
    """It is what they stand on."""
    assert offences("shared", "services", "examples", "tests") == []


def test_nothing_that_runs_imports_tests_or_benchmarks() -> None:
    """They are not shipped."""
    assert [found for folder in ("shared", "services", "examples") for found in offences(folder, "tests", "bench")] == []
