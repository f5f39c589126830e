"""Tools by `@tool`: what a declaration becomes, what is wrong with one, and that versions stand side by side."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import views
from shared.errors import SettingsError
from shared.machine.decision import Start
from shared.machine.events import Done, Refused, Unanswered
from shared.machine.plan import Effect, Undo
from shared.settings import Settings
from shared.settings_load import load
from shared.tools import installation, kit
from shared.tools.declare import BadTool, Means, tool
from shared.tools.installation import outbound_of, registry_of
from shared.tools.kit import Sample
from shared.tools.registry import Call, Registry, Runner
from tests.support.executions import intent
from tests.tools import own_tools

SECRET = "s3cret/of the+crm"


def settings(**variables: str) -> Settings:
    """Local mode, with tools of one's own."""
    return load({"INTENTION_MODE": "local", "TOOLS": "tests.tools.own_tools", "SECRET_CRM_TOKEN": SECRET, **variables})


def registry(**variables: str) -> Registry:
    """What an executor has, without the town."""
    found = settings(**variables)
    return registry_of(found, outbound_of(found), None)


def start(tool: str, args: dict[str, Any], version: str = "") -> Start:
    """One call to make."""
    return Start(cell=0, step="a", tool=tool, intent=intent(args=args), timeout_ms=1_000, version=version)


@pytest.fixture(autouse=True)
def nothing_bought() -> None:
    """Each test begins with an empty shop."""
    own_tools.BOUGHT.clear()


def test_a_declaration_is_a_tool_with_its_contract() -> None:
    """Description, schema, effect class, undo; the newest version is what new plans pin."""
    found = registry()

    tool_, old = found.get("buy_bread"), found.get("buy_bread", "1")
    assert tool_ is not None
    assert old is not None
    assert (tool_.summary, tool_.contract.version, old.summary) == ("Buy bread, and butter if it is wanted.", "2", "Buy bread.")
    assert (old.contract.effect, old.contract.undo, old.contract.timeout_ms) == (Effect.IDEMPOTENT, Undo.TOMBSTONE, 2_000)
    assert list(msgspec.json.schema(old.args)["$defs"]["buy_bread_args"]["properties"]) == ["loaves"]
    assert found.versions("buy_bread") == ["2", "1"]
    assert found.contracts()["buy_bread"] == tool_.contract
    assert tool_.contract.schema != old.contract.schema


def test_readers_of_the_list_see_every_version() -> None:
    """And the newest one's promises and arguments."""
    [bread] = [one for one in views.tools(registry()) if one.name == "buy_bread"]

    assert (bread.versions, bread.contract.version, bread.contract.effect) == (("2", "1"), "2", "idempotent")
    assert set(bread.args["$defs"]["buy_bread_and_butter_args"]["properties"]) == {"loaves", "butter"}


async def test_a_call_runs_the_version_that_the_plan_pinned() -> None:
    """Without one, the newest; one that is gone is not replaced by another."""
    runner = Runner(registry())

    said = [await runner.run(start("buy_bread", {"loaves": 2}, version), 1.0) for version in ("1", "2", "", "3")]

    assert [one.output["version"] for one in said if isinstance(one, Done)] == [1, 2, 2]
    assert isinstance(said[3], Refused)
    assert (said[3].code, said[3].retryable) == ("no_such_tool", True)
    assert "buy_bread, version 3" in said[3].message


def test_arguments_are_checked_by_the_version_that_is_meant() -> None:
    """Butter came with the second."""
    found = registry()

    assert [*found.check_args("buy_bread", {"butter": True}, "args")] == []
    assert [one.at for one in found.check_args("buy_bread", {"butter": True}, "args", "1")] == ["args.butter"]
    assert [one.at for one in found.check_args("buy_bread", {}, "args", "9")] == ["args"]


@pytest.mark.parametrize("point", ["twice", "at once", "undo", "undo twice", "undo unknown"])
async def test_a_declared_tool_can_be_held_against_its_promises(point: str) -> None:
    """By the kit, as any other."""

    async def standing(key: str) -> int:
        return int(key in own_tools.BOUGHT)

    await kit.demand(Sample(registry=registry(), name="buy_bread", args={"loaves": 2}, standing=standing), point)


async def test_no_secret_comes_back_from_a_tool() -> None:
    """Not in an output, not in a refusal, not in what an exception says."""
    runner = Runner(registry())

    done = await runner.run(start("tell_secret", {"how": "answers"}), 1.0)
    refused = await runner.run(start("tell_secret", {"how": "refuses"}), 1.0)
    broken = await runner.run(start("tell_secret", {"how": "breaks"}), 1.0)

    assert done == Done(output={"you sent": ["Bearer ***"], "***": 1})
    assert refused == Refused(code="no_***", message="the token *** is not known", retryable=True, retry_after_ms=5)
    assert broken == Unanswered(message="RuntimeError: Authorization: Bearer ***")


