"""Calls that take longer than an invocation may: QStash makes them, and calls back with the answer.

The call goes under the effect's key as every other, so what honours keys is called again without harm. QStash's deduplication
id follows from key and attempt: a publish whose answer was lost is no second call.
"""

from typing import Any

import msgspec

from shared.callbacks import token_of
from shared.http_client import HttpClient, NoAnswer, NotConnected
from shared.qstash import CALLBACK_PATH
from shared.settings import Settings
from shared.tools.registry import Call, TookOver, ToolNotSent, ToolUnanswered

_encode = msgspec.json.Encoder().encode
PUBLISH_S = 2.0


class Remote:
    """One for a process."""

    def __init__(self, client: HttpClient, settings: Settings) -> None:
        """`client` is shared and kept open."""
        self._client = client
        self._settings = settings

    async def call(self, call: Call, *, url: str, body: Any, seconds: int, retries: int = 0) -> TookOver:
        """Have QStash POST `body` as JSON to `url`, which may take `seconds`. The answer's body becomes the step's output.

        ToolNotSent: QStash did not take it. ToolUnanswered: it may have.
        """
        settings = self._settings
        address = f"{settings.executor_url.rstrip('/')}{CALLBACK_PATH}/{token_of(call.callback_url)}"
        headers = {
            "Authorization": f"Bearer {settings.token}",
            "Content-Type": "application/json",
            "Upstash-Method": "POST",
            "Upstash-Timeout": f"{seconds}s",
            "Upstash-Retries": str(retries),
            "Upstash-Callback": address,
            "Upstash-Failure-Callback": address,
            "Upstash-Deduplication-Id": f"{call.key}-{call.attempt}",
            "Upstash-Label": "intention-call",
            "Upstash-Forward-Idempotency-Key": call.key,
        }
        target = f"{settings.qstash_url.rstrip('/')}/v2/publish/{url}"
        try:
            answer = await self._client.post(target, headers.items(), _encode(body), answer_s=PUBLISH_S)
        except NotConnected as error:
            raise ToolNotSent(f"QStash cannot be reached ({type(error).__name__})") from error
        except NoAnswer as error:
            raise ToolUnanswered(f"QStash took the call and did not answer ({type(error).__name__})") from error
        if not answer.ok:
            raise ToolNotSent(f"QStash did not take the call: {answer.status} {answer.text[:200]}")
        return TookOver()
