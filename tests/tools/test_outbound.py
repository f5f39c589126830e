"""The way out leads out: over real sockets, with name servers that lie, redirects to the inside, bodies without an end."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.tools.outbound import Outbound, Resolver
from shared.tools.registry import Call, ToolNotSent, ToolRefused, ToolUnanswered
from shared.tools.target import rules
from tests.support.valkey import free_port
from tests.tools.partner import Partner, hangs_up, never_answers, never_stops, partner, says, trickles

CALL = Call(key="k", attempt=1, deadline_s=5, tenant="acme")
OPEN = rules("acme=*")


@pytest.fixture
async def there() -> AsyncIterator[Partner]:
    """A partner on loopback."""
    async with partner() as found:
        yield found


def names(**addresses: list[str]) -> Resolver:
    """A name server that knows these; `_` stands for a dot."""

    async def answer(host: str, _: int) -> list[str]:
        if (found := addresses.get(host.replace(".", "_"))) is None:
            raise OSError("no such name")
        return found

    return answer


async def refused(outbound: Outbound, url: str, **more: Any) -> str:
    """The code with which it is refused."""
    with pytest.raises(ToolRefused) as found:
        await outbound.request(CALL, "GET", url, **more)
    assert not found.value.retryable
    return found.value.code


async def test_a_request_gets_there_and_its_answer_back(there: Partner) -> None:
    """Method, path, headers, body; the name is what the other side is called by."""
    there.script = says(201, {"id": 7}, X_Kind="new")
    outbound = Outbound(loopback=True, resolver=names(partner_example=["127.0.0.1"]))
    url = f"http://partner.example:{there.port}/things?q=%20"

    answer = await outbound.request(CALL, "POST", url, headers={"X-Key": "k"}, body=b"{}", configured=True)

    assert (answer.status, answer.body, answer.headers["x-kind"], answer.truncated) == (201, b'{"id":7}', "new", False)
    [asked] = there.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/things?q=%20", b"{}")
    assert asked.headers["host"] == f"partner.example:{there.port}"
    assert asked.headers["x-key"] == "k"
    await outbound.aclose()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]",
     "10.0.0.1", "100.64.0.1", "0.0.0.1", "[::]", "127.0.0.1.", "①②⑦.0.0.1", "168.63.129.16", "224.0.0.1"],
)  # fmt: skip
async def test_an_address_inside_is_refused_however_it_is_written(host: str) -> None:
    """Also to a tenant that may go anywhere, and for a host of the configuration."""
    outbound = Outbound(OPEN)

    assert await refused(outbound, f"http://{host}/") == "address_not_allowed"
    assert await refused(outbound, f"http://{host}:9/", configured=True) == "address_not_allowed"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "user@example.com", "exa mple"])
async def test_a_url_in_disguise_is_refused_unread(host: str) -> None:
    """No name server is asked."""
    assert await refused(Outbound(OPEN, resolver=names()), f"http://{host}/") == "bad_url"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["10.1.2.3", "8.8.8.8"], ["::ffff:127.0.0.1"], ["fe80::1%lo"], ["?"]]
)
async def test_a_name_that_leads_inside_is_refused_whole(addresses: list[str]) -> None:
    """One bad address among good ones is a trap; where it leads is told to the log, not to the caller."""
    outbound = Outbound(OPEN, resolver=names(trap_example=addresses))

    with pytest.raises(ToolRefused) as found:
        await outbound.request(CALL, "GET", "http://trap.example/")

    assert found.value.code == "address_not_allowed"
    assert not any(address in str(found.value) for address in addresses if address != "?")


async def test_localhost_by_the_systems_own_name_server_is_refused(there: Partner) -> None:
    """The real resolver, a real listener."""
    assert await refused(Outbound(OPEN), f"http://localhost:{there.port}/", configured=True) == "address_not_allowed"
    assert there.connections == 0


async def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_called(there: Partner) -> None:
    """A name server that says one thing first and another the second time is never asked a second time."""
    asked = 0

    async def rebinding(_: str, __: int) -> list[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.2"] if asked == 1 else ["127.0.0.1"]

    outbound = Outbound(loopback=True, resolver=rebinding)
    with pytest.raises(ToolNotSent):  # nobody listens at the address that was checked
        await outbound.request(CALL, "GET", f"http://rebind.example:{there.port}/", configured=True)

    assert (asked, there.connections) == (1, 0)


async def test_the_way_to_this_machine_opens_nothing_else(there: Partner) -> None:
    """With it, loopback as itself is reached; metadata, private networks and loopback in disguise are not."""
    outbound = Outbound(OPEN, loopback=True)
    await outbound.request(CALL, "GET", there.url, configured=True)

    for host in ("169.254.169.254", "10.0.0.1", "192.168.1.1", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "0.0.0.0"):  # noqa: S104
        assert await refused(outbound, f"http://{host}:{there.port}/", configured=True) == "address_not_allowed"
    assert there.connections == 1


async def test_a_redirect_to_the_inside_is_an_answer_and_not_followed(there: Partner) -> None:
    """Nobody goes there."""
    async with partner() as inside:
        there.script = says(302, None, Location=inside.url)
        answer = await Outbound(loopback=True).request(CALL, "GET", there.url, configured=True)

    assert (answer.status, answer.headers["location"], inside.connections) == (302, inside.url, 0)


async def test_a_plan_goes_only_where_the_tenant_may(there: Partner) -> None:
    """Without a rule nothing is open; a port must be named."""
    named = Outbound(rules(f"acme=127.0.0.1:{there.port}"), loopback=True)
    assert (await named.request(CALL, "GET", there.url)).status == 200

    other = Call(key="k", attempt=1, deadline_s=5, tenant="other")
    with pytest.raises(ToolRefused, match="OUTBOUND_ALLOW"):
        await named.request(other, "GET", there.url)
    assert await refused(Outbound(loopback=True), there.url) == "host_not_allowed"
    assert await refused(Outbound(OPEN, loopback=True), there.url) == "host_not_allowed"
    assert there.connections == 1


async def test_a_body_without_an_end_is_read_up_to_a_size(there: Partner) -> None:
    """And the connection is closed."""
    there.script = never_stops
    answer = await Outbound(loopback=True).request(CALL, "GET", there.url, configured=True, max_bytes=100_000)

    assert (len(answer.body), answer.truncated) == (100_000, True)


@pytest.mark.parametrize("script", [trickles, never_answers, hangs_up], ids=["trickles", "silence", "hangs up"])
async def test_what_left_and_was_not_answered_is_open(there: Partner, script: Any) -> None:
    """A slow body is cut off by the deadline; whether it was done is not known."""
    there.script = script
    call = Call(key="k", attempt=1, deadline_s=0.3)

    with pytest.raises(ToolUnanswered):
        await Outbound(loopback=True).request(call, "POST", there.url, configured=True)
    assert len(there.asked) == 1


async def test_what_nobody_took_was_not_sent() -> None:
    """Connection refused, a name that there is not, a name server that does not answer."""

    async def silent(_: str, __: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def unknown(_: str, __: int) -> list[str]:
        return []

    url = f"http://nowhere.example:{free_port()}/"
    call = Call(key="k", attempt=1, deadline_s=0.3)
    for resolver in (names(nowhere_example=["127.0.0.1"]), names(), silent, unknown):
        with pytest.raises(ToolNotSent):
            await Outbound(loopback=True, resolver=resolver).request(call, "POST", url, configured=True)


async def test_the_environments_proxy_is_not_asked(there: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve names itself, and reach what we may not."""
    async with partner() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await Outbound(loopback=True).request(CALL, "GET", there.url, configured=True)

    assert (len(there.asked), proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "x"), ("Content-Length", "5"), ("transfer-encoding", "chunked"), ("X\r\nY", "1"), ("X Y", "1"), ("", "1"),
     ("X", "a\r\nHost: b"), ("X", "a\nb"), ("X", "ü"), ("X", "a\x00")],
)  # fmt: skip
async def test_a_header_cannot_become_another_one(there: Partner, name: str, value: str) -> None:
    """Nor change how the request is framed."""
    assert await refused(Outbound(loopback=True), there.url, headers={name: value}, configured=True) == "bad_request"
    assert there.connections == 0


