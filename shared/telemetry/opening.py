"""What settings turn on, wired once; without them nothing is imported that they would need."""

from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version

from shared.errors import SettingsError
from shared.settings import Settings
from shared.tracing import NO_TRACER, Tracer


def our_version() -> str:
    """Of this distribution."""
    try:
        return version("intention-engine")
    except PackageNotFoundError:  # run from its source
        return "0"


async def open_tracer(settings: Settings, service: str, stack: AsyncExitStack) -> Tracer:
    """The Tracer of this process; `stack` closes it behind everything that is opened after it."""
    if not settings.telemetry:
        return NO_TRACER
    check(settings)
    from shared.telemetry.otel import OtelTracer

    tracer = OtelTracer(f"intention-{service}", version=our_version(), flush_ms=settings.telemetry_flush_ms)
    stack.push_async_callback(tracer.close)
    return tracer


def check(settings: Settings) -> None:
    """SettingsError for what a setting turns on and is not installed."""
    wanted = {"TELEMETRY": (settings.telemetry, "opentelemetry.sdk"), "METRICS": (settings.metrics, "prometheus_client")}
    for name, (on, package) in wanted.items():
        if on and not _there(package):
            raise SettingsError(
                f"{name} needs {package.partition('.')[0]}, which is not installed: pip install 'intention-engine[telemetry]'"
            )


def _there(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
