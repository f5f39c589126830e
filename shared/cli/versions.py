"""Which version this is: of the package that is installed, or of the folder that it is run from."""

import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PATIENCE_S: Final = 5.0


def version() -> str:
    """`0.1.0`; of a checkout with its commit: `0.1.0, commit 6095a5a`."""
    try:
        return metadata.version("intention-engine")
    except metadata.PackageNotFoundError:  # run from its folder, as `make` does
        return of_folder(ROOT)


def of_folder(folder: Path) -> str:
    """What its own project file says, and git where it is a checkout of its own."""
    told = [text for text in (_project(folder), _commit(folder)) if text]
    return ", ".join(told) or "of a version that nobody knows: there is neither a pyproject.toml nor a checkout"


def _project(folder: Path) -> str:
    try:
        found = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf8"))
        return str(found["project"]["version"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return ""


def _commit(folder: Path) -> str:
    if not (folder / ".git").exists():  # git would look further up, and tell of another project
        return ""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)  # noqa: S603 - no shell, our words
    except (OSError, subprocess.SubprocessError):  # no git here, or another's folder, which git does not trust
        return ""
    return f"commit {done.stdout.strip()}"
