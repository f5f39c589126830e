"""The file that names MCP servers, and JSON Schemas as arguments. Pure, but for the file itself."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.errors import SettingsError
from shared.machine.plan import Effect
from shared.settings_load import load as load_settings
from shared.shaped_file import BadFile
from shared.tools import mcp_tools
from shared.tools.mcp_schema import arguments_of, given, version_of
from shared.tools.mcp_shape import read

GOOD = """
[[server]]
name = "desk"
url = "https://desk.example/mcp"
headers = { Authorization = "Bearer ${secret:DESK_TOKEN}" }

[server.tools.open_ticket]
effect = "idempotent"
key_argument = "key"
undo = { tool = "close_ticket", args = { key = "{key}" } }
probe = { tool = "find_ticket", args = { where = { key = "{key}" } }, found = "ticket.number" }

[[server]]
name = "files"
command = ["files-server", "--read-only"]
env = { FILES_TOKEN = "${secret:FILES_TOKEN}" }
"""


TOOL = "[[server]]\nname = 'd'\ncommand = ['d']\n[server.tools.t]"


def test_a_good_file_is_read() -> None:
    """With what it says of each tool, and the secrets it refers to."""
    desk, files = read(GOOD, is_json=False)

    assert desk.tools["open_ticket"].effect is Effect.IDEMPOTENT
    assert (desk.secrets, files.secrets) == (["DESK_TOKEN"], ["FILES_TOKEN"])
    assert desk.source != files.source


def test_json_says_the_same() -> None:
    """One shape."""
    text = msgspec.json.encode({"server": msgspec.to_builtins(read(GOOD, is_json=False))}).decode()

    assert read(text, is_json=True) == read(GOOD, is_json=False)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("", "server: this field is missing"),
        ("[[server]]\nname = 'Desk'\nurl = 'https://d'", "server[0] (Desk).name"),
        ("[[server]]\nname = 'a.b'\nurl = 'https://d'", "server[0] (a.b).name"),
        ("[[server]]\nname = 'd'", "give either url or command"),
        ("[[server]]\nname = 'd'\nurl = 'https://d'\ncommand = ['d']", "give either url or command"),
        ("[[server]]\nname = 'd'\nurl = 'ftp://d'", ".url: write https"),
        ("[[server]]\nname = 'd'\nurl = 'https://me:pass@d'", "without a user or password"),
        ("[[server]]\nname = 'd'\nurl = 'http://d'\nheaders = { A = '${secret:TOKEN}' }", "over https only"),
        ("[[server]]\nname = 'd'\nurl = 'https://d'\nheaders = { A = '${secret:token}' }", ".headers.A: a secret is written"),
        ("[[server]]\nname = 'd'\nurl = 'https://d'\nheaders = { Host = 'x' }", ".headers.Host"),
        ("[[server]]\nname = 'd'\nurl = 'https://d'\nenv = { A = 'x' }", "env and folder go with a command"),
        ("[[server]]\nname = 'd'\ncommand = ['d']\nheaders = { A = 'x' }", ".headers: they go with a url"),
        ("[[server]]\nname = 'd'\ncommand = ['d']\ntimeout_ms = 0", "timeout_ms is 1 to 60000"),
        ("[[server]]\nname = 'd'\ncommand = ['d']\ntimeout = 1", "timeout"),
        ("[[server]]\nname = 'd'\ncommand = ['d']\n[[server]]\nname = 'd'\ncommand = ['d']", "stands above"),
        (TOOL + "\neffect = 'probeable'", ".tools.t.effect: probeable needs"),
        (f"{TOOL}\neffect = 'pure'\nundo = {{ tool = 'u', args = {{ k = '{{key}}' }} }}", ".tools.t.undo: a pure tool"),
        (
            TOOL + "\nundo = { tool = 'u', args = { k = 'key' } }",
            ".tools.t.undo.args: it finds the effect by its key",
        ),
        (
            TOOL + "\nprobe = { tool = 'u', args = { k = '{key}' } }",
            ".tools.t.probe.found",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(entry: str, says: str) -> None:
    """Before anything is called."""
    with pytest.raises(BadFile) as caught:
        read(entry, is_json=False)

    assert says in str(caught.value)


def test_a_secret_is_needed_only_where_tools_are_called(tmp_path: Path) -> None:
    """Ingress has none."""
    file = tmp_path / "servers.toml"
    file.write_text(GOOD)
    settings = load_settings({"INTENTION_MODE": "local", "MCP_SERVERS": str(file), "SECRET_DESK_TOKEN": "desk-token"})

    assert len(mcp_tools.check(settings, calls=False)) == 2
    with pytest.raises(SettingsError) as caught:
        mcp_tools.check(settings, calls=True)
    assert "server files: it needs the secret FILES_TOKEN: set SECRET_FILES_TOKEN" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With its setting."""
    with pytest.raises(SettingsError) as caught:
        mcp_tools.load(str(tmp_path / "none.toml"))

    assert "MCP_SERVERS=" in str(caught.value)


