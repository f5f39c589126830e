"""Policies, prices, and e-mail that cannot be taken back, on real processes."""

from pathlib import Path

import pytest

from tests.system.command_line import around, run
from tests.system.harness import QUICK, System, until
from tests.tools.post_office import post_office

pytestmark = pytest.mark.system

TOOLS = """
from typing import Any

from shared.machine.plan import Cost
from shared.tools.declare import tool
from shared.tools.registry import Call


@tool(effect="pure", cost=Cost(amount=40, failed=True))
async def count_words(call: Call, *, text: str) -> dict[str, Any]:
    '''Count words, for money.'''
    return {"words": len(text.split())}
"""
POLICIES = """
[[spend]]
name = "budget"
most = 100

[[require]]
name = "paid-work"
what = "confirmation"
tools = ["count_*"]

[[limit]]
name = "small-parties"
tools = ["reserve_table"]
args = { party_size = { at_most = 6 } }
"""


async def test_policies_prices_and_letters_on_a_running_system(tmp_path: Path) -> None:
    """Words whose message stands run as they are; what costs too much is refused; what costs something is confirmed first."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "paid_tools.py").write_text(TOOLS)
    (code / "policies.toml").write_text(POLICIES)
    async with post_office() as office:
        mail = {"SMTP_URL": f"smtp://127.0.0.1:{office.port}", "SMTP_FROM": "bob@example.org"}
        own = {"TOOLS": "paid_tools", "PYTHONPATH": str(code), "POLICIES": str(code / "policies.toml")}
        async with System(tmp_path, **QUICK, **mail, **own) as system:
            words = "Book a table for 2 at 7pm, email ana@example.com and email ben@example.com the details"
            taken = await system.post("/api/execute", {"intent": words, "userId": "test-user"})
            assert taken.status_code == 202, taken.text
            assert (await system.ended(taken.json()["id"], within=40))["status"] == "COMPLETED"
            for reader in (b"To: ana@example.com", b"To: ben@example.com"):
                assert sum(reader in letter for letter in office.letters) == 1

            refused = await system.post("/api/execute", {"intent": "Book a table for 8 at 7pm", "userId": "test-user"})
            assert refused.status_code == 422
            assert "policy small-parties" in refused.text

            paid = [{"name": "a", "tool": "count_words", "args": {"text": "one two"}, "retry": {"attempts": 2}}]
            price = (await system.post("/api/plan", {"plan": {"steps": paid}})).json()["price"]
            assert (price["cost"], price["worstCost"]) == (40, 80)
            dear = await system.post("/api/execute", {"plan": {"steps": [paid[0] | {"retry": {"attempts": 3}}]}})
            assert "policy budget: the calls may cost 120, and 100 is the most for a plan" in dear.text

            asked = (await system.post("/api/execute", {"plan": {"steps": paid}})).json()
            assert (asked["status"], asked["policies"][0]["policy"]) == ("AWAITING_CONFIRMATION", "paid-work")
            done = await run("confirm", asked["id"], "--yes", "--wait", cwd=tmp_path, environ=around(system))
            assert done.code == 0, done
            shown = await run("plan", "--plan", str(_file(tmp_path)), cwd=tmp_path, environ=around(system))
            assert "policy paid-work: a (count_words) needs a confirmation of the plan" in shown.out

            async def audited() -> bool:
                return any(line["event"] == "plan.confirmed" for line in await system.history(asked["id"]))

            await until(audited, within=10, describe="the confirmation is on record")


def _file(folder: Path) -> Path:
    """A plan for the command."""
    found = folder / "plan.json"
    found.write_text('{"steps": [{"name": "a", "tool": "count_words", "args": {"text": "one"}, "retry": {"attempts": 1}}]}')
    return found
