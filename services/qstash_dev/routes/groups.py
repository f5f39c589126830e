"""`/v2/topics`: URL groups, once called topics."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import groups, publish
from services.qstash_dev.deps import deps, user
from services.qstash_dev.groups import Endpoint, Group
from services.qstash_dev.headers import Pairs, grouped
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import on
from shared.http import Json, decode, read_body

MAX_BYTES = 1_048_576


class Endpoints(msgspec.Struct, frozen=True):
    """The body of adding and removing."""

    endpoints: list[Endpoint]


class Defaults(msgspec.Struct, frozen=True):
    """The body of a PATCH."""

    headers: dict[str, str | list[str]]


_endpoints = msgspec.json.Decoder(Endpoints | list[Endpoint])
_defaults = msgspec.json.Decoder(Defaults)
Change = Callable[[Group | None], Group | None]


async def add_endpoints(request: Request) -> Response:
    """Adds endpoints, or replaces those of the same name or URL; makes the group when it is missing."""
    wanted, now_ms = await _wanted(request), deps(request).now_ms()
    return await _change(request, lambda group: groups.added(group, wanted, now_ms))


async def remove_endpoints(request: Request) -> Response:
    """Removes endpoints; the group is gone with its last one."""
    wanted, name, now_ms = await _wanted(request), _name(request), deps(request).now_ms()
    return await _change(request, lambda group: groups.removed(name, group, wanted, now_ms))


async def patch_group(request: Request) -> Response:
    """Sets the default headers of publishes to the group."""
    given = decode(_defaults, await read_body(request, MAX_BYTES)).headers
    headers = [(name, one) for name, value in given.items() for one in ([value] if isinstance(value, str) else value)]
    name, now_ms = _name(request), deps(request).now_ms()
    return await _change(request, lambda group: groups.with_headers(name, group, headers, now_ms))


async def delete_group(request: Request) -> Response:
    """Deletes a group; 200 also when there is none."""
    return await _change(request, lambda _: None)


async def get_group(request: Request) -> Response:
    """One group, or 404."""
    name = _name(request)
    found = await deps(request).store.groups.get(user(request).keys, name)
    if found is None:
        raise groups.missing(name)
    return Json(_view(name, found))


async def list_groups(request: Request) -> Response:
    """Every group, by name."""
    found = await deps(request).store.groups.all(user(request).keys)
    return Json([_view(name, found[name]) for name in sorted(found)])


async def _wanted(request: Request) -> list[Endpoint]:
    body = decode(_endpoints, await read_body(request, MAX_BYTES))
    return body.endpoints if isinstance(body, Endpoints) else body


async def _change(request: Request, change: Change) -> Response:
    await deps(request).store.groups.change(user(request).keys, _name(request), change)
    return Json({})


def _name(request: Request) -> str:
    return publish.check_name(request.path_params["name"], "url group")


def _view(name: str, group: Group) -> dict[str, Any]:
    headers: Pairs = group.headers
    return {
        "name": name,
        "createdAt": group.created_at_ms,
        "updatedAt": group.updated_at_ms,
        "endpoints": [{"url": one.url} | ({"name": one.name} if one.name else {}) for one in group.endpoints],
        **({"headers": grouped(headers)} if headers else {}),
    }


ROUTES = [
    on("GET", "/v2/topics", list_groups, list[shapes.UrlGroup]),
    on("GET", "/v2/topics/{name}", get_group, shapes.UrlGroup, errors=[404]),
    on("PATCH", "/v2/topics/{name}", patch_group, shapes.Done, takes=Defaults, errors=[404]),
    on("DELETE", "/v2/topics/{name}", delete_group, shapes.Done),
    on("POST", "/v2/topics/{name}/endpoints", add_endpoints, shapes.Done, takes=Endpoints | list[Endpoint]),
    on("DELETE", "/v2/topics/{name}/endpoints", remove_endpoints, shapes.Done, takes=Endpoints | list[Endpoint], errors=[404]),
]
