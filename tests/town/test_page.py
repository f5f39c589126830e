"""The page for people, and the health check."""

import httpx
import pytest

from tests.town.support import EVERY, MESSAGE, Town


async def _page(town: Town) -> str:
    async with town.client() as client:
        answer = await client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


async def test_the_page_shows_every_kind(town: Town) -> None:
    """Each effect with its words and its status, and no word of knobs."""
    for number, (path, body) in enumerate(EVERY):
        await town.post(path, body, f"k{number}")
    page = await _page(town)
    for word in ("See you at seven", "confirmed", "booked", "sent", "done", "posted", "key k4"):
        assert word in page
    assert "knobs are on" not in page


async def test_the_page_escapes_what_callers_wrote(town: Town) -> None:
    """A message is text, never markup or a format string."""
    await town.post("/messages", MESSAGE | {"text": "<script>alert(1)</script>{key}", "to": '"><img src=x>'}, "<b>k</b>")
    page = await _page(town)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{key}" in page
    for raw in ("<script", "<img", "<b>"):
        assert raw not in page


async def test_the_page_warns_when_a_knob_is_on(town: Town) -> None:
    """And says which."""
    await town.turn(fail_next=3)
    page = await _page(town)
    assert "Fault knobs are on." in page
    assert "fail_next 3" in page


@pytest.mark.parametrize("limit", ["0", "-1", "x", "10001", "9" * 30, "\u0663"])
async def test_a_limit_is_a_whole_number(town: Town, limit: str) -> None:
    """Anything else is 400."""
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await town.get("/messages", limit=limit)


async def test_health(town: Town) -> None:
    """200 while the database answers."""
    assert await town.get("/healthz") == {"status": "ok"}
