"""The way to Upstash's own development server. Read here, without Docker and without the image."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # the locked release ships no types

from shared.settings_load import load

ROOT = Path(__file__).parents[3]


class Override(yaml.SafeLoader):  # type: ignore[misc] # its base has no types
    """Knows Compose's `!reset`: the value is gone."""


Override.add_constructor("!reset", lambda _loader, _node: None)


def override() -> dict[str, Any]:
    """The services of the override."""
    loaded = yaml.load((ROOT / "compose.qstash-official.yaml").read_text().replace("$$", "$"), Override)  # noqa: S506 - a safe one
    found: dict[str, Any] = loaded["services"]
    return found


@pytest.mark.parametrize("name", ["step_executor", "resume", "ingress"])
def test_the_services_take_the_public_keys_of_the_official_server(name: str) -> None:
    """Only because they listen on loopback, in the server's own network namespace."""
    service = override()[name]
    environment = service["environment"]
    public = ("PUBLIC_TOKEN", "PUBLIC_CURRENT", "PUBLIC_NEXT")
    names = ("QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")
    settings = {variable: value for variable, value in environment.items() if variable not in public}
    settings |= {name: environment[value] for name, value in zip(names, public, strict=True)}
    found = load({**settings, "INTENTION_MODE": "local", "INTERNAL_SIGNING_KEY": "generated"})
    assert found.executor_host == found.resume_host == "127.0.0.1"
    assert name == "ingress" or service["network_mode"] == "service:qstash_dev"
    for variable, value in zip(names, public, strict=True):
        assert f'{variable}="${value}"' in service["command"][2]


def test_only_services_of_the_compose_file_are_overridden() -> None:
    """A name that is not there would be a service more."""
    text = (ROOT / "compose.yaml").read_text()
    assert all(f"\n  {name}:\n" in text for name in override())
