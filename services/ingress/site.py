"""The console: static ES modules at `/`, which know nothing of this service but its public HTTP API.

Every file is read once, at the start. A request is looked up by name among them, so no path leads anywhere else. Nothing here
asks who calls: the files hold no data, and what they show comes through the API with the caller's own key.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = Path(__file__).parent / "console"
KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, and no text that becomes markup: the browser itself refuses `innerHTML`."""
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for each time and mostly answered with 304: after an upgrade nobody mixes old modules with new ones.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class File:
    """One file as it is sent."""

    body: bytes
    kind: str
    etag: str


def read(folder: Path = FOLDER) -> dict[str, File]:
    """Every file of the console by its path below the folder."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in KINDS)
    return {path.relative_to(folder).as_posix(): _file(path) for path in found}


def _file(path: Path) -> File:
    return _of(path.read_bytes(), path.suffix)


def _of(body: bytes, suffix: str) -> File:
    return File(body, KINDS[suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


FILES: Final = read()


BREAKABLE: Final = _of(FILES["index.html"].body.replace(b"<html ", b"<html data-breakable ", 1), ".html")
"""The page where the system may be broken on purpose (`services/ingress/local.py`): so it need not ask, and be told a 404."""


async def page(request: Request) -> Response:
    """The one page. Its routes stand behind the `#`, so that no server need know them."""
    return _sent(request, FILES["index.html"])


async def breakable_page(request: Request) -> Response:
    """The same, saying that there is `/api/local`."""
    return _sent(request, BREAKABLE)


async def asset(request: Request) -> Response:
    """A module, the style sheet or the icon."""
    found = FILES.get(request.path_params["path"])
    if found is None:
        raise HTTPException(404)
    return _sent(request, found)


def _sent(request: Request, file: File) -> Response:
    headers = HEADERS | {"ETag": file.etag}
    known = (tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(","))
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.kind, headers=headers)


ROUTES: Final = [
    Route("/", page, methods=["GET"]),
    Route("/console/{path:path}", asset, methods=["GET"]),
]
