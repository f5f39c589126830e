"""URLs are read in one way or not at all; rules open hosts to tenants."""

# ruff: noqa: E501, RUF001 - addresses and names as those write them who mean others

import contextlib
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tools.target import BadUrl, Target, read, rules


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com/v1?q=1", ("https", "api.example.com", 443, "/v1?q=1")),
        ("HTTPS://API.Example.COM", ("https", "api.example.com", 443, "/")),
        ("http://example.com:8080?q", ("http", "example.com", 8080, "/?q")),
        ("https://example.com./x", ("https", "example.com", 443, "/x")),
        ("https://93.184.215.14/", ("https", "93.184.215.14", 443, "/")),
        ("https://[2606:4700:4700:0::1111]:8443/", ("https", "2606:4700:4700::1111", 8443, "/")),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443, "/")),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443, "/")),
        ("https://ｅｘａｍｐｌｅ.com/", ("https", "example.com", 443, "/")),
    ],
)
def test_a_plain_url_is_read(url: str, expected: tuple[str, str, int, str]) -> None:
    """In lower case, with its port."""
    found = read(url)

    assert (found.scheme, found.host, found.port, found.path) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "javascript:1",
        "https:///x", "https://", "https:example.com", "https:/example.com", "https://user@example.com", "https://a:b@example.com",
        "https://example.com@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://example.com\\.evil.com/",
        "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0x7f.1/",
        "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.01/", "https://127.0.0.1../", "https://0/", "https://0x/",
        "https://1.2.3.4.5/", "https://256.1.1.1/", "https://example.0x7f/", "https://a.1/", "https://１２７.1/",
        "https://[::1", "https://::1/", "https://[::1]x/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::g]/",
        "https://[127.0.0.1]/", "https://example.com:/", "https://example.com:0/", "https://example.com:65536/",
        "https://example.com:http/", "https://example.com:443:80/", "https://exa mple.com/", "https://example.com/a b",
        "https://example.com/\r\nHost: x", "https://exam\tple.com/", "https://example.com/\x00", "https://example.com/ü",
        "https://example.com/#x", "https://example.com#@127.0.0.1/", "https://.example.com/", "https://example..com/",
        "https://-example.com/", "https://exa%6dple.com/", "https://127.0.0.1%00.example.com/", f"https://{'a' * 64}.com/",
        f"https://example.com/{'a' * 5000}", " https://example.com/", "https://ex⁄ample.com/", "https://a。。b/",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_not_read(url: str) -> None:
    """Numbers that are addresses in disguise, users, backslashes, zones, line ends."""
    with pytest.raises(BadUrl):
        read(url)


@pytest.mark.parametrize(
    "url", ["https://127。0。0。1/", "https://①②⑦.0.0.1/", "https://127.0.0.1./", "https://１２７.０.０.１/"]
)
def test_a_disguise_that_means_an_address_becomes_that_address(url: str) -> None:
    """It is then checked as one."""
    assert read(url).host == "127.0.0.1"


def test_the_host_header_is_the_name_as_it_was_asked_for() -> None:
    """Brackets around IPv6, a port only if it is unusual."""
    assert read("https://[2606::1]/").host_header == "[2606::1]"
    assert read("http://example.com:8080/").host_header == "example.com:8080"
    assert read("http://example.com:80/").host_header == "example.com"


RULES = rules("acme=api.example.com, acme=*.acme.example, *=open.example:8443, rich=*")


@pytest.mark.parametrize(
    ("tenant", "url", "may"),
    [
        ("acme", "https://api.example.com/x", True),
        ("acme", "http://api.example.com/x", True),
        ("acme", "https://api.example.com:8443/x", False),
        ("acme", "https://xapi.example.com/", False),
        ("acme", "https://api.example.com.evil.example/", False),
        ("acme", "https://a.b.acme.example/", True),
        ("acme", "https://acme.example/", False),
        ("acme", "https://notacme.example/", False),
        ("other", "https://api.example.com/x", False),
        ("other", "https://open.example:8443/", True),
        ("other", "https://open.example/", False),
        ("rich", "https://anything.example/", True),
        ("rich", "https://anything.example:22/", False),
        ("", "https://api.example.com/", False),
    ],
)
def test_a_rule_opens_a_host_to_a_tenant(tenant: str, url: str, may: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The whole host, or all below it; ports beside 80 and 443 by name only."""
    assert any(rule.permits(tenant, read(url)) for rule in RULES) is may


@pytest.mark.parametrize(
    "text", ["api.example.com", "acme=", "acme=a b", "Acme=x.example", "acme=http://x", "a=*x.y", "a=127.1"]
)
def test_a_rule_that_cannot_be_read_is_said(text: str) -> None:
    """With how one is written, or what is wrong with its host."""
    with pytest.raises(ValueError, match=r"is no rule; write tenant=host|its host"):
        rules(text)


def test_no_rule_opens_nothing() -> None:
    """An empty setting."""
    assert rules("") == ()
    assert isinstance(read("https://example.com/"), Target)


_PIECES = ["http", "https", "HTTP", ":", "//", "/", "\\", "@", "#", "?", "[", "]", "%", ".", "..", "example", "com", "127.0.0.1",
           "::1", "0x7f", "80", "443", "a", "-", "_", " ", "\t", "\r\n", "ü", "%00", "1", ";", "&", "=", "localhost"]  # fmt: skip


@given(
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join) | st.text(max_size=30),
    st.sampled_from(["", "https://", "http://"]),
)
def test_what_is_read_is_read_alike_by_others_and_again(text: str, scheme: str) -> None:
    """Two other readers see the same host and port; nothing but BadUrl is raised; what was read reads as itself."""
    with contextlib.suppress(BadUrl):
        found = read(scheme + text)

        assert read(f"{found.scheme}://{found.host_header}{found.path}") == found
        for host, port in ((urlsplit(scheme + text).hostname, urlsplit(scheme + text).port), _by_httpx(scheme + text)):
            plain = (host or "").rstrip(".")
            assert plain == found.host or not plain.isascii() or ":" in plain
            assert port in {None, found.port}


def _by_httpx(url: str) -> tuple[str, int | None]:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:  # it is stricter here
        return read(url).host, None
    return parts.raw_host.decode(), parts.port
