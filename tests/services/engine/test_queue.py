"""Messages into QStash, against a real server on loopback: many publishes are one batch, each answered for itself."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from starlette.responses import PlainTextResponse, Response
from structlog.testing import capture_logs

from shared.circuit import Breaker
from shared.clock import new_execution_id
from shared.http import Json
from shared.http_client import HttpClient
from shared.ports import Entry, Receipt
from shared.qstash import QStashQueue, item
from shared.settings import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, LOCAL_INTERNAL_KEY, Settings
from tests.services.engine.support import Receiver, Taken, all_taken, configured
from tests.support.valkey import free_port
from tests.support.waiting import eventually

NOW_S = 1_800_000_000.25
SECRETS = (DEV_TOKEN, DEV_CURRENT_KEY, DEV_NEXT_KEY, LOCAL_INTERNAL_KEY)


def entry(number: int = 0, **other: Any) -> Entry:
    """An outbox entry."""
    execution = f"exe_0a_{number:032x}"
    facts: dict[str, Any] = {"segment": 3, "reason": "continued", "trace": "t" * 32, "execution": execution}
    return Entry(**(facts | {"id": f"{execution}-3-0123456789ab"} | other))


def queue(caller: HttpClient, url: str, **variables: str) -> QStashQueue:
    """A queue that speaks to the server at `url`."""
    return QStashQueue(caller, configured(QSTASH_URL=url, **variables))


async def published(waiting: QStashQueue, entries: Sequence[Entry]) -> list[Receipt]:
    """All of them at once."""
    return await asyncio.gather(*(waiting.publish(one) for one in entries))


async def test_publishes_at_once_are_one_batch(caller: HttpClient, there: Receiver) -> None:
    """Fifty messages, one request; each caller gets its own message's id."""
    receipts = await published(queue(caller, there.url), [entry(number) for number in range(50)])

    assert [request.path for request in there.taken] == ["/v2/batch"]
    assert there.taken[0].headers["authorization"] == f"Bearer {DEV_TOKEN}"
    assert there.taken[0].headers["content-type"] == "application/json"
    assert [receipt.message for receipt in receipts] == [f"msg_{entry(number).id}" for number in range(50)]
    assert all(receipt.ok and not receipt.deduplicated for receipt in receipts)


async def test_a_batch_has_a_hundred_messages_at_most(caller: HttpClient, there: Receiver) -> None:
    """250 go out as 100, 100 and 50, in their order."""
    receipts = await published(queue(caller, there.url), [entry(number) for number in range(250)])

    assert [len(request.items) for request in there.taken] == [100, 100, 50]
    assert [receipt.message for receipt in receipts] == [f"msg_{entry(number).id}" for number in range(250)]


async def test_what_comes_while_a_batch_is_under_way_goes_together_in_the_next(caller: HttpClient, there: Receiver) -> None:
    """Nobody waits for company then."""
    gate = asyncio.Event()

    async def slowly(request: Taken) -> Response:
        await gate.wait()
        return await all_taken(request)

    there.reply = slowly
    sending = queue(caller, there.url)
    first = asyncio.create_task(sending.publish(entry(0)))
    await eventually(lambda: there.taken, describe="the first batch is under way")
    others = [asyncio.create_task(sending.publish(entry(number))) for number in range(1, 9)]
    gate.set()
    await asyncio.gather(first, *others)

    assert [len(request.items) for request in there.taken] == [1, 8]


