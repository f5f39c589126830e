"""Composition root of the resume service: `python -m services.resume.main`."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette

from services.resume.app import Deps, build_app
from shared import http, logs
from shared.callers import Callers
from shared.errors import SettingsError, Unavailable
from shared.redisdb.reader import Reader
from shared.runtime import open_engine
from shared.settings import Settings, load
from shared.watchdog import Watchdog

log = logs.get_logger()


async def watch(watchdog: Watchdog, every_s: float) -> None:
    """Sweep for ever; a fault of one round is logged and the next round comes."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await watchdog.sweep()
        except Unavailable as error:
            log.warning("sweep.failed", error=error.message)
        except Exception:  # the watchdog is what everything else relies on: it must not die of one odd record
            log.exception("sweep.crashed")


def create(settings: Settings) -> Starlette:
    """The application; the watchdog's loop lives with its lifespan."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = await open_engine(settings, stack)
            app.state.deps = Deps(
                store=engine.store,
                executor=engine.executor,
                watchdog=engine.watchdog,
                reader=Reader(engine.redis),
                callers=Callers(settings),
            )
            loop = asyncio.create_task(watch(engine.watchdog, settings.sweep_ms / 1000))
            engine.queue.announce()
            yield
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop

    return build_app(settings, lifespan)


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = load(os.environ)
        logs.configure(service="resume", format=settings.log_format, level=settings.log_level)
        http.serve(
            create(settings),
            host=settings.resume_host,
            port=settings.resume_port,
            name="resume",
            port_setting="RESUME_PORT",
        )
    except SettingsError as error:
        http.stop(error)


if __name__ == "__main__":
    main()
