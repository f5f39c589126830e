"""What the doctor finds of Ably: each thing that may be wrong, on a real server with narrow keys and with faults."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from shared.ably import api_key
from shared.cli import judge_ably, reach_ably
from shared.cli.findings import Finding
from shared.cli.reach import Said
from shared.cli.reach_ably import AblyFacts
from shared.settings import DEV_ABLY_KEY
from tests.services.ably_dev.support import Server, serving
from tests.services.engine.support import configured
from tests.support.valkey import Valkey, free_port

EVERYTHING = ["publish", "subscribe", "history"]
KEYS = {
    "local.narrow:secret-that-is-long-enough": {"mesh:resume": EVERYTHING, "execution:*": EVERYTHING},
    "local.deaf:secret-that-is-long-enough": {"mesh:resume": ["publish", "history"], "execution:*": EVERYTHING},
    "local.dumb:secret-that-is-long-enough": {"mesh:resume": ["subscribe", "history"], "execution:*": EVERYTHING},
    "local.blind:secret-that-is-long-enough": {"mesh:resume": ["publish", "subscribe"]},
    "local.mesh:secret-that-is-long-enough": {"mesh:resume": EVERYTHING},
    "local.half:secret-that-is-long-enough": {"mesh:resume": EVERYTHING, "execution:*": ["publish"]},
}
WELL = ["ably", "ably clock", "ably key", "ably publish", "ably progress", "ably round trip"]


@pytest.fixture
async def ably(redis: Redis, valkey: Valkey) -> AsyncIterator[Server]:
    """Ably's stand-in with keys of every kind."""
    async with serving(valkey.url, ABLY_DEV_KEYS=msgspec.json.encode(KEYS).decode()) as found:
        yield found
    await redis.flushall()  # its keys are no keys of the engine's, which other tests look at


async def examined(url: str, key: str = DEV_ABLY_KEY, *, within_s: float = 5) -> dict[str, Finding]:
    """The findings by check."""
    settings = configured(ABLY_URL=url, ABLY_API_KEY=key)
    async with httpx.AsyncClient(trust_env=False) as client:
        facts = await reach_ably.look_at_ably(client, settings, api_key(key), "0f" * 16, within_s=within_s)
    return {finding.check: finding for finding in judge_ably.everything(facts, leeway_s=30)}


def named(name: str) -> str:
    """One of the keys."""
    return next(key for key in KEYS if key.startswith(f"local.{name}:"))


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    """What is not well; each with what to do."""
    bad: dict[str, str] = {check: one.status for check, one in found.items() if one.status not in {"ok", "skip"}}
    assert all(found[check].remedy for check in bad)
    return bad


@pytest.mark.parametrize("key", [DEV_ABLY_KEY, named("narrow")], ids=["everything", "as narrow as may be"])
async def test_all_well(ably: Server, key: str) -> None:
    """The message that was published says nothing, and stands in the history of the engine's channel once."""
    found = await examined(ably.url, key)
    assert wrong(found) == {}
    assert list(found) == WELL
    assert [message["name"] for message in await ably.history("mesh:resume")] == ["PING"]


@pytest.mark.parametrize(
    ("key", "bad", "says"),
    [
        ("deaf", {"ably round trip": "fail"}, "may not subscribe"),
        ("dumb", {"ably publish": "fail"}, "may not publish on mesh:resume"),
        ("blind", {"ably key": "fail"}, "may not read mesh:resume"),
        ("mesh", {"ably progress": "warn"}, "lacks publish on execution:*"),
        ("half", {"ably progress": "warn"}, "lacks subscribe and history on execution:*"),
    ],
)
async def test_a_key_that_may_do_too_little_is_told_what_it_lacks(
    ably: Server, key: str, bad: dict[str, str], says: str
) -> None:
    """And nothing else is said to be wrong."""
    found = await examined(ably.url, named(key))
    assert wrong(found) == bad
    [check] = bad
    assert says in found[check].message
    assert "execution:*" in found[check].remedy


@pytest.mark.parametrize("key", ["local.nobody:secret-that-is-long", "local.dev:another-secret-than-that"])
async def test_a_wrong_key_is_told_with_ablys_own_words(ably: Server, key: str) -> None:
    """Nothing is published with it, and its secret is shown nowhere."""
    found = await examined(ably.url, key)
    assert wrong(found) == {"ably key": "fail"}
    assert "Ably refuses ABLY_API_KEY (401/40144" in found["ably key"].message
    assert list(found)[-1] == "ably key"
    assert key.partition(":")[2] not in repr(found)