# --- schemas


def schema(**properties: Any) -> dict[str, Any]:
    """An object whose properties all may be left out."""
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ({"type": "string", "maxLength": 3}, "abc", "abcd"),
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"type": "integer"}, 1, 1.5),
        ({"type": "number", "exclusiveMaximum": 2}, 1.5, 2),
        ({"type": "boolean"}, True, "true"),
        ({"enum": ["a", "b"]}, "a", "c"),
        ({"const": 3}, 3, 4),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [1, 2], [1, 2, 3]),
        ({"type": "array", "items": {"type": "integer"}}, [1], ["a"]),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": 1, "b": 2}, [1]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"type": ["integer", "null"]}, None, "a"),
    ],
)
def test_a_value_that_the_schema_refuses_is_refused(kind: dict[str, Any], good: Any, bad: Any) -> None:
    """As far as msgspec's types say it; inside of objects the server checks itself."""
    args = arguments_of("t", schema(value=kind))

    found = msgspec.convert({"value": good}, args)
    assert given(args, {field: getattr(found, field) for field in args.__struct_fields__}) == {"value": good}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"value": bad}, args)


@pytest.mark.parametrize(
    "kind",
    [
        {"$ref": "#/$defs/x"}, {"anyOf": [{"type": "object"}, {"$ref": "#/x"}]}, {"type": "string", "pattern": "^(b+)+$"}, {},
        {"type": 7}, {"anyOf": []}, {"type": "integer", "minimum": 0.5}, {"enum": [1.5, None]},
        {"type": "string", "minLength": -1}, {"type": "string", "maxLength": 2**70},
        {"type": "array", "items": {"enum": [2**70]}, "anyOf": [{}]}, True, None,
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_left_to_the_server(kind: Any) -> None:
    """Nothing is refused for want of words, and no schema stops a process."""
    args = arguments_of("t", schema(value=kind))

    assert msgspec.to_builtins(msgspec.convert({"value": "a"}, args)) == {"value": "a"}


def test_names_that_are_no_python_names_and_arguments_that_are_left_out() -> None:
    """They reach the server as it calls them; nothing is sent for what was not given."""
    args = arguments_of(
        "t", schema(call={}, **{"user-id": {"type": "string"}, "class": {}, "left": {}}) | {"required": ["call"]}
    )
    found = msgspec.convert({"call": 1, "user-id": "ann", "class": "b"}, args)

    assert given(args, {field: getattr(found, field) for field in args.__struct_fields__}) == {
        "call": 1,
        "user-id": "ann",
        "class": "b",
    }
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"user-id": "ann"}, args)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"call": 1, "more": 2}, args)


def test_another_schema_is_another_version_whatever_the_order_of_its_words() -> None:
    """Which is what plans pin."""
    one = schema(a={"type": "string", "maxLength": 3})
    same = {"properties": {"a": {"maxLength": 3, "type": "string"}}, "type": "object"}

    assert version_of(one) == version_of(same)
    assert version_of(one) != version_of(schema(a={"type": "string", "maxLength": 4}))
