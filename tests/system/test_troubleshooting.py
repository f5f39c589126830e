"""Every row of the guide's troubleshooting: the symptom made on purpose, and cured as the runbook says."""

import asyncio
from pathlib import Path

import pytest

from shared.settings import DEV_CURRENT_KEY
from tests.architecture.test_runbook import sections
from tests.system.harness import MODULES, QUICK, System, free_ports, until, work
from tests.system.outages import OWN, Misconfigured, told, why
from tests.system.test_deliveries import deliver, message, signature

pytestmark = pytest.mark.system


async def logged(system: System, name: str, event: str, execution: str) -> None:
    """Wait until a process has said this of an execution."""

    async def said() -> bool:
        return bool(told(system, name, event, execution))

    await until(said, within=20, describe=f"{event} of {execution} in the log of {name}")


# --- QStash not triggering steps


async def test_qstash_is_not_triggering_because_there_is_no_token(tmp_path: Path) -> None:
    """The log says so, the work goes on without it; with the token and a restart QStash triggers."""
    async with Misconfigured(tmp_path, {"QSTASH_TOKEN": ""}) as system:
        [line] = system.events("ingress", "qstash.missing")
        assert line["message"].startswith("QStash not configured, using fallback")
        assert "Initialized with retry config" not in system.processes["ingress"].log()
        execution = await system.run_plan(work(2, 0))
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert not told(system, "ingress", "message.sent", execution)

        await system.set_right()
        execution = await system.run_plan(work(2, 0))
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert "Initialized with retry config" in system.processes["ingress"].log()
        assert "QStash message sent for the first step [message: msg_" in system.processes["ingress"].log()
        [sent] = told(system, "ingress", "message.sent", execution)
        assert sent["message"].startswith("QStash message sent")


# --- webhook signature verification fails

WRONG_KEYS = {
    "copied wrongly": {"QSTASH_CURRENT_SIGNING_KEY": "sig_copied-wrongly", "QSTASH_NEXT_SIGNING_KEY": "sig_copied-wrongly-too"},
    "of before a rotation": {"QSTASH_CURRENT_SIGNING_KEY": "sig_key-of-before", "QSTASH_NEXT_SIGNING_KEY": ""},
    "another URL": {"EXECUTOR_URL": "https://elsewhere.example"},
}
SAYS = {"copied wrongly": "key", "of before a rotation": "key", "another URL": "made for"}


