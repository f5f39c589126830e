"""Which addresses are inside: everything that is not plainly on the Internet, in every disguise."""

# ruff: noqa: E501, S104 - addresses and names as those write them who mean others

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tools.inside import is_inside

INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::2", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1",
    "64:ff9b:1::7f00:1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd00::1", "fe80::1",
    "fe80::1%eth0", "2a00:1450::1%1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "2a00:1450:4001:81b:0:5efe:7f00:1",
    "2a00:1450:4001:81b:200:5efe:a9fe:a9fe", "4000::1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "64:ff9b::8.8.8.8", "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("loopback", [False, True], ids=["closed", "loopback open"])
def test_what_is_inside_is_found(address: str, loopback: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The way to this machine opens for 127.0.0.0/8 and ::1 as they are, and for nothing that means them."""
    opened = loopback and address in {"127.0.0.1", "127.255.255.254", "::1"}

    assert is_inside(address, loopback=loopback) is not opened


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_outside_is_not_refused(address: str) -> None:
    """The neighbours of each range among them."""
    assert not is_inside(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0177.0.0.1", "1.2.3", "1.2.3.4.5", "::g", "2130706433"])
def test_what_is_no_address_is_inside(text: str) -> None:
    """Whoever cannot say where it leads does not go there."""
    assert is_inside(text)


@given(st.ip_addresses())
def test_whatever_the_standard_library_calls_special_is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Its tables are another reading of the same registries; the strategy prefers what stands in them."""
    if address.is_multicast or not address.is_global or address.is_loopback or address.is_link_local:
        assert is_inside(str(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_stays_inside_in_every_disguise(address: ipaddress.IPv4Address) -> None:
    """IPv6 has seven ways to carry an IPv4 address; six are never open, and NAT64 is as open as what it carries."""
    raw = int(address)
    for above in (0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B0001 << 88, 0x2A001450 << 96 | 0x5EFE << 32):
        assert is_inside(str(ipaddress.IPv6Address(above | raw)), loopback=True)
    assert is_inside(str(ipaddress.IPv6Address(0x2002 << 112 | raw << 80)), loopback=True)
    nat64 = str(ipaddress.IPv6Address(0x64FF9B << 96 | raw))
    assert is_inside(nat64) == is_inside(nat64, loopback=True) == is_inside(str(address))
