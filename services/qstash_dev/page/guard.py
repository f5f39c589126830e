"""Who may look, and who may press a button.

To look: with the token, or from this machine. "From this machine" is a loopback peer that asks for a loopback name: a page of
another site whose name was pointed at 127.0.0.1 asks for its own, and a proxy says that it is one. To press: a word that only
this page knows, and no sign that another site's page sent it.
"""

import hashlib
import hmac
import ipaddress
import secrets
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from services.qstash_dev.deps import deps, query_pairs, user
from services.qstash_dev.users import User
from shared.errors import IntentionError, Unauthorized
from shared.http import read_body

MAX_FORM_BYTES = 16_384
PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_SECRET = secrets.token_bytes(32)


class Forbidden(IntentionError):
    """Not from this page."""

    status = 403
    code = "forbidden"


class Viewer(NamedTuple):
    """Who looks at the page."""

    user: User
    token: str
    """What links must carry on: the token of the address, if it came by that."""
    word: str
    """What every form of this page sends along."""


def viewer(request: Request) -> Viewer:
    """Who looks; Unauthorized when nobody may."""
    token = next((value for name, value in query_pairs(request) if name == "qstash_token"), "")
    if token or request.headers.get("authorization"):
        found = user(request)
    elif is_local(request):
        found = deps(request).users[0]
    else:
        raise Unauthorized("this page is for callers on this machine; from elsewhere add ?qstash_token=<QSTASH_TOKEN>")
    return Viewer(found, token, hmac.new(_SECRET, found.token.encode(), hashlib.sha256).hexdigest())


def is_local(request: Request) -> bool:
    """A loopback peer, no proxy, and a loopback name in the address bar."""
    if any(name in request.headers for name in PROXIED):
        return False
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return bool(request.client) and _is_loopback(request.client.host if request.client else "") and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def pressed(request: Request) -> Viewer:
    """Who pressed a button of this page; Forbidden when another site's page did."""
    found = viewer(request)
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc != request.headers.get("host")):
        raise Forbidden("this was sent by a page of another site")
    form = dict(parse_qsl((await read_body(request, MAX_FORM_BYTES)).decode("latin-1")))
    if not hmac.compare_digest(form.get("word", "").encode(), found.word.encode()):
        raise Forbidden("this form is not of this page, or the server was started again since: load the page again")
    return found
