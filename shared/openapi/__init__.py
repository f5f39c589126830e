"""The HTTP APIs told to machines: every route says what it takes and gives, and `/openapi.json` is made from the routes."""

import importlib
from typing import Final

SERVICES: Final = ("ingress", "step_executor", "resume", "qstash_dev")


def document(service: str) -> bytes:
    """The OpenAPI 3.1 document of one of `SERVICES`, as JSON; nothing is started for it. KeyError for another name."""
    if service not in SERVICES:
        raise KeyError(f"{service!r} has no OpenAPI document: {', '.join(SERVICES)}")
    import msgspec  # late, like what follows: a route's declaration needs none of this

    from shared.openapi.build import of

    app = importlib.import_module(f"services.{service}.app")
    return msgspec.json.encode(of(app.ROUTES, app.API))
