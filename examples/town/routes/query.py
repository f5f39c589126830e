"""Query parameters that more than one list takes."""

from typing import Final

from starlette.requests import Request

from shared.errors import BadRequest

MOST: Final = 10_000


def limit_of(request: Request, default: int) -> int:
    """`limit`: how many rows at most, 1 to 10,000."""
    return whole(request, "limit", default, MOST)


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`, or 400."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise BadRequest(f"{name}: {text!r} is not a whole number from 1 to {most}", at=name)
    return int(text)
