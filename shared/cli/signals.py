"""`intention signal --via ably`: the same event, published as a tenant's own program would."""

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.callers import LOCAL_TENANT
from shared.cli.api import Failed
from shared.errors import IntentionError
from shared.publisher import TenantPublisher
from shared.settings import DEV_ABLY_KEY


def ably_of(environ: Mapping[str, str]) -> tuple[str, str]:
    """The key to publish with, and the server: the settings' own, or ably_dev beside `make run`."""
    key, url = environ.get("ABLY_API_KEY", ""), environ.get("ABLY_URL", "")
    if not key and environ.get("INTENTION_MODE", "local") == "local":
        key = DEV_ABLY_KEY
        url = url or f"http://127.0.0.1:{environ.get('ABLY_DEV_PORT') or 8090}"
    if not key:
        raise Failed("there is no key to publish with: set ABLY_API_KEY (appid.keyid:secret)")
    return key, url


def tenant_of(environ: Mapping[str, str], key: str | None) -> str:
    """Whose channel: that of the API key in use, or the local one."""
    pairs = [pair.strip().partition(":") for pair in environ.get("API_KEYS", "").split(",") if pair.strip()]
    used = key or environ.get("INTENTION_KEY", "")
    named = [tenant for tenant, _, secret in pairs if not used or secret == used]
    if used and not named:
        raise Failed("which tenant this API key is of is not known here: give --tenant")
    return named[0] if named else LOCAL_TENANT


def publish(environ: Mapping[str, str], tenant: str, name: str, *, execution: str, data: Any, id: str) -> str:  # noqa: A002
    """The message's id; Failed with what to do."""

    async def sent() -> str:
        key, url = ably_of(environ)
        async with TenantPublisher(key, tenant, url=url) as publisher:
            return await publisher.send_event(name, execution=execution, data=data, id=id)

    try:
        return asyncio.run(sent())
    except ValueError as error:
        raise Failed(f"ABLY_API_KEY: {error}") from error
    except IntentionError as error:
        raise Failed(f"{error.message} [{error.error_code}]") from error
