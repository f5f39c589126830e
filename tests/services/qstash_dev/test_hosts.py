"""The host map: another connection, and everything else as published."""

import pytest
from redis.asyncio import Redis

from services.qstash_dev import hosts
from services.qstash_dev.main import with_hosts
from shared.errors import SettingsError
from shared.settings import DEV_CURRENT_KEY
from tests.services.qstash_dev import support
from tests.services.qstash_dev.support import Destination


async def test_a_named_host_is_reached_at_its_address_under_its_own_name(
    redis: Redis,  # noqa: ARG001 - empties it first
    valkey_url: str,
    there: Destination,
) -> None:
    """Path and query byte for byte; Host, signature and log are those of the published URL."""
    from qstash import Receiver

    url = "https://app.example//a%2fb?c=%20d&e"
    async with support.broker(valkey_url, QSTASH_DEV_HOSTS=f"app.example={there.url}") as broker:
        message_id = await broker.publish(url, b"body")
        (seen,) = await there.gets(1)
        await broker.ends(message_id, "DELIVERED")
        assert (seen.raw_path, seen.header["Host"]) == ("//a%2fb?c=%20d&e", "app.example")
        receiver = Receiver(current_signing_key=DEV_CURRENT_KEY, next_signing_key="sig_x")
        receiver.verify(signature=seen.header["Upstash-Signature"], body="body", url=url)
        assert {entry["url"] for entry in (await broker.get("/v2/events"))["events"]} == {url}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://a/x", hosts.Wire("http://127.0.0.1:1/x", "a")),
        ("https://A:444/x", hosts.Wire("http://127.0.0.1:1/x", "A:444")),
        ("https://a:443//", hosts.Wire("https://127.0.0.1:2//", "a:443")),
        ("http://user:pw@a", hosts.Wire("http://127.0.0.1:1", "a")),
        ("http://a.b/x", hosts.Wire("http://a.b/x", "")),
    ],
)
def test_a_name_with_a_port_is_for_that_port_only(url: str, wanted: hosts.Wire) -> None:
    """One without is for all the others."""
    assert hosts.route(hosts.parse("a=http://127.0.0.1:1, a:443=https://127.0.0.1:2/,"), url) == wanted


@pytest.mark.parametrize("text", ["a", "a=", "=http://h", "a=h:1", "a=ftp://h", "a=http://h/p", "a b=http://h", "a=http://h:x"])
def test_a_wrong_map_stops_the_start_up(text: str) -> None:
    """And the message shows the pair."""
    with pytest.raises(SettingsError, match="QSTASH_DEV_HOSTS"):
        hosts.parse(text)


def test_the_command_line_adds_to_the_setting() -> None:
    """Later names win, as anywhere."""
    environ = with_hosts({"QSTASH_DEV_HOSTS": "a=http://h:1"}, ["--host", "b=http://h:2", "--host", "a=http://h:3"])
    assert hosts.parse(environ["QSTASH_DEV_HOSTS"]) == {"a": "http://h:3", "b": "http://h:2"}
    assert with_hosts({}, [])["QSTASH_DEV_HOSTS"] == ""
