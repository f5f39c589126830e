"""The command as a whole: quick to start, and its help is what the verbs say."""

import json
import subprocess
import sys

import click
import pytest

from shared.cli.late import LateGroup
from shared.cli.main import intention
from shared.cli.tools import tools
from tests.system.harness import ROOT


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in (intention, tools) for name in getattr(group, "late", {})],
    ids=str,
)
def test_the_help_says_of_a_late_verb_what_the_verb_says(group: LateGroup, name: str) -> None:
    """In its first sentence."""
    found = group.get_command(click.Context(group), name)
    assert found is not None
    assert (found.name, (found.help or "").startswith(group.late[name].about.removesuffix("."))) == (name, True)


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (("--version",), {"httpx", "msgspec", "rich", "dotenv", "redis", "mcp", "ably", "asyncio"}),
        (("--help",), {"httpx", "msgspec", "rich", "dotenv", "redis", "mcp", "ably", "asyncio"}),
        (("list", "--help"), {"dotenv", "redis", "mcp", "ably", "shared.simulation", "shared.settings"}),
    ],
)
def test_a_verb_loads_what_it_needs(words: tuple[str, ...], heavy: set[str]) -> None:
    """Nothing that another verb is for."""
    code = (
        "import sys, json\nfrom shared.cli.main import intention\n"
        f"intention({list(words)!r}, standalone_mode=False)\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(json.loads(done.stdout.splitlines()[-1])) & heavy == set()
