"""The page on the client: its examples run, one after the other, and it names every method that there is."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from shared.client import Client
from shared.client.executions import Executions
from shared.client.letters import Letters
from shared.client.schedules import Schedules
from tests.system.harness import QUICK, ROOT, System

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.system
async def test_the_examples_of_the_page_run_as_they_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for the address."""
    async with System(tmp_path, **QUICK) as system:
        names: dict[str, Any] = {}
        for block in BLOCKS:
            text = block.replace("http://127.0.0.1:3000", system.processes["ingress"].url)
            code = compile(text, "docs/client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waiting = eval(code, names)  # noqa: S307 - the page's own text
            if inspect.isawaitable(waiting):
                await waiting
    said = capsys.readouterr().out.splitlines()
    assert len(BLOCKS) >= 7
    assert said[0].startswith("COMPLETED {")
    assert any(line.startswith("404 not_found") for line in said)


@pytest.mark.parametrize("kind", [Client, Executions, Schedules, Letters])
def test_the_page_names_every_method(kind: type) -> None:
    """None is left to be found by chance."""
    names = {name for name in vars(kind) if not name.startswith("_")} - {"aclose"}
    told = set(re.findall(r"`(?:client\.)?(?:executions\.)?(\w+)(?:\(.*?\))?`", PAGE))
    assert names <= told
