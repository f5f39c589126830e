"""The services in one process, called from any address over ASGI; their neighbours are not there."""

import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
from starlette.applications import Starlette

from services.ingress.main import create as create_ingress
from services.resume.main import create as create_resume
from services.step_executor.main import create as create_executor
from shared import signing
from shared.settings import DEV_CURRENT_KEY, LOCAL_INTERNAL_KEY, Settings
from tests.support import conforming
from tests.support.valkey import Valkey, free_port

KEY = "key-of-acme-0123456789"
NOBODY = "exe_0a_" + "f" * 32
EXECUTOR, RESUME = "http://executor.example:3001", "http://resume.example:3002"


def create_qstash_dev(settings: Settings) -> Starlette:
    """The stand-in, imported by the tests that call it only."""
    from services.qstash_dev.app import build_app
    from services.qstash_dev.main import running

    return build_app(lambda: running(settings))


SERVICES: dict[str, Callable[[Settings], Starlette]] = {
    "ingress": create_ingress,
    "step_executor": create_executor,
    "resume": create_resume,
    "qstash_dev": create_qstash_dev,
}
PROBES = {
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/api/health/invariant",
    "/api/health/mesh",
    "/api/health/watchdog",
}
"""What anybody may ask: whether a service is there, and what it takes."""


class Site:
    """The applications of the services in this process, called from any address."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._apps: dict[str, Starlette] = {}

    async def app(self, name: str) -> Starlette:
        """A service, started when it is first asked for."""
        if name not in self._apps:
            app = SERVICES[name](self.settings)
            await self._stack.enter_async_context(app.router.lifespan_context(app))
            self._apps[name] = app
        return self._apps[name]

    async def call(self, name: str, method: str, path: str, *, address: str = "127.0.0.1", **more: Any) -> httpx.Response:
        """One request."""
        transport = httpx.ASGITransport(await self.app(name), raise_app_exceptions=False, client=(address, 5_000))
        base = {"step_executor": EXECUTOR, "resume": RESUME}.get(name, f"http://{name}")
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            answer = await client.request(method, path, **more)
        if name in conforming.SERVICES:
            conforming.check(name, answer)
        return answer

    async def signed(self, name: str, path: str, body: Any, *, internal: bool = False, prefer: str = "") -> httpx.Response:
        """A POST that QStash signed, or one of our services."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = (EXECUTOR if name == "step_executor" else RESUME) + path
        issuer, key = ("intention", LOCAL_INTERNAL_KEY) if internal else ("Upstash", DEV_CURRENT_KEY)
        token = signing.sign_call(issuer=issuer, url=url, body=raw, key=key, now=time.time(), jti="jwt_1")
        header = "Intention-Signature" if internal else "Upstash-Signature"
        return await self.call(name, "POST", path, content=raw, headers={header: token, "Prefer": prefer})

    async def execution(self, tenant_key: str = KEY) -> str:
        """A new execution of the key's tenant."""
        body = {"plan": {"steps": [{"name": "a", "tool": "do_work", "args": {"label": "x"}, "retry": {"attempts": 1}}]}}
        answer = await self.call(
            "ingress", "POST", "/api/execute", json=body, headers={"Authorization": f"Bearer {tenant_key}"}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def variables(valkey: Valkey) -> dict[str, str]:
    """Local mode with two tenants, and neighbours that are not there."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    return {
        "REDIS_URL": valkey.url,
        "API_KEYS": f"acme:{KEY},other:key-of-other-0123456789",
        "QSTASH_URL": nowhere,
        "TOWN_URL": nowhere,
        "ABLY_URL": nowhere,
        "EXECUTOR_URL": EXECUTOR,
        "RESUME_URL": RESUME,
        "SWEEP_MS": "60000",
    }
