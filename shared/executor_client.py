"""Calling the step executor without QStash: signed like QStash's calls, under our own key. Costs no message."""

import time
from typing import Final

import msgspec

from shared import signing, tracing
from shared.http_client import HttpClient, NoAnswer
from shared.logs import get_logger
from shared.qstash import EXECUTE_PATH, Body
from shared.settings import Settings

log = get_logger()
_encode = msgspec.json.Encoder().encode
CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
PROBE_ANSWER_S: Final = 1.0
FAILURES: Final = 3
PROBE_EVERY_S: Final = 1.0


class Reach:
    """Whether the executor is there, as far as the latest calls show. Pure; times are seconds of any clock that goes forward.

    After a few failures in a row one call a second goes out, and the others fail at once: calls that hang would hold up whoever
    makes them, and nothing comes of them.
    """

    def __init__(self) -> None:
        """Taken for there until it is not."""
        self._failures = 0
        self._probe_at_s = 0.0

    @property
    def there(self) -> bool:
        """Whether calls go out as ever."""
        return self._failures < FAILURES

    def may_call(self, now_s: float) -> bool:
        """Whether this call goes out; while the executor is away, it is the second's probe."""
        if self.there:
            return True
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = now_s + PROBE_EVERY_S
        return True

    def ended(self, now_s: float, *, well: bool) -> None:
        """A call was answered, or not."""
        if well:
            self._failures = 0
            return
        self._failures += 1
        self._probe_at_s = max(self._probe_at_s, now_s + PROBE_EVERY_S) if self._failures == FAILURES else self._probe_at_s


class ExecutorClient:
    """Asks the executor to run a segment; it answers at once and runs within its own budget."""

    def __init__(self, client: HttpClient, settings: Settings) -> None:
        """`client` is shared and kept open."""
        self._client = client
        self._settings = settings
        self._url = f"{settings.executor_url.rstrip('/')}{EXECUTE_PATH}"
        self.reach = Reach()

    async def wake(self, execution: str, *, segment: int = -1, reason: str) -> bool:
        """Whether the executor took it. False is no loss: the due index has the execution."""
        if not self.reach.may_call(time.monotonic()):
            log.debug("executor.not_called", execution=execution)
            return False
        well = await self._call(execution, segment, reason)
        self.reach.ended(time.monotonic(), well=well)
        return well

    async def _call(self, execution: str, segment: int, reason: str) -> bool:
        body = _encode(Body(execution_id=execution, segment=segment, reason=reason))
        now = time.time()
        token = signing.sign_call(
            issuer=signing.INTERNAL_ISSUER,
            url=self._url,
            body=body,
            key=self._settings.internal_signing_key,
            now=now,
            jti=f"{execution}-{now}",
            lifetime=60,
        )
        headers = [("Intention-Signature", token), ("Content-Type", "application/json"), ("Prefer", "respond-async")]
        if parent := tracing.traceparent(tracing.current()):
            headers.append((tracing.HEADER, parent))
        answer_s = ANSWER_S if self.reach.there else PROBE_ANSWER_S
        try:
            answer = await self._client.post(self._url, headers, body, answer_s=answer_s, connect_s=CONNECT_S)
        except NoAnswer as error:
            log.warning("executor.unreachable", error=type(error).__name__, execution=execution)
            return False
        return answer.ok
