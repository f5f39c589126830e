"""Any process may die at any moment: the execution goes on by itself, and the town counts every effect exactly once."""

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from tests.system.harness import QUICK, System, until, work

pytestmark = pytest.mark.system
STEPS = 20


async def check_all_once(system: System, execution: str, *, within: float) -> None:
    """The execution completes and every one of its steps had its effect once."""
    found = await system.ended(execution, within=within)

    assert found["status"] == "COMPLETED"
    assert await system.effects(execution) == {f"s{number}": 1 for number in range(STEPS)}


async def test_a_killed_executor_costs_the_step_in_flight_a_repeat_with_the_same_key(tmp_path: Path) -> None:
    """kill -9 of the step executor in the middle of 20 steps."""
    async with System(tmp_path, **QUICK) as system:
        execution = await system.run_plan(work(STEPS, 0.1))
        await system.done_steps(execution, 5, within=20)
        await system.kill("step_executor")
        await system.start("step_executor")

        await check_all_once(system, execution, within=40)


async def test_a_restarted_executor_takes_over_what_its_predecessor_held(tmp_path: Path) -> None:
    """It does not wait for a lease of half a minute: QStash's next delivery goes on."""
    async with System(tmp_path, HARD_LIMIT_MS="30000", LOCK_TTL="40000", SWEEP_MS="60000") as system:
        execution = await system.run_plan(work(STEPS, 0.1))
        await system.done_steps(execution, 5, within=20)
        await system.kill("step_executor")
        await system.start("step_executor")

        await check_all_once(system, execution, within=60)
        first, second, *_ = [line for line in await system.history(execution) if line["event"] == "segment.started"]
        took_ms = int(second["id"].split("-")[0]) - int(first["id"].split("-")[0])
        assert took_ms < 31_000, "the first lease had run out"


async def test_a_restarted_executor_goes_on_with_what_was_left_behind_though_nobody_asks_it(tmp_path: Path) -> None:
    """QStash is dead, nobody sweeps, and the leases would run for half a minute."""
    async with System(tmp_path, HARD_LIMIT_MS="30000", LOCK_TTL="40000") as system:
        await system.kill("resume")
        execution = await system.run_plan(work(STEPS, 0.1))
        await system.done_steps(execution, 1, within=20)
        await system.kill("qstash_dev")
        for done in (4, 11):
            await system.done_steps(execution, done, within=20)
            await system.kill("step_executor")
            await system.start("step_executor")

        await check_all_once(system, execution, within=40)
        causes = [line["detail"]["cause"] for line in await system.history(execution) if line["event"] == "segment.started"]
        assert causes[1:] == ["left behind", "left behind"]


async def test_an_executor_that_is_told_to_stop_keeps_what_it_holds_from_its_successor(tmp_path: Path) -> None:
    """Its address is free while it ends its calls. Who listens there then finds the place held, and takes nothing up."""
    async with System(tmp_path) as system:
        port = system.ports["step_executor"]
        successor = system.add("successor", "services.step_executor.main", port=port)
        execution = await system.run_plan(work(1, 6))
        await system.done_steps(execution, 0, within=20)
        await until(lambda: _calls(system, execution), within=20, describe="the call is under way")
        system.processes["step_executor"].signal(signal.SIGTERM)
        await until(lambda: _free(port), within=20, describe="nobody listens there")
        await system.start("successor")

        assert system.processes["step_executor"].alive, "it had ended before there was a successor"
        assert [line["held"] for line in system.events("successor", "place.unknown")] == [True]
        found = await system.ended(execution, within=40)
        started = [line for line in await system.history(execution) if line["event"] == "segment.started"]
        assert (found["status"], len(started), await system.effects(execution)) == ("COMPLETED", 1, {"s0": 1})
        assert successor.alive


async def _calls(system: System, execution: str) -> bool:
    return any(line["event"] == "step.intended" for line in await system.history(execution))


async def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


async def test_a_killed_qstash_dev_delivers_what_it_had_accepted(tmp_path: Path) -> None:
    """kill -9 of qstash_dev while it delivers, and again while it is the one to bring the next segment."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="3") as system:
        execution = await system.run_plan(work(STEPS, 0.1))
        for done in (4, 11):
            await system.done_steps(execution, done, within=20)
            await system.kill("qstash_dev")
            await system.start("qstash_dev")

        await check_all_once(system, execution, within=40)


async def test_a_killed_valkey_comes_back_with_everything_that_was_answered(tmp_path: Path) -> None:
    """kill -9 of the store in the middle; its append-only file has every commit."""
    async with System(tmp_path, **QUICK) as system:
        execution = await system.run_plan(work(STEPS, 0.1))
        await system.done_steps(execution, 5, within=20)
        before = (await system.get(execution))["doneSteps"]
        await system.kill("valkey")
        await system.start("valkey")

        assert (await system.get(execution))["doneSteps"] >= before
        await check_all_once(system, execution, within=40)


async def test_with_qstash_gone_the_watchdog_alone_carries_an_execution_on(tmp_path: Path) -> None:
    """qstash_dev dies and stays dead: direct calls of the watchdog run the rest."""
    async with System(tmp_path, **QUICK, STEPS_PER_MESSAGE="4") as system:
        execution = await system.run_plan(work(STEPS, 0.05))
        await system.done_steps(execution, 4, within=20)
        await system.kill("qstash_dev")

        await check_all_once(system, execution, within=60)


async def test_with_the_watchdog_gone_qstash_alone_carries_an_execution_on(tmp_path: Path) -> None:
    """The resume service dies and stays dead, and the executor dies once: QStash's retry brings it on."""
    whole = QUICK | {"HARD_LIMIT_MS": "9000", "STEP_CUTOFF_MS": "8000", "CHECKPOINT_MS": "7500"}
    # One segment: a crash between its end and its message is the relay's to mend, and nobody relays here.
    async with System(tmp_path, **whole) as system:
        await system.kill("resume")
        execution = await system.run_plan(work(STEPS, 0.1))
        await system.done_steps(execution, 5, within=20)
        await system.kill("step_executor")
        await system.start("step_executor")

        await check_all_once(system, execution, within=60)


async def test_a_request_that_lands_after_its_caller_died_is_no_second_effect(tmp_path: Path) -> None:
    """The town holds a request, the executor is killed, the request lands later; the repeat has the same key."""
    async with System(tmp_path, **QUICK) as system:
        await system.knobs(land_late_next=1, land_late_ms=800)
        execution = await system.run_plan(work(STEPS, 0.01))
        town = system.processes["town"].url

        async def held() -> bool:
            return bool((await system.client.get(f"{town}/knobs")).json()["counts"]["held"])

        await until(held, within=20, describe="the town holds the request")
        await system.kill("step_executor")
        await system.start("step_executor")

        await check_all_once(system, execution, within=40)
