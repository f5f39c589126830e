"""A publish on Ably says what came of it, and never raises: whoever publishes has something else to do."""

from typing import Any

import pytest

from shared.ably import MESH, engine_publisher
from shared.settings import DEV_ABLY_KEY
from tests.services.engine.support import configured
from tests.support.valkey import free_port


@pytest.mark.parametrize(
    ("data", "told"),
    [({"v": 1}, "Ably is not reachable"), ({"v": object()}, "Ably could not be asked (TypeError)")],
    ids=["nobody listens", "something that nobody foresaw"],
)
async def test_what_goes_wrong_is_told_and_not_raised(data: Any, told: str) -> None:
    """Those who share the event with it are told too; with an exception they would wait in vain."""
    publisher = engine_publisher(configured(ABLY_API_KEY=DEV_ABLY_KEY, ABLY_URL=f"http://127.0.0.1:{free_port()}"))
    assert publisher is not None
    try:
        assert (await publisher.publish(MESH, id="m1", name="n", data=data)).startswith(told)
    finally:
        await publisher.close()
