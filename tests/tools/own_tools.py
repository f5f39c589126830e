"""Tools as somebody else would write them: for `TOOLS=tests.tools.own_tools`."""

from typing import Annotated, Any

import msgspec

from shared.tools.declare import Means, tool
from shared.tools.registry import Call, ToolRefused

Few = Annotated[int, msgspec.Meta(ge=1, le=5)]
BOUGHT: dict[str, int] = {}


async def give_back(call: Call) -> Any:
    """Take a purchase back."""
    BOUGHT.pop(call.key, None)
    return {"given_back": call.key}


@tool(effect="idempotent", undo=give_back, timeout_ms=2_000)
async def buy_bread(call: Call, *, loaves: Few = 1) -> Any:
    """Buy bread."""
    BOUGHT.setdefault(call.key, loaves)
    return {"loaves": BOUGHT[call.key], "version": 1}


@tool(effect="idempotent", version="2", name="buy_bread", undo=give_back)
async def buy_bread_and_butter(call: Call, *, loaves: Few = 1, butter: bool = False) -> Any:
    """Buy bread, and butter if it is wanted."""
    BOUGHT.setdefault(call.key, loaves)
    return {"loaves": BOUGHT[call.key], "butter": butter, "version": 2}


@tool(effect="unsafe", secrets=("CRM_TOKEN",))
async def tell_secret(_: Call, means: Means, *, how: str) -> Any:
    """Say the secret in every way there is, as a careless partner would."""
    token = means.secret("CRM_TOKEN")
    if how == "refuses":
        raise ToolRefused(f"no_{token}", f"the token {token} is not known", retryable=True, retry_after_ms=5)
    if how == "breaks":
        raise RuntimeError(f"Authorization: Bearer {token}")
    if how == "asks for another":
        means.secret("OTHER_TOKEN")
    return {"you sent": [f"Bearer {token}"], str(token): 1}
