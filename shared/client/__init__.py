"""A client of ingress: async, typed by the very shapes that ingress answers with. Nothing is retried that could be done twice.

async with Client("http://127.0.0.1:3000", key="...") as client:
    begun = await client.execute(intent="Book a table for 2 at 7pm", user_id="test-user")
    ended = await client.executions.wait(begun.execution_id)
"""

from shared.client.client import Client
from shared.client.errors import ClientError, Refused, StillRunning, Unreachable
from shared.client.sse import Sent
from shared.client.transport import Patience

__all__ = ["Client", "ClientError", "Patience", "Refused", "Sent", "StillRunning", "Unreachable"]
