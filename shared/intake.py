"""What takes requests needs wired the same way in ingress, which is asked, and in resume, where schedules fire."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from shared import policy_file
from shared.accepting import Acceptor
from shared.machine.accept import Limits
from shared.policies import Policies
from shared.profiles import Profiles
from shared.redisdb.reader import Reader
from shared.redisdb.schedules import RedisSchedules
from shared.runtime import Engine
from shared.schedules.firing import Firing
from shared.settings import Settings
from shared.tools import installation
from shared.tools.installation import open_registry, outbound_of, registry_of
from shared.tools.registry import Registry
from shared.tools.town import TownTools


@dataclass(frozen=True, kw_only=True)
class Intake:
    """From words to stored executions."""

    acceptor: Acceptor
    profiles: Profiles
    registry: Registry
    schedules: RedisSchedules
    firing: Firing
    policies: Policies


def check(settings: Settings) -> None:
    """SettingsError for tools or policies that cannot be had: before anything is served, and in one line."""
    if not settings.policies or settings.mcp_servers:  # tools of MCP servers are known from Redis only: see `open_intake`
        installation.check(settings, calls=False)
        return
    town = TownTools(None) if settings.town_url else None  # its tools are named in policies, and not called here
    policy_file.load(settings.policies, registry_of(settings, outbound_of(settings), town, calls=False))


def plan_limits(settings: Settings) -> Limits:
    """What a plan may be at most, whoever wrote it."""
    return Limits(
        steps=settings.max_plan_steps,
        argument_bytes=settings.max_argument_bytes,
        step_ms=settings.step_cutoff_ms,
        consent=True,
    )


async def open_intake(engine: Engine, stack: AsyncExitStack) -> Intake:
    """On top of an engine; its watchdog starts what is scheduled from here on."""
    settings = engine.settings
    registry = await open_registry(settings, stack, redis=engine.redis, calls=False)  # for the contracts that plans pin
    policies = policy_file.load(settings.policies, registry)
    profiles = Profiles(engine.redis, seeded=settings.local)
    limits = plan_limits(settings)
    acceptor = Acceptor(
        store=engine.store,
        sender=engine.sender,
        registry=registry,
        profiles=profiles,
        limits=limits,
        background=engine.background,
        quota=engine.quota,
        planners=settings.planners,
        policies=policies,
        tracer=engine.tracer,
        tally=engine.tally,
    )
    schedules = RedisSchedules(engine.redis, strict=settings.durability == "strict")
    firing = Firing(schedules, acceptor, Reader(engine.redis))
    engine.watchdog.take_along(firing)
    return Intake(
        acceptor=acceptor, profiles=profiles, registry=registry, schedules=schedules, firing=firing, policies=policies
    )
