"""Ably as the engine needs it: keys, tokens that may do one thing only, names of channels, and publishing by REST.

A token is a JWT signed here with the key's secret, so that making one needs no call.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from shared.logs import get_logger
from shared.settings import Settings
from shared.signing import jwt

log = get_logger()

Capability: TypeAlias = Mapping[str, Sequence[str]]
"""Channel pattern -> operations."""

TOKEN_S: Final = 3_600
PUBLISH_S: Final = 0.5
"""How long an invocation waits for Ably: the execution never depends on it."""
MESH: Final = "mesh:resume"
"""The engine's own channel: only the engine's key may publish here."""
_KEY: Final = re.compile(r"([\w-]{1,40}\.[\w-]{1,40}):(\S{8,200})", re.ASCII)

_encode = msgspec.json.Encoder().encode


def tenant_channel(tenant: str) -> str:
    """Where those who own a tenant's waits publish."""
    return f"{MESH}:{tenant}"


def execution_channel(execution: str) -> str:
    """Where one execution's progress is told."""
    return f"execution:{execution}"


class ApiKey(msgspec.Struct, frozen=True):
    """An API key in Ably's form `appid.keyid:secret`."""

    name: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"ApiKey({self.name!r})"


def api_key(text: str) -> ApiKey:
    """The key that a setting gives; ValueError if it has not the form."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise ValueError("an Ably API key has the form appid.keyid:secret")
    return ApiKey(found[1], found[2])


def reader_token(key: ApiKey, execution: str, *, now_s: float, life_s: int = TOKEN_S) -> str:
    """A JWT with which its bearer may follow the progress of one execution, and do nothing else."""
    return token(key, {execution_channel(execution): ["subscribe", "history"]}, now_s=now_s, life_s=life_s)


def token(key: ApiKey, capability: Capability, *, now_s: float, life_s: int = TOKEN_S) -> str:
    """A JWT with which its bearer may do `capability` at most, and no more than the key."""
    claims = {"iat": int(now_s), "exp": int(now_s) + life_s, "x-ably-capability": _encode(capability).decode()}
    return jwt(claims, key.secret, kid=key.name)


def client_options(settings: Settings) -> dict[str, Any]:
    """How the official client reaches the server of the settings.

    With a port it needs the slash behind it: without one, half of the client dials another port (ably 3.1, issue 567).
    """
    if not settings.ably_url:
        return {}
    parts = urlsplit(settings.ably_url)
    port = f":{parts.port}/" if parts.port else ""
    return {"endpoint": f"{parts.hostname}{port}", "tls": parts.scheme == "https"}


def bearer(key: ApiKey, capability: Capability) -> Callable[[Any], Awaitable[str]]:
    """What the official client asks for a token (`auth_callback`), now and whenever one ends."""

    async def give(_: Any) -> str:
        return token(key, capability, now_s=time.time())

    return give


class Publisher:
    """Publishes with a token that may do `capability` only. One for a process; `close` gives its connections up."""

    def __init__(self, settings: Settings, key: ApiKey, capability: Capability, *, within_s: float) -> None:
        """`within_s`: how long one publish may take."""
        from ably import AblyRest  # type: ignore[import-untyped] # no py.typed; late: 6 MiB that who has no key needs not

        self._within_s = within_s
        self._rest = AblyRest(
            auth_callback=bearer(key, capability),
            http_open_timeout=within_s,
            http_request_timeout=within_s,
            **client_options(settings),
        )

    async def publish(self, channel: str, *, id: str, name: str, data: Any) -> str:  # noqa: A002 - as Ably calls it
        """Empty if Ably has the message; else why not. Raises nothing. The same id counts once within 2 minutes."""
        import httpx  # late: as in `__init__`
        from ably import AblyException
        from ably.types.message import Message  # type: ignore[import-untyped] # no py.typed

        message = Message(id=id, name=name, data=data)
        try:
            await asyncio.wait_for(self._rest.channels.get(channel).publish_message(message), self._within_s)
        except TimeoutError:
            return f"Ably did not answer within {self._within_s} s"
        except AblyException as error:
            return f"Ably answered {error.status_code}/{error.code}: {error.message}"
        except httpx.HTTPError as error:  # the client lets these through as they are
            return f"Ably is not reachable ({type(error).__name__})"
        except Exception as error:  # a socket that is cut while it opens comes out of httpcore as an AttributeError
            log.exception("ably.odd")
            return f"Ably could not be asked ({type(error).__name__})"
        finally:
            self._rest.channels.release(channel)  # the client would keep one for every execution that there ever was
        return ""

    async def close(self) -> None:
        """Give its connections up."""
        await self._rest.close()


def engine_publisher(settings: Settings) -> Publisher | None:
    """What the engine publishes with: its own channel, and the progress of executions; None without a key."""
    if not settings.ably_api_key:
        return None
    capability = {MESH: ["publish"], "execution:*": ["publish"]}
    return Publisher(settings, api_key(settings.ably_api_key), capability, within_s=PUBLISH_S)
