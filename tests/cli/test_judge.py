"""The verdicts as tables: facts in, a finding out."""

import pytest

from shared.cli import judge
from shared.cli.doctor import address
from shared.cli.findings import Finding, lines, masked
from shared.cli.reach import Event, RedisFacts, Said, SigningKeys
from shared.cli.setup import cleaned

FINE = RedisFacts(
    name="Valkey", version="9.1.2", speaks=(7, 2), policy="noeviction", append_only=True, fsync="always", layout="64"
)
URL = "https://steps.example/api/engine/ping"


def changed(**facts: object) -> dict[str, str]:
    """The verdict of each check on a fine Redis but for these facts."""
    seen = RedisFacts(**{**{name: getattr(FINE, name) for name in FINE.__struct_fields__}, **facts})
    return {finding.check: finding.status for finding in judge.redis(seen, strict=False, where="redis://h:1/0")}


@pytest.mark.parametrize(
    ("facts", "check", "status"),
    [
        ({}, "redis version", "ok"),
        ({"name": "Redis", "version": "6.2.14", "speaks": (6, 2)}, "redis version", "fail"),
        ({"name": "Redis", "version": "7.0.0", "speaks": (7, 0)}, "redis version", "ok"),
        ({"version": "", "speaks": ()}, "redis version", "warn"),
        ({"policy": "volatile-lru"}, "redis eviction", "fail"),
        ({"policy": None}, "redis eviction", "warn"),
        ({"append_only": False}, "redis disk", "warn"),
        ({"append_only": None}, "redis disk", "warn"),
        ({"fsync": "everysec"}, "redis disk", "warn"),
        ({"fsync": None}, "redis disk", "ok"),
        ({"layout": None}, "redis layout", "ok"),
        ({"layout": "32"}, "redis layout", "fail"),
        ({"write_error": "READONLY"}, "redis write", "fail"),
    ],
)
def test_a_redis_is_judged_by_what_the_engine_needs(facts: dict[str, object], check: str, status: str) -> None:
    """What a hosted one hides is a warning, what would lose work is a failure."""
    verdicts = changed(**facts)
    assert verdicts[check] == status
    assert all(other == "ok" for name, other in verdicts.items() if name != check)


def test_strict_durability_needs_more_of_a_redis() -> None:
    """WAITAOF, and an append-only file at all; a second between syncs is then harmless."""
    old = RedisFacts(speaks=(7, 0), version="7.0.5", policy="noeviction", append_only=False, layout="64")
    found = {finding.check: finding.status for finding in judge.redis(old, strict=True, where="redis://h:1/0")}
    assert found["redis version"] == found["redis disk"] == "fail"
    everysec = RedisFacts(speaks=(7, 2), policy="noeviction", append_only=True, fsync="everysec")
    assert {f.check: f.status for f in judge.redis(everysec, strict=True, where="redis://h:1/0")}["redis disk"] == "ok"


@pytest.mark.parametrize(
    ("ours", "status"),
    [
        (("a", "b"), "ok"),
        (("a", ""), "warn"),
        (("a", "a"), "warn"),
        (("x", "a"), "warn"),
        (("b", "c"), "fail"),
        (("b", "a"), "warn"),
    ],
)
def test_keys_fail_only_where_deliveries_are_refused_now(ours: tuple[str, str], status: str) -> None:
    """QStash signs with `a`, and with `b` after a rotation."""
    assert judge.signing_keys(*ours, SigningKeys("a", "b")).status == status


def test_qstashs_own_keys_may_be_equal() -> None:
    """Then a rotation covers nothing."""
    assert "equals its current one" in judge.signing_keys("a", "a", SigningKeys("a", "a")).message


@pytest.mark.parametrize(
    ("offset_s", "status", "says"),
    [
        (0.7, "ok", ""),
        (-4.9, "ok", ""),
        (6, "warn", "6 s ahead"),
        (-7, "warn", "7 s behind"),
        (31, "warn", "JWT_LEEWAY_S=30"),
        (None, "skip", ""),
    ],
)
def test_clocks_are_compared(offset_s: float | None, status: str, says: str) -> None:
    """Five seconds are a warning; the leeway is named where it is passed."""
    found = judge.clock("qstash clock", offset_s, leeway_s=30)
    assert found.status == status
    assert says in found.message


@pytest.mark.parametrize(
    ("events", "says", "remedy"),
    [
        ([], "no sign", "console"),
        ([Event(state="CREATED")], "no sign", "still holds"),
        ([Event(state="ACTIVE"), Event(state="CREATED")], "does not answer QStash", "frozen"),
        ([Event(state="FAILED", response_status=401)], "(401)", "signature.refused"),
        ([Event(state="FAILED", response_status=404)], "(404)", "deploy this release"),
        ([Event(state="ERROR", response_status=502)], "502", "proxy"),
        ([Event(state="FAILED", error="connection refused")], "connection refused", "firewall"),
        ([Event(state="DELIVERED", response_status=200)], "knows nothing of it", "another REDIS_URL"),
    ],
)
def test_a_ping_that_does_not_arrive_is_explained_by_qstashs_log(events: list[Event], says: str, remedy: str) -> None:
    """How far it came says whose fault it is."""
    found = judge.not_arrived(events, URL, 15)
    assert found.status == "fail"
    assert says in found.message
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (Said(status=400, body=b'{"error":"invalid destination url: endpoint resolves to a loopback address"}'), "tunnel"),
        (Said(status=429, body=b'{"error":"quota"}'), "daily messages"),
        (Said(status=401, body=b'{"error":"unauthorized"}'), "QSTASH_TOKEN"),
    ],
)
def test_a_ping_that_qstash_does_not_take_is_explained(said: Said, remedy: str) -> None:
    """In QStash's own words, and with what to do."""
    found = judge.not_published(said)
    assert said.told in found.message
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://qstash.upstash.io", ""),
        ("http://127.0.0.1:8080/", ""),
        ("http://[::1]:8080", ""),
        ("qstash.upstash.io/v2", "such as https://qstash.upstash.io"),
        ("https://h/v2/publish/", "without '/v2/publish/'"),
        ("https://h?x=1", "give the base only"),
        ("https://user:pw@h", "leave the user"),
        ("http://[::1", "not readable"),
        ("http://h:99999", "not readable"),
        ("https://", "needs a scheme and a host"),
    ],
)
def test_an_address_is_told_what_is_wrong_with_it(url: str, says: str) -> None:
    """With what to write instead."""
    found = judge.base_url("QSTASH_URL", url)
    assert (says in found) if says else not found


def test_what_comes_along_when_a_line_is_copied_is_taken_off() -> None:
    """The name, the quotes, the blanks."""
    for typed in ("abc", " abc ", '"abc"', "'abc'", "QSTASH_TOKEN=abc", 'export QSTASH_TOKEN = "abc" '):
        assert cleaned("QSTASH_TOKEN", typed) == "abc"


def test_secrets_are_shown_by_their_end_or_not_at_all() -> None:
    """Enough to recognise, too little to use."""
    assert masked("sig_0123456789abcdef") == "...cdef"
    assert masked("short") == "***"
    assert address("rediss://default:password@h.example:6379/0") == "rediss://h.example:6379/0"
    assert address("redis://h:1/2") == "redis://h:1/2"


def test_a_long_finding_is_wrapped_and_its_remedy_indented() -> None:
    """No line is wider than the terminal, and no word is broken."""
    found = Finding(check="redis", status="fail", message="word " * 40, remedy="do " * 60)
    shown = lines(found, 80)
    assert max(map(len, shown)) <= 80
    assert [line[:9] for line in shown if "->" in line] == ["      -> "]