async def in_turn(sending: QStashQueue, *numbers: int) -> None:
    """A publish every third turn of the loop: what waits for no clock at all is gone by then."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(sending.publish(entry(number))))
        for _ in range(3):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def test_a_message_that_is_alone_goes_at_once_and_one_right_behind_a_batch_waits_for_company(
    caller: HttpClient, there: Receiver
) -> None:
    """Where there was one a moment ago, there are more. (A busy machine may let the moment pass: some pair goes together.)"""
    sending = queue(caller, there.url)
    await in_turn(sending, 0, 1)
    assert [len(request.items) for request in there.taken] == [1, 1]
    for number in range(2, 100, 2):
        await in_turn(sending, number, number + 1)
        if len(there.taken[-1].items) == 2:
            break
    assert len(there.taken[-1].items) == 2


async def test_each_message_of_a_batch_is_answered_for_itself(caller: HttpClient, there: Receiver) -> None:
    """One refused, one known already, one without an id: the rest have nothing to do with it."""

    async def mixed(_: Taken) -> Response:
        answers = [{"messageId": "m0"}, {"error": "quota maxRetries exceeded"}, {"messageId": "m2", "deduplicated": True}, {}]
        return Json(answers)

    there.reply = mixed
    receipts = await published(queue(caller, there.url), [entry(number) for number in range(4)])

    assert [receipt.ok for receipt in receipts] == [True, False, True, False]
    assert receipts[1].error == "quota maxRetries exceeded"
    assert receipts[2].deduplicated
    assert receipts[3].error == "no message id"


ODD: list[tuple[str, Response, str]] = [
    ("429", PlainTextResponse("daily quota", 429), "QStash answered 429: daily quota"),
    ("500", PlainTextResponse("x" * 5_000, 500), "QStash answered 500: xxx"),
    ("401", PlainTextResponse("bad token", 401), "QStash answered 401"),
    ("a redirect", Response(status_code=302, headers={"Location": "https://elsewhere.example/"}), "QStash answered 302"),
    ("no JSON", PlainTextResponse("<html>fine</html>"), "not readable"),
    ("nothing", Response(status_code=200), "not readable"),
    ("an object", Json({"messageId": "m"}), "not readable"),
    ("too few", Json([]), "0 answers to 2 messages"),
    ("too many", Json([{"messageId": "m"}] * 3), "3 answers to 2 messages"),
    ("numbers", Json([1, 2]), "not readable"),
    ("bytes that are no text", Response(b'[{"messageId":"\xff"}]'), "not readable"),
]


@pytest.mark.parametrize(("answer", "says"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
async def test_an_answer_that_is_none_is_an_error_for_everybody_in_the_batch(
    caller: HttpClient, there: Receiver, answer: Response, says: str
) -> None:
    """A receipt each, at once, and no exception; it is not about these messages."""

    async def odd(_: Taken) -> Response:
        return answer

    sending = queue(caller, there.url)
    there.reply = odd
    receipts = await published(sending, [entry(0), entry(1)])

    assert all(says in receipt.error and len(receipt.error) < 400 and receipt.away for receipt in receipts)


REFUSALS = [400, 412, 413, 422]


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_is_no_outage(caller: HttpClient, there: Receiver, status: int) -> None:
    """QStash is there, and does not want this: the next is sent at once."""

    async def refused(_: Taken) -> Response:
        return PlainTextResponse("no", status)

    sending = queue(caller, there.url)
    there.reply = refused
    receipt = await sending.publish(entry())
    there.reply = all_taken

    assert (receipt.error, receipt.away) == (f"QStash answered {status}: no", False)
    assert (await sending.publish(entry(1))).ok


async def test_while_qstash_is_away_only_a_probe_is_sent(caller: HttpClient, there: Receiver) -> None:
    """The others fail at once and say so; what comes while a probe gathers goes with it; the first good answer ends it."""

    async def away(_: Taken) -> Response:
        return PlainTextResponse("overloaded", 503)

    hand = Hand()
    sending = queue(caller, there.url)
    sending.breaker = Breaker("QStash", clock=hand)
    there.reply = away
    with capture_logs() as logs:
        await sending.publish(entry(0))
        fast = await published(sending, [entry(number) for number in range(1, 200)])
        assert len(there.taken) == 1
        assert {receipt.error for receipt in fast} == {"QStash is away: QStash answered 503: overloaded"}
        assert all(receipt.away for receipt in fast)
        hand.now += 1_000
        tried = await published(sending, [entry(number) for number in range(3)])
        assert [len(request.items) for request in there.taken] == [1, 3]
        assert all(receipt.away for receipt in tried)
        hand.now += 1_000
        there.reply = all_taken
        assert all(receipt.ok for receipt in await published(sending, [entry(0), entry(1)]))
        assert (await sending.publish(entry(2))).ok

    assert [line["event"] for line in logs] == ["channel.away", "channel.back"]
    assert logs[1]["away_ms"] == 2_000


async def test_those_behind_a_batch_that_fails_need_not_try(caller: HttpClient, there: Receiver) -> None:
    """250 messages at once are three batches; when the first finds nobody, that is known."""

    async def away(_: Taken) -> Response:
        return PlainTextResponse("bad token", 401)

    there.reply = away
    receipts = await published(queue(caller, there.url), [entry(number) for number in range(250)])

    assert len(there.taken) == 1
    assert {(receipt.error, receipt.away) for receipt in receipts} == {("QStash answered 401: bad token", True)}


class Hand:
    """A clock in the test's hand, ms."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


