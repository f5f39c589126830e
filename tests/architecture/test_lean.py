"""What a service loads before it is asked for anything: memory that an idle process has, and time that every start takes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDE = ("opentelemetry", "rich")
"""What libraries load only because it is installed."""
LATE = (
    *("ably", "aiohttp", "httpcore", "httpx", "httpx2", "mcp", "openai", "phonenumbers", "prometheus_client"),
    "shared.planner.grammar",
)
"""What is needed for some settings or requests, and loaded with the first of them."""
LOADED = """
import sys, importlib
importlib.import_module(sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def loaded(module: str, *names: str) -> list[str]:
    """Those of the names that a fresh process has loaded once it has imported a module."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, module, *names], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.parametrize("service", ["ingress", "resume", "step_executor"])
def test_a_service_loads_what_it_uses(service: str) -> None:
    """Each of these would cost every process of every installation between one and eight MiB."""
    assert loaded(f"services.{service}.main", *BESIDE, *LATE) == []


def test_the_local_qstash_loads_nothing_because_it_happens_to_be_there() -> None:
    """It is started with every `make run`."""
    assert loaded("services.qstash_dev.main", *BESIDE, *LATE) == []


def test_what_was_kept_away_from_libraries_is_there_for_whoever_wants_it() -> None:
    """Traces, where a setting turns them on."""
    code = "import services, rich, opentelemetry; print(rich.__name__, opentelemetry.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["rich", "opentelemetry"]
