"""What a delivery is answered: duplicates, late ones, wrong order, and every way in which a signature can be bad."""

import time
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from shared import signing
from shared.settings import DEV_CURRENT_KEY, DEV_NEXT_KEY
from tests.system.harness import System, until, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]
PATH = "/api/engine/execute-step"


def message(execution: str, segment: int) -> bytes:
    """A message as the engine sends it."""
    return msgspec.json.encode({"executionId": execution, "segment": segment, "reason": "continued"})


def signature(url: str, raw: bytes, /, *, key: str = DEV_CURRENT_KEY, **claims: Any) -> str:
    """A QStash signature made by another library than ours; `claims` replace the right ones."""
    now = int(time.time())
    right = {
        "iss": "Upstash",
        "sub": url,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "jwt_1",
        "body": signing.body_hash(raw),
    }
    return jwt.encode(right | claims, key, algorithm="HS256")


async def deliver(system: System, body: bytes, token: str | None, **headers: str) -> httpx.Response:
    """Deliver as QStash does."""
    signed = {"Upstash-Signature": token} if token is not None else {}
    url = system.environ["EXECUTOR_URL"] + PATH
    return await system.client.post(url, content=body, headers={"Content-Type": "application/json", **signed, **headers})


async def finished(system: System, count: int = 3) -> str:
    """An execution that is over."""
    execution = await system.run_plan(work(count, 0))
    assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
    return execution


async def test_a_message_delivered_again_after_the_end_is_done_and_changes_nothing(system: System) -> None:
    """Twice at once and once more later: 200 each time, no second effect, the record untouched."""
    execution = await finished(system)
    url = system.environ["EXECUTOR_URL"] + PATH
    before = await system.get(execution)
    body = message(execution, 0)

    answers = [await deliver(system, body, signature(url, body)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert {answer.json()["result"] for answer in answers} == {"terminal"}
    assert await system.get(execution) == before
    assert await system.effects(execution) == {"s0": 1, "s1": 1, "s2": 1}


async def test_messages_out_of_order_and_of_old_segments_do_not_breed_a_second_chain(system: System) -> None:
    """A stale segment is answered 200 while a later one sleeps in its back-off; the chain stays one."""
    await system.knobs(fail_next=1, fail_status=503, only_path="/jobs")
    steps = work(1, 0)
    steps[0]["retry"] = {"attempts": 3, "base_ms": 6000, "cap_ms": 8000}
    execution = await system.run_plan(steps)
    url = system.environ["EXECUTOR_URL"] + PATH

    async def suspended() -> bool:
        return bool((await system.get(execution))["status"] == "SUSPENDED")

    await until(suspended, within=20, describe="the back-off is longer than the invocation")
    old = message(execution, 0)
    stale = await deliver(system, old, signature(url, old))
    early = message(execution, 1)
    not_due = await deliver(system, early, signature(url, early))

    assert (stale.status_code, stale.json()["result"]) == (200, "stale")
    assert (not_due.status_code, not_due.json()["result"]) == (200, "not_due")
    found = await system.ended(execution, within=30)
    assert found["status"] == "COMPLETED"
    assert found["steps"][0]["attempts"] == 2
    assert await system.effects(execution) == {"s0": 1}
    resent = [line for line in system.events("resume", "execution.resent") if line["execution"] == execution]
    assert 2 <= await system.messages(execution) <= 2 + len(resent)  # a busy machine's watchdog may have been sooner


async def test_a_duplicate_while_the_segment_runs_is_told_when_to_come_back(system: System) -> None:
    """409 with Retry-After beyond the lease, so that one retry is enough."""
    execution = await system.run_plan(work(1, 1.5))

    async def runs() -> bool:
        return bool((await system.get(execution))["steps"][0]["status"] == "INTENDED")

    await until(runs, within=20, describe="the step runs")
    body = message(execution, 0)
    answer = await deliver(system, body, signature(system.environ["EXECUTOR_URL"] + PATH, body))

    assert answer.status_code == 409
    assert 1 <= int(answer.headers["Retry-After"]) <= 6
    assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
    assert set((await system.effects(execution)).values()) == {1}


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("wrong key", {"key": "sig_of_somebody_else_altogether_1234"}, "signed with neither the current nor the next key"),
    ("expired", {"exp": 1_600_000_000}, "expired"),
    ("not valid yet", {"nbf": 4_000_000_000}, "not valid for another"),
    ("other URL", {"sub": "https://elsewhere.example/api/engine/execute-step"}, "made for"),
    ("other issuer", {"iss": "Somebody"}, "issuer"),
    ("other body", {"body": "AAAA"}, "the body is not the one"),
]


@pytest.mark.parametrize(("claims", "why"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_a_bad_signature_is_401_with_one_clear_reason_in_the_log(
    system: System, claims: dict[str, Any], why: str
) -> None:
    """The caller learns nothing; the operator learns which claim was wrong; nothing runs."""
    execution = await finished(system, 1)
    body = message(execution, 0)
    token = signature(system.environ["EXECUTOR_URL"] + PATH, body, **claims)
    before = len(system.events("step_executor", "signature.refused"))

    answer = await deliver(system, body, token)

    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "Invalid QStash signature"
    assert why not in answer.text
    refused = system.events("step_executor", "signature.refused")[before:]
    assert len(refused) == 1
    assert why in refused[0]["why"]


async def test_a_missing_or_unreadable_signature_is_401_too(system: System) -> None:
    """Verification is never skipped, not even in local mode."""
    body = message(await finished(system, 1), 0)

    for token in (None, "", "abc", "a.b.c", "e30.e30.e30"):
        assert (await deliver(system, body, token)).status_code == 401


async def test_one_changed_byte_of_the_body_is_refused(system: System) -> None:
    """The signature is over the raw bytes, white space included."""
    body = message(await finished(system, 1), 0)
    token = signature(system.environ["EXECUTOR_URL"] + PATH, body)

    assert (await deliver(system, body.replace(b'"segment":0', b'"segment":1'), token)).status_code == 401
    assert (await deliver(system, body + b" ", token)).status_code == 401
    assert (await deliver(system, body, token)).status_code == 200


async def test_the_next_key_is_accepted_so_that_a_rotation_drops_nothing(system: System) -> None:
    """Current first, then next."""
    body = message(await finished(system, 1), 0)
    token = signature(system.environ["EXECUTOR_URL"] + PATH, body, key=DEV_NEXT_KEY)

    assert (await deliver(system, body, token)).status_code == 200


async def test_a_malformed_message_is_never_delivered_again(system: System) -> None:
    """489 with Upstash-NonRetryable-Error: it goes to the dead letters at once."""
    url = system.environ["EXECUTOR_URL"] + PATH
    for body in (b"not json", b"{}", b'{"executionId": 5}', b'{"executionId": "exe_zz_nothing"}'):
        answer = await deliver(system, body, signature(url, body))

        assert answer.status_code == 489
        assert answer.headers["Upstash-NonRetryable-Error"] == "true"


async def test_an_unknown_execution_is_asked_for_twice_more_before_it_is_given_up(system: System) -> None:
    """After a failover the record may come back; 503 first, 489 after two retries."""
    body = message("exe_00_" + "0" * 32, 0)
    token = signature(system.environ["EXECUTOR_URL"] + PATH, body)

    first = await deliver(system, body, token)
    last = await deliver(system, body, token, **{"Upstash-Retried": "2"})

    assert (first.status_code, last.status_code) == (503, 489)
    assert first.headers["Retry-After"] == "5"
