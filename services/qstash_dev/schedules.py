"""Schedules: cron expressions, and what a schedule publishes when its time has come. Pure.

A schedule keeps the publish headers as they came and is read like a publish each time, so it can do whatever a publish can.
"""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from services.qstash_dev import groups, publish
from services.qstash_dev.groups import Group
from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import Publish, with_facts
from shared.errors import BadRequest

FIELDS = 5
TIME_ZONE = "CRON_TZ="


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a schedule does and when, without its body and its progress."""

    schedule_id: str
    cron: str
    destination: str
    given: Pairs
    caller_ip: str = ""


class Cron(NamedTuple):
    """A checked expression: its five fields, and where its clock hangs."""

    fields: str
    zone: tzinfo


def read_cron(text: str) -> Cron:
    """BadRequest for anything that is not five fields, with or without `CRON_TZ=Area/City ` before them."""
    words, zone = text.split(), "UTC"
    if words and words[0].startswith(TIME_ZONE):
        zone = words.pop(0).removeprefix(TIME_ZONE)
    if len(words) != FIELDS:
        raise BadRequest(f"invalid cron {text!r}: five fields are needed, minute to day of week")
    found = Cron(" ".join(words).upper(), _zone(zone))
    try:
        next(CronSim(found.fields, datetime(2024, 1, 1, tzinfo=found.zone)))
    except CronSimError as error:
        raise BadRequest(f"invalid cron {text!r}: {error}") from error
    except StopIteration as error:
        raise BadRequest(f"invalid cron {text!r}: its time never comes") from error
    return found


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise BadRequest(f"invalid cron: there is no time zone {name!r}") from error


def next_ms(cron: str, after_ms: int) -> int:
    """The first time of the expression after this one, both in unix ms."""
    found = read_cron(cron)
    after = datetime.fromtimestamp(after_ms / 1_000, UTC).astimezone(found.zone)
    return int(next(CronSim(found.fields, after)).timestamp() * 1_000)


def read(schedule_id: str, destination: str, given: Pairs, caller_ip: str) -> Schedule:
    """A schedule from the headers of its request; BadRequest for what could not be published when it is due."""
    single = {name.lower(): value for name, value in reversed(given)}
    cron = " ".join(single.get("upstash-cron", "").split())
    if not cron:
        raise BadRequest("Upstash-Cron is missing")
    read_cron(cron)
    kept = [(name, value) for name, value in given if name.lower() not in publish.ELSEWHERE and _is_option(name, single)]
    found = Schedule(schedule_id=schedule_id, cron=cron, destination=destination, given=kept, caller_ip=caller_ip)
    if not groups.is_group(destination):
        publish.check_destination(destination)
    example(found, b"", 0)
    return found


def _is_option(name: str, single: dict[str, str]) -> bool:
    """The caller's token and connection are not kept; other plain headers are only with Upstash-Header-Forward."""
    name = name.lower()
    return (
        name.startswith("upstash-")
        or name == "content-type"
        or ("upstash-header-forward" in single and name != "authorization")
    )


def example(schedule: Schedule, body: bytes, now_ms: int) -> Publish:
    """A message of the schedule, to be looked at: its options as they were understood."""
    url = "http://group" if groups.is_group(schedule.destination) else schedule.destination
    return publish.parse(url, schedule.given, body, publish.Caller("", now_ms, schedule.caller_ip))


def publishes(schedule: Schedule, group: Group | None, body: bytes, now_ms: int, new_id: Callable[[], str]) -> list[Publish]:
    """The messages of one time; NotFound when the destination is a group that is gone."""

    def caller() -> publish.Caller:
        return publish.Caller(new_id(), now_ms, schedule.caller_ip)

    if not groups.is_group(schedule.destination):
        found = [publish.parse(schedule.destination, schedule.given, body, caller())]
    elif group:
        found = groups.publishes(schedule.destination, group, schedule.given, body, caller)
    else:
        raise groups.missing(schedule.destination)
    return [with_facts(one, schedule_id=schedule.schedule_id) for one in found]
