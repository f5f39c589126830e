"""Which addresses are nobody's business of a plan: everything that is not plainly out on the Internet. Pure.

What is not known to be outside counts as inside: a range that is assigned tomorrow is not open today.
"""

import ipaddress
from typing import Final

_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # looks public: where Azure's hosts answer their guests
    )
)  # fmt: skip
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is assigned to the Internet so far; loopback, unique local, link-local, multicast and the rest lie outside."""
_NOT_GLOBAL_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""How hosts without IPv4 reach it; the address in its last four bytes is what counts."""
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_LOOPBACK: Final = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


def is_inside(address: str, *, loopback: bool = False) -> bool:
    """Whether nothing may connect to `address`. `loopback`: this machine itself counts as outside, as itself only."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv4Address):
        return _is_inside_v4(found, loopback=loopback)
    if found.scope_id is not None:
        return True
    if found in _LOOPBACK[1]:
        return not loopback
    if found in _NAT64:
        return _is_inside_v4(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF), loopback=False)
    isatap = (int(found) >> 32) & 0xFFFFFFFF in _ISATAP
    return isatap or found not in _GLOBAL_V6 or any(found in network for network in _NOT_GLOBAL_V6)


def _is_inside_v4(address: ipaddress.IPv4Address, *, loopback: bool) -> bool:
    if address in _LOOPBACK[0]:
        return not loopback
    return any(address in network for network in _V4)
