"""HTTP to hosts that a plan names, as far as OUTBOUND_ALLOW opens them to its tenant."""

import time
from typing import Annotated, Any, Literal

import msgspec

from shared.machine.plan import Effect
from shared.tools import answers
from shared.tools.outbound import Answer, Outbound
from shared.tools.registry import Call, Registry

Url = Annotated[str, msgspec.Meta(min_length=8, max_length=4_096)]


class Requests:
    """Each method is a tool."""

    def __init__(self, http: Outbound) -> None:
        self._http = http

    async def http_get(self, call: Call, *, url: Url, headers: dict[str, str] | None = None) -> Any:
        """Read what is at a URL. Redirects are not followed."""
        answer = await self._http.request(call, "GET", url, headers=headers)
        answers.check(answer, pure=True, now_s=time.time())
        return _shown(answer)

    async def http_request(
        self,
        call: Call,
        *,
        url: Url,
        method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST",
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Make an HTTP request: `body` goes as JSON, the effect's key as `Idempotency-Key`. Redirects are not followed."""
        sent = {"Idempotency-Key": call.key, "Content-Type": "application/json"}
        sent = {name: value for name, value in sent.items() if name.lower() not in {one.lower() for one in headers or {}}}
        raw = b"" if body is None else msgspec.json.encode(body)
        answer = await self._http.request(call, method, url, headers=sent | (headers or {}), body=raw)
        answers.check(answer, pure=False, now_s=time.time())
        return _shown(answer)


def _shown(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "content_type": answer.headers.get("content-type", ""), "body": answers.content(answer)}


def register(registry: Registry, http: Outbound) -> None:
    """Nobody knows what a host makes of a key, so only reading is safe to repeat."""
    requests = Requests(http)
    registry.add(requests.http_get, effect=Effect.PURE, timeout_ms=7_000)
    registry.add(requests.http_request, effect=Effect.UNSAFE, timeout_ms=7_000, settle_ms=30_000)
