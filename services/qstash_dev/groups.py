"""URL groups: one publish, a message to each endpoint. What a change means, and what is published. Pure."""

from collections.abc import Callable, Sequence

import msgspec

from services.qstash_dev import publish
from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import Publish, with_facts
from shared.errors import BadRequest, NotFound

MAX_ENDPOINTS = 100


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one of a group's messages goes; a name is the caller's own and unique in its group."""

    url: str = ""
    name: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A URL group as it is stored. Times in unix ms."""

    created_at_ms: int
    updated_at_ms: int
    endpoints: list[Endpoint]
    headers: Pairs = msgspec.field(default_factory=list)
    """Options of every publish to the group, where the publish does not say otherwise."""


def is_group(destination: str) -> bool:
    """A destination that is a name and no URL."""
    return bool(publish.NAME.fullmatch(destination))


def missing(name: str) -> NotFound:
    """What every call about an unknown group is answered."""
    return NotFound(f"url group {name} not found")


def added(group: Group | None, endpoints: Sequence[Endpoint], now_ms: int) -> Group:
    """The group with these endpoints. One of the same name, or without a name of the same URL, is replaced in its place."""
    kept = list(group.endpoints if group else ())
    for endpoint in endpoints:
        publish.check_destination(endpoint.url)
        place = next((n for n, old in enumerate(kept) if _same(old, endpoint)), None)
        if place is None:
            kept.append(endpoint)
        else:
            kept[place] = endpoint
    if not kept:
        raise BadRequest("a url group needs at least one endpoint")
    if len(kept) > MAX_ENDPOINTS:
        raise BadRequest(f"quota maxEndpoints exceeded: a url group has at most {MAX_ENDPOINTS} endpoints")
    created_at_ms = group.created_at_ms if group else now_ms
    headers = group.headers if group else []
    return Group(created_at_ms=created_at_ms, updated_at_ms=now_ms, endpoints=kept, headers=headers)


def _same(old: Endpoint, new: Endpoint) -> bool:
    return old.name == new.name if old.name and new.name else old.url == new.url


def removed(name: str, group: Group | None, endpoints: Sequence[Endpoint], now_ms: int) -> Group | None:
    """The group without those of these names or URLs; None when nothing is left of it."""
    if group is None:
        raise missing(name)
    names, urls = {one.name for one in endpoints if one.name}, {one.url for one in endpoints if one.url and not one.name}
    if not names and not urls:
        raise BadRequest("endpoints: each needs a url or a name")
    kept = [one for one in group.endpoints if not (one.name in names or one.url in urls)]
    return msgspec.structs.replace(group, endpoints=kept, updated_at_ms=now_ms) if kept else None


def with_headers(name: str, group: Group | None, headers: Pairs, now_ms: int) -> Group:
    """The group with these default headers instead of its old ones."""
    if group is None:
        raise missing(name)
    publish.sort(headers)
    return msgspec.structs.replace(group, headers=headers, updated_at_ms=now_ms)


def publishes(name: str, group: Group, given: Pairs, body: bytes, caller: Callable[[], publish.Caller]) -> list[Publish]:
    """A message for each endpoint. An explicit deduplication id counts for each endpoint on its own."""
    said = {header.lower() for header, _ in given}
    options = [*given, *((header, value) for header, value in group.headers if header.lower() not in said)]
    found = []
    for endpoint in group.endpoints:
        one = with_facts(publish.parse(endpoint.url, options, body, caller()), group=name, endpoint=endpoint.name)
        dedup = f"{one.dedup}:{name}:{endpoint.url}" if one.dedup else ""
        found.append(msgspec.structs.replace(one, dedup=dedup))
    return found
