"""One call to an OpenAI-compatible endpoint: bounded in time and size, and every way it can end is a value."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import httpx2
import openai

from shared.logs import get_logger
from shared.machine.state import Unreachable
from shared.numbers import whole
from shared.planner.llm.said import Said

log = get_logger()
MOST_BYTES: Final = 1_048_576
"""Of an answer, on the wire and after it: what is compressed is refused."""
Format: TypeAlias = Literal["json_schema", "json_object", "none"]
_WEAKER: Final[dict[Format, Format]] = {"json_schema": "json_object", "json_object": "none"}


class TooLarge(httpx2.TransportError):
    """The endpoint's answer is larger than anything we would read."""


class _Capped(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MOST_BYTES:
                raise TooLarge(f"more than {MOST_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class _CappedTransport(httpx2.AsyncHTTPTransport):
    """Reads no more than MOST_BYTES of any answer, and nothing that would grow when it is unpacked."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise TooLarge("a compressed answer, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - for the type checker
        response.stream = _Capped(response.stream)
        return response


class Endpoint:
    """The model of an installation. One for a process; it remembers which kind of structured output the endpoint takes."""

    def __init__(self, *, base_url: str, api_key: str, model: str, max_tokens: int) -> None:
        """`max_tokens`: of one answer."""
        client = httpx2.AsyncClient(
            transport=_CappedTransport(), follow_redirects=False, headers={"Accept-Encoding": "identity"}
        )
        self._client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=client)
        self._model = model
        self._max_tokens = max_tokens
        self._format: Format = "json_schema"

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def ask(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], until_s: float) -> Said | Unreachable:
        """What the model says to `messages` within `until_s` seconds. Raises nothing of the endpoint's."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(until_s):
                while True:
                    try:
                        return self._said(await self._create(messages, schema), messages, began)
                    except (openai.BadRequestError, openai.UnprocessableEntityError):
                        if self._format == "none":
                            raise
                        self._format = _WEAKER[self._format]  # an endpoint that knows no such format says so at once
                        log.info("planner.format", format=self._format)
        except TimeoutError:
            return Unreachable(message=f"the model gave no answer within {until_s:.1f} s")
        except openai.APIStatusError as error:
            return _refused(error)
        except (openai.APIError, ValueError) as error:
            return Unreachable(message=f"the model's endpoint gave no usable answer ({_cause(error)})")

    async def _create(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> Any:
        extra: dict[str, Any] = {}
        if self._format == "json_schema":
            shape = {"name": "plan", "strict": False, "schema": schema}
            extra["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif self._format == "json_object":
            extra["response_format"] = {"type": "json_object"}
        create: Any = self._client.chat.completions.create  # its overloads want literal dicts
        return await create(model=self._model, messages=list(messages), max_tokens=self._max_tokens, **extra)

    def _said(self, found: Any, messages: Sequence[Mapping[str, str]], began: float) -> Said | Unreachable:
        """The SDK checks nothing of what an endpoint sends: every part may be of any type."""
        request = str(getattr(found, "_request_id", "") or getattr(found, "id", "") or "")[:100]
        choices = getattr(found, "choices", None)
        first = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(first, "message", None)
        text = getattr(message, "content", None)
        if getattr(message, "refusal", None):
            return Unreachable(message="the model refuses to plan this", retryable=False)
        if not isinstance(text, str):
            return Unreachable(message="the model's endpoint sent no text")
        detail = {
            "model": str(getattr(found, "model", "") or self._model)[:100],
            "requestId": request,
            "tookMs": int((time.monotonic() - began) * 1000),
        }
        cut = getattr(first, "finish_reason", "") == "length"
        tokens, asked = _tokens(found, text, messages)
        return Said(text=text, tokens=tokens, asked=asked, detail=detail, cut=cut)


def _tokens(found: Any, text: str, messages: Sequence[Mapping[str, str]]) -> tuple[int, int]:
    """What the endpoint says it took, and how much of that was the question; or a guess: it must not be free."""
    usage = getattr(found, "usage", None)
    total, asked = _count(usage, "total_tokens"), _count(usage, "prompt_tokens")
    guess = sum(len(message["content"]) for message in messages) // 4
    if not total:
        return len(text) // 4 + guess + 1, guess
    return total, min(asked or guess, total)


def _count(usage: Any, name: str) -> int:
    found = getattr(usage, name, None)
    return found if isinstance(found, int) and 0 < found < 10**9 else 0


def _refused(error: openai.APIStatusError) -> Unreachable:
    """The endpoint's own words are left out: they may quote the key."""
    status = error.status_code
    if status == 429 and error.code == "insufficient_quota":
        return Unreachable(message="the model's account has no credit left (429)", retryable=False)
    retryable = status in {408, 409, 429} or status >= 500
    if status in {401, 403}:
        log.error("planner.key_refused", alert=True, status=status)
    after = whole(error.response.headers.get("Retry-After", ""))
    return Unreachable(
        message=f"the model's endpoint answered {status}", retryable=retryable, retry_after_ms=min(after or 0, 3_600) * 1000
    )


def _cause(error: Exception) -> str:
    """The kind of error that is behind the SDK's."""
    return type(error.__cause__ or error).__name__
