"""Composition root of ingress: `python -m services.ingress.main`."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from starlette.applications import Starlette

from services.ingress.accepting import Acceptor
from services.ingress.app import Deps, build_app
from services.ingress.profiles import Profiles
from shared import http, logs
from shared.callers import Callers
from shared.errors import SettingsError
from shared.machine.accept import Limits
from shared.redisdb.reader import Reader
from shared.runtime import LIMITS, open_engine
from shared.settings import Settings, load
from shared.tools.registry import Registry
from shared.tools.town import TownTools, register


def create(settings: Settings) -> Starlette:
    """The application; connections open with its lifespan."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = await open_engine(settings, stack)
            town = await stack.enter_async_context(httpx.AsyncClient(base_url=settings.town_url, limits=LIMITS))
            registry = Registry()
            register(registry, TownTools(town))  # for the contracts that plans pin; ingress itself calls no tool
            profiles = Profiles(engine.redis, seeded=settings.local)
            limits = Limits(
                steps=settings.max_plan_steps,
                argument_bytes=settings.max_argument_bytes,
                step_ms=settings.step_cutoff_ms,
            )
            acceptor = Acceptor(
                store=engine.store,
                sender=engine.sender,
                registry=registry,
                profiles=profiles,
                limits=limits,
                background=engine.background,
            )
            app.state.deps = Deps(
                settings=settings,
                acceptor=acceptor,
                store=engine.store,
                sender=engine.sender,
                reader=Reader(engine.redis),
                profiles=profiles,
                registry=registry,
                callers=Callers(settings),
                watchdog=engine.watchdog,
                background=engine.background,
            )
            engine.queue.announce()
            yield

    return build_app(lifespan)


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = load(os.environ)
        logs.configure(service="ingress", format=settings.log_format, level=settings.log_level)
        http.serve(
            create(settings),
            host=settings.ingress_host,
            port=settings.ingress_port,
            name="ingress",
            port_setting="INGRESS_PORT",
        )
    except SettingsError as error:
        http.stop(error)


if __name__ == "__main__":
    main()
