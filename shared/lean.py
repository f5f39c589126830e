"""Imports the libraries of every service without what they take along only because it happens to be installed.

structlog loads `rich` for tracebacks that `shared.logs` does not use, redis-py OpenTelemetry's SDK for metrics that nobody asks
it for: together 5 MiB and 60 ms of every process (docs/performance.md). Whoever needs them later still finds them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """What is imported inside finds none of these; what was imported before has them."""
    hidden = dict.fromkeys(name for name in packages if name not in sys.modules)
    sys.modules.update(hidden)  # type: ignore[arg-type] # None is Python's own way to say that there is no such module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with absent("opentelemetry", "rich"):
    import redis.asyncio  # noqa: F401 - for its side effect, as the next one
    import structlog  # noqa: F401
