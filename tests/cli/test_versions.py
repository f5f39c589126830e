"""`intention --version`, installed or not."""

import subprocess
from pathlib import Path

from click.testing import CliRunner

from shared.cli.main import intention
from shared.cli.versions import of_folder
from tests.system.harness import ROOT


def test_it_names_the_version_of_the_project() -> None:
    """Something that a report of a fault can have in it."""
    found = CliRunner().invoke(intention, ["--version"])
    assert found.exit_code == 0
    assert found.stdout.startswith("intention 0.")


def test_of_a_checkout_it_names_the_commit(tmp_path: Path) -> None:
    """As git shortens it."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "3.2.1"\n')
    assert of_folder(tmp_path) == "3.2.1"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    said = subprocess.run(["git", "-C", str(tmp_path), "log", "-1", "--format=%h"], capture_output=True, text=True, check=True)
    assert of_folder(tmp_path) == f"3.2.1, commit {said.stdout.strip()}"


def test_a_folder_within_another_checkout_is_not_of_its_commit() -> None:
    """Such as a virtual environment in somebody's project."""
    assert "commit" not in of_folder(ROOT / "docs")


def test_a_folder_that_says_nothing_is_said(tmp_path: Path) -> None:
    """No traceback, and no empty line."""
    (tmp_path / "pyproject.toml").write_text("version = [")
    assert of_folder(tmp_path).startswith("of a version that nobody knows")
