"""The server's own page: who may see it, who may press, and that nothing shown is ever markup of somebody else."""

import re

import pytest

from services.qstash_dev.page import words
from services.qstash_dev.page.html import Html, address, html, joined
from tests.services.qstash_dev.support import Broker, Destination, answers, eventually

pytestmark = pytest.mark.our_server

EVIL = "<script>alert(1)</script>"
PAGES = ("/", "/ui/messages", "/ui/dlq", "/ui/queues", "/ui/schedules", "/ui/flow", "/ui/faults")


async def page(broker: Broker, path: str, **headers: str) -> str:
    """The text of a page that must be there."""
    response = await broker.http.get(path, headers=headers)
    assert response.status_code == 200, response.text
    assert "script-src" not in response.headers["content-security-policy"]  # default-src 'none' is all there is to say
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    return response.text


def word_of(text: str) -> str:
    """The word that the page's forms send along."""
    found = re.search(r'name="word" value="([0-9a-f]+)"', text)
    assert found, "the page has no button"
    return found[1]


async def dead(broker: Broker, there: Destination) -> str:
    """The id of a new dead letter."""
    there.answer = answers((500, {}))
    message_id = await broker.publish(f"{there.url}/x", EVIL.encode(), Upstash_Retries="0", Upstash_Forward_Evil=EVIL)
    await broker.ends(message_id, "FAILED")
    return str((await broker.get("/v2/dlq"))["messages"][0]["dlqId"])


# --- words and markup ---


def test_whatever_is_put_into_a_template_is_text() -> None:
    """Unless it is markup already; also inside an attribute, and a brace in it is no field."""
    assert html('<a href="{x}">', x='"><b>{x}') == '<a href="&quot;&gt;&lt;b&gt;{x}">'
    assert html("{x}", x=Html("<b>")) == "<b>"
    assert joined(["<", Html("<i>"), None, 3]) == "&lt;<i>3"
    assert address("/ui/a b?", {"x": "&", "y": ""}) == "/ui/a%20b%3F?x=%26"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(5, "5 ms"), (1_500, "1.5 s"), (61_000, "1 min 1 s"), (7_260_000, "2 h 1 min"), (200_000_000, "2 d 7 h")],
)
def test_a_length_of_time_has_two_units_at_most(milliseconds: int, text: str) -> None:
    """More is noise."""
    assert words.span(milliseconds) == text


def test_a_distance_in_time_is_in_whole_seconds() -> None:
    """A row's neighbours differ by milliseconds, and their words should not."""
    assert [words.ago(at_ms, 60_000) for at_ms in (59_500, 57_310, 62_800)] == ["just now", "3 s ago", "in 3 s"]


def test_words_of_a_command_stand_out_and_are_escaped() -> None:
    """What is between backticks."""
    assert words.coded("`ms` < 1") == "<code>ms</code> &lt; 1"


def test_a_body_is_laid_out_shown_as_it_is_or_counted() -> None:
    """JSON, text, bytes."""
    assert words.body('{"a":1}') == '{\n  "a": 1\n}'
    assert words.body("{plain") == "{plain"
    assert words.body(None, "AP8=") == "2 bytes: 00 ff"
    assert words.body("x" * 20_000).endswith("more characters")


# --- the pages ---


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_opens_on_an_empty_server(broker: Broker, path: str) -> None:
    """From this machine, without a token."""
    del broker.http.headers["Authorization"]
    assert "qstash_dev" in await page(broker, path)


async def test_a_message_is_shown_with_its_log_and_escaped(broker: Broker, there: Destination) -> None:
    """Body, header, answer and error."""
    await dead(broker, there)
    message_id = (await broker.get("/v2/events"))["events"][0]["messageId"]
    text = await page(broker, f"/ui/messages/{message_id}")
    assert EVIL not in text
    assert text.count("&lt;script&gt;") == 2
    assert re.findall(r'class="state ([A-Z]+)"', text)[1:] == ["CREATED", "ACTIVE", "ERROR", "FAILED"]
    assert "answered with status 500" in text
    assert f"/ui/messages/{message_id}" in await page(broker, "/")
    assert message_id in await page(broker, "/ui/messages?state=FAILED")
    assert message_id not in await page(broker, "/ui/messages?state=DELIVERED")
    assert (await broker.http.get(f"/ui/messages/{EVIL}")).status_code == 404


