"""Gates on Redis or Valkey: one Lua command a method, all on one tag. See `shared.gate_ports` for what each promises."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from shared.gate_ports import AUDIT_MOST, Failures, Gate, Policy, Standing, circuit
from shared.redisdb import keys
from shared.redisdb.base import Commanding

_gate = msgspec.json.Decoder(Gate, strict=False).decode
_line = msgspec.json.Decoder(dict[str, Any]).decode


class RedisGates(Commanding):
    """Few keys and few commands: a process asks once a second, and tells of failures."""

    def __init__(self, redis: Redis, policy: Policy, *, now_ms: int | None = None) -> None:
        """`policy`: when circuits open. `now_ms`: tests only."""
        super().__init__(redis, now_ms=now_ms)
        self._policy = policy
        self.load("gate_standing", "gate_report", "gate_probe", "gate_pause", "gate_resume")

    async def closed(self) -> Mapping[str, Gate]:
        """See the port."""
        found = await self._plain(self._redis.hgetall(keys.gates()))
        return {name.decode(): _gate(text) for name, text in found.items()}

    async def standing(self, tools: Sequence[str]) -> Standing:
        """See the port."""
        names = [keys.gates(), *map(keys.breaker, tools)]
        _, now_ms, closed, *counts = await self._run("gate_standing", names, [self._policy.window_ms])
        failures = (Failures(row=row, calls=calls, bad=bad) for row, calls, bad in counts)
        return Standing(
            now_ms=now_ms,
            closed={name.decode(): _gate(text) for name, text in zip(closed[::2], closed[1::2], strict=True)},
            failures=dict(zip(tools, failures, strict=True)),
        )

    async def failed(self, tool: str, *, report: str, successes: int) -> Gate | None:
        """See the port."""
        reply = await self._report(tool, "0", report, successes)
        return _gate(reply[1]) if reply[0] == 2 else None

    async def succeeded(self, tool: str) -> None:
        """See the port."""
        await self._report(tool, "1", "", 0)

    async def _report(self, tool: str, ok: str, report: str, successes: int) -> Any:
        policy = self._policy
        args = [circuit(tool), ok, report, successes, policy.in_a_row, policy.calls, policy.percent]
        args += [policy.window_ms, policy.open_ms, policy.open_most_ms, AUDIT_MOST]
        return await self._run("gate_report", [keys.gates(), keys.breaker(tool), keys.gates_trips()], args)

    async def probe(self, tool: str, *, token: str) -> int:
        """See the port."""
        reply = await self._run("gate_probe", [keys.gates()], [circuit(tool), token, self._policy.probe_ms])
        return int(reply[1]) if reply[0] == 1 else 0

    async def pause(self, name: str, *, actor: str, reason: str) -> Gate:
        """See the port."""
        reply = await self._run("gate_pause", [keys.gates(), keys.gates_audit()], [name, actor, reason, AUDIT_MOST])
        return _gate(reply[1])

    async def resume(self, *names: str, actor: str, reason: str) -> int:
        """See the port."""
        tools = [name.partition(":")[2] for name in names if name.startswith(circuit(""))]
        full = [keys.gates(), keys.gates_audit(), *map(keys.breaker, tools)]
        reply = await self._run("gate_resume", full, [actor, reason, AUDIT_MOST, *names])
        return int(reply[1])

    async def audit(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        return await self._lines(keys.gates_audit(), limit)

    async def trips(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        return await self._lines(keys.gates_trips(), limit)

    async def _lines(self, record: str, limit: int) -> list[dict[str, Any]]:
        found = await self._plain(self._redis.xrevrange(record, count=limit))
        return [_line(fields[b"l"]) for _, fields in found]