async def test_nobody_there_is_an_error_and_no_exception(caller: HttpClient) -> None:
    """The port is closed."""
    receipt = await queue(caller, f"http://127.0.0.1:{free_port()}").publish(entry())

    assert receipt.error == "QStash is not reachable (NotConnected)"


async def test_without_a_token_nothing_is_sent(caller: HttpClient, there: Receiver) -> None:
    """The receipt says so at once, and it is logged at the start and never again; the fallbacks do the rest."""
    settings = msgspec.structs.replace(configured(QSTASH_URL=there.url), qstash_token=type(configured().qstash_token)(""))
    with capture_logs() as logs:
        waiting = QStashQueue(caller, settings)
        waiting.announce()
        receipt = await waiting.publish(entry())

    assert (receipt.error, receipt.away) == ("QSTASH_TOKEN is empty", True)
    assert there.taken == []
    assert [line["message"] for line in logs] == ["QStash not configured, using fallback: Ably and direct calls"]


async def test_a_caller_that_gives_up_hurts_nobody(caller: HttpClient, there: Receiver) -> None:
    """Its neighbours in the batch get their receipts."""
    sending = queue(caller, there.url)
    tasks = [asyncio.create_task(sending.publish(entry(number))) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()

    receipts = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(one, Receipt) and one.ok for one in receipts] == [True, True, False, True, True]


async def test_what_everybody_gave_up_waiting_for_is_not_sent_any_more(caller: HttpClient, there: Receiver) -> None:
    """While QStash hangs, thousands would pile up before what is fresh; the outbox has them, and the relay sends them."""
    gate = asyncio.Event()

    async def hanging(request: Taken) -> Response:
        await gate.wait()
        return await all_taken(request)

    there.reply = hanging
    sending = queue(caller, there.url)
    first = asyncio.create_task(sending.publish(entry(0)))
    await eventually(lambda: there.taken, describe="a batch hangs")
    given_up = [asyncio.create_task(sending.publish(entry(number))) for number in range(1, 300)]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    fresh = asyncio.create_task(sending.publish(entry(300)))
    gate.set()

    assert (await fresh).ok
    assert (await first).ok
    assert [one["headers"]["Upstash-Deduplication-Id"] for one in there.items] == [entry(0).id, entry(300).id]


async def test_closing_sends_what_is_waiting(caller: HttpClient, there: Receiver) -> None:
    """A process that is told to stop."""
    sending = queue(caller, there.url)
    await sending.close()
    task = asyncio.create_task(sending.publish(entry()))
    await asyncio.sleep(0)
    await sending.close()

    assert (await task).ok


def test_a_message_has_exactly_these_headers() -> None:
    """Protocol A9 to A11: retries that outlast a restart, a time-out longer than an invocation, the entry's own id."""
    found = item(entry(), configured(EXECUTOR_URL="https://executor.example/", RESUME_URL="https://resume.example"), NOW_S)

    assert found.destination == "https://executor.example/api/engine/execute-step"
    assert found.headers == {
        "Content-Type": "application/json",
        "Upstash-Method": "POST",
        "Upstash-Retries": "3",
        "Upstash-Retry-Delay": "min(60000, 1000 * pow(6, retried))",
        "Upstash-Timeout": "15s",
        "Upstash-Deduplication-Id": "exe_0a_00000000000000000000000000000000-3-0123456789ab",
        "Upstash-Label": "intention",
        "Upstash-Failure-Callback": "https://resume.example/api/engine/failed",
        "Upstash-Flow-Control-Key": "intention-executor",
        "Upstash-Flow-Control-Value": "parallelism=100",
    }


