"""The page on policies says what is so: its examples and the shipped file are read, and its tables name every field."""

import re

import httpx
import pytest

from shared.policies import Bound, Forbid, Limit, Policies, Require, Spend, read
from shared.policy_file import load
from shared.tools.registry import Registry
from shared.tools.town import TownTools, register
from tests.architecture.test_documents import ROOT

PAGE = (ROOT / "docs/policies.md").read_text(encoding="utf8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def town() -> Registry:
    """The town's tools."""
    registry = Registry()
    register(registry, TownTools(httpx.AsyncClient()))
    return registry


def test_the_examples_are_policies_of_the_towns_tools(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each by itself, and all together."""
    assert len(EXAMPLES) == 4
    path = tmp_path_factory.mktemp("page") / "policies.toml"
    path.write_text("\n".join(EXAMPLES))
    found = load(str(path), town())
    assert all(getattr(found, kind) for kind in Policies.__struct_fields__)
    for text in EXAMPLES:
        assert read(text, is_json=False).rules


def test_the_shipped_file_is_read() -> None:
    """With one policy of each kind at least."""
    found = load(str(ROOT / "examples/policies.toml"), town())
    assert all(getattr(found, kind) for kind in Policies.__struct_fields__)


@pytest.mark.parametrize("kind", [Limit, Forbid, Spend, Require, Bound], ids=lambda kind: kind.__name__)
def test_every_field_is_named(kind: type) -> None:
    """Those that every policy has in the text, the others in a table."""
    named = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(kind.__struct_fields__) - {"name", "tenants", "message"} <= named  # type: ignore[attr-defined] # a Struct
    assert all(f"`{name}`" in PAGE for name in ("name", "tenants", "message"))
