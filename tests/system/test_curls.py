"""The two examples of the guide, to the letter: what a newcomer tries first."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.system.harness import System

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

EXECUTE = """curl -X POST http://localhost:3000/api/execute \\
  -H "Content-Type: application/json" \\
  -d '{
    "intent": "Book a table for 2 at 7pm",
    "userId": "test-user"
  }'"""
CHAT = """curl -X POST http://localhost:3000/api/chat \\
  -H "Content-Type: application/json" \\
  -d '{
    "message": "Plan and execute a dinner reservation with confirmation SMS",
    "userId": "test-user"
  }'"""


def run(curl: str, port: int) -> dict[str, Any]:
    """Run the command as it stands in the guide, but for the port."""
    if shutil.which("curl") is None:
        pytest.fail("curl is not installed")
    script = curl.replace("localhost:3000", f"localhost:{port}")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("curl", [EXECUTE, CHAT], ids=["execute", "chat"])
async def test_the_documented_curl_books_one_table_and_sends_one_message(system: System, curl: str) -> None:
    """202 with the plan; COMPLETED with every step's input, output, attempts and times; each effect once in the town."""
    taken = run(curl, system.ports["ingress"])
    found = await system.ended(taken["id"], within=30)

    assert taken["status"] == "PLANNED"
    assert [step["tool"] for step in taken["plan"]["steps"]] == ["find_table", "reserve_table", "send_message"]
    assert found["status"] == "COMPLETED"
    for step in found["steps"]:
        assert step["attempts"] == 1
        assert step["input"]
        assert step["output"]
        assert step["startedAt"] <= step["endedAt"]
    assert found["plan"]["sources"]
    effects = await system.effects(taken["id"])
    assert sorted(effects.values()) == [1, 1]
    town = system.processes["town"].url
    sent = (await system.client.get(f"{town}/messages", params={"prefix": taken["id"]})).json()["messages"]
    assert len(sent) == 1
    reservation = found["steps"][1]["output"]["reservation_id"]
    assert reservation in sent[0]["text"]


async def test_the_log_says_what_the_guide_tells_an_operator_to_look_for(system: System) -> None:
    """Each sentence of the monitoring section, findable by grep."""
    taken = run(EXECUTE, system.ports["ingress"])
    await system.ended(taken["id"], within=30)

    ingress, executor = system.processes["ingress"].log(), system.processes["step_executor"].log()
    assert "Initialized with retry config:" in ingress
    assert "QStash message sent for the first step [message: msg_" in ingress
    assert "QStash webhook verified, parsing body..." in executor