def test_the_settings_of_a_message_are_settings() -> None:
    """Retries, parallelism (0: no flow control at all), the platform's limit."""
    variables = {"QSTASH_RETRIES": "5", "QSTASH_PARALLELISM": "0", "HARD_LIMIT_MS": "20000"}
    found = item(entry(), configured(**variables), NOW_S).headers

    assert found["Upstash-Retries"] == "5"
    assert found["Upstash-Timeout"] == "25s"
    assert not any("Flow-Control" in name for name in found)


def test_the_retry_delays_are_1_6_and_36_seconds_and_a_minute() -> None:
    """The expression, as QStash evaluates it."""
    text = item(entry(), configured(), NOW_S).headers["Upstash-Retry-Delay"]
    found = re.fullmatch(r"min\((\d+), (\d+) \* pow\((\d+), retried\)\)", text)
    assert found is not None
    most, base, factor = map(int, found.groups())

    assert [min(most, base * factor**retried) for retried in range(4)] == [1_000, 6_000, 36_000, 60_000]


DELAYS = [
    ("long ago", -60_000, {}),
    ("now", 0, {}),
    ("in a moment", 1, {"Upstash-Delay": "1s"}),
    ("in a second", 1_000, {"Upstash-Delay": "1s"}),
    ("a little later", 1_001, {"Upstash-Delay": "2s"}),
    ("almost an hour", 3_599_999, {"Upstash-Delay": "3600s"}),
    ("an hour", 3_600_000, {"Upstash-Not-Before": "1800003601"}),
    ("a day", 86_400_000, {"Upstash-Not-Before": "1800086401"}),
]


@pytest.mark.parametrize(("ms", "expected"), [row[1:] for row in DELAYS], ids=[row[0] for row in DELAYS])
def test_a_delay_below_an_hour_is_relative_and_never_too_short(ms: int, expected: dict[str, str]) -> None:
    """Immune to clock differences where it matters; whole seconds, rounded up."""
    plain = item(entry(), configured(), NOW_S).headers
    found = item(entry(not_before_ms=int(NOW_S * 1000) + ms), configured(), NOW_S).headers

    assert {name: value for name, value in found.items() if name not in plain} == expected


def test_a_message_says_who_and_why_and_never_what() -> None:
    """Below 2 KiB whatever the execution is, without `:` in its id, and without a secret."""
    execution = new_execution_id()
    longest = entry(id=f"{execution}-{10**9}-0123456789ab", execution=execution, segment=10**9, not_before_ms=2**45)
    settings: Settings = configured(EXECUTOR_URL="https://" + "x" * 250 + ".example")
    found = item(longest, settings, NOW_S)

    assert msgspec.json.decode(found.body) == {
        "executionId": execution,
        "segment": 10**9,
        "reason": "continued",
        "traceId": "t" * 32,
    }
    assert len(found.body.encode()) < 2_048
    assert len(msgspec.json.encode(found)) < 2_048
    assert ":" not in found.headers["Upstash-Deduplication-Id"]
    assert not any(secret in msgspec.json.encode(found).decode() for secret in SECRETS)


async def test_no_secret_is_in_the_log_or_in_a_receipt(caller: HttpClient, there: Receiver) -> None:
    """Sent, refused, unreadable and unreachable."""

    async def odd(_: Taken) -> Response:
        return PlainTextResponse("what?")

    with capture_logs() as logs:
        for url, reply in ((there.url, all_taken), (there.url, odd), (f"http://127.0.0.1:{free_port()}", odd)):
            there.reply = reply
            sending = queue(caller, url)
            sending.announce()
            receipt = await sending.publish(entry())
            assert not any(secret in repr(receipt) for secret in SECRETS)

    assert "qstash.answer_unreadable" in {line["event"] for line in logs}
    assert not any(secret in repr(logs) for secret in SECRETS)
