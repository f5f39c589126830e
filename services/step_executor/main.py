"""Composition root of the step executor: `python -m services.step_executor.main`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil

from starlette.applications import Starlette

from services.step_executor.app import Deps, build_app
from services.step_executor.measures import Measures
from shared import policy_file
from shared.accepting import ruled, ruled_again
from shared.clock import SystemClock
from shared.guards import SharedGuards, Watched
from shared.http_client import HttpClient
from shared.intake import plan_limits
from shared.interpret import Interpreter
from shared.invocation import Delivery, Limits
from shared.left_behind import take_up
from shared.logs import get_logger
from shared.machine.events import Patience
from shared.places import held, here, owners
from shared.planner.llm.planner import ModelPlanner
from shared.planner.llm.said import Price
from shared.ports import Progress as ProgressPort
from shared.profiles import Profiles
from shared.progress import Progress
from shared.redaction import Scrubber, secrets_of
from shared.redisdb.latencies import Latencies
from shared.redisdb.pings import Pings
from shared.redisdb.places import next_number
from shared.redisdb.progress import RedisProgress
from shared.redisdb.reader import Reader
from shared.runtime import Engine, open_engine, run
from shared.settings import Settings
from shared.telemetry import opening, scraping
from shared.tools import installation
from shared.tools.installation import open_registry
from shared.tools.registry import Registry, Runner

log = get_logger()


def limits_of(settings: Settings) -> Limits:
    """What one invocation may take."""
    return Limits(
        hard_ms=settings.hard_limit_ms,
        checkpoint_ms=settings.checkpoint_ms,
        cutoff_ms=settings.step_cutoff_ms,
        lease_ms=settings.lease_ms,
        parallel=settings.max_parallel_steps,
        steps_per_message=settings.steps_per_message,
        stalled=settings.undeliverable_after,
        continue_delay_ms=settings.continue_delay_ms,
    )


def open_progress(engine: Engine, stack: AsyncExitStack) -> ProgressPort | None:
    """What tells watchers, closed before the connections that it needs; None without Ably."""
    if engine.ably is None:
        return None
    progress = Progress(RedisProgress(engine.redis), engine.ably)
    stack.push_async_callback(progress.close)
    stack.push_async_callback(engine.background.close)  # before it: segments that run there may tell more
    return progress


def open_planner(engine: Engine, registry: Registry, stack: AsyncExitStack) -> ModelPlanner:
    """Plans words that were stored unplanned; without a model by the rules, because a setting may change under them."""
    settings, model = engine.settings, None
    if settings.planners != "rules":
        from shared.planner.llm.endpoint import Endpoint  # its SDK takes a second to import, which most installations save

        model = Endpoint(
            base_url=settings.llm_base_url,
            api_key=settings.llm_api_key,
            model=settings.llm_model,
            max_tokens=settings.llm_max_tokens,
        )
        stack.push_async_callback(model.close)
    limits, policies = plan_limits(settings), policy_file.load(settings.policies, registry)
    return ModelPlanner(
        model=model,
        tools=registry,
        accept=lambda draft, tenant: ruled(draft, registry, limits, policies, tenant),
        extend=lambda stopped, draft, tenant: ruled_again(stopped, draft, registry, limits, policies, tenant),
        profile_of=Profiles(engine.redis, seeded=settings.local).get,
        price=Price(asked=settings.llm_price_in, answered=settings.llm_price_out),
    )


def interpreter(
    engine: Engine,
    registry: Registry,
    clock: SystemClock,
    stack: AsyncExitStack,
    progress: ProgressPort | None = None,
    owners: str = "",
) -> Interpreter:
    """The interpreter over real tools."""
    runner = Runner(
        registry,
        engine.addresses,
        most_bytes=engine.settings.max_value_bytes,
    )
    return Interpreter(
        store=engine.store,
        sender=engine.sender,
        tools=Watched(runner, engine.between.gates),
        clock=clock,
        limits=limits_of(engine.settings),
        guards=SharedGuards(engine.between.slots, engine.between.gates),
        quota=engine.quota,
        direct=engine.settings.resume_direct or bool(engine.settings.ably_api_key),  # Ably's hints need no message either
        progress=progress,
        lag=engine.watchdog.lag,
        planner=open_planner(engine, registry, stack),
        patience=Patience(
            calls=engine.settings.llm_attempts,
            tokens=engine.settings.llm_budget_tokens,
            cost_micro=ceil(engine.settings.llm_budget_cost * 1_000_000),
            call_ms=engine.settings.llm_timeout_ms,
        ),
        owners=owners,
        tracer=engine.tracer,
        tally=engine.tally,
        clean=Scrubber(secrets_of(engine.settings)).value,
    )


async def _owners(engine: Engine, stack: AsyncExitStack) -> str:
    """What the names of its leases begin with; asked once this process listens. Empty where it cannot know that it is alone."""
    settings = engine.settings
    places = [here(settings.executor_host, settings.executor_port, seat) for seat in range(settings.executor_processes)]
    for place in filter(None, places):
        if holding := held(place):
            stack.callback(holding.close)
            return owners(place, await next_number(engine.redis, place))
    log.info("place.unknown", held=all(places), message="leases of an earlier process here run out by themselves")
    return ""


def create(settings: Settings) -> Starlette:
    """The application; connections open with its lifespan."""
    installation.check(settings, calls=True)
    opening.check(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = await open_engine(settings, stack, "step_executor")
            qstash = await stack.enter_async_context(HttpClient())
            registry = await open_registry(settings, stack, qstash=qstash, redis=engine.redis)
            clock = SystemClock()
            mine = await _owners(engine, stack)
            segments = interpreter(engine, registry, clock, stack, open_progress(engine, stack), mine)
            measures = Measures(segments.estimates, Latencies(engine.redis), engine.background)
            stack.push_async_callback(measures.tell)
            stack.push_async_callback(engine.background.close)  # before it: segments that run there are measured, too
            deps = Deps(
                settings=settings,
                interpreter=segments,
                measures=measures,
                watchdog=engine.watchdog,
                called=engine.called,
                reader=Reader(engine.redis),
                pings=Pings(engine.redis),
                clock=clock,
                tracer=engine.tracer,
                background=engine.background,
            )
            app.state.deps = deps
            app.state.scraped = scraping.open_scraped(engine, scraping.counted(engine))
            engine.qstash.announce()

            def start(delivery: Delivery) -> None:
                engine.background.start(segments.run(delivery, started_ms=clock.monotonic_ms()))

            engine.background.start(take_up(engine.store, mine, lease_ms=segments.limits.lease_ms, start=start))
            yield

    return build_app(settings, lifespan)


def main() -> None:
    """Serve until told to stop."""
    run(
        "step_executor",
        create,
        address=lambda s: (s.executor_host, s.executor_port),
        port="EXECUTOR_PORT",
        processes=lambda s: s.executor_processes,
    )


if __name__ == "__main__":
    main()