async def test_tls_is_held_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    """A certificate for partner.example is good for that name at whatever address, and for no other name there."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not there to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=partner.example", "-addext",
            "subjectAltName=DNS:partner.example", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    await asyncio.to_thread(subprocess.run, [openssl, *made], check=True, capture_output=True)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    trusts = ssl.create_default_context(cafile=str(certificate))
    resolver = names(partner_example=["127.0.0.1"], other_example=["127.0.0.1"])

    async with partner(served) as there:
        outbound = Outbound(loopback=True, resolver=resolver, ssl_context=trusts)
        answer = await outbound.request(CALL, "GET", f"https://partner.example:{there.port}/", configured=True)
        for name in ("other.example", "127.0.0.1"):
            with pytest.raises(ToolNotSent):
                await outbound.request(CALL, "POST", f"https://{name}:{there.port}/", body=b"secret", configured=True)

    assert answer.status == 200
    assert [asked.headers["host"] for asked in there.asked] == [f"partner.example:{there.port}"]


async def test_without_tls_on_the_other_side_nothing_is_sent(there: Partner) -> None:
    """A partner that speaks plain HTTP gets no request that was meant for https."""
    url = there.url.replace("http:", "https:")
    with pytest.raises(ToolNotSent):
        await Outbound(loopback=True).request(CALL, "POST", url, body=b"secret", configured=True)
    assert there.asked == []