async def test_a_tool_has_its_own_secrets_only() -> None:
    """Another one is not there, even if it is set."""
    runner = Runner(registry(SECRET_OTHER_TOKEN="another-secret"))

    found = await runner.run(start("tell_secret", {"how": "asks for another"}), 1.0)

    assert isinstance(found, Unanswered)
    assert "not among the secrets" in found.message


def test_who_only_takes_plans_needs_no_secret() -> None:
    """Ingress has the contracts; the executor says which variable is missing."""
    found = load({"INTENTION_MODE": "local", "TOOLS": "tests.tools.own_tools"})

    installation.check(found, calls=False)
    with pytest.raises(
        SettingsError, match=r"TOOLS: tests.tools.own_tools: tell_secret needs the secret CRM_TOKEN: set SECRET_CRM"
    ):
        installation.check(found, calls=True)


def test_secrets_do_not_show_themselves() -> None:
    """In no repr of the settings."""
    assert SECRET not in repr(settings())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no_such_module", "no_such_module cannot be imported (ModuleNotFoundError"),
        ("tests.tools.shop", "tests.tools.shop declares no tool: put @tool"),
        ("tests.tools.own_tools, no_such_module", "no_such_module cannot be imported"),
        ("tests.tools.own_tools,tests.tools.own_tools", "buy_bread, version 1, is there twice"),
        (".relative", ".relative cannot be imported"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(text: str, says: str) -> None:
    """Before anything is served."""
    with pytest.raises(SettingsError) as found:
        installation.check(settings(TOOLS=text), calls=True)
    assert str(found.value).startswith("TOOLS: ")
    assert says in str(found.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("@tool(effect='safe')\nasync def f(call, *, a: int):\n  'x'", "f: effect is 'safe': write one of pure, idempotent"),
        ("@tool(effect='pure')\ndef f(call, *, a: int):\n  'x'", "f is no coroutine function"),
        ("@tool(effect='pure')\nasync def f(call, *, a: int):\n  pass", "f has no docstring"),
        ("@tool(effect='pure')\nasync def f(call, *, a):\n  'x'", "f: the argument a has no type"),
        ("@tool(effect='pure')\nasync def f(call, means, a: int):\n  'x'", "f takes a Call, perhaps Means"),
        ("@tool(effect='pure')\nasync def f(*, a: int):\n  'x'", "f takes a Call, perhaps Means"),
        ("@tool(effect='pure')\nasync def f(call, *, a: complex):\n  'x'", "f: "),
        ("@tool(effect='pure')\nasync def f(call, *, a: Nowhere):\n  'x'", "name 'Nowhere' is not defined"),
        ("@tool(effect='probeable')\nasync def f(call, *, a: int):\n  'x'", "f is probeable and has no probe"),
        ("@tool(effect='pure', version='beta')\nasync def f(call):\n  'x'", "'beta' is no version"),
        ("@tool(effect='pure', undo_kind='call')\nasync def f(call):\n  'x'", "undo_kind is tombstone or settled"),
        ("@tool(effect='pure', timeout_ms=0)\nasync def f(call):\n  'x'", "timeout_ms is at least 1"),
        (
            "async def u(call, *, a: int): ...\n@tool(effect='unsafe', undo=u)\nasync def f(call):\n  'x'",
            "its undo takes no arguments",
        ),
        ("async def u(call): ...\n@tool(effect='pure', undo=u)\nasync def f(call):\n  'x'", "nothing to undo"),
        ("raise OSError('no disk')", "(OSError: no disk)"),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_refused(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the module and the function."""
    name = f"bad_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(f"from shared.tools.declare import tool\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError) as found:
        installation.check(settings(TOOLS=name), calls=True)

    sys.modules.pop(name, None)
    assert str(found.value).startswith(f"TOOLS: {name}")
    assert says in str(found.value)


def test_a_bad_declaration_says_so_where_it_stands() -> None:
    """Also outside an installation."""
    with pytest.raises(BadTool, match="no coroutine function"):
        tool(effect="pure")(_no_coroutine)  # type: ignore[type-var]  # that is what is wrong with it


def _no_coroutine(_: Call) -> None:
    """Does nothing."""


def test_what_a_module_imports_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is itself a tool stays the other module's."""
    (tmp_path / "borrower.py").write_text("from tests.tools.own_tools import buy_bread\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError, match="borrower declares no tool"):
        installation.check(settings(TOOLS="borrower"), calls=True)


async def test_an_open_registry_has_shipped_tools_and_ones_own() -> None:
    """One function for every process."""
    async with AsyncExitStack() as stack:
        found = await installation.open_registry(settings(), stack)

    assert {"buy_bread", "find_table", "do_work"} <= set(found.contracts())


def test_means_hold_what_was_declared() -> None:
    """And say what was not."""
    means = Means(outbound_of(settings()), {})

    with pytest.raises(LookupError, match="X is not among"):
        means.secret("X")
