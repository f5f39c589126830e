"""A tool that logs: for `TOOLS=tests.tools.talkative`."""

from typing import Any

from shared.machine.plan import Retry
from shared.tools.declare import Means, tool
from shared.tools.registry import Call, ToolRefused


async def unsay(call: Call) -> Any:
    """Take it back."""
    call.log("taken back", key=call.key)


@tool(effect="idempotent", undo=unsay, secrets=("CRM_TOKEN",), retry=Retry(attempts=2, base_ms=10))
async def say(call: Call, means: Means, *, how: str = "quietly", times: int = 1) -> Any:
    """Say something on the way."""
    token = means.secret("CRM_TOKEN")
    match how:
        case "well":
            call.log("asked the CRM", status=200, sent=[f"Bearer {token}"], password="of-somebody-else")
        case "often":
            for number in range(times):
                call.log(f"line {number}")
        case "at length":
            call.log("long", text="x" * 10_000)
            call.log("longer", text="x" * 10_000)
        case "oddly":
            call.log("odd", level="warning", kind=object, whole=2**70)
            call.log(f"https://ann:pw-of-a-url@crm.example/?token={token}")
        case "at the second go":
            call.log("trying", nth=call.attempt)
            if call.attempt == 1:
                raise ToolRefused("not_yet", "not yet", retryable=True)
        case "in vain":
            call.log("it will not do")
            raise ToolRefused("no", "no")
    return {"how": how}