@pytest.mark.parametrize("what", WRONG_KEYS)
async def test_deliveries_are_refused_with_401_until_the_setting_is_right(tmp_path: Path, what: str) -> None:
    """The caller is told no more than that; the log says what was wrong. What QStash could not deliver is not lost."""
    alone = {"RESUME_DIRECT": "false", "ABLY_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}
    system = Misconfigured(tmp_path, WRONG_KEYS[what] | alone, "step_executor", **alone)
    async with system:
        execution = await system.run_plan(work(2, 0))

        async def refused() -> bool:
            return bool(system.events("step_executor", "signature.refused"))

        await until(refused, within=20, describe="a delivery is refused")
        assert SAYS[what] in str(system.events("step_executor", "signature.refused")[0]["why"])
        body = message(execution, 0)
        url = f"{system.environ['EXECUTOR_URL']}/api/engine/execute-step"
        answer = await deliver(system, body, signature(url, body, key=OWN["QSTASH_CURRENT_SIGNING_KEY"]))
        assert answer.status_code == 401
        assert "Invalid QStash signature" in answer.text
        assert not (await system.get(execution))["doneSteps"]

        await system.set_right()
        assert (await system.ended(execution, within=40))["status"] == "COMPLETED"
        assert await system.effects(execution) == {"s0": 1, "s1": 1}


async def test_the_next_key_covers_a_rotation(tmp_path: Path) -> None:
    """Both keys are set, QStash signs with the one that was next: nothing is refused."""
    rotated = {"QSTASH_CURRENT_SIGNING_KEY": "sig_key-of-before", "QSTASH_NEXT_SIGNING_KEY": OWN["QSTASH_CURRENT_SIGNING_KEY"]}
    async with Misconfigured(tmp_path, rotated, "step_executor") as system:
        execution = await system.run_plan(work(2, 0))
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert system.events("step_executor", "signature.refused") == []
        assert system.events("step_executor", "signature.verified")


async def test_in_development_without_keys_verification_is_not_skipped(tmp_path: Path) -> None:
    """Local mode signs with QStash's public keys: an unsigned delivery is refused there, too."""
    async with System(tmp_path, **QUICK) as system:
        assert "QSTASH_CURRENT_SIGNING_KEY" not in system.environ
        execution = await system.run_plan(work(1, 0))
        body = message(execution, 0)
        assert (await deliver(system, body, None)).status_code == 401
        url = f"{system.environ['EXECUTOR_URL']}/api/engine/execute-step"
        assert (await deliver(system, body, signature(url, body, key=DEV_CURRENT_KEY))).status_code in {200, 409}
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"


# --- steps execute twice


async def test_a_step_that_is_called_twice_has_its_effect_once(tmp_path: Path) -> None:
    """The town did it and its answer got lost: called again with the same key, which the town knows."""
    async with System(tmp_path, **QUICK) as system:
        await system.knobs(fail_after_next=1, fail_after_how="drop")
        execution = await system.run_plan(work(2, 0))
        found = await system.ended(execution, within=30)
        assert found["status"] == "COMPLETED"
        assert max(step["attempts"] for step in found["steps"]) == 2
        assert await system.effects(execution) == {"s0": 1, "s1": 1}


async def test_one_message_delivered_twice_at_once_runs_once(tmp_path: Path) -> None:
    """The lease: the other is told to come again, or that there is nothing left to do."""
    async with System(tmp_path, **QUICK) as system:
        await system.kill("qstash_dev")
        await system.kill("ably_dev")
        execution = await system.run_plan(work(2, 0.5))
        body = message(execution, 0)
        url = f"{system.environ['EXECUTOR_URL']}/api/engine/execute-step"
        answers = await asyncio.gather(*(deliver(system, body, signature(url, body)) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        found = await system.ended(execution, within=30)
        assert [step["attempts"] for step in found["steps"]] == [1, 1]
        assert await system.effects(execution) == {"s0": 1, "s1": 1}


async def test_a_lock_ttl_that_is_too_short_stops_the_start(tmp_path: Path) -> None:
    """Below the life of a lease; the message says so."""
    async with System(tmp_path, **QUICK) as system:
        await system.kill("step_executor")
        process = system.add("step_executor", MODULES["step_executor"], port=system.ports["step_executor"], LOCK_TTL="3999")
        process.start()

        async def said() -> bool:
            return "LOCK_TTL=3999 is below HARD_LIMIT_MS + 1000" in process.log()

        await until(said, within=20, describe="the executor does not start, and says why")


# --- an execution is stuck after its checkpoint


async def checkpointed_alone(system: System, *also_dead: str) -> str:
    """QStash dies while the first step runs: the checkpoint is saved, and its message has nowhere to go."""
    execution = await system.run_plan(work(2, 1.0))
    await logged(system, "step_executor", "step.intended", execution)
    for name in ("qstash_dev", *also_dead):
        await system.kill(name)
    await logged(system, "step_executor", "checkpoint.saved", execution)
    return execution


async def test_a_checkpoint_that_qstash_does_not_take_is_told_by_why_and_woken_by_hand(tmp_path: Path) -> None:
    """Nothing else is left: no Ably, no direct calls. The log says that QStash is away; one POST moves it at once."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1", RESUME_DIRECT="false") as system:
        execution = await checkpointed_alone(system, "ably_dev")

        async def named() -> bool:
            return "its message is waiting: QStash: " in (await why(system, execution))["why"]

        await until(named, within=20, describe="why names the refusals")
        assert "Checkpoint saved [segment 0, next step: s1]" in system.processes["step_executor"].log()
        assert [line["channel"] for line in system.events("step_executor", "channel.away")] == ["QStash", "Ably"]
        answer = await system.client.post(f"{system.processes['resume'].url}/api/mesh/resume", json={"executionId": execution})
        assert answer.status_code == 202, answer.text
        assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
        assert await system.effects(execution) == {"s0": 1, "s1": 1}


async def test_a_checkpoint_that_qstash_does_not_take_goes_on_by_ably(tmp_path: Path) -> None:
    """Nobody has to do anything: the resume service's log says that it was asked."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1", RESUME_DIRECT="false") as system:
        execution = await checkpointed_alone(system)
        assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
        assert told(system, "step_executor", "hint.sent", execution)
        assert told(system, "resume", "resume.received", execution)


async def test_an_executor_that_qstash_cannot_reach_leaves_dead_letters_to_be_resent(tmp_path: Path) -> None:
    """A wrong EXECUTOR_URL, as behind a firewall: `GET /api/dlq` lists what died; set right, a resend moves it at once."""
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    alone = {"RESUME_DIRECT": "false", "QSTASH_RETRIES": "0"}
    async with Misconfigured(tmp_path, {"EXECUTOR_URL": dead}, **alone) as system:
        execution = await system.run_plan(work(2, 0))
        letters = f"{system.processes['ingress'].url}/api/dlq"

        async def listed() -> str | None:
            found = (await system.client.get(letters)).json()["letters"]
            return str(found[0]["id"]) if found else None

        letter = await until(listed, within=30, describe="the dead message is listed")
        assert "dead letter" in {one["kind"] for one in (await why(system, execution))["waits"]}
        assert any(line["event"] == "message.dead" for line in await system.history(execution))

        await system.set_right()
        answer = await system.post(f"/api/dlq/{letter}/resend", {})
        assert answer.status_code in {200, 202}, answer.text
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert await system.effects(execution) == {"s0": 1, "s1": 1}


def test_every_row_of_the_guide_has_its_section_in_the_runbook() -> None:
    """And says what these tests saw."""
    found = sections()
    assert "Ably" in found["QStash is not configured"]
    assert "`QStash not configured, using fallback`" in found["QStash is not configured"]
    assert "`signature.refused`" in found["Signatures are refused"]
    assert "same key" in found["A step seems to run twice"]
    stuck = found["A checkpoint is saved and nothing follows"]
    assert all(word in stuck for word in ("`channel.away`", "`intention why ID`", "`GET /api/dlq`", "`CONTINUE_EXECUTION`"))
