"""The client against running services: every method of it, and every way in which a call may fail."""

from pathlib import Path

import pytest

from tests.api import story
from tests.api.record import Recorder, playing

pytestmark = pytest.mark.system
UNSEEN: frozenset[str] = frozenset()


async def test_every_endpoint_can_be_called_and_every_answer_is_read(tmp_path: Path) -> None:
    """Typed by the very shapes that ingress answers with; a method is missing for no operation of the document."""
    recorder = Recorder()
    async with playing(tmp_path, recorder) as (client, system):
        await story.tell(client, system)
    assert recorder.missing() == UNSEEN
