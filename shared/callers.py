"""Who calls a public endpoint: an API key names a tenant; in local mode a trusted address needs none."""

import hmac
import ipaddress
from functools import lru_cache

from starlette.requests import Request

from shared.errors import Unauthorized
from shared.settings import Settings

LOCAL_TENANT = "local"


def tenants(settings: Settings) -> frozenset[str]:
    """Every tenant that a key names, and in local mode the one that needs none."""
    named = {pair.strip().partition(":")[0] for pair in settings.api_keys.split(",") if pair}
    return frozenset(named | ({LOCAL_TENANT} if settings.local else set()))


class Callers:
    """Decides from settings; knows nothing of routes."""

    def __init__(self, settings: Settings) -> None:
        """Reads API_KEYS and TRUSTED_CALLERS once."""
        pairs = (pair.strip().partition(":") for pair in settings.api_keys.split(",") if pair)
        self._keys = [(key, tenant) for tenant, _, key in pairs]
        self._networks = [ipaddress.ip_network(text.strip()) for text in settings.trusted_callers.split(",")]
        self._local = settings.local
        self._is_near = lru_cache(maxsize=1_024)(self._among)

    def tenant(self, request: Request) -> str:
        """The caller's tenant; Unauthorized without a valid key. Every key is compared, in constant time."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if given:
            matches = [tenant for key, tenant in self._keys if hmac.compare_digest(key.encode(), given.strip().encode())]
            if kind.lower() == "bearer" and matches:
                return matches[0]
            raise Unauthorized("this API key is not known: check the Authorization: Bearer header")
        if self.trusted(request):
            _check_page(request)
            return LOCAL_TENANT
        raise Unauthorized("send an API key: Authorization: Bearer <key> (setting API_KEYS)")

    def trusted(self, request: Request) -> bool:
        """Whether it needs no key: local mode, and an address of TRUSTED_CALLERS."""
        return self._local and self._trusted(request)

    def _trusted(self, request: Request) -> bool:
        # The socket's address only: a forwarded header can be written by anybody.
        return self._is_near(request.client.host if request.client else "")

    def _among(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _check_page(request: Request) -> None:
    """Unauthorized for a change that a page of another site asks for: the browser on a trusted machine has its address.

    A form needs no leave for it, only what is JSON does. Browsers say where a request comes from, and pages cannot change that.
    """
    if request.method not in {"GET", "HEAD"} and _foreign(request):
        raise Unauthorized("a page of another site asks for this: without an API key only this site's own pages may")


def _foreign(request: Request) -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:  # also behind a proxy that changes the Host
        return site not in {"same-origin", "none"}
    return origin is not None and origin.partition("://")[2] != request.headers.get("Host")
