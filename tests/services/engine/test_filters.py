"""What chooses among many must say something, and where a list goes on must be a place in it: on a real store."""

import msgspec
import pytest
from redis.asyncio import Redis

from shared.search import Filter, fits
from tests.services.engine.site import Site
from tests.services.engine.support import Stage, really
from tests.services.engine.test_actions import ANNA, get
from tests.services.engine.test_finding import bulk, zoo


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


PLACES = ["abc", "0", "zzz", "exe_00", "\x00", "exe_00_" + "z" * 32, "exe_7f_" + "0" * 32, "exe_00_" + "0" * 31]


@pytest.mark.parametrize("path", ["executions", "executions/count", "approvals", "gates/audit", "dlq", "schedules"])
@pytest.mark.parametrize("wrong", PLACES)
async def test_what_is_no_place_in_a_list_is_refused_by_every_list(site: Site, path: str, wrong: str) -> None:
    """It would begin anew, or find nothing. An empty one is the beginning."""
    answer = await site.call("ingress", "GET", f"/api/{path}", params={"before": wrong}, headers=ANNA)
    error = answer.json()["error"]
    assert (answer.status_code, error["details"]["at"]) == (400, "before")
    assert "give the `next` of the page before" in error["message"]
    assert (await site.call("ingress", "GET", f"/api/{path}?before=", headers=ANNA)).status_code == 200


@pytest.mark.parametrize("wrong", PLACES)
async def test_a_bulk_action_at_no_place_does_nothing(site: Site, stage: Stage, wrong: str) -> None:
    """A mistyped one would act upon the newest once more."""
    _, asked, _ = await zoo(site, stage)
    told = await bulk(site, 400, action="cancel", filter={"status": ["SUSPENDED"]}, before=wrong)
    assert told["error"]["details"] == {"at": "$.before"}
    assert (await get(site, asked))["status"] == "SUSPENDED"


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0", "\u3000\u2003"])
def test_blanks_alone_are_no_filter(text: str) -> None:
    """However the filter was made: a blank is part of the words of every execution."""
    made = [Filter(text=text), msgspec.convert({"text": text}, Filter), msgspec.structs.replace(Filter(), text=text)]
    assert not any(made)
    assert {one.text for one in made} == {""}
    assert Filter(text=f"{text}dinner{text}") == Filter(text="dinner")


def test_a_text_stands_in_one_of_the_fields_and_not_across_two() -> None:
    """Capitals do not matter."""
    row = {"status": "FAILED", "text": "Dinner for two", "summary": "a table", "user": "ann"}
    assert all(fits(row, Filter(text=part)) for part in ("DINNER", " for ", "table", "Ann"))
    assert not fits(row, Filter(text="two a table"))
