"""Looks at a whole system when all is over, and says what is not as it must be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import httpx
from redis.asyncio import Redis

from shared.redisdb import keys
from tests.system.harness import System, until
from tests.system.load import STOPPED, UNDONE, WELL, Saga
from tests.system.verdicts import Recovery, Story, children_of, complaints, recoveries

AT_ONCE = 8
TOWN_PAGE = 10_000


class Finding(NamedTuple):
    """Something that is not as it must be, and what is known of the execution (None: it is the system's)."""

    what: str
    story: Story | None = None

    def __str__(self) -> str:
        """With the whole history, so that nobody has to ask again."""
        if self.story is None:
            return self.what
        lines = [
            f"    {line['id']} {line['event']} {line.get('step', '')} {line.get('detail', '')}" for line in self.story.lines
        ]
        rows = [f"    town: {dict(row)}" for row in self.story.rows]
        return "\n".join([f"{self.story.found['id']}: {self.what}", *lines, *rows])


class Audit(NamedTuple):
    """What was found, and what is counted."""

    findings: list[Finding]
    recovered: list[Recovery]
    segments: int
    executions: int


async def audit(system: System, sagas: Sequence[Saga], *, redis_url: str) -> Audit:
    """Every execution of these, their children, and what the town has."""
    rows = await town_rows(system)
    stories = await _stories(system, sagas, rows)
    findings = [Finding(what, story) for story, ends in stories for what in complaints(story, ends)]
    known = {story.found["id"] for story, _ in stories}
    findings += [Finding(f"the town has effects of {one}, which no execution knows") for one in rows.keys() - known]
    open_ones = any(not saga.over for saga in sagas)
    findings += await _left_over(system, redis_url, within=1 if open_ones else 20)
    recovered = [one for story, _ in stories for one in recoveries(story.found["id"], story.lines)]
    segments = sum(line["event"] == "segment.started" for story, _ in stories for line in story.lines)
    return Audit(findings, recovered, segments, len(stories))


async def town_rows(system: System) -> dict[str, list[dict[str, Any]]]:
    """All that the town knows by key, by execution."""
    found: dict[str, list[dict[str, Any]]] = {}
    url = f"{system.processes['town'].url}/effects"
    for partition in keys.all_partitions():
        answer = await system.client.get(url, params={"prefix": f"exe_{partition}", "limit": TOWN_PAGE})
        page = answer.json()
        assert len(page["effects"]) == page["total"], "the town has more effects than one page shows"
        for row in page["effects"]:
            found.setdefault(row["key"].split(".")[0], []).append(row)
    return found


async def _stories(
    system: System, sagas: Sequence[Saga], rows: dict[str, list[dict[str, Any]]]
) -> list[tuple[Story, frozenset[str]]]:
    gate = asyncio.Semaphore(AT_ONCE)
    told: list[tuple[Story, frozenset[str]]] = []

    async def tell(execution: str, ends: frozenset[str]) -> None:
        async with gate:
            found, lines = await system.get(execution), await system.history(execution)
        story = Story(found, lines, rows.get(execution, []))
        told.append((story, ends))
        for one in children_of(lines):
            await tell(one, WELL if found["status"] == "COMPLETED" else UNDONE if ends == UNDONE else STOPPED)

    await asyncio.gather(*(tell(saga.id, saga.ends) for saga in sagas if saga.id))
    return told


async def _left_over(system: System, redis_url: str, *, within: float) -> list[Finding]:
    """What nobody will carry on: full outboxes, a due time of something that is over, a broken invariant, a dead process.

    `within`: seconds that the services have to tidy up; few, if something stands still anyway.
    """
    dead = [name for name, process in system.processes.items() if not process.alive]
    found = [Finding(f"{name} has ended by itself; its log ends: {system.processes[name].log()[-1000:]}") for name in dead]
    async with Redis.from_url(redis_url) as redis:

        async def empty() -> bool:
            return not [one async for one in _filled(redis)]

        try:
            await until(empty, within=within, describe="outboxes and the due index are empty")
        except AssertionError:
            left = [one async for one in _filled(redis)]
            found.append(Finding(f"{len(left)} outboxes and due indexes are not empty: {', '.join(left[:5])}"))
    for name in (name for name in system.processes if name.startswith("resume")):
        found += [Finding(one) for one in await _broken(system, name, within=within)]
    return found


async def _filled(redis: Redis) -> AsyncIterator[str]:
    for partition in keys.all_partitions():
        for key in (keys.outbox_times(partition), keys.due(partition)):
            if left := await redis.zrange(key, 0, 2):
                yield f"{key} ({left})"


async def _broken(system: System, name: str, *, within: float) -> list[str]:
    async def sound() -> bool:
        answer = await system.client.get(f"{system.processes[name].url}/api/health/invariant")
        return answer.status_code == httpx.codes.OK

    try:
        await until(sound, within=2 * within, describe="the invariant holds")
    except (AssertionError, httpx.HTTPError) as error:
        return [f"{name}: /api/health/invariant: {error}"]
    return []
