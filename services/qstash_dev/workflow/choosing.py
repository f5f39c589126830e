"""Which runs a request means: its filters, a page of the newest, a cursor."""

from collections.abc import Iterable
from typing import NamedTuple

from services.qstash_dev import filters
from services.qstash_dev.filters import Filter
from services.qstash_dev.keys import Keys
from services.qstash_dev.workflow.model import Run, RunState
from services.qstash_dev.workflow.store import RunStore

FACTS = frozenset(("label", "flowControlKey", "callerIp", "callerIP", "host", "path", "fromDate", "toDate"))
"""Filters of messages that a run is asked by; it answers with its first message."""
CANCEL = FACTS | {"workflowRunIds", "workflowRunId", "workflowUrl", "workflowUrlExactMatch"}
LOGS = FACTS | {"workflowRunId", "workflowUrl", "workflowCreatedAt", "state", "messageId", "groupBy", "trimBody"}
PAGE = 100


class Page(NamedTuple):
    """Chosen runs, newest first, and where the next page begins."""

    runs: list[Run]
    cursor: str


def read(pairs: Iterable[tuple[str, str]], allowed: frozenset[str], *, default: int, most: int) -> Filter:
    """The filter of these parameters; a workflow URL may have a comma, so it is one value."""
    chosen = filters.read(pairs, allowed=allowed, max_count=most, default_count=default, newest_first=True)
    if "workflowUrl" not in chosen.values:
        return chosen
    urls = frozenset(value for name, value in pairs if name.removesuffix("[]") == "workflowUrl" and value)
    return chosen._replace(values={**chosen.values, "workflowUrl": urls})


async def page(store: RunStore, keys: Keys, chosen: Filter, *, exact: bool, only: RunState | None = None) -> Page:
    """The runs that match, at most `chosen.limit`."""
    found: list[tuple[Run, str]] = []
    candidates = await _candidates(store, keys, chosen)
    for i in range(0, len(candidates), PAGE):
        places = dict(candidates[i : i + PAGE])
        for run in await store.runs(keys, list(places), steps=True):
            if (only and run.state is not only) or not matches(chosen, run, exact=exact):
                continue
            if len(found) == chosen.limit:
                return Page([one for one, _ in found], found[-1][1])
            found.append((run, places[run.record.run_id]))
    return Page([one for one, _ in found], "")


async def _candidates(store: RunStore, keys: Keys, chosen: Filter) -> list[tuple[str, str]]:
    """Run ids with their cursors. A cursor is the time of a run and its number among those of the same millisecond."""
    named = chosen.values.get("workflowRunIds", frozenset()) | chosen.values.get("workflowRunId", frozenset())
    if named:
        return [(run_id, f"0-{i}") for i, run_id in enumerate(sorted(named))]
    places: list[tuple[str, tuple[int, int]]] = []
    for run_id, at_ms in await store.known(keys):
        number = places[-1][1][1] + 1 if places and places[-1][1][0] == at_ms else 0
        places.append((run_id, (at_ms, number)))
    if chosen.cursor:
        at_ms, number = map(int, chosen.cursor.split("-"))
        places = [one for one in places if (-one[1][0], one[1][1]) > (-at_ms, number)]
    return [(run_id, f"{place[0]}-{place[1]}") for run_id, place in places]


def matches(chosen: Filter, run: Run, *, exact: bool) -> bool:
    """Whether a run passes every filter."""
    values = chosen.values
    plain = chosen._replace(values={name: value for name, value in values.items() if name in FACTS})
    urls = values.get("workflowUrl")
    url = run.record.url
    if urls and not (url in urls if exact else any(url.startswith(one) for one in urls)):
        return False
    wanted = {"state": {run.state.value}, "workflowCreatedAt": {str(run.created_at_ms)}}
    wanted["messageId"] = {one.message_id for one in run.steps}
    if any(name in values and not values[name] & found for name, found in wanted.items()):
        return False
    return filters.matches(plain, run.record.first, run.created_at_ms)
