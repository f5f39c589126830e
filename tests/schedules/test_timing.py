"""Next times with their zones, missed times, overlaps, and what is refused."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.machine.status import TERMINAL, Status
from shared.schedules.model import Missed, Overlap
from shared.schedules.timing import GRACE_MS, Due, check_cron, due, moment, next_ms, overlapping, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
ETC = ZoneInfo("UTC")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str, zone: ZoneInfo = ETC) -> int:
    """Unix ms of a moment, by the clock on the wall of a zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def utc(ms: int) -> str:
    """A moment for comparing."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        pytest.param("0 8 * * *", ETC, "2026-11-22 07:59", "2026-11-22 08:00", id="later today"),
        pytest.param("0 8 * * *", ETC, "2026-11-22 08:00", "2026-11-23 08:00", id="never the moment itself"),
        pytest.param("0 8 * * MON-FRI", ETC, "2026-11-20 08:00", "2026-11-23 08:00", id="over the weekend"),
        pytest.param("*/15 * * * *", ETC, "2026-11-22 23:50", "2026-11-23 00:00", id="over midnight"),
        pytest.param("0 0 29 2 *", ETC, "2026-11-22 00:00", "2028-02-29 00:00", id="a leap day"),
        pytest.param("0 0 L * *", ETC, "2026-11-22 00:00", "2026-11-30 00:00", id="a month's last day"),
        pytest.param("0 8 * * *", BERLIN, "2026-07-01 08:00", "2026-07-02 06:00", id="summer time"),
        pytest.param("0 8 * * *", BERLIN, "2026-12-01 08:00", "2026-12-02 07:00", id="winter time"),
        pytest.param("0 8 * * *", BERLIN, "2026-03-28 08:00", "2026-03-29 06:00", id="eight o'clock stays eight o'clock"),
        pytest.param("30 2 * * *", BERLIN, "2026-03-28 12:00", "2026-03-29 01:00", id="in the hour left out: right after it"),
        pytest.param("30 2 * * *", BERLIN, "2026-10-24 12:00", "2026-10-25 00:30", id="in the hour that comes twice: first"),
        pytest.param("30 1 * * *", NEW_YORK, "2026-10-31 12:00", "2026-11-01 05:30", id="the same overseas"),
    ],
)
def test_the_next_time(cron: str, zone: ZoneInfo, after: str, expected: str) -> None:
    """By the clock on the wall of its zone."""
    assert utc(next_ms(cron, zone, at(after, zone))) == expected


def test_what_falls_into_the_hour_that_comes_twice_runs_once() -> None:
    """Asked in the first of them, in the second, and after it: the next is tomorrow's."""
    first = at("2026-10-25 00:30")
    for minutes in (0, 1, 29, 30, 45, 60, 90):
        following = next_ms("30 2 * * *", BERLIN, first + minutes * 60_000)
        assert utc(following) == "2026-10-26 01:30"


def test_every_hour_runs_also_in_the_hour_that_comes_twice() -> None:
    """By the clock on the wall: 25 of them that day."""
    times = [at("2026-10-24 21:59")]
    while len(times) < 26:
        times.append(next_ms("0 * * * *", BERLIN, times[-1]))
    assert {b - a for a, b in pairwise(times[1:])} == {HOUR_MS}


CRONS = st.builds(
    lambda minute, hour, day: f"{minute} {hour} * * {day}",
    st.sampled_from(["*", "0", "30", "*/7", "5,55"]),
    st.sampled_from(["*", "0", "1", "2", "3", "*/5", "23"]),
    st.sampled_from(["*", "SUN", "MON-FRI"]),
)
SWITCHES = [at("2026-03-29 01:00"), at("2026-10-25 01:00"), at("2026-03-08 07:00"), at("2026-11-01 06:00")]
MOMENTS = st.builds(lambda switch, offset: switch + offset, st.sampled_from(SWITCHES), st.integers(-2 * DAY_MS, 2 * DAY_MS))


@given(cron=CRONS, zone=st.sampled_from([ETC, BERLIN, NEW_YORK]), now=MOMENTS, behind=st.integers(0, 3 * DAY_MS))
def test_times_rise_and_none_is_run_twice_or_lost(cron: str, zone: ZoneInfo, now: int, behind: int) -> None:
    """Around the switches of the clocks: what is due is the last time until now, and the next is behind it."""
    planned = next_ms(cron, zone, now - behind)
    if planned > now:
        return
    found = due(cron, zone, planned_ms=planned, now_ms=now, missed="once")
    assert found.fire_ms is not None
    assert planned <= found.fire_ms <= now < found.next_ms
    assert next_ms(cron, zone, found.fire_ms) == found.next_ms


