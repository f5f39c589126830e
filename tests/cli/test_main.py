"""The command as a whole: quick to start, and its help is what the verbs say."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from shared.cli.late import FLAGS, VALUED, LateGroup
from shared.cli.main import intention
from shared.cli.tools import tools
from shared.cli.verbs import common
from tests.support.valkey import free_port
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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list", "--limit", "abc"], "--limit': 'abc': give a number from 1 to 500"),
        (["list", "--limit", "0"], "--limit': '0': give a number from 1 to 500"),
        (["sim", "--seeds", "x"], "--seeds': 'x': give a number from 1 on"),
        (["watch", "last", "--for", "x"], "--for': 'x': give seconds, from 0.1 on"),
        (["cancel", "last", "--wait=soon"], "--wait': 'soon': give seconds, from 0.1 to 86400"),
    ],
)
def test_a_number_that_is_none_is_told_which_there_are(words: list[str], says: str) -> None:
    """Before anybody is asked."""
    found = CliRunner().invoke(intention, words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert says in found.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--url {url} list", "--url {other} list --url {url}", "--json --actor ann --url={url} get last"),
        ("--url {url} schedule list", "schedule --url {url} list", "--url {other} schedule --url {url} list"),
        ("tools --url {url}", "--url {url} tools", "--url {other} --json tools --url {url} state", "--url {url} dev broken"),
    ],
)
def test_common_options_stand_before_the_verb_or_behind_it(words: tuple[str, ...]) -> None:
    """The last one said counts."""
    for line in words:
        url, other = f"http://127.0.0.1:{free_port()}", "http://nobody.invalid"
        found = CliRunner().invoke(intention, line.format(url=url, other=other).split())
        assert (found.exit_code, f"{url} does not answer" in found.stderr) == (3, True), (line, found.output)


@pytest.mark.parametrize("words", ["--url http://x doctor", "--url http://x dev", "profile --url http://x list"])
def test_a_verb_that_has_no_such_option_refuses_it_wherever_it_stands(words: str) -> None:
    """Rather than ask somebody else than was said."""
    found = CliRunner().invoke(intention, words.split())
    assert (found.exit_code, "No such option '--url'" in found.stderr) == (2, True)


def test_what_may_stand_before_a_verb_is_what_all_verbs_have() -> None:
    """Neither more nor less."""
    options = [one for one in click.command()(common(lambda: None)).params if isinstance(one, click.Option)]
    said = {one.opts[0]: one.is_flag for one in options}
    assert said == dict.fromkeys(VALUED, False) | dict.fromkeys(FLAGS, True)
