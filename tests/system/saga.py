"""A saga with everything in it that cannot succeed: what it asks of the world around it, and what must be left of it."""

import asyncio
import contextlib
import random
from typing import Any, Final

import httpx

from tests.system.harness import System
from tests.system.kills import Kill, Killer

DATE: Final = "2099-05-01"
RESTAURANT: Final = "Golden Wok"
PARTY: Final = 4
EFFECTS: Final = frozenset({"table", "there", "back", "notes", "letter", "guest", "after", "told"})
"""The steps that do something to the town."""


def steps(*, nap_ms: int) -> list[dict[str, Any]]:
    """Twelve: parallel branches, a wait for an event, an approval, a sleep, a letter, and a table that nobody has."""
    ride = {"pickup": "home", "destination": "${table.restaurant}", "date": DATE, "time": "18:30", "passengers": PARTY}
    table = {"party_size": PARTY, "date": DATE, "time": "19:00"}
    guest = {"to": "+14155550100", "channel": "sms", "text": "Deposit of ${paid.data.sum} taken for ${table.restaurant}"}
    told = {"to": "+14155550101", "channel": "sms", "text": "After ${after.label}"}
    return [
        {"name": "find", "tool": "find_table", "args": {**table, "restaurant": RESTAURANT}},
        {"name": "table", "tool": "reserve_table", "args": {**table, "restaurant": "${find.restaurant}", "name": "Ann"}},
        {"name": "there", "tool": "book_ride", "args": ride},
        {"name": "back", "tool": "book_ride", "args": {**ride, "time": "22:00"}},
        {"name": "notes", "tool": "do_work", "args": {"label": "notes", "seconds": 0.4}, "needs": ["find"]},
        {"name": "letter", "tool": "post_letter", "args": {"to": "Ann", "text": "See you"}, "needs": ["notes"]},
        {"name": "paid", "wait": {"events": [{"name": "deposit"}], "timeout_ms": 600_000}, "needs": ["table"]},
        {"name": "guest", "tool": "send_message", "args": guest, "approve": {"timeout_ms": 600_000}, "needs": ["there"]},
        {"name": "nap", "sleep": {"ms": nap_ms}, "needs": ["guest", "back"]},
        {"name": "after", "tool": "do_work", "args": {"label": "after", "seconds": 0.3}, "needs": ["nap", "letter"]},
        {"name": "told", "tool": "send_message", "args": told},
        {
            "name": "doomed", "tool": "reserve_table", "needs": ["told"],
            "args": {**table, "restaurant": "No Such Place", "name": "Ann"},
        },
    ]  # fmt: skip


class Surroundings:
    """Whoever pays and approves; and looks on whether what once was told of a step stays as it was."""

    def __init__(self, system: System, execution: str, *, early: bool) -> None:
        """`early`: the event comes before anything waits for it."""
        self._system = system
        self._execution = execution
        self._early = early
        self._outputs: dict[str, Any] = {}
        self._sent = self._approved = False

    async def until_over(self, *, within: float) -> dict[str, Any]:
        """Do what is asked, once each, until the execution has ended."""
        async with asyncio.timeout(within):
            while True:
                try:
                    found = await self._system.get(self._execution)
                    self._check_kept(found)
                    if found["endedAt"]:
                        return found
                    await self._act(found)
                except httpx.HTTPError:
                    pass  # ingress is slow while everything starts again
                await asyncio.sleep(0.05)

    def _check_kept(self, found: dict[str, Any]) -> None:
        """A result that is stored is never computed again nor changed."""
        for step in found["steps"]:
            if step["status"] == "DONE":
                kept = self._outputs.setdefault(step["name"], step["output"])
                assert step["output"] == kept, step["name"]

    async def _act(self, found: dict[str, Any]) -> None:
        standing = {step["name"]: step["status"] for step in found["steps"]}
        if not self._sent and (self._early or standing["paid"] == "WAITING"):
            await self._pay()
        if not self._approved and standing["guest"] == "WAITING":
            await self._approve()

    async def _pay(self) -> None:
        """Twice: the second one changes nothing."""
        for _ in range(2):
            answer = await self._system.post(
                f"/api/executions/{self._execution}/events/deposit", {"id": "deposit-1", "data": {"sum": 40}}
            )
            assert answer.is_success, answer.text
        self._sent = True

    async def _approve(self) -> None:
        asked = [line for line in await self._system.history(self._execution) if line["event"] == "step.approval_asked"]
        if asked:
            said = {"step": "guest", "argsHash": asked[-1]["detail"]["args_hash"], "actor": "ann"}
            answer = await self._system.post(f"/api/executions/{self._execution}/approve", said)
            assert answer.status_code == 202, answer.text
            self._approved = True


async def seats_left(system: System) -> int:
    """Where the saga wants its table."""
    query = {"party_size": "1", "date": DATE, "time": "19:00", "restaurant": RESTAURANT}
    answer = await system.client.get(f"{system.processes['town'].url}/tables", params=query)
    return int(answer.json()["seats_left"])


async def run(system: System, seed: int, kills: list[Kill], *, nap_ms: int, within: float) -> tuple[dict[str, Any], list[Kill]]:
    """One saga under kills; how it ended, and the kills that there were."""
    execution = await system.run_plan(steps(nap_ms=nap_ms))
    killer = Killer(system, execution, kills)
    killing = asyncio.create_task(killer.run())
    try:
        around = Surroundings(system, execution, early=random.Random(seed).random() < 0.5)
        found = await around.until_over(within=within + nap_ms / 1000)
    finally:
        killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing
    for name in {kill.name for kill in kills}:  # a cancelled restart leaves a process behind that is not there, or is not ready
        await system.restart(name)
    return found, killer.done


async def check(system: System, found: dict[str, Any], seats: int) -> None:
    """COMPENSATED, with the town as it was: each effect was there once and is taken back, in the right order."""
    assert (found["status"], found["cause"]) == ("COMPENSATED", "failed"), found
    rows = await system.effect_rows(found["id"])
    by_step = {row["key"].split(".")[1]: row for row in rows}
    assert {name: row["times_applied"] for name, row in by_step.items()} == dict.fromkeys(EFFECTS, 1)
    assert {name: row["standing"] for name, row in by_step.items()} == dict.fromkeys(EFFECTS, 0)
    assert await seats_left(system) == seats
    _check_history(await system.history(found["id"]))


def _check_history(lines: list[dict[str, Any]]) -> None:
    """Every step was done once, and what was built on was undone after what was built upon it."""
    done = [line["step"] for line in lines if line["event"] == "step.done"]
    undone = [line["step"] for line in lines if line["event"] == "undo.done"]
    assert len(done) == len(set(done)), done
    assert sorted(undone) == sorted(EFFECTS)
    for before, after in (("told", "after"), ("after", "guest"), ("after", "letter"), ("guest", "there"), ("there", "table")):
        assert undone.index(before) < undone.index(after), undone