PLANNED = at("2026-11-22 08:00")


@pytest.mark.parametrize(
    ("cron", "late_ms", "missed", "fire", "following", "count"),
    [
        pytest.param("0 8 * * *", 0, "skip", "2026-11-22 08:00", "2026-11-23 08:00", 0, id="in time"),
        pytest.param("0 8 * * *", GRACE_MS, "skip", "2026-11-22 08:00", "2026-11-23 08:00", 0, id="a little late is in time"),
        pytest.param("0 8 * * *", GRACE_MS + 1, "skip", None, "2026-11-23 08:00", 1, id="too late and skipped"),
        pytest.param("0 8 * * *", GRACE_MS + 1, "once", "2026-11-22 08:00", "2026-11-23 08:00", 1, id="too late and run once"),
        pytest.param("0 * * * *", 5.5 * HOUR_MS, "skip", None, "2026-11-22 14:00", 1, id="hours: none of them"),
        pytest.param("0 * * * *", 5.5 * HOUR_MS, "once", "2026-11-22 13:00", "2026-11-22 14:00", 1, id="hours: the last"),
        pytest.param("0 * * * *", 5 * HOUR_MS, "skip", "2026-11-22 13:00", "2026-11-22 14:00", 1, id="the last is in time"),
        pytest.param("* * * * *", 40 * DAY_MS, "once", "2027-01-01 08:00", "2027-01-01 08:01", 1, id="forty days of minutes"),
        pytest.param("0 8 1 1 *", 3 * 366 * DAY_MS, "once", "2029-01-01 08:00", "2030-01-01 08:00", 1, id="years"),
    ],
)
def test_what_nobody_saw_in_time(
    cron: str, late_ms: float, missed: Missed, fire: str | None, following: str, count: int
) -> None:
    """At most one run for all of them, or none, as the schedule says; what somebody sees in time is no missed one."""
    found = due(cron, ETC, planned_ms=PLANNED, now_ms=PLANNED + int(late_ms), missed=missed)
    assert found.fire_ms == (at(fire) if fire else None)
    assert (utc(found.next_ms), found.missed) == (following, count)


def test_a_time_that_was_set_by_hand_runs_although_the_expression_does_not_name_it() -> None:
    """The stored time counts."""
    odd = PLANNED + 17_000
    found = due("0 0 1 1 *", ETC, planned_ms=odd, now_ms=odd + 900, missed="skip")
    assert found == Due(fire_ms=odd, next_ms=at("2027-01-01 00:00"), missed=0)


RUNNING = sorted(set(Status) - TERMINAL)


@pytest.mark.parametrize(
    ("policy", "running"), [("skip", "skip"), ("queue", "wait"), ("parallel", "start")], ids=["skip", "queue", "parallel"]
)
def test_overlaps(policy: Overlap, running: str) -> None:
    """Whatever the policy, it starts when the execution before is over, gone, or never was."""
    assert {overlapping(policy, status) for status in RUNNING} == {running}
    assert {overlapping(policy, status) for status in [*TERMINAL, None]} == {"start"}


@pytest.mark.parametrize(
    "cron",
    [
        *("", "daily", "0 8 * *", "0 0 8 * * *", "60 8 * * *", "0 24 * * *", "0 8 32 * *", "0 8 * 13 *", "0 8 * * 8"),
        *("*/0 * * * *", "0 8 30 2 *", "5-1 * * * *", "0 8 * * MON#9", "* " * 200, "a b c d e", "0 8 * * Ⅷ"),
    ],
)
def test_what_is_no_cron_expression_is_refused_with_the_remedy(cron: str) -> None:
    """Seconds, days that do not exist, words."""
    with pytest.raises(BadRequest) as caught:
        check_cron(cron, ETC, PLANNED, "$.cron")
    assert caught.value.details["at"] == "$.cron"
    assert "five fields" in caught.value.message or "no such day" in caught.value.message


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Base", "../etc/passwd", "Europe/Berlin\x00"])
def test_what_is_no_zone_is_refused_with_the_remedy(name: str) -> None:
    """A folder of zones is none."""
    with pytest.raises(BadRequest, match="write one like Europe/Berlin"):
        zone_of(name, "$.timezone")


def test_a_moment_is_named_the_same_in_every_zone() -> None:
    """It is a part of the key that keeps a run from being made twice."""
    assert moment(at("2026-11-22 08:00")) == "2026-11-22T08:00:00Z"
    assert moment(at("2026-11-22 08:00") + 7) == "2026-11-22T08:00:00.007Z"
    assert timedelta(milliseconds=GRACE_MS) == timedelta(minutes=5)
