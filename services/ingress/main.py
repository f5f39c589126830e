"""Composition root of ingress: `python -m services.ingress.main`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette

from services.ingress import shedding
from services.ingress.app import build_app
from services.ingress.edge import Deps
from services.ingress.local import Local
from shared.actions import Actions
from shared.again import Repeater
from shared.callers import Callers
from shared.intake import check, open_intake
from shared.live.live import Live
from shared.redisdb.latencies import Latencies
from shared.redisdb.news import News
from shared.redisdb.reader import Reader
from shared.redisdb.snapshots import Snapshots
from shared.redisdb.step_logs import StepLogs
from shared.redisdb.talks import Talks
from shared.runtime import open_engine, run
from shared.settings import Settings
from shared.telemetry import opening, scraping


def create(settings: Settings) -> Starlette:
    """The application; connections open with its lifespan."""
    check(settings)
    opening.check(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = await open_engine(settings, stack, "ingress")
            intake = await open_intake(engine, stack)
            snapshots = Snapshots(engine.redis)
            rooms = shedding.rooms(settings.ingress_at_work)
            live = Live(News(engine.redis), most=settings.streams_per_tenant)
            stack.push_async_callback(live.close)
            app.state.leave = live.leave
            app.state.deps = Deps(
                settings=settings,
                acceptor=intake.acceptor,
                schedules=intake.schedules,
                firing=intake.firing,
                store=engine.store,
                sender=engine.sender,
                reader=Reader(engine.redis),
                step_logs=StepLogs(engine.redis),
                profiles=intake.profiles,
                registry=intake.registry,
                callers=Callers(settings),
                watchdog=engine.watchdog,
                between=engine.between,
                called=engine.called,
                teller=engine.teller,
                actions=Actions(engine.store, snapshots, intake.registry, engine.sender, intake.policies),
                repeater=Repeater(engine.store, engine.sender, engine.quota, intake.policies),
                snapshots=snapshots,
                quota=engine.quota,
                latencies=Latencies(engine.redis),
                talks=Talks(engine.redis),
                live=live,
                tallies=engine.tallies,
                qstash=engine.qstash.breaker,
                channel=engine.channel,
                reach=engine.executor.reach,
                rooms=rooms,
                background=engine.background,
                tracer=engine.tracer,
            )
            if settings.local_control:
                import httpx

                app.state.local = Local(settings, await stack.enter_async_context(httpx.AsyncClient(trust_env=False)))
            app.state.scraped = scraping.open_scraped(engine, scraping.counted(engine, rooms))
            engine.qstash.announce()
            yield

    return build_app(lifespan, settings)


def main() -> None:
    """Serve until told to stop."""
    run("ingress", create, address=lambda s: (s.ingress_host, s.ingress_port), port="INGRESS_PORT")


if __name__ == "__main__":
    main()
