"""`intention tools check`: arguments in, findings and an exit code out, against the real town."""

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shared.cli import lists
from shared.cli.grids import plain
from shared.cli.main import intention
from shared.machine.plan import Effect
from shared.tools.kit import Standing
from shared.tools.registry import Registry
from tests.support.valkey import free_port
from tests.tools.shop import Shop
from tests.town.support import Town


def lying(registry: Registry) -> Standing:
    """A shop that sells again and again, and tells the truth about how often: for `--from`."""
    shop = Shop("does it again")
    registry.add(shop.buy, effect=Effect.IDEMPOTENT, undo=shop.undo)
    return shop.standing


def check(tool: str, args: Any, *more: str, town_url: str = "http://127.0.0.1:9", said: str = "") -> Result:
    """Run it; a person answers `said`."""
    text = args if isinstance(args, str) else json.dumps(args)
    command = ["tools", "check", tool, "--args", text, "--env-file", "/dev/null", *more]
    return CliRunner(env={"TOWN_URL": town_url, "INTENTION_MODE": "local"}).invoke(intention, command, input=said)


def test_a_tool_that_keeps_its_promises_is_told_so(town: Town) -> None:
    """Line by line, and nothing stands in the town afterwards."""
    found = check("do_work", {"label": "x"}, "--yes", town_url=town.base_url)

    assert found.exit_code == 0, found.output
    assert "called twice, it did it once" in " ".join(found.output.split())
    assert found.output.endswith("do_work is as it says.\n")
    assert {state for state, _ in asyncio.run(town.applied()).values()} == {"undone"}


def test_findings_can_be_read_by_a_program(town: Town) -> None:
    """One JSON object."""
    found = check("send_message", {"to": "a", "channel": "sms", "text": "b"}, "--yes", "--json", town_url=town.base_url)

    told = json.loads(found.stdout)
    assert (found.exit_code, told["tool"], told["ok"]) == (0, "send_message", True)
    assert [one["verdict"] for one in told["findings"]] == ["kept"] * 9


def test_a_lying_tool_of_ones_own_ends_with_code_1() -> None:
    """Named by module and function."""
    found = check("buy", {"what": "bread"}, "--yes", "--from", "tests.cli.test_tools:lying", "--json")

    told = json.loads(found.stdout)
    assert (found.exit_code, told["ok"]) == (1, False)
    assert {"point": "twice", "verdict": "broken", "message": "called twice, 2 effects of its key stand instead of 1"} in told[
        "findings"
    ]


def test_nothing_is_called_before_a_person_agrees(town: Town) -> None:
    """The calls are real."""
    found = check("do_work", {"label": "x"}, town_url=town.base_url, said="n\n")

    assert found.exit_code == 1
    assert "called for real" in found.output
    assert asyncio.run(town.applied()) == {}


@pytest.mark.parametrize(
    ("tool", "args", "more", "said"),
    [
        ("teleport", {}, (), "there is no tool teleport; there are book_ride"),
        ("do_work", "{", (), "--args: Input data was truncated"),
        ("do_work", "[]", (), "--args: Expected `object`"),
        ("do_work", {"label": 5}, (), "--args.label: Expected `str`"),
        ("do_work", {"label": "x"}, ("--other-args", '{"pets": 1}'), "--other-args.pets: do_work takes no such argument"),
        ("do_work", {"label": "x"}, ("--from", "no.such.module:f"), "--from no.such.module:f: No module named"),
        ("do_work", {"label": "x"}, ("--from", "tests.cli.test_tools"), "write module:function"),
        ("do_work", {"label": "x"}, ("--from", "tests.cli.test_tools:__name__"), "that is no function"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_command_is_said(tool: str, args: Any, more: tuple[str, ...], said: str) -> None:
    """With its place, and before anything is called."""
    found = check(tool, args, "--yes", *more)

    assert found.exit_code == 2
    assert said in found.output


@pytest.mark.parametrize(
    ("tool", "said"), [("teleport", "there is no tool teleport"), ("do_work", "say with --args what do_work is called with")]
)
def test_a_tool_is_looked_for_before_its_arguments(tool: str, said: str) -> None:
    """What is not there takes none."""
    environ = {"TOWN_URL": "http://127.0.0.1:9", "INTENTION_MODE": "local"}
    found = CliRunner(env=environ).invoke(intention, ["tools", "check", tool, "--env-file", "/dev/null"])

    assert (found.exit_code, found.stdout) == (2, "")
    assert said in found.output


def test_a_town_that_is_not_there_is_said() -> None:
    """Not a traceback."""
    found = check("do_work", {"label": "x"}, "--yes", town_url=f"http://127.0.0.1:{free_port()}")

    assert found.exit_code == 1
    assert "ConnectError" in found.output
    assert "Traceback" not in found.output


def test_tools_of_ones_own_are_checked_as_the_installation_has_them() -> None:
    """By TOOLS, without naming a function; nobody counts effects then, and it is said."""
    environ = {"INTENTION_MODE": "local", "TOOLS": "tests.tools.own_tools", "SECRET_CRM_TOKEN": "crm-token-42"}
    command = ["tools", "check", "buy_bread", "--args", '{"loaves": 2}', "--env-file", "/dev/null", "--yes"]
    found = CliRunner(env=environ).invoke(intention, command)

    assert "nobody counts effects" in " ".join(found.output.split())
    assert "called again with its key" not in found.output
    assert "other arguments" in found.output


def test_a_setting_of_tools_that_is_wrong_is_said() -> None:
    """As at the start of a service."""
    environ = {"INTENTION_MODE": "local", "TOOLS": "no_such_module"}
    found = CliRunner(env=environ).invoke(
        intention, ["tools", "check", "x", "--args", "{}", "--env-file", "/dev/null", "--yes"]
    )

    assert found.exit_code == 2
    assert "TOOLS: no_such_module cannot be imported" in found.output


def test_tools_are_a_line_each() -> None:
    """Name, newest version, effect class and undo, and the first line of what it says of itself."""
    contract = {"effect": "idempotent", "undo": "tombstone"}
    rows = [
        {"name": "buy", "versions": ["2", "1"], "contract": contract, "summary": "Buy bread.\n\nEvery day."},
        {"name": "look_around", "versions": ["1"], "contract": {"effect": "pure", "undo": "none"}, "summary": "Look."},
    ]

    assert list(plain(lists.tools(rows))) == [
        "buy          2 (+1)  idempotent  tombstone  Buy bread.",
        "look_around  1       pure        -          Look.",
    ]
    assert list(plain(lists.tools([]))) == ["none"]


def test_the_list_needs_ingress() -> None:
    """Code 3 when nobody answers."""
    found = CliRunner(env={"INTENTION_URL": f"http://127.0.0.1:{free_port()}"}).invoke(
        intention, ["tools", "--env-file", "/dev/null"]
    )

    assert found.exit_code == 3
