"""The page asks the server's own API, in this process: it shows what clients get, and knows nothing of Redis."""

import re
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.types import Message

from services.qstash_dev.faults.edge import INSIDE
from services.qstash_dev.page.guard import Viewer


class Told(NamedTuple):
    """What the API answered."""

    status: int
    body: Any

    @property
    def fine(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """Its error text, empty when there is none."""
        return "" if self.fine else str(self.body.get("error", "")) if isinstance(self.body, dict) else f"status {self.status}"


async def ask(request: Request, viewer: Viewer, path: str, *, method: str = "GET", **query: str) -> Told:
    """One call of the API as the viewer."""
    scope = {
        "type": "http",
        "asgi": request.scope["asgi"],
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(b"authorization", b"Bearer " + viewer.user.token.encode())],
        "client": request.scope.get("client"),
        "server": request.scope.get("server"),
        INSIDE: True,
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await request.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Told(sent[0]["status"], msgspec.json.decode(body) if body else None)


def is_id(text: str) -> bool:
    """Whether this may be part of an API path as it stands."""
    return bool(re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", text))
