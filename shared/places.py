"""Where an executor listens. Only one process holds the place, so whoever does knows that those before it are dead.

Several that share an address (EXECUTOR_PROCESSES) have a place each there: whichever is free.

Their leases need not run out then: a killed executor that is started again goes on at once with what they held. See
docs/decisions/0019-a-restarted-executor-takes-over.md and 0031-a-restarted-executor-goes-on-unasked.md.
"""

import hashlib
import socket
from pathlib import Path
from typing import Final

_ABOUT_HERE: Final = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/net"))
"""This start of this machine, and the network in which an address is taken: containers have networks of their own."""


def here(host: str, port: int, seat: int = 0) -> str:
    """A name of this address of this machine, 16 hex digits; empty where the system does not tell enough (not Linux).

    `seat`: which of those that share the address.
    """
    boot, network = _ABOUT_HERE
    try:
        known = f"{boot.read_text(encoding='ascii').strip()} {network.readlink()} {host} {port}"
        known += f" {seat}" if seat else ""
    except OSError:
        return ""
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def held(place: str) -> socket.socket | None:
    """What holds this place until it is closed, or its process ends, however it does; None while another process holds it.

    An executor that is told to stop listens no more, and ends what it has begun: its address is free then, and its place is
    not. The name lies in the network that `here` names, and in no file system.
    """
    own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        own.bind(f"\0intention-engine.{place}")
    except OSError:
        own.close()
        return None
    return own


def owners(place: str, number: int) -> str:
    """What the names of a process's leases begin with. `number` rises with each process that listens there; 0: unknown."""
    return f"{place}.{number}." if place and number else ""


def succeeds(mine: str) -> bool:
    """Whether another process was in this place before the one whose leases' names begin so."""
    parts = mine.split(".")
    return len(parts) == 3 and int(parts[1]) > 1


def outlived(holder: str, mine: str) -> bool:
    """Whether `holder` was an earlier process in the place of `mine`. acquire.lua says the same."""
    theirs, ours = holder.split("."), mine.split(".")
    return len(theirs) == len(ours) == 3 and theirs[0] == ours[0] and int(theirs[1]) < int(ours[1])
