"""Composition root of the resume service: `python -m services.resume.main`."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis
from starlette.applications import Starlette

from services.resume.app import Deps, build_app
from services.resume.webhook import Webhook
from shared import logs
from shared.archive import Archiver
from shared.background import Background
from shared.callers import Callers, tenants
from shared.door import Door
from shared.errors import Unavailable
from shared.intake import check, open_intake
from shared.invariant import Invariant
from shared.redisdb.positions import Positions
from shared.redisdb.reader import Reader
from shared.redisdb.samples import Samples
from shared.runtime import open_engine, run
from shared.settings import Settings
from shared.telemetry import opening, scraping

if TYPE_CHECKING:
    from services.resume.subscriber.running import Subscriber

log = logs.get_logger()
SHORTEST: Final = 0.5
"""Of the pause between two rounds; so replicas do not stay in step either."""
STOP_S: Final = 8.0
"""How long a round under way may take when the service stops."""


def pause(every_s: float, chance: float) -> float:
    """Seconds between two rounds; `chance`: 0..1."""
    return every_s * (SHORTEST + (1 - SHORTEST) * chance)


async def repeat(what: str, work: Callable[[], Awaitable[int]], every_s: float, rounds: Background) -> None:
    """Do `work` until `rounds` closes; a fault of one round is logged and the next round comes.

    Rounds begin at most `every_s` apart, if they are short. They are not in step with what they look for: executions that were
    moved in one round are due again together, and with a steady beat would always just miss the same later one.
    """
    while await rounds.pause(pause(every_s, random.random())):
        try:
            await work()
        except Unavailable as error:
            log.warning("round.failed", what=what, error=error.message)
        except Exception:  # the watchdog is what everything else relies on: it must not die of one odd record
            log.exception("round.crashed", what=what)


async def open_subscriber(settings: Settings, door: Door, redis: Redis, stack: AsyncExitStack) -> "Subscriber | None":
    """Started; None without a key: there is no second channel."""
    if not settings.ably_api_key:
        return None
    from services.resume.subscriber.running import Subscriber  # late: Ably's client takes 8 MiB

    subscriber = Subscriber(settings, door.take, Positions(redis))
    subscriber.start()
    stack.push_async_callback(subscriber.close)
    return subscriber


def _report_of(subscriber: "Subscriber | None") -> Callable[[], dict[str, Any]] | None:
    return subscriber.report if subscriber else None


def create(settings: Settings) -> Starlette:
    """The application; the watchdog's loop lives with its lifespan."""
    check(settings)
    opening.check(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = await open_engine(settings, stack, "resume")
            await open_intake(engine, stack)  # the watchdog's rounds start what is scheduled
            invariant = Invariant(Samples(engine.redis), tenants(settings), lambda: engine.watchdog.late_ms)
            engine.watchdog.take_along(invariant)
            door = Door(engine.store, engine.executor, engine.teller, hints_per_s=settings.mesh_hints_per_s)
            # First to be closed: the door needs everything above.
            subscriber = await open_subscriber(settings, door, engine.redis, stack)
            app.state.deps = Deps(
                store=engine.store,
                webhook=Webhook(settings, door, Callers(settings), engine.background),
                watchdog=engine.watchdog,
                reader=Reader(engine.redis),
                quota=engine.quota,
                invariant=invariant,
                subscriber=subscriber,
                sweep_s=settings.sweep_ms / 1000,
            )
            own = replace(scraping.counted(engine), hints=door.counts, mesh=_report_of(subscriber), invariant=invariant)
            app.state.scraped = scraping.open_scraped(engine, own, shared=True)
            folder = Path(settings.archive_folder) if settings.archive_folder else None
            archiver = Archiver(engine.store, Reader(engine.redis), folder)
            rounds = Background()
            rounds.start(repeat("sweep", engine.watchdog.sweep, settings.sweep_ms / 1000, rounds))
            rounds.start(repeat("archive", archiver.run_once, settings.retire_every_ms / 1000, rounds))
            engine.qstash.announce()
            yield
            # A round is let end: cancelled in the middle of a command, it would take its connection to Redis with it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await rounds.close()

    return build_app(settings, lifespan)


def main() -> None:
    """Serve until told to stop."""
    run("resume", create, address=lambda s: (s.resume_host, s.resume_port), port="RESUME_PORT")


if __name__ == "__main__":
    main()
