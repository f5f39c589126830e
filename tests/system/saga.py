"""A saga with everything in it that cannot succeed: what it asks of the world around it, and what must be left of it."""

import asyncio
import contextlib
import random
from typing import Any, Final

import httpx

from tests.system.disk import Disk
from tests.system.harness import System
from tests.system.kills import POWER, Kill, Killer
from tests.system.verdicts import Story, complaints

DATE: Final = "2099-05-01"
RESTAURANT: Final = "Golden Wok"
PARTY: Final = 4
UNAVAILABLE: Final = 503
EFFECTS: Final = frozenset({"table", "there", "back", "notes", "letter", "guest", "after", "told"})
"""The steps that do something to the town."""
UNDONE: Final = frozenset({"COMPENSATED"})


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

    def __init__(self, system: System, execution: str, *, early: bool, cutting: asyncio.Lock) -> None:
        """`early`: the event comes before anything waits for it. `cutting`: held while what is seen may be taken back."""
        self._cutting = cutting
        self._system = system
        self._execution = execution
        self._early = early
        self._outputs: dict[str, Any] = {}
        self._sent = self._approved = False

    async def until_over(self, *, within: float) -> dict[str, Any]:
        """Do what is asked, once each, until the execution has ended."""
        async with asyncio.timeout(within):
            while True:
                doubtful = self._cutting.locked()
                if found := await self._look():
                    if not (doubtful or self._cutting.locked()):
                        self._check_kept(found)
                    if found["endedAt"]:
                        return found
                    with contextlib.suppress(httpx.HTTPError):  # ingress is slow while everything starts again
                        await self._act(found)
                await asyncio.sleep(0.05)

    async def _look(self) -> dict[str, Any] | None:
        url = f"{self._system.processes['ingress'].url}/api/executions/{self._execution}"
        try:
            answer = await self._system.client.get(url)
        except httpx.HTTPError:
            return None
        if answer.status_code == UNAVAILABLE:
            return None
        assert answer.status_code == 200, answer.text  # 404: what was answered with 202 is lost
        found: dict[str, Any] = answer.json()
        return found

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
            if answer.status_code == UNAVAILABLE:
                return
            assert answer.is_success, answer.text
        self._sent = True

    async def _approve(self) -> None:
        asked = [line for line in await self._history() if line["event"] == "step.approval_asked"]
        if asked:
            said = {"step": "guest", "argsHash": asked[-1]["detail"]["args_hash"], "actor": "ann"}
            answer = await self._system.post(f"/api/executions/{self._execution}/approve", said)
            assert answer.status_code in {202, 409, UNAVAILABLE}, answer.text
            self._approved = answer.status_code == 202

    async def _history(self) -> list[dict[str, Any]]:
        try:
            return await self._system.history(self._execution)
        except AssertionError:
            return []  # the store is away


async def seats_left(system: System) -> int:
    """Where the saga wants its table."""
    query = {"party_size": "1", "date": DATE, "time": "19:00", "restaurant": RESTAURANT}
    answer = await system.client.get(f"{system.processes['town'].url}/tables", params=query)
    return int(answer.json()["seats_left"])


async def run(
    system: System, seed: int, kills: list[Kill], *, nap_ms: int, within: float, disk: Disk | None = None
) -> tuple[dict[str, Any], list[Kill]]:
    """One saga under kills, and power cuts where there is a disk; how it ended, and the kills that there were."""
    execution = await system.run_plan(steps(nap_ms=nap_ms))
    killer = Killer(system, execution, kills, disk)
    killing = asyncio.create_task(killer.run())
    try:
        early = random.Random(seed).random() < 0.5
        around = Surroundings(system, execution, early=early, cutting=killer.cutting)
        await around.until_over(within=within + nap_ms / 1000)
    finally:
        async with killer.cutting:
            killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing
    for name in {kill.name for kill in kills} - {POWER}:  # a cancelled restart leaves a process that is not there, or not ready
        await system.restart(name)
    found = await around.until_over(within=within)
    return found, killer.done


async def check(system: System, found: dict[str, Any], seats: int) -> None:
    """COMPENSATED, with the town as it was: each effect was there once and is taken back, in the right order."""
    assert (found["status"], found["cause"]) == ("COMPENSATED", "failed"), found
    rows, lines = await system.effect_rows(found["id"]), await system.history(found["id"])
    wrong = list(complaints(Story(found, lines, rows), UNDONE))
    assert not wrong, wrong
    by_step = {row["key"].split(".")[1]: row for row in rows}
    applied = {name: (row["times_applied"], row["standing"]) for name, row in by_step.items()}
    assert applied.pop("doomed", (0, 0)) == (0, 0), "a call that nobody saw the end of is undone too: it was none"
    assert applied == dict.fromkeys(EFFECTS, (1, 0)), applied
    assert await seats_left(system) == seats
    _check_order(lines)


def _check_order(lines: list[dict[str, Any]]) -> None:
    """What was built on was undone after what was built upon it."""
    undone = [line["step"] for line in lines if line["event"] == "undo.done" and line["step"] != "doomed"]
    assert sorted(undone) == sorted(EFFECTS)
    for before, after in (("told", "after"), ("after", "guest"), ("after", "letter"), ("guest", "there"), ("there", "table")):
        assert undone.index(before) < undone.index(after), undone
