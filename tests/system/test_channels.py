"""QStash dead, Ably dead, both dead: everything still ends, and `why` can say what it waits for meanwhile."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import QUICK, System, free_ports, until, work
from tests.system.outages import Misconfigured, outbox, told, until_outbox_is_empty, why
from tests.system.test_curls import CHAT, EXECUTE, run

pytestmark = pytest.mark.system


async def stuck(system: System) -> str:
    """Both channels are dead, and nobody calls directly: one that nothing has moved, and whose own next try is far off."""
    await system.kill("qstash_dev")
    await system.kill("ably_dev")
    execution = await system.run_plan(work(2, 0))

    async def put_off() -> bool:
        return any(at > time.time() + 15 for at in (await outbox(system)).values())

    await until(put_off, within=30, describe="the next try by itself is more than 15 s away")
    return execution


async def test_with_qstash_at_a_dead_port_both_curls_complete_through_ably(tmp_path: Path) -> None:
    """Nobody calls directly, so what a watchdog tells again goes by Ably, too; nothing stays in the outbox."""
    dead = free_ports(1)[0]
    system = System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1", RESUME_DIRECT="false", QSTASH_URL=f"http://127.0.0.1:{dead}")
    async with system:
        for curl in (EXECUTE, CHAT):
            taken: dict[str, Any] = run(curl, system.ports["ingress"])
            found = await system.ended(taken["id"], within=20)
            assert found["status"] == "COMPLETED"
            assert all(step["attempts"] == 1 for step in found["steps"])
            assert sorted((await system.effects(taken["id"])).values()) == [1, 1]
            assert told(system, "resume", "resume.received", taken["id"])
            assert len(told(system, "step_executor", "hint.sent", taken["id"])) >= 2  # a sweep may have told it again
        await until_outbox_is_empty(system)
        away = system.events("step_executor", "channel.away")
        assert [(line["channel"], line["error"]) for line in away] == [("QStash", "QStash is not reachable (NotConnected)")]
        noisy = [line for line in system.events("step_executor", "message.not_sent") if line["level"] == "warning"]
        assert noisy == []


async def test_without_a_token_everything_runs_by_hints_and_the_outbox_does_not_grow(tmp_path: Path) -> None:
    """Told once at the start and never again; direct calls are on, as they are by default."""
    async with Misconfigured(tmp_path, {"QSTASH_TOKEN": ""}, STEPS_PER_MESSAGE="1") as system:
        executions = [await system.run_plan(work(3, 0)) for _ in range(10)]
        for execution in executions:
            assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
            assert told(system, "resume", "resume.received", execution)
        await until_outbox_is_empty(system)
        for name in ("ingress", "step_executor", "resume"):
            [line] = system.events(name, "qstash.missing")
            assert line["message"] == "QStash not configured, using fallback: Ably and direct calls"
            assert system.processes[name].log().count("QStash not configured") == 1


async def test_with_ably_dead_everything_goes_through_qstash(tmp_path: Path) -> None:
    """As if there were no second channel."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1") as system:
        await system.kill("ably_dev")
        execution = await system.run_plan(work(3, 0))
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert await system.messages(execution) == 3
        assert not told(system, "resume", "execution.resent", execution)


async def test_with_both_dead_the_watchdog_calls_directly(tmp_path: Path) -> None:
    """A segment a due time, and still every effect once."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1") as system:
        await system.kill("qstash_dev")
        await system.kill("ably_dev")
        execution = await system.run_plan(work(3, 0))
        assert (await system.ended(execution, within=40))["status"] == "COMPLETED"
        assert await system.effects(execution) == {"s0": 1, "s1": 1, "s2": 1}
        assert told(system, "resume", "execution.resent", execution)
        await until_outbox_is_empty(system)


async def test_with_both_dead_and_no_direct_calls_why_names_both_and_qstash_moves_it_when_it_is_back(tmp_path: Path) -> None:
    """Long before its own next try: whoever sweeps looks whether QStash is back, and brings forward what waits."""
    async with System(tmp_path, **QUICK, RESUME_DIRECT="false") as system:
        execution = await stuck(system)
        found = await why(system, execution)
        [wait] = [one for one in found["waits"] if one["kind"] == "outbox"]
        assert wait["text"].startswith("its message is waiting: QStash: ")
        assert "QStash is not reachable (NotConnected)" in wait["detail"]["qstash"]
        assert "Ably" in wait["detail"]["ably"]
        assert wait["text"].endswith("; direct calls are off (RESUME_DIRECT)")
        assert found["broken"] is None
        assert not (await system.get(execution))["doneSteps"]

        own_try = max((await outbox(system)).values())
        await system.start("qstash_dev")
        assert (await system.ended(execution, within=10))["status"] == "COMPLETED"
        assert time.time() < own_try
        assert await system.messages(execution) >= 1
        assert any(
            system.events(name, "channel.back") for name in ("ingress", "step_executor", "resume")
        )  # whoever swept first
        await until_outbox_is_empty(system)


async def test_with_both_dead_and_no_direct_calls_ably_moves_it_when_it_is_back(tmp_path: Path) -> None:
    """QStash stays dead; the hint gets through at once, and the resume service calls the executor."""
    async with System(tmp_path, **QUICK, RESUME_DIRECT="false") as system:
        execution = await stuck(system)
        own_try = max((await outbox(system)).values())
        await system.start("ably_dev")
        assert (await system.ended(execution, within=10))["status"] == "COMPLETED"
        assert time.time() < own_try
        assert told(system, "resume", "resume.received", execution)
        assert [line["channel"] for line in system.events("resume", "channel.back")] == ["Ably"]
        await until_outbox_is_empty(system)


async def test_a_qstash_that_hangs_costs_nobody_its_time_outs(tmp_path: Path) -> None:
    """Frozen, it takes connections and answers nothing: hints go out while the first batch still waits."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1", RESUME_DIRECT="false") as system:
        system.processes["qstash_dev"].signal(signal.SIGSTOP)
        executions = [await system.run_plan(work(3, 0)) for _ in range(5)]
        for execution in executions:
            assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
            assert told(system, "resume", "resume.received", execution)
        system.processes["qstash_dev"].signal(signal.SIGCONT)
        await until_outbox_is_empty(system)


async def test_a_qstash_whose_plan_is_used_up_is_away(tmp_path: Path) -> None:
    """It answers 429 from the third message on: that is told once, and Ably carries the rest."""
    settings = {"STEPS_PER_MESSAGE": "1", "RESUME_DIRECT": "false", "QSTASH_DEV_QUOTA": "daily=2"}
    async with System(tmp_path, **QUICK, **settings) as system:
        execution = await system.run_plan(work(6, 0))
        assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
        assert await system.messages(execution) == 2
        assert told(system, "resume", "resume.received", execution)
        [away] = system.events("step_executor", "channel.away")
        assert away["error"].startswith("QStash answered 429")


async def test_an_execution_without_quota_goes_on_by_ably(tmp_path: Path) -> None:
    """Our own count of messages is used up, and nobody calls directly: what cannot be paid is hinted at."""
    settings = {"STEPS_PER_MESSAGE": "1", "RESUME_DIRECT": "false", "QUOTA_DAY": "12", "QUOTA_MONTH": "0"}
    async with System(tmp_path, **QUICK, **settings) as system:
        execution = await system.run_plan(work(20, 0))
        assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
        assert 1 <= await system.messages(execution) <= 12
        assert told(system, "resume", "resume.received", execution)
        assert await system.effects(execution) == {f"s{number}": 1 for number in range(20)}
