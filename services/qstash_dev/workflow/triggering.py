"""`/v2/trigger`: a run started without an SDK. What the SDK would say with the first message is said here."""

from typing import Any

import msgspec

from services.qstash_dev import publish
from services.qstash_dev.deps import Deps
from services.qstash_dev.headers import Pairs
from services.qstash_dev.users import User
from services.qstash_dev.workflow import runs
from services.qstash_dev.workflow.letters import new_run_id
from services.qstash_dev.workflow.refs import VERSION_HEADER


class Item(msgspec.Struct, frozen=True):
    """One element of `POST /v2/batch/trigger`."""

    destination: str
    headers: dict[str, str] = {}
    body: str | None = None


async def begin_item(parts: Deps, caller: User, item: Item, ip: str) -> dict[str, Any]:
    """One run of a batch."""
    return await begin(parts, caller, item.destination, list(item.headers.items()), (item.body or "").encode(), ip)


async def begin(parts: Deps, caller: User, url: str, given: Pairs, body: bytes, ip: str) -> dict[str, Any]:
    """The new run's id, or the old one's when the caller named one that is there."""
    said = {name.lower(): value for name, value in given}
    run_id = said.get("upstash-workflow-runid", "") or new_run_id()
    kept = [(name, value) for name, value in given if not name.lower().startswith("upstash-workflow-")]
    wanted = publish.parse(url, [*kept, *_of_run(url, run_id, said)], body, publish.Caller(parts.new_id(), parts.now_ms(), ip))
    answer = await runs.begin(parts, caller, wanted)
    return {name: answer[name] for name in ("workflowRunId", "workflowCreatedAt", "deduplicated") if name in answer}


def _of_run(url: str, run_id: str, said: dict[str, str]) -> Pairs:
    failure = "Upstash-Failure-Callback"
    pairs = [
        ("Upstash-Workflow-Init", "true"),
        ("Upstash-Workflow-RunId", run_id),
        ("Upstash-Workflow-Url", url),
        (f"Upstash-Forward-{VERSION_HEADER}", "1"),
        (f"{failure}-Workflow-Runid", run_id),
        (f"{failure}-Workflow-Init", "false"),
        (f"{failure}-Workflow-Url", url),
        (f"{failure}-Workflow-Calltype", "failureCall"),
        (f"{failure}-Forward-Upstash-Workflow-Is-Failure", "true"),
        (f"{failure}-Forward-Upstash-Workflow-Failure-Callback", "true"),
    ]
    return pairs if failure.lower() in said else [(failure, url), *pairs]