async def test_an_ably_that_is_away_or_something_else_is_told_apart(ably: Server) -> None:
    """By what answers at /time."""
    found = await examined(f"http://127.0.0.1:{free_port()}")
    assert wrong(found) == {"ably": "fail"}
    assert found["ably"].away
    other = judge_ably.reached("http://h.example:1", Said(status=200, body=b"<html>"))
    assert other.status == "fail"
    assert "not as Ably does" in other.message
    assert not other.away
    assert ably.url


async def test_messages_that_do_not_arrive_are_found(ably: Server) -> None:
    """They are taken, and lost on the way."""
    await ably.fault({"kind": "lose"})
    found = await examined(ably.url, within_s=3)
    assert wrong(found) == {"ably round trip": "fail"}
    assert "did not come" in found["ably round trip"].message


async def test_websockets_that_are_refused_are_found(ably: Server) -> None:
    """By a firewall, say."""
    await ably.fault({"kind": "refuse_connections"})
    found = await examined(ably.url, within_s=3)
    assert wrong(found) == {"ably round trip": "fail"}
    assert "webhook" in found["ably round trip"].remedy


async def test_a_publish_that_is_refused_is_found(ably: Server) -> None:
    """Over a limit, say."""
    await ably.fault({"kind": "refuse", "code": 42910, "status": 429})
    found = await examined(ably.url)
    assert wrong(found) == {"ably publish": "fail", "ably progress": "fail"}
    assert "429/42910" in found["ably publish"].message
    assert found["ably round trip"].status == "skip"


# pure


def facts(**more: object) -> AblyFacts:
    """An Ably whose clock is an hour ahead."""
    said = Said(status=401, body=b'{"error": {"code": 40142, "message": "expired"}}')
    return msgspec.structs.replace(AblyFacts(base="https://h", clock=Said(status=200, offset_s=3_600.0), key=said), **more)


def test_a_clock_that_is_off_is_told_and_named_as_the_reason() -> None:
    """A token that was made now is expired there."""
    found = {one.check: one for one in judge_ably.everything(facts(), leeway_s=30)}
    assert found["ably clock"].status == "warn"
    assert "3600 s ahead" in found["ably clock"].message
    assert "clocks differ" in found["ably key"].message


def mesh(**more: object) -> Said:
    """What the resume service says of its connection."""
    fine = {"configured": True, "connected": True, "state": "connected", "channels": {"mesh:resume": "attached"}}
    return Said(status=200, body=msgspec.json.encode(fine | more))


@pytest.mark.parametrize(
    ("said", "status", "says"),
    [
        (mesh(), "ok", "listens on 1 channels"),
        (mesh(configured=False), "fail", "without ABLY_API_KEY"),
        (mesh(connected=False, state="connecting"), "warn", "connection connecting"),
        (msgspec.structs.replace(mesh(connected=False, state="suspended"), status=503), "fail", "connection suspended"),
        (mesh(channels={"mesh:resume": "attached", "mesh:resume:acme": "failed (40160)"}), "warn", "acme is failed (40160)"),
        (Said(status=404), "warn", "not there (404)"),
        (Said(status=200, body=b"<html>"), "fail", "not as the resume service"),
        (Said(error="nothing listens there"), "skip", "does not answer"),
    ],
)
def test_the_resume_services_connection_is_judged(said: Said, status: str, says: str) -> None:
    """By what it says itself."""
    found = judge_ably.subscriber("http://h/api/health/mesh", said)
    assert found.status == status
    assert says in found.message
    assert found.remedy or status in {"ok", "skip"}


SIGNING = "app.sign:secret-of-the-signing-key"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, None),
        ({"ABLY_WEBHOOK_KEYS": SIGNING}, "ok"),
        ({"ABLY_WEBHOOK_SECRET": "a-long-word-in-a-header"}, "ok"),
        ({"ABLY_WEBHOOK_KEYS": DEV_ABLY_KEY}, "warn"),
        ({"ABLY_WEBHOOK_SECRET": "a-long-word-in-a-header", "RESUME_URL": "http://resume.example"}, "warn"),
        ({"ABLY_WEBHOOK_KEYS": SIGNING, "ABLY_URL": "https://ably.example"}, "fail"),
    ],
    ids=["none", "signed", "by a word", "the key itself", "in the clear", "not to be reached"],
)
def test_settings_of_webhooks_are_looked_at(settings: dict[str, str], status: str | None) -> None:
    """No secret is shown."""
    found = judge_ably.webhook(configured(**settings))
    assert [one.status for one in found] == ([status] if status else [])
    assert not any(secret in repr(found) for secret in ("secret-of-the", "a-long-word"))