async def test_what_waits_is_listed_and_can_be_cancelled(broker: Broker, there: Destination) -> None:
    """With its button, which is gone afterwards."""
    message_id = await broker.publish(there.url, Upstash_Delay="1h")
    assert message_id in await page(broker, "/ui/messages?line=due")
    shown = await page(broker, f"/ui/messages/{message_id}")
    response = await broker.http.post(f"/ui/messages/{message_id}/cancel", data={"word": word_of(shown)})
    assert response.status_code == 303
    await broker.ends(message_id, "CANCELED")
    assert "Cancel</button>" not in await page(broker, response.headers["location"])


async def test_a_dead_letter_is_retried_by_its_button(broker: Broker, there: Destination) -> None:
    """The answer leads to the new message."""
    dlq_id = await dead(broker, there)
    shown = await page(broker, "/ui/dlq")
    assert f"/ui/dlq/{dlq_id}/retry" in shown
    response = await broker.http.post(f"/ui/dlq/{dlq_id}/retry", data={"word": word_of(shown)})
    assert response.status_code == 303
    _, again = await there.gets(2)
    assert response.headers["location"] == f"/ui/messages/{again.message_id}"
    assert (await broker.get("/v2/dlq"))["messages"] == []


async def test_the_banner_says_that_faults_are_on_and_switches_them_off(broker: Broker) -> None:
    """On every page, and the page itself is not struck by them."""
    await broker.http.put("/v2/dev/faults", json={"faults": [{"kind": "error", "calls": "all"}, {"kind": "drop", "to": "<b>"}]})
    shown = [await page(broker, path) for path in PAGES]
    for text in shown:
        assert "Faults are on" in text
        assert "to &lt;b&gt;" in text
    response = await broker.http.post("/ui/faults/off", data={"word": word_of(shown[0])})
    assert response.status_code == 303
    assert "Faults are on" not in await page(broker, "/")


# --- who may ---


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "192.0.2.1"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Authorization": "Bearer nobody"},
    ],
    ids=lambda headers: next(iter(headers)) + "=" + next(iter(headers.values())),
)
async def test_a_stranger_sees_nothing(broker: Broker, headers: dict[str, str]) -> None:
    """A name that was pointed here, a proxy, a wrong token."""
    del broker.http.headers["Authorization"]
    for path in ("/", "/ui/dlq"):
        response = await broker.http.get(path, headers=headers)
        assert response.status_code == 401
    token = {name: value for name, value in headers.items() if name != "Authorization"}
    response = await broker.http.get("/", params={"qstash_token": broker.token}, headers=token)
    assert response.status_code == 200
    assert "/ui/dlq?qstash_token=" in response.text


async def test_a_page_of_another_site_presses_nothing(broker: Broker, there: Destination) -> None:
    """It does not know the word, and its browser says where it comes from."""
    dlq_id = await dead(broker, there)
    word = word_of(await page(broker, "/ui/dlq"))
    tries: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"word": "0" * 64}, {}),
        ({"word": "é"}, {}),
        ({"word": word}, {"Origin": "https://evil.example"}),
        ({"word": word}, {"Origin": "null"}),
        ({"word": word}, {"Sec-Fetch-Site": "cross-site"}),
        ({"word": word}, {"Sec-Fetch-Site": "same-site"}),
    ]
    for data, headers in tries:
        response = await broker.http.post(f"/ui/dlq/{dlq_id}/retry", data=data, headers=headers)
        assert response.status_code == 403, (data, headers)
    assert (await broker.http.get(f"/ui/dlq/{dlq_id}/retry")).status_code in {404, 405}
    assert len((await broker.get("/v2/dlq"))["messages"]) == 1
    own = {"Origin": broker.url, "Sec-Fetch-Site": "same-origin"}
    assert (await broker.http.post(f"/ui/dlq/{dlq_id}/retry", data={"word": word}, headers=own)).status_code == 303
    await eventually(lambda: len(there.seen) == 2, "the retry")
