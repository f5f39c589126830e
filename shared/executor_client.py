"""Calling the step executor without QStash: signed like QStash's calls, under our own key. Costs no message."""

import time
from typing import Final

import httpx
import msgspec

from shared import signing
from shared.logs import get_logger
from shared.qstash import EXECUTE_PATH, Body
from shared.settings import Settings

log = get_logger()
_encode = msgspec.json.Encoder().encode
CONNECT_S: Final = 1.0


class ExecutorClient:
    """Asks the executor to run a segment; it answers at once and runs within its own budget."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        """`client` is shared and kept open."""
        self._client = client
        self._settings = settings
        self._url = f"{settings.executor_url.rstrip('/')}{EXECUTE_PATH}"

    async def wake(self, execution: str, *, segment: int = -1, reason: str) -> bool:
        """Whether the executor took it. False is no loss: the due index has the execution."""
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
        headers = {"Intention-Signature": token, "Content-Type": "application/json", "Prefer": "respond-async"}
        try:
            answer = await self._client.post(
                self._url, content=body, headers=headers, timeout=httpx.Timeout(3, connect=CONNECT_S)
            )
        except httpx.HTTPError as error:
            log.warning("executor.unreachable", error=type(error).__name__, execution=execution)
            return False
        return answer.is_success
