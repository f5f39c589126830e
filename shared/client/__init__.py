"""A client of ingress: async, typed by the very shapes that ingress answers with. Nothing is retried that could be done twice.

async with Client("http://127.0.0.1:3000", key="...") as client:
    begun = await client.execute(intent="Book a table for 2 at 7pm", user_id="test-user")
    ended = await client.executions.wait(begun.execution_id)
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.client.client import Client
    from shared.client.errors import ClientError, Refused, StillRunning, Unreachable
    from shared.client.messages import Sent
    from shared.client.transport import Patience

__all__ = ["Client", "ClientError", "Patience", "Refused", "Sent", "StillRunning", "Unreachable"]
_PLACES: Final = {
    "Client": "client",
    "ClientError": "errors",
    "Patience": "transport",
    "Refused": "errors",
    "Sent": "messages",
    "StillRunning": "errors",
    "Unreachable": "errors",
}


def __getattr__(name: str) -> Any:  # late: the command line takes a few pure modules, and starts behind every tab
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
