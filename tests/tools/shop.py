"""A shop in memory that honours keys, unless it is told which lie to tell."""

import asyncio
from typing import Any

from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Effect, Undo
from shared.tools.kit import Sample
from shared.tools.registry import Call, Registry, TookOver, ToolNotSent, ToolRefused, ToolUnanswered


class Shop:
    """`lie` names what it does wrong; empty = nothing. The tool is `buy`."""

    def __init__(self, lie: str = "", *, later: bool = False) -> None:
        """`later`: it takes every purchase over, to call back when it is made."""
        self._lie = lie
        self._later = later
        self._answers: dict[str, dict[str, Any]] = {}
        self._undone: set[str] = set()
        self._standing: dict[str, int] = {}
        self._turn = asyncio.Lock()

    async def buy(self, call: Call, *, what: str, count: int = 1) -> Any:
        """Buy something."""
        answer = await self._answer(call, what, count)
        return TookOver(output=answer) if self._later else answer

    async def _answer(self, call: Call, what: str, count: int) -> dict[str, Any]:
        if self._lie == "looks before it locks" and call.key not in self._answers:
            await asyncio.sleep(0)
            return self._sell(call.key, what, count)
        if self._lie == "tells the second caller no" and self._turn.locked():
            raise ToolRefused("busy", "somebody else uses the key")
        async with self._turn:
            await asyncio.sleep(0)
            return self._bought(call.key, what, count)

    def _bought(self, key: str, what: str, count: int) -> dict[str, Any]:
        if key in self._undone and self._lie != "honours no tombstone":
            if key not in self._answers and self._lie == "forgets what it never saw":
                return self._sell(key, what, count)
            raise ToolRefused("undone", "it was taken back", retryable=self._lie == "may be tried again")
        known = self._answers.get(key)
        if known is None or self._lie == "does it again":
            return self._sell(key, what, count)
        if (known["what"], known["count"]) != (what, count) and self._lie != "ignores the body":
            raise ToolRefused("key_reused", "another purchase has this key")
        return known | {"again": True} if self._lie == "answers anew" else known

    def _sell(self, key: str, what: str, count: int) -> dict[str, Any]:
        self._standing[key] = self._standing.get(key, 0) + 1
        self._answers.setdefault(key, {"id": f"order-{key}", "what": what, "count": count})
        return self._answers[key]

    async def undo(self, call: Call) -> Any:
        """Take it back."""
        key = call.key
        known = key in self._answers
        if not known and self._lie == "refuses to undo what it never saw":
            raise ToolRefused("not_found", "no such purchase")
        if key in self._undone and self._lie == "cannot undo again":
            raise ToolRefused("undone", "it was taken back already")
        again = key not in self._undone or self._lie == "pays back twice"
        if known and again and self._lie != "undoes in words only":
            self._standing[key] -= 1
        self._undone.add(key)
        return {"undone": key}

    async def probe(self, call: Call) -> Any:
        """Whether it happened."""
        hurried = call.deadline_s < 0.1
        if hurried and self._lie != "guesses in a hurry":
            raise ToolUnanswered("no time")
        if hurried or self._lie == "says never":
            raise ToolRefused(NEVER_HAPPENED, "never")
        if self._lie == "cannot tell":
            raise ToolNotSent("nobody there")
        happened = call.key in self._answers and call.key not in self._undone
        if happened or self._lie == "says yes" or (call.key in self._undone and self._lie == "forgets the undo"):
            return self._answers.get(call.key, {}) | ({"asked": True} if self._lie == "tells another story" else {})
        raise ToolRefused(NEVER_HAPPENED, "never")

    async def standing(self, key: str) -> int:
        """Purchases of a key that stand."""
        return self._standing.get(key, 0)

    def sample(self, effect: Effect = Effect.IDEMPOTENT, *, undo: bool = True, counted: bool = True, **other: Any) -> Sample:
        """The shop's tool with arguments, all its doors open."""
        registry = Registry()
        kind = Undo.TOMBSTONE if effect is not Effect.PROBEABLE else Undo.SETTLED
        registry.add(self.buy, effect=effect, undo=self.undo if undo else None, undo_kind=kind, probe=self.probe)
        facts = {"args": {"what": "bread"}, "standing": self.standing if counted else None} | other
        return Sample(registry=registry, name="buy", **facts)
