"""How the console's files are served: whole, guarded, and by name only. No browser needed."""

import re

import httpx
import pytest

from services.ingress import site
from services.ingress.app import build_app

JAVASCRIPT = {name: file.body.decode() for name, file in site.FILES.items() if name.endswith(".js")}


@pytest.fixture
def client() -> httpx.AsyncClient:
    """Of ingress without anything behind it: the console's files need nothing."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app()), base_url="http://ingress")


@pytest.mark.parametrize("name", sorted(site.FILES))
async def test_every_file_is_served_with_its_type_and_the_policy(client: httpx.AsyncClient, name: str) -> None:
    """Nothing is sniffed, framed, or told to others."""
    answer = await client.get(f"/console/{name}")
    assert answer.status_code == 200
    assert answer.content == site.FILES[name].body
    assert answer.headers["content-type"] == site.FILES[name].kind
    assert answer.headers["content-security-policy"] == site.POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_file_that_is_known_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """304 for its tag, also among others; a new one is asked for every time."""
    first = await client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = await client.get("/", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize("path", ["nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "pages/", ""])
async def test_no_other_path_leads_to_a_file(client: httpx.AsyncClient, path: str) -> None:
    """They are looked up by name among what was read at the start."""
    answer = await client.get(f"/console/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_nothing_that_is_shown_can_become_markup() -> None:
    """Text is a text node everywhere; no module knows another way. Nothing is inline that the policy would refuse."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
        r"|\beval\(|new Function|setAttribute\(\"style\""
    )
    assert {name: found for name, text in JAVASCRIPT.items() if (found := re.findall(forbidden, text))} == {}
    page = site.FILES["index.html"].body.decode()
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_nothing_comes_from_elsewhere_and_every_address_is_relative() -> None:
    """The console works without the network, and behind a path prefix."""
    for name, file in site.FILES.items():
        text = file.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|(?:href|src)=\"/|[\"'`]/(?:api|console)/", text), name


def test_every_module_that_is_imported_is_there() -> None:
    """A wrong name would only show when its page is opened."""
    for name, text in JAVASCRIPT.items():
        folder = name.rpartition("/")[0]
        for target in re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", text):
            assert httpx.URL(f"http://x/{folder}/").join(target).path.lstrip("/") in site.FILES, f"{name} imports {target}"
