"""Has a real Valkey run one execution, and keeps what it answers (`bench.tape`)."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from redis.asyncio import Redis

from bench.hotpath import STEPS, run
from bench.processes import start_valkey
from bench.simulated import CONTRACTS, chain, until_there
from bench.tape import Recording, Tape, recorded
from shared.clock import new_execution_id
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore


async def record() -> Recording:
    """A whole execution on a real Valkey, after another that has the scripts loaded."""
    tape: Tape = {}
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "no") as valkey:
        async with connect(valkey.url) as direct:
            await until_there(direct)
            await run(RedisStore(direct, retention_ms=60_000), await _born(direct))
            execution = await _born(direct)
        async with recorded(int(valkey.url.rpartition(":")[2].partition("/")[0]), tape) as url, connect(url) as redis:
            await run(RedisStore(redis, retention_ms=60_000), execution)
    return Recording(execution, tape)


async def _born(redis: Redis) -> str:
    draft = msgspec.convert(chain(STEPS), PlanDraft)
    most = PlanLimits(steps=STEPS, argument_bytes=10_000, step_ms=8_000)
    data = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))
    blueprint = Blueprint(data)
    header = Header(
        id=new_execution_id("00"), tenant="bench", plan=blueprint.hash, status=Status.PLANNED, trace=secrets.token_hex(16)
    )
    store = RedisStore(redis, retention_ms=60_000)
    await store.create(Birth(header=header, plan=data, cells=blueprint.plan.first_cells(), fields={}, request_hash=""))
    return header.id
