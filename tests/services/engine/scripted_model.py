"""A local endpoint that speaks as much of OpenAI's chat completions as the planner uses, and says what the test wrote."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.responses import Response

from shared.http import Json
from tests.services.engine.support import Receiver, Taken, receiving

KEY = "sk-secret-of-the-test"
TABLE: dict[str, Any] = {
    "steps": [
        {
            "name": "table",
            "tool": "reserve_table",
            "args": {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-01", "time": "19:00", "name": "@name"},
        }
    ],
    "summary": "Reserve a table for two.",
    "sources": [{"step": "table", "argument": "restaurant", "words": "Golden Wok"}],
}
QUESTION: dict[str, Any] = {"questions": [{"field": "people", "question": "How many are you?", "candidates": ["2", "4"]}]}

Turn: TypeAlias = Callable[[Taken], Awaitable[Response]]


def completion(text: Any, **more: Any) -> dict[str, Any]:
    """An answer as the wire has it; anything but text is written as JSON."""
    content = text if isinstance(text, str) or text is None else json.dumps(text)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "small-1",
        "choices": [choice],
        "usage": usage,
    }
    return whole | more


def says(text: Any, **more: Any) -> Turn:
    """It answers so."""

    async def turn(_: Taken) -> Response:
        return Json(completion(text, **more), headers={"x-request-id": "req_1"})

    return turn


def refuses(status: int, code: str = "", **headers: str) -> Turn:
    """It answers with an error, and quotes the key in it, as some do."""

    async def turn(_: Taken) -> Response:
        return Json({"error": {"message": f"no: {KEY}", "code": code}}, status_code=status, headers=headers)

    return turn


@dataclass
class Script:
    """What is said, call by call; the last turn is said for ever."""

    turns: list[Turn]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer(self, request: Taken) -> Response:
        """The next turn."""
        self.asked.append(json.loads(request.body or b"{}"))
        self.keys.append(request.headers.get("authorization", ""))
        return await self.turns[min(len(self.asked), len(self.turns)) - 1](request)


@asynccontextmanager
async def scripted(*turns: Turn) -> AsyncIterator[tuple[str, Script]]:
    """Its base URL, and what it was asked."""
    script = Script(list(turns))
    here: Receiver
    async with receiving(script.answer) as here:
        yield f"{here.url}/v1", script
