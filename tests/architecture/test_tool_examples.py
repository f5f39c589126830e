"""The page on tools says what is so: its examples are taken as they stand, and its tables name every field there is."""

import inspect
import re
from pathlib import Path

import pytest

from shared.settings_load import load
from shared.tools.declare import tool
from shared.tools.http_shape import Argument, ByKey, HttpTool
from shared.tools.installation import outbound_of, registry_of
from tests.architecture.test_documents import ROOT

PAGE = (ROOT / "docs/tools.md").read_text(encoding="utf8")


def example(language: str) -> str:
    """The page's one block of a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_examples_are_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module and the file, side by side."""
    (tmp_path / "page_tools.py").write_text(example("python"))
    (tmp_path / "tools.toml").write_text(example("toml"))
    monkeypatch.syspath_prepend(tmp_path)
    environ = {"TOOLS": "page_tools", "HTTP_TOOLS": str(tmp_path / "tools.toml")}
    secrets = {"SECRET_CRM_TOKEN": "crm-token", "SECRET_DESK_TOKEN": "desk-token"}
    settings = load({"INTENTION_MODE": "local", **environ, **secrets})

    found = registry_of(settings, outbound_of(settings), None)

    assert {"create_contact", "create_ticket"} <= set(found.contracts())
    assert not [*found.check_args("create_ticket", {"queue": "a", "subject": "b"}, "args")]


@pytest.mark.parametrize(
    "names",
    [
        HttpTool.__struct_fields__,
        Argument.__struct_fields__,
        ByKey.__struct_fields__,
        tuple(inspect.signature(tool).parameters),
    ],
    ids=["a tool in a file", "an argument", "undo and probe", "@tool"],
)
def test_every_field_is_named_in_a_table(names: tuple[str, ...]) -> None:
    """A field that nobody is told of does not exist."""
    named = {name for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}

    assert set(names) <= named
